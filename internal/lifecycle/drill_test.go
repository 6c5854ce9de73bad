// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// rehearsed returns the names of the steps, those that are refused behind a minus.
func rehearsed(d lifecycle.Drill) (acts []string) {
	for _, step := range d.Steps {
		if step.Refused {
			step.Act = "-" + step.Act
		}
		acts = append(acts, step.Act)
	}
	return acts
}

func TestARehearsalDoesWhatTheReportOfAVersionDoes(t *testing.T) {
	suspended := func(t *testing.T) lifecycle.Key { return step(t, newKey(t, 5), lifecycle.Suspend, 0, free(later)) }
	for _, c := range []struct {
		name      string
		key       lifecycle.Key
		version   int
		successor int
		want      []string
	}{
		{"the active version", newKey(t, 5), 5, 6, []string{"compromise", "rotate", "rewrap", "quiet-period-ends", "retire", "destroy"}},
		{"one that a staged version takes over from", staged(t, 5), 5, 6, []string{"compromise", "promote", "rewrap", "quiet-period-ends", "retire", "destroy"}},
		{"one that a suspended version is staged after", stopped(t), 5, 7, []string{"compromise", "rotate", "rewrap", "quiet-period-ends", "retire", "destroy"}},
		{"a deactivated one", newKey(t, 5), 2, 0, []string{"compromise", "rewrap", "quiet-period-ends", "retire", "destroy"}},
		{"an archived one", steps(t, newKey(t, 5), 2, lifecycle.Archive), 2, 0, []string{"compromise", "-rewrap", "quiet-period-ends", "retire", "destroy"}},
		{"of a key under legal hold", newKey(t, 5).WithHold(true), 2, 0, []string{"compromise", "rewrap", "quiet-period-ends", "-retire"}},
		{"of a suspended key", suspended(t), 5, 0, []string{"compromise", "-rotate", "-rewrap", "quiet-period-ends", "retire", "destroy"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := c.key
			before.Overrides = lifecycle.Overrides{}
			for v, m := range c.key.Overrides {
				before.Overrides[v] = m
			}
			o := free(later.Add(day))
			o.Rules.QuietPeriod = 14 * day
			got, err := lifecycle.Rehearse(c.key, nil, c.version, o)
			require.NoError(t, err)
			require.Equal(t, c.want, rehearsed(got))
			require.Equal(t, c.successor, got.Successor)
			require.Equal(t, before.Revision, c.key.Revision)
			require.Equal(t, len(before.Overrides), len(c.key.Overrides), "a copy of the key")
			require.True(t, slices.IsSortedFunc(got.Steps, func(a, b lifecycle.DrillStep) int { return a.At.Compare(b.At) }))
			if last := got.Steps[len(got.Steps)-1]; last.Act == "destroy" {
				require.Equal(t, o.At.Add(44*day), last.At, "quiet_period and destroy_delay")
			}
		})
	}
}

func TestARehearsalWaitsForDeniedUses(t *testing.T) {
	k := steps(t, newKey(t, 5), 2, lifecycle.Archive)
	o := free(later.Add(day))
	o.Rules.QuietPeriod, o.LastDenied = 14*day, o.At.Add(-time.Hour)
	got, err := lifecycle.Rehearse(k, nil, 2, o)
	require.NoError(t, err)
	require.Equal(t, o.At.Add(14*day), got.Steps[2].At, "the report is later than the use that was denied")
	o.Behind = "the clock is behind"
	got, err = lifecycle.Rehearse(k, nil, 2, o)
	require.NoError(t, err)
	require.Equal(t, []string{"compromise", "-rewrap", "quiet-period-ends", "-retire"}, rehearsed(got))
}

func TestWhatSignsIsNotRewrapped(t *testing.T) {
	k, err := lifecycle.New(lifecycle.Key{ID: "1", Name: "k", Type: keytype.Ed25519}, start)
	require.NoError(t, err)
	got, err := lifecycle.Rehearse(k, nil, 1, free(later))
	require.NoError(t, err)
	require.NotContains(t, rehearsed(got), "rewrap")
}

func TestAKeyWithoutASuccessorSaysWhy(t *testing.T) {
	p := policyOf(t, func(d *policy.Document) { d.AllowedTypes = []keytype.Type{keytype.ChaCha20Poly1305} })
	k := newKey(t, 5)
	k.Policy = p.Name
	got, err := lifecycle.Rehearse(k, p, 5, free(later))
	require.NoError(t, err)
	require.Zero(t, got.Successor)
	require.Contains(t, rehearsed(got), "-rotate")
	require.Contains(t, got.Steps[1].Why, "allowed_types")

	_, err = lifecycle.Rehearse(got.Key, p, 5, free(later))
	require.ErrorIs(t, err, refusal.ErrRefused, "it was reported already")
}

func TestTheNextDrillIsCountedFromTheLastOne(t *testing.T) {
	k := newKey(t, 1)
	require.Zero(t, lifecycle.NextDrill(k, 0))
	require.Equal(t, k.Created.Add(365*day), lifecycle.NextDrill(k, 365*day), "never: from when it was made")
	drilled := lifecycle.WithDrill(k, later)
	require.Equal(t, later.Add(365*day), lifecycle.NextDrill(drilled, 365*day))
	require.Equal(t, k.Revision, drilled.Revision)
}
