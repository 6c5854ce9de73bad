// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/stretchr/testify/require"
)

func TestPlanSaysHowAKeyStands(t *testing.T) {
	auto := newPolicy(t, "10d", "0%", policy.Auto)
	manual := newPolicy(t, "10d", "0%", policy.Manual)
	notify := newPolicy(t, "10d", "0%", policy.Notify)
	due := start.Add(10 * day)
	failed := newKey(t, 1).Failed("token removed", nil, due) // to be tried again a minute later

	for _, row := range []struct {
		name   string
		key    lifecycle.Key
		policy *policy.Policy
		now    time.Time
		status lifecycle.Status
		wake   time.Time
		why    string
	}{
		{"just made", newKey(t, 1), auto, start, lifecycle.Scheduled, due, "version 1 is in force from 2026-03-01T12:00:00Z until 2026-03-11T12:00:00Z"},
		{"a moment before", newKey(t, 1), auto, due.Add(-1), lifecycle.Scheduled, due, "version 1 is in force"},
		{"on the moment", newKey(t, 1), auto, due, lifecycle.Due, due, "the rotation period of 10d ended at 2026-03-11T12:00:00Z"},
		{"long after", newKey(t, 1), auto, due.Add(1000 * day), lifecycle.Due, due, "the rotation period of 10d ended at 2026-03-11T12:00:00Z"},
		{"clock a little before the key", newKey(t, 1), auto, start.Add(-time.Minute), lifecycle.Scheduled, due, "version 1 is in force"},
		{"manual, on time", newKey(t, 1), manual, due.Add(-1), lifecycle.Scheduled, due, "version 1 is in force"},
		{"manual, due", newKey(t, 1), manual, due, lifecycle.Overdue, time.Time{}, "rotation_mode manual leaves the rotation to an operator"},
		{"notify, due", newKey(t, 1), notify, due, lifecycle.Overdue, time.Time{}, "rotation_mode notify leaves the rotation to an operator"},
		{"failed, waiting", failed, auto, due, lifecycle.Retrying, due.Add(time.Minute), "the last of 1 attempts failed: token removed"},
		{"failed, wait over", failed, auto, due.Add(time.Minute), lifecycle.Due, due, "the rotation period of 10d ended at 2026-03-11T12:00:00Z"},
		{"failed, now manual", failed, manual, due, lifecycle.Overdue, time.Time{}, "rotation_mode manual"},
		{"failed, not due any more", failed, newPolicy(t, "20d", "0%", policy.Auto), due, lifecycle.Scheduled, start.Add(20 * day), "version 1 is in force"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := lifecycle.Plan(row.key, row.policy, row.now)
			require.Equal(t, row.status, got.Status)
			require.Equal(t, row.status == lifecycle.Due, got.ToRotate())
			require.Equal(t, start.Add(got.Period), got.Next)
			require.Equal(t, row.wake, got.Wake)
			require.Equal(t, row.policy.RotationMode, got.Mode)
			require.Contains(t, got.Why, row.why)
		})
	}
}

func TestPlanRotatesWhatAClockThatWasAheadHasDated(t *testing.T) {
	now := start.Add(-day)
	got := lifecycle.Plan(newKey(t, 1), newPolicy(t, "10d", "0%", policy.Auto), now)
	require.Equal(t, []any{lifecycle.Due, lifecycle.ByClock, now}, []any{got.Status, got.Trigger, got.Next})
	require.Equal(t, "version 1 is dated 2026-03-01T12:00:00Z, by a clock that was ahead", got.Why)
	k := rotated(t, newKey(t, 1), got.Trigger, got.Why, 0, now)
	require.Equal(t, lifecycle.Scheduled, lifecycle.Plan(k, newPolicy(t, "10d", "0%", policy.Auto), now).Status)
	require.Equal(t, lifecycle.Overdue, lifecycle.Plan(newKey(t, 1), newPolicy(t, "10d", "0%", policy.Manual), now).Status)
	require.Equal(t, lifecycle.Unscheduled, lifecycle.Plan(newKey(t, 1), nil, now).Status, "nothing rotates it at any time")
}

func TestPlanOfAPolicyWithoutAPeriodSchedulesNothing(t *testing.T) {
	p := newPolicy(t, "0", "0%", policy.Notify)
	p.NotifyBefore = schedule.Span{}
	got := lifecycle.Plan(newKey(t, 1), p, start.Add(1000*day))
	require.Equal(t, lifecycle.RotationPlan{
		Status: lifecycle.Unscheduled, Mode: policy.Notify, Why: `policy "pci" has rotation_period 0 and no rotation_schedule`,
	}, got)
}

func TestPlanOfAKeyWithoutAPolicyFollowsItsAutoRotatePeriod(t *testing.T) {
	k := newKey(t, 1)
	require.Equal(t, lifecycle.RotationPlan{
		Status: lifecycle.Unscheduled, Mode: policy.Auto, Why: "the key has no policy and no auto_rotate_period",
	}, lifecycle.Plan(k, nil, start.Add(1000*day)))

	k.AutoRotatePeriod = time.Hour
	got := lifecycle.Plan(k, nil, start.Add(time.Hour-1))
	require.Equal(t, lifecycle.Scheduled, got.Status)
	require.Equal(t, start.Add(time.Hour), got.Next, "Transit knows no jitter")
	require.True(t, lifecycle.Plan(k, nil, start.Add(time.Hour)).ToRotate())
}

func TestPlanRotatesNothingWhenThePolicyIsMissing(t *testing.T) {
	k := newKey(t, 1)
	k.Policy, k.AutoRotatePeriod = "gone", time.Hour
	require.Equal(t, lifecycle.RotationPlan{
		Status: lifecycle.Unscheduled, Mode: policy.Manual, Why: `policy "gone" is missing or cannot be read`,
	}, lifecycle.Plan(k, nil, start.Add(1000*day)))
}

func TestPlanOfAKeyWithAStagedVersionRotatesNothing(t *testing.T) {
	k, err := newKey(t, 1).Stage(lifecycle.BySchedule, "", start.Add(10*day), start.Add(10*day))
	require.NoError(t, err)
	for _, mode := range []policy.RotationMode{policy.Auto, policy.Manual} {
		got := lifecycle.Plan(k, newPolicy(t, "10d", "0", mode), start.Add(1000*day))
		require.Equal(t, lifecycle.Overdue, got.Status, "an operator has to see that nothing rotates")
		require.Zero(t, got.Wake)
		require.Equal(t, "due, and version 2 is still staged: promote or retire it", got.Why)
		got = lifecycle.Plan(k, newPolicy(t, "10d", "0", mode), start.Add(11*day))
		require.Equal(t, lifecycle.Scheduled, got.Status)
	}
}

func TestPlanOfAKeyThatIsNotEnabledRotatesNothing(t *testing.T) {
	for _, s := range keyStates[1:] {
		got := lifecycle.Plan(inKeyState(t, s), newPolicy(t, "10d", "0", policy.Auto), start.Add(1000*day))
		require.Equal(t, lifecycle.RotationPlan{
			Status: lifecycle.Unscheduled, Mode: policy.Auto, Period: 10 * day, Why: "the key is " + s.String(),
		}, got)
	}
}

func TestPlanIsTheSameWheneverItIsAsked(t *testing.T) {
	p := newPolicy(t, "90d", "25%", policy.Auto)
	k := newKey(t, 3)
	first := lifecycle.Plan(k, p, start.Add(3*day))
	for range 100 {
		require.Equal(t, first, lifecycle.Plan(k, p, start.Add(3*day)))
	}
	renamed := k
	renamed.Name, renamed.Owner, renamed.Revision, renamed.Due = "other", "else", 99, start
	require.Equal(t, first.Next, lifecycle.Plan(renamed, p, start.Add(3*day)).Next, "only id and version decide the jitter")
}

// jitterVector is what a stored key of id "6b6579", version 1, is put off by: 25% of 90 days are 1944000 seconds. It may
// not change, or an upgrade moves every rotation.
const jitterVector = 938267 * time.Second

func TestJitterOfAStoredKeyNeverChanges(t *testing.T) {
	p := newPolicy(t, "90d", "25%", policy.Auto)
	got := lifecycle.Plan(newKey(t, 1), p, start)
	require.Equal(t, start.Add(90*day+jitterVector), got.Next)
	require.Contains(t, got.Why, ", put off by 10d20h37m47s of jitter")
}

func TestJitterSpreadsKeysOverTheWholeRange(t *testing.T) {
	const keys, parts = 1000, 10
	p := newPolicy(t, "100d", "25%", policy.Auto)
	longest := 25 * day
	var perPart [parts]int
	for i := range keys {
		put := jitterOf(p, fmt.Sprintf("%032x", i), 1)
		require.GreaterOrEqual(t, put, time.Duration(0))
		require.LessOrEqual(t, put, longest)
		require.Zero(t, put%time.Second)
		perPart[min(int(put*parts/longest), parts-1)]++
	}
	for part, n := range perPart {
		require.InDelta(t, keys/parts, n, 50, "part %d of %v", part, perPart)
	}
}

func TestJitterReachesBothEndsOfItsRange(t *testing.T) {
	p := newPolicy(t, "1m", "3s", policy.Auto)
	seen := map[time.Duration]bool{}
	for i := range 200 {
		seen[jitterOf(p, fmt.Sprint(i), 1)] = true
	}
	require.Equal(t, map[time.Duration]bool{0: true, time.Second: true, 2 * time.Second: true, 3 * time.Second: true}, seen)
}

func TestJitterDiffersFromVersionToVersion(t *testing.T) {
	p := newPolicy(t, "100d", "25%", policy.Auto)
	seen := map[time.Duration]bool{}
	for version := 1; version <= 100; version++ {
		seen[jitterOf(p, "6b6579", version)] = true
	}
	require.Greater(t, len(seen), 95)
}

func TestWhyIsOneSentenceWithoutASecret(t *testing.T) {
	k := newKey(t, 1)
	for _, p := range []*policy.Policy{nil, newPolicy(t, "1m", "0", policy.Auto), newPolicy(t, "1m", "0", policy.Manual)} {
		why := lifecycle.Plan(k, p, start.Add(day)).Why
		require.NotEmpty(t, why)
		require.NotContains(t, why, k.ID)
		require.False(t, strings.ContainsAny(why, "\n.%!"), why)
	}
}

// jitterOf is how long the policy puts off the rotation of the key.
func jitterOf(p *policy.Policy, id string, version int) time.Duration {
	k := lifecycle.Key{ID: id, Latest: version, Primary: version, Rotation: lifecycle.Rotation{Base: start, Promoted: start}}
	out := lifecycle.Plan(k, p, start)
	return out.Next.Sub(start) - out.Period
}
