// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// erasing are rules under which private halves are erased a day after their versions are superseded.
var erasing = policy.EffectiveRules{ErasePrivateKey: true, PinnedEncrypt: true, RollbackWindow: day, DestroyDelay: 30 * day}

// erased applies the erasure at the time; the key stays as it is where it is refused.
func erased(t *testing.T, k lifecycle.Key, at time.Time) (lifecycle.Key, error) {
	t.Helper()
	next, did, err := k.Apply(lifecycle.ErasePrivate, 0, lifecycle.Order{At: at, Rules: erasing})
	if err != nil {
		require.ErrorIs(t, err, refusal.ErrRefused)
		require.Equal(t, k, next)
		return k, err
	}
	require.Equal(t, lifecycle.Step{Op: lifecycle.ErasePrivate}, did)
	require.Equal(t, k.Revision+1, next.Revision)
	return next, nil
}

func TestPrivateHalvesAreErasedOnceNoRollbackLeadsToThem(t *testing.T) {
	k := signing(newKey(t, 5))
	end := k.Rotation.Promoted.Add(day)
	_, err := erased(t, k, end.Add(-time.Second))
	require.EqualError(t, err, `versions before version 5 of key "orders" may be rolled back to until `+end.UTC().Format(time.RFC3339))
	next, err := erased(t, k, end)
	require.NoError(t, err)
	require.Equal(t, 5, next.PrivateFrom)
	require.Zero(t, next.RollbackTarget())
	require.Equal(t, lifecycle.Range{From: 1, To: 4}, lifecycle.Displaced(k, next))
	for v := 1; v <= 5; v++ {
		require.Equal(t, k.State(v), next.State(v))
		require.Equal(t, lifecycle.LocationOf(k, v), lifecycle.LocationOf(next, v))
		require.NoError(t, next.Permissions(erasing).ToVerify(v))
		_, err := next.Permissions(erasing).ToProtect(v)
		require.Equal(t, v == 5, err == nil, "%v", err)
	}
	_, err = next.Permissions(erasing).ToProtect(3)
	require.EqualError(t, err, "key_version 3 never signs again: its private half was erased [version_deactivated]")
	_, err = erased(t, next, end.Add(day))
	require.EqualError(t, err, `key "orders" has no private halves to erase`)
}

func TestAVersionThatMayBecomeActiveKeepsItsPrivateHalf(t *testing.T) {
	for name, row := range map[string]struct {
		k    lifecycle.Key
		want int // the floor afterwards
	}{
		"staged": {signing(staged(t, 5)), 5},
		"suspended, staged before": {func() lifecycle.Key {
			k := steps(t, staged(t, 5), 6, lifecycle.Suspend)
			k.Staged = 0
			return signing(rotated(t, k, lifecycle.ByOperator, "", 0, later))
		}(), 6},
		"retired, staged before":             {signing(rotated(t, steps(t, staged(t, 5), 6, lifecycle.Retire), lifecycle.ByOperator, "", 0, later)), 6},
		"staged again, below the active one": {signing(step(t, rotated(t, steps(t, staged(t, 5), 6, lifecycle.Retire), lifecycle.ByOperator, "", 0, later), lifecycle.Restore, 6, free(later.Add(day)))), 6},
		"active":                             {signing(newKey(t, 5)), 5},
		"suspended, active before":           {signing(steps(t, newKey(t, 5), 5, lifecycle.Suspend)), 5},
		"none: the active one lapsed":        {signing(steps(t, newKey(t, 5), 5, lifecycle.Lapse)), 6},
		"the only one":                       {signing(newKey(t, 1)), 0},
	} {
		next, _ := erased(t, row.k, later.Add(100*day))
		require.Equal(t, row.want, next.PrivateFrom, name)
	}
}

func TestNoPrivateHalfIsErasedOfAKeyThat(t *testing.T) {
	for name, change := range map[string]func(k *lifecycle.Key){
		"is under legal hold":     func(k *lifecycle.Key) { k.Hold = true },
		"decrypts, too":           func(k *lifecycle.Key) { k.Type = keytype.RSA2048 },
		"is symmetric":            func(k *lifecycle.Key) { k.Type = keytype.AES256GCM96 },
		"makes HMACs":             func(k *lifecycle.Key) { k.Type = keytype.HMAC },
		"is one for each context": func(k *lifecycle.Key) { k.Type, k.Derived = keytype.Ed25519, true },
		"was trimmed so far":      func(k *lifecycle.Key) { k.MinAvailable = 5 },
		"was destroyed so far":    func(k *lifecycle.Key) { k.DestroyedBelow = 5 },
	} {
		k := signing(newKey(t, 5))
		change(&k)
		_, err := erased(t, k, later)
		require.Error(t, err, name)
	}
	k := signing(newKey(t, 5))
	_, _, err := k.Apply(lifecycle.ErasePrivate, 0, lifecycle.Order{At: later, Rules: k.RulesFor(nil)})
	require.ErrorIs(t, err, refusal.ErrRefused, "without a policy it is as in Transit")
}

func TestTheErasureIsForecastAndDueAtItsTime(t *testing.T) {
	doc := policy.DefaultDocument()
	doc.Owner, doc.ErasePrivateKey, doc.RollbackWindow = "tests", true, span(t, "1d")
	rules, err := policy.New("p", 1, doc, start)
	require.NoError(t, err)
	k := signing(newKey(t, 3))
	k.Policy = "p"
	at := k.Rotation.Promoted.Add(day)
	pending := lifecycle.PendingTransitions(k, &rules, at.Add(-time.Hour))
	require.Equal(t, []lifecycle.Pending{{At: at, Op: lifecycle.ErasePrivate}}, pending)
	require.True(t, pending[0].Irreversible())
	next := lifecycle.Forecast(k, &rules, nil, at.Add(-time.Hour), 1)
	require.Equal(t, "erase-private", next[0].Act)
	require.NotEmpty(t, next[0].Why)
}
