// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/stretchr/testify/require"
)

// events are a forecast in words.
func events(list []lifecycle.Forecasted) []string {
	var out []string
	for _, e := range list {
		out = append(out, fmt.Sprintf("%s %s %d", e.At.Format("2006-01-02 15:04"), e.Act, e.Version))
	}
	return out
}

func TestForecastOfAWholeLife(t *testing.T) {
	p := policyOf(t, func(d doc) {
		d.RotationPeriod, d.RotationJitter, d.StagingTime = span(t, "30d"), jitter(t, "0"), span(t, "2d")
		d.ArchiveAfter, d.RetireAfter, d.QuietPeriod, d.DestroyDelay = span(t, "10d"), span(t, "5d"), span(t, "6d"), span(t, "7d")
		d.MinVersionsKept = 1
	})
	got := lifecycle.Forecast(newKey(t, 1), p, nil, start, 12)
	require.Equal(t, []string{
		"2026-03-31 12:00 stage 2",
		"2026-04-02 12:00 promote 2",
		"2026-04-12 12:00 archive 1", // ten days after it was superseded
		"2026-04-18 12:00 retire 1",  // the quiet period is longer than retire_after
		"2026-04-25 12:00 destroy 1",
		"2026-04-30 12:00 stage 3", // 30 days after the slot, not after the promotion
		"2026-05-02 12:00 promote 3",
		"2026-05-12 12:00 archive 2",
		"2026-05-18 12:00 retire 2",
		"2026-05-25 12:00 destroy 2",
		"2026-05-30 12:00 stage 4",
		"2026-06-01 12:00 promote 4",
	}, events(got))
	for _, e := range got {
		require.NotEmpty(t, e.Why, e.Act)
	}
	require.Equal(t, "the rotation period of 30d ended at 2026-03-31T12:00:00Z", got[0].Why)
	require.Equal(t, "destroy_delay has passed since it was retired", got[4].Why)
}

func TestForecastOfAKeyThatAnOperatorRotates(t *testing.T) {
	p := policyOf(t, func(d doc) {
		d.RotationMode, d.RotationPeriod, d.RotationJitter, d.OriginatorPeriod = policy.Manual, span(t, "30d"), jitter(t, "0"), span(t, "45d")
		d.RecipientPeriod, d.MinVersionsKept = span(t, "60d"), 0
	})
	got := lifecycle.Forecast(newKey(t, 1), p, nil, start, 10)
	require.Equal(t, []string{
		"2026-03-31 12:00 overdue 1", "2026-04-15 12:00 lapse 1", "2026-06-14 12:00 archive 1",
	}, events(got), "and then nothing more")
	require.Contains(t, got[0].Why, "rotation_mode manual leaves the rotation to an operator")
	require.Equal(t, events(got)[1:], events(lifecycle.Forecast(newKey(t, 1), p, nil, start, 3))[1:])
}

func TestForecastOfAVersionThatIsStagedByHand(t *testing.T) {
	p := policyOf(t, func(d doc) { d.RotationPeriod, d.RotationJitter = span(t, "30d"), jitter(t, "0") })
	k, err := newKey(t, 1).Stage(lifecycle.ByOperator, "", time.Time{}, at(3, 12, 0))
	require.NoError(t, err)
	got := lifecycle.Forecast(k, p, nil, at(3, 12, 0), 5)
	require.Equal(t, []string{"2026-04-02 12:00 overdue 1"}, events(got), "nothing promotes it")
	require.Contains(t, got[0].Why, "version 2 is still staged")
}

func TestForecastOfAFailingKeyBeginsWithTheNextAttempt(t *testing.T) {
	p := sundays(t)
	k := newKey(t, 1).Failed("token removed", p, at(15, 3, 0))
	require.Equal(t, "2026-03-15 03:01 rotate 2", events(lifecycle.Forecast(k, p, nil, at(15, 3, 0), 1))[0])
	k.Rotation.RetryAt = at(15, 8, 0) // the window closes at 6
	require.Equal(t, "2026-03-22 02:00 rotate 2", events(lifecycle.Forecast(k, p, nil, at(15, 3, 0), 1))[0])
}

func TestForecastReplacesACompromisedVersionAtOnce(t *testing.T) {
	p := policyOf(t)
	k := steps(t, newKey(t, 2), 2, lifecycle.ReportCompromise)
	require.Equal(t, []string{"2026-06-10 12:00 rotate 3"}, events(lifecycle.Forecast(k, p, nil, later.Add(day), 1)))
	k = steps(t, staged(t, 2), 2, lifecycle.ReportCompromise)
	require.Equal(t, []string{"2026-06-10 12:00 promote 3"}, events(lifecycle.Forecast(k, p, nil, later.Add(day), 1)))
}

func TestForecastArchivesOnlyVersionsWhoseDatesAreKnown(t *testing.T) {
	p := policyOf(t, func(d doc) {
		d.RotationPeriod, d.RotationJitter, d.OriginatorPeriod = span(t, "0"), jitter(t, "0"), span(t, "0")
		d.ArchiveAfter, d.MinVersionsKept = span(t, "20d"), 1
	})
	k := newKey(t, 4)
	require.Empty(t, lifecycle.Forecast(k, p, nil, later, 5), "archived on no guess")
	dates := map[int]time.Time{2: start.Add(day), 3: start.Add(2 * day), 4: start.Add(3 * day)}
	want := maps.Clone(dates)
	require.Equal(t, []string{
		"2026-03-22 12:00 archive 1", "2026-03-23 12:00 archive 2", "2026-03-24 12:00 archive 3",
	}, events(lifecycle.Forecast(k, p, dates, start.Add(4*day), 5)))
	require.Equal(t, want, dates, "what the caller has stays as it is")
}

func TestForecastOfARetiredKey(t *testing.T) {
	k := inKeyState(t, lifecycle.KeyRetired)
	require.Equal(t, []string{k.Status.Until().Format("2006-01-02 15:04") + " destroy 0"}, events(lifecycle.Forecast(k, policyOf(t), nil, later.Add(day), 5)))
	require.Empty(t, lifecycle.Forecast(inKeyState(t, lifecycle.KeyArchived), policyOf(t), nil, later, 5))
	require.Empty(t, lifecycle.Forecast(newKey(t, 1), policyOf(t), nil, start, 0))
	require.Empty(t, lifecycle.Forecast(newKey(t, 1), nil, nil, start, 5), "nothing rotates it")
}

// anyKey draws a key to which some things have happened until now.
func anyKey(t *testing.T, r *rand.Rand, p *policy.Policy) (k lifecycle.Key, dates map[int]time.Time, now time.Time) {
	t.Helper()
	k, now, dates = newKey(t, 1), start, map[int]time.Time{1: start}
	k.Policy = "pci"
	for range r.IntN(25) {
		now = now.Add(time.Duration(r.IntN(20*24)) * time.Hour)
		next, err := anyMove(r, k, now).do(k)
		if err != nil {
			continue
		}
		switch {
		case next.Latest > k.Latest:
			dates[next.Latest] = now
		case next.Primary == k.Staged && next.Primary > k.Primary:
			dates[next.Primary] = now // promoted
		}
		if k = next; r.IntN(8) == 0 {
			k = usedUp(k, p, now)
		}
	}
	for range r.IntN(3) {
		k = k.Failed("token removed", p, now)
	}
	return k, dates, now
}

func TestForecastEndsAndNeverGoesBackForEveryKeyAndPolicy(t *testing.T) {
	r := chance(31)
	seen := map[string]int{}
	for range racetest.Size(t, 400) {
		p := simPolicy(t, r, 1, start)
		k, dates, now := anyKey(t, r, &p)
		before := copied(k)
		got := lifecycle.Forecast(k, &p, dates, now, 30)
		require.Equal(t, before, k)
		require.LessOrEqual(t, len(got), 30)
		require.True(t, slices.IsSortedFunc(got, func(a, b lifecycle.Forecasted) int { return a.At.Compare(b.At) }), events(got))
		for i, e := range got {
			require.False(t, e.At.Before(now), events(got))
			require.NotEmpty(t, e.Why)
			seen[e.Act]++
			require.Equal(t, -1, slices.IndexFunc(got[:i], func(other lifecycle.Forecasted) bool {
				return e.Act != "overdue" && e.Act != "archive" && e.Act == other.Act && e.Version == other.Version
			}), "%v happens twice in %v", e, events(got))
		}
		require.Equal(t, events(got)[:min(3, len(got))], events(lifecycle.Forecast(k, &p, dates, now, 3)), "fewer are the first of more")
	}
	for _, act := range []string{"rotate", "stage", "promote", "overdue", "lapse", "archive", "retire", "destroy"} {
		require.Greater(t, seen[act], racetest.Size(t, 20), act)
	}
}

// TestForecastIsWhatHappens executes plan and pending transitions minute by minute, as a tick does that nothing fails.
func TestForecastIsWhatHappens(t *testing.T) {
	racetest.Skip(t, "one goroutine goes through it minute by minute")
	r := chance(32)
	const keys = 15
	compared := 0
	for range keys {
		p := simPolicy(t, r, 1, start)
		k, dates, now := anyKey(t, r, &p)
		for k.Status.State != lifecycle.Enabled && k.Status.State != lifecycle.KeyRetired || k.NeedsSuccessor() {
			k, dates, now = anyKey(t, r, &p)
		}
		const days = 22
		now = now.Truncate(time.Minute)
		var want []string
		for _, e := range lifecycle.Forecast(k, &p, dates, now, 200) {
			if e.Act != "overdue" && e.At.Before(now.Add(days*day)) {
				want = append(want, fmt.Sprintf("%s %d", e.Act, e.Version))
			}
		}
		got := executed(t, k, &p, maps.Clone(dates), now, days*24*60)
		compared += len(got)
		slices.Sort(got) // two things of the same minute may swap
		slices.Sort(want)
		require.Equal(t, strings.Join(want, ", "), strings.Join(got, ", "))
	}
	require.Greater(t, compared, keys)
}

// executed is what a tick does to the key, once a minute.
func executed(t *testing.T, k lifecycle.Key, p *policy.Policy, dates map[int]time.Time, now time.Time, ticks int) []string {
	t.Helper()
	var did []string
	for range ticks {
		for act := "begin"; act != ""; {
			k = k.WithOldest(p, dates)
			if k, act = ticked(t, k, p, dates, now); act != "" {
				did = append(did, act)
			}
		}
		now = now.Add(time.Minute)
	}
	return did
}

// ticked does one thing that is due, and says what; empty: nothing is.
func ticked(t *testing.T, k lifecycle.Key, p *policy.Policy, dates map[int]time.Time, now time.Time) (lifecycle.Key, string) {
	t.Helper()
	if out := lifecycle.Plan(k, p, now); out.ToRotate() {
		grow, act := k.Rotate, "rotate"
		if p.StagingTime.Duration > 0 {
			grow, act = k.Stage, "stage"
		}
		next, err := grow(out.Trigger, "", out.Slot, now)
		require.NoError(t, err)
		dates[next.Latest] = now
		return next, fmt.Sprintf("%s %d", act, next.Latest)
	}
	pending := lifecycle.PendingTransitions(k, p, now)
	if len(pending) == 0 || pending[0].At.After(now) {
		return k, ""
	}
	e, o := pending[0], lifecycle.Order{At: now, Rules: k.RulesFor(p)}
	next, _, err := k.Apply(e.Op, e.Version, o)
	if e.Version == 0 {
		next, _, err = k.Apply(e.Op, 0, o)
	}
	require.NoError(t, err)
	if e.Op == lifecycle.Promote {
		dates[e.Version] = now
	}
	return next, fmt.Sprintf("%s %d", e.Op, e.Version)
}
