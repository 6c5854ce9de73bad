// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

// move is one act of any kind on a key, and what it was.
type move struct {
	name string
	do   func(lifecycle.Key) (lifecycle.Key, error)
}

// anyMove draws an act, often one that is refused.
func anyMove(r *rand.Rand, k lifecycle.Key, at time.Time) move {
	o := lifecycle.Order{At: at, Code: "key compromise", Rules: policy.EffectiveRules{
		RollbackWindow: policy.Unlimited, DestroyDelay: day, QuietPeriod: time.Duration(r.IntN(3)) * time.Hour, MinVersionsKept: r.IntN(3),
	}}
	if r.IntN(3) == 0 {
		o.Until = at.Add(day)
	}
	op, v := ops[r.IntN(len(ops))], r.IntN(k.Latest+2)
	floor := r.IntN(k.Latest + 2)
	moves := []move{
		{"rotate", func(k lifecycle.Key) (lifecycle.Key, error) {
			return k.Rotate(lifecycle.ByOperator, "", time.Time{}, at)
		}},
		{"stage", func(k lifecycle.Key) (lifecycle.Key, error) {
			return k.Stage(lifecycle.ByOperator, "", time.Time{}, at)
		}},
		{"roll back", func(k lifecycle.Key) (lifecycle.Key, error) {
			next, _, err := k.Apply(lifecycle.Rollback, 0, o)
			return next, err
		}},
		{"trim to " + fmt.Sprint(floor), func(k lifecycle.Key) (lifecycle.Key, error) { return k.Trim(floor) }},
		{"floors to " + fmt.Sprint(floor), func(k lifecycle.Key) (lifecycle.Key, error) {
			next, _, err := k.Configure(lifecycle.ConfigChange{MinDecryption: &floor, MinEncryption: &floor})
			return next, err
		}},
		{"floors to 1", func(k lifecycle.Key) (lifecycle.Key, error) {
			next, _, err := k.Configure(lifecycle.ConfigChange{MinDecryption: ptr(1)})
			return next, err
		}},
		{"hold", func(k lifecycle.Key) (lifecycle.Key, error) { return k.WithHold(r.IntN(3) == 0), nil }},
	}
	switch r.IntN(8) {
	case 0, 1:
		return moves[r.IntN(len(moves))]
	case 2:
		return move{fmt.Sprintf("%s the key", op), func(k lifecycle.Key) (lifecycle.Key, error) { next, _, err := k.Apply(op, 0, o); return next, err }}
	default:
		return move{fmt.Sprintf("%s %d", op, v), func(k lifecycle.Key) (lifecycle.Key, error) { next, _, err := k.Apply(op, v, o); return next, err }}
	}
}

func TestWhateverIsDoneToAKeyItsRulesHold(t *testing.T) {
	keys, acts := racetest.Size(t, 400), 80
	r := chance(7)
	reached := map[lifecycle.State]int{}
	for range keys {
		k, did := newKey(t, 1+r.IntN(4)), []string{}
		for i := range acts {
			at := later.Add(time.Duration(i) * 7 * time.Hour)
			m := anyMove(r, k, at)
			before := copied(k)
			next, err := m.do(k)
			require.Equal(t, before, k, "%s changed the snapshot before", m.name)
			if err != nil {
				require.Equal(t, before, next, "%s was refused and changed the key", m.name)
				continue
			}
			did = append(did, m.name)
			checkStep(t, before, next, m.name, did)
			checkStates(t, next, did)
			checkAgenda(t, next, did)
			for v := range next.Latest + 1 {
				reached[next.State(v)]++
			}
			if k = next; k.Status.State == lifecycle.KeyDestroyed {
				break
			}
		}
	}
	for _, s := range lifecycle.States() {
		require.Positive(t, reached[s], "state %s was never reached", s)
	}
}

// checkStep holds what is true between a key and the next.
func checkStep(t *testing.T, before, next lifecycle.Key, what string, did []string) {
	t.Helper()
	require.LessOrEqual(t, before.Latest, next.Latest)
	if !reflect.DeepEqual(before, copied(next)) {
		require.Equal(t, before.Revision+1, next.Revision, "%v", did)
	}
	for v := 1; v <= before.Latest; v++ {
		switch {
		case before.State(v) == lifecycle.Destroyed:
			require.Equal(t, lifecycle.Destroyed, next.State(v), "version %d revived: %v", v, did)
			require.Equal(t, lifecycle.Erased, lifecycle.LocationOf(next, v))
		case next.State(v) == lifecycle.Destroyed:
			require.True(t, strings.HasPrefix(what, "destroy") || strings.HasPrefix(what, "trim"), "%v", did)
			require.False(t, before.Hold, "destroyed under legal hold: %v", did)
		}
		if c := before.Overrides[v].Compromise; c != (lifecycle.Compromise{}) {
			require.NotZero(t, next.Overrides[v].Compromise, "the report on version %d was cleared: %v", v, did)
			_, err := next.Permissions(policy.EffectiveRules{PinnedEncrypt: true}).ToProtect(v)
			require.Error(t, err, "version %d was compromised: %v", v, did)
		}
	}
}

// checkStates holds what is true of the states of a key.
func checkStates(t *testing.T, k lifecycle.Key, did []string) {
	t.Helper()
	count := map[lifecycle.State]int{}
	for v := range k.Latest + 3 {
		count[k.State(v)]++
	}
	inOrder := !slices.Contains([]lifecycle.State{
		lifecycle.Suspended, lifecycle.Compromised, lifecycle.Retired, lifecycle.Destroyed, lifecycle.NoState,
	}, k.State(k.Primary))
	if k.Status.State == lifecycle.Enabled && inOrder {
		require.Equal(t, 1, count[lifecycle.Active], "%v", did)
		v, err := k.Permissions(ungoverned).ToProtect(0)
		require.NoError(t, err, "%v", did)
		require.Equal(t, k.Primary, v)
		require.NoError(t, k.Permissions(ungoverned).ToProcess(v), "what was just encrypted cannot be read: %v", did)
	} else {
		require.Zero(t, count[lifecycle.Active], "%v", did)
		_, err := k.Permissions(ungoverned).ToProtect(0)
		require.ErrorIs(t, err, refusal.ErrRefused)
	}
	require.LessOrEqual(t, count[lifecycle.PreActive], 1)
	if k.Staged != 0 && k.Status.State == lifecycle.Enabled {
		require.Contains(t, []lifecycle.State{lifecycle.PreActive, lifecycle.Suspended}, k.State(k.Staged), "%v", did)
		require.NotEqual(t, k.Primary, k.Staged)
	}
}

// checkAgenda holds that the clock can do what the pending transitions say, when they say so, and nothing irreversible before.
func checkAgenda(t *testing.T, k lifecycle.Key, did []string) {
	t.Helper()
	rules := policy.EffectiveRules{
		StagingTime: day, ArchiveAfter: 10 * day, RetireAfter: 5 * day, QuietPeriod: 6 * day, DestroyDelay: day, MinVersionsKept: 2,
	}
	p := newPolicy(t, "90d", "0", policy.Manual)
	p.StagingTime.Duration, p.ArchiveAfter.Duration, p.RetireAfter.Duration = rules.StagingTime, rules.ArchiveAfter, rules.RetireAfter
	p.QuietPeriod.Duration, p.DestroyDelay.Duration = rules.QuietPeriod, rules.DestroyDelay
	if v := lifecycle.OldestDeactivated(k); v != 0 {
		k.Oldest = lifecycle.Oldest{Version: v, Deactivated: later.Add(100 * day)}
	}
	pending := lifecycle.AllPendingTransitions(k, p)
	require.True(t, slices.IsSortedFunc(pending, func(a, b lifecycle.Pending) int { return a.At.Compare(b.At) }))
	for _, e := range pending {
		require.NotZero(t, e.At, "%v: %v", e, did)
		apply := func(at time.Time) error {
			o := lifecycle.Order{At: at, Rules: rules}
			if e.Version == 0 {
				_, _, err := k.Apply(e.Op, 0, o)
				return err
			}
			_, _, err := k.Apply(e.Op, e.Version, o)
			return err
		}
		require.NoError(t, apply(e.At), "%v: %v", e, did)
		if e.Op == lifecycle.Destroy {
			require.Error(t, apply(e.At.Add(-1)), "%v: %v", e, did)
		}
	}
}
