// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"maps"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/stretchr/testify/require"
)

// later is when the acts of these tests are done, after the keys were made.
var later = start.Add(100 * day)

// ops are the operations on a version; keyStates the states of a key.
var (
	ops = []lifecycle.Op{
		lifecycle.Promote, lifecycle.Suspend, lifecycle.Resume, lifecycle.Archive, lifecycle.Recover, lifecycle.Retire,
		lifecycle.Restore, lifecycle.Destroy, lifecycle.ReportCompromise, lifecycle.Lapse,
	}
	keyStates = []lifecycle.KeyState{
		lifecycle.Enabled, lifecycle.KeySuspended, lifecycle.KeyArchived, lifecycle.KeyRetired, lifecycle.KeyDestroyed,
	}
)

// free is an order whose rules stand in nobody's way but for the destroy delay.
func free(at time.Time) lifecycle.Order {
	return lifecycle.Order{At: at, Rules: policy.EffectiveRules{RollbackWindow: policy.Unlimited, DestroyDelay: 30 * day}, Code: "key compromise"}
}

// may is what the versions of a key may do.
func may(k lifecycle.Key, rules policy.EffectiveRules) *lifecycle.Permissions {
	return k.Permissions(rules)
}

// step applies one operation that succeeds.
func step(t testing.TB, k lifecycle.Key, op lifecycle.Op, v int, o lifecycle.Order) lifecycle.Key {
	t.Helper()
	next, _, err := k.Apply(op, v, o)
	require.NoError(t, err)
	return next
}

// steps applies operations to version v, an hour apart; a destruction waits for its time.
func steps(t testing.TB, k lifecycle.Key, v int, list ...lifecycle.Op) lifecycle.Key {
	t.Helper()
	at := later
	for _, op := range list {
		at = at.Add(time.Hour)
		if op == lifecycle.Destroy {
			at = k.Overrides[v].Until()
		}
		k = step(t, k, op, v, free(at))
	}
	return k
}

// staged returns a key of so many versions and, above them, one that is staged.
func staged(t testing.TB, versions int) lifecycle.Key {
	t.Helper()
	k, err := newKey(t, versions).Stage(lifecycle.ByOperator, "", time.Time{}, start.Add(time.Duration(versions)*day))
	require.NoError(t, err)
	return k
}

// history is how a version got into its state, from a key of five versions, the fifth active.
type history struct {
	state   lifecycle.State
	name    string
	version int
	key     func(t testing.TB) lifecycle.Key
}

// histories leads to every state on every way that makes a difference.
func histories() []history {
	way := func(version int, list ...lifecycle.Op) func(t testing.TB) lifecycle.Key {
		return func(t testing.TB) lifecycle.Key {
			k := newKey(t, 5)
			if version > 5 {
				k = staged(t, 5)
			}
			return steps(t, k, version, list...)
		}
	}
	const (
		suspend, archive, retire = lifecycle.Suspend, lifecycle.Archive, lifecycle.Retire
		destroy, compromise      = lifecycle.Destroy, lifecycle.ReportCompromise
	)
	return []history{
		{lifecycle.PreActive, "pre_active", 6, way(6)},
		{lifecycle.Active, "active", 5, way(5)},
		{lifecycle.Deactivated, "deactivated", 3, way(3)},
		{lifecycle.Suspended, "suspended", 3, way(3, suspend)},
		{lifecycle.Suspended, "suspended, active before", 5, way(5, suspend)},
		{lifecycle.Suspended, "suspended, pre_active before", 6, way(6, suspend)},
		{lifecycle.Archived, "archived", 3, way(3, archive)},
		{lifecycle.Archived, "archived by the floor", 1, func(t testing.TB) lifecycle.Key { return floored(t, 5, 2) }},
		{lifecycle.Compromised, "compromised", 3, way(3, compromise)},
		{lifecycle.Compromised, "compromised, active before", 5, way(5, compromise)},
		{lifecycle.Compromised, "compromised, archived before", 3, way(3, archive, compromise)},
		{lifecycle.Compromised, "compromised, suspended before", 3, way(3, suspend, compromise)},
		{lifecycle.Compromised, "compromised, retired before", 3, way(3, archive, retire, compromise)},
		{lifecycle.Compromised, "compromised, recovered", 3, way(3, archive, compromise, lifecycle.Recover)},
		{lifecycle.Retired, "retired", 3, way(3, archive, retire)},
		{lifecycle.Retired, "retired, pre_active before", 6, way(6, retire)},
		{lifecycle.Retired, "retired, compromised before", 3, way(3, compromise, retire)},
		{lifecycle.Retired, "retired, locked before", 3, way(3, archive, compromise, retire)},
		{lifecycle.Destroyed, "destroyed", 3, way(3, archive, retire, destroy)},
		{lifecycle.Destroyed, "trimmed", 1, func(t testing.TB) lifecycle.Key {
			k, err := floored(t, 5, 2).Trim(2)
			require.NoError(t, err)
			return k
		}},
	}
}

// floored returns a key whose versions below the floor are archived by it.
func floored(t testing.TB, versions, floor int) lifecycle.Key {
	t.Helper()
	k, _, err := newKey(t, versions).Configure(lifecycle.ConfigChange{MinDecryption: ptr(floor), MinEncryption: ptr(floor)})
	require.NoError(t, err)
	return k
}

// inKeyState returns a key of three versions that is in the state as a whole.
func inKeyState(t testing.TB, s lifecycle.KeyState) lifecycle.Key {
	t.Helper()
	return moved(t, newKey(t, 3), s)
}

// moved brings an enabled key into the state.
func moved(t testing.TB, k lifecycle.Key, s lifecycle.KeyState) lifecycle.Key {
	t.Helper()
	ways := map[lifecycle.KeyState][]lifecycle.Op{
		lifecycle.Enabled:      nil,
		lifecycle.KeySuspended: {lifecycle.Suspend},
		lifecycle.KeyArchived:  {lifecycle.Archive},
		lifecycle.KeyRetired:   {lifecycle.Archive, lifecycle.Retire},
		lifecycle.KeyDestroyed: {lifecycle.Archive, lifecycle.Retire, lifecycle.Destroy},
	}
	for i, op := range ways[s] {
		at := later.Add(time.Duration(i+1) * time.Hour)
		if op == lifecycle.Destroy {
			at = k.Status.Until()
		}
		next, _, err := k.Apply(op, 0, free(at))
		require.NoError(t, err)
		k = next
	}
	require.Equal(t, s, k.Status.State)
	return k
}

// copied is a snapshot that shares nothing with k.
func copied(k lifecycle.Key) lifecycle.Key {
	k.Overrides = maps.Clone(k.Overrides)
	k.Labels = maps.Clone(k.Labels)
	k.Recent = append([]time.Time(nil), k.Recent...)
	return k
}
