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
)

// byHand is a policy under which an operator rotates every 90 days, and a version protects for 200 days at most.
func byHand(t testing.TB, edits ...func(doc)) *policy.Policy {
	return policyOf(t, append([]func(doc){func(d doc) {
		d.RotationMode, d.RotationPeriod, d.RotationJitter, d.OriginatorPeriod = policy.Manual, span(t, "90d"), jitter(t, "0"), span(t, "200d")
	}}, edits...)...)
}

func statuses(alerts lifecycle.Alerts) (list []lifecycle.Status) {
	for _, alert := range alerts {
		list = append(list, alert.Status)
	}
	return list
}

func TestAnEndThatNobodyAutomatesIsToldInTime(t *testing.T) {
	k := newKey(t, 1)
	p := byHand(t)
	for _, row := range []struct {
		after time.Duration
		want  lifecycle.Alerts
	}{
		{0, nil},
		{60*day - 1, nil},
		{60 * day, lifecycle.Alerts{{Status: lifecycle.Ending, Since: start.Add(60 * day)}}},
		{90*day - 1, lifecycle.Alerts{{Status: lifecycle.Ending, Since: start.Add(60 * day)}}},
		{90 * day, lifecycle.Alerts{{Status: lifecycle.Overdue, Since: start.Add(90 * day)}}},
		{170*day - 1, lifecycle.Alerts{{Status: lifecycle.Overdue, Since: start.Add(90 * day)}}},
		{170 * day, lifecycle.Alerts{
			{Status: lifecycle.Overdue, Since: start.Add(90 * day)}, {Status: lifecycle.Ending, Since: start.Add(170 * day)},
		}},
	} {
		require.Equal(t, row.want, lifecycle.Plan(k, p, start.Add(row.after)).Alerts(), "after %s", row.after)
	}
	lapsed := step(t, k, lifecycle.Lapse, 1, free(start.Add(200*day)))
	require.Equal(t, []lifecycle.Status{lifecycle.Stopped, lifecycle.Overdue}, statuses(lifecycle.Plan(lapsed, p, start.Add(201*day)).Alerts()),
		"what has stopped comes to no end, and its rotation is overdue all the same")
}

func TestNothingIsNearItsEndForMoreThanHalfOfItsTime(t *testing.T) {
	p := byHand(t, func(d doc) { d.RotationPeriod, d.NotifyBefore = span(t, "10d"), span(t, "300d") })
	require.Equal(t, start.Add(5*day), lifecycle.Plan(newKey(t, 1), p, start).Notice)
	p.RotationPeriod = span(t, "0")
	require.Equal(t, start.Add(100*day), lifecycle.Plan(newKey(t, 1), p, start).Notice, "of its originator period")
}

func TestWhatIsAutomatedOrOffIsNotTold(t *testing.T) {
	k := newKey(t, 1)
	late := start.Add(89 * day)
	require.True(t, lifecycle.Plan(k, byHand(t), late).Alerts().Has(lifecycle.Ending))
	for name, p := range map[string]*policy.Policy{
		"the engine rotates": byHand(t, func(d doc) { d.RotationMode = policy.Auto }),
		"the engine rotates at end": byHand(t, func(d doc) {
			d.RotationMode, d.RotationPeriod, d.OriginatorPeriod = policy.Auto, span(t, "0"), span(t, "90d")
		}),
		"it is off":       byHand(t, func(d doc) { d.NotifyBefore = span(t, "0") }),
		"there is no end": byHand(t, func(d doc) { d.RotationPeriod, d.OriginatorPeriod = span(t, "0"), span(t, "0") }),
		"no policy":       nil,
	} {
		require.Zero(t, lifecycle.Plan(k, p, late).Notice, name)
	}
	require.Zero(t, lifecycle.Plan(moved(t, k, lifecycle.KeySuspended), byHand(t), late).Notice, "the key as a whole is suspended")
	staging := byHand(t, func(d doc) { d.StagingTime = span(t, "5d") })
	next, err := k.Stage(lifecycle.ByOperator, "", time.Time{}, start.Add(88*day))
	require.NoError(t, err)
	require.Zero(t, lifecycle.Plan(next, staging, late).Notice, "the clock promotes its successor")
}

func TestARotationThatTheEngineCannotDoIsTold(t *testing.T) {
	denied := byHand(t, func(d doc) {
		d.RotationMode = policy.Auto
		d.DenyAfter = map[keytype.Type]string{keytype.Default: "2026-04-30"}
	})
	got := lifecycle.Plan(newKey(t, 1), denied, at(10, 12, 0))
	require.Equal(t, start.Add(60*day), got.Notice, "by then the policy denies the type")
}

func TestAKeyCanBeStalledAndNearItsEnd(t *testing.T) {
	p := byHand(t, func(d doc) { d.RotationMode, d.RotationRetryCycles = policy.Auto, 1 })
	k := newKey(t, 1)
	now := start.Add(180 * day)
	require.Empty(t, lifecycle.Plan(k, p, now).Alerts())
	k = k.Failed("token removed", p, now)
	require.Equal(t, lifecycle.Alerts{
		{Status: lifecycle.Stalled, Since: start.Add(90 * day)}, {Status: lifecycle.Ending, Since: start.Add(170 * day)},
	}, lifecycle.Plan(k, p, now).Alerts())
}

func TestAlertsAreInTheOrderOfTheirUrgencyAndEachIsThereOnce(t *testing.T) {
	r := chance(31)
	p := byHand(t, func(d doc) { d.StagingTime, d.DestroyDelay = span(t, "2d"), span(t, "10d") })
	order := lifecycle.AlertStatuses()
	for range 100 {
		k, at := newKey(t, 1+r.IntN(3)), later
		for range 40 {
			at = at.Add(time.Duration(r.IntN(20)) * day)
			if next, err := anyMove(r, k, at).do(k); err == nil {
				k = next
			}
			rest := order
			for _, alert := range lifecycle.Plan(k, p, at).Alerts() {
				i := indexOf(rest, alert.Status)
				require.GreaterOrEqual(t, i, 0, "%v", alert)
				require.False(t, alert.Since.After(at.Add(time.Minute)), "it has begun")
				rest = rest[i+1:]
			}
		}
	}
}

func indexOf(list []lifecycle.Status, status lifecycle.Status) int {
	for i, s := range list {
		if s == status {
			return i
		}
	}
	return -1
}
