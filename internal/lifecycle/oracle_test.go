// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/keylife/vault-plugin-keylife/internal/schedule/scheduletest"
	"github.com/stretchr/testify/require"
)

// oracle is Plan written naively: from lists of what comes when, made by looking at the clock once a minute. It does not
// know which jitter a key gets, but between what bounds; what it was it takes from the plan.
type oracle struct {
	key    lifecycle.Key
	policy *policy.Policy
	slots  []time.Time // of the schedule
	opens  []time.Time // of the window; nil: it is always open
	length time.Duration
	origin time.Time // when dark begins
	dark   []bool    // minute by minute, whether a blackout is on; nil: never
}

// crons are the expressions that scenes are made of, as the naive cron reads them.
var crons = map[string]scheduletest.Cron{
	"30 2 * * *":   {Sets: [5]map[int]bool{{30: true}, {2: true}}},
	"0 */6 * * *":  {Sets: [5]map[int]bool{{0: true}, {0: true, 6: true, 12: true, 18: true}}},
	"15 3 * * 1,4": {Sets: [5]map[int]bool{{15: true}, {3: true}, nil, nil, {1: true, 4: true}}},
	"45 1-3 * * *": {Sets: [5]map[int]bool{{45: true}, {1: true, 2: true, 3: true}}},
	"0 22 * * *":   {Sets: [5]map[int]bool{{0: true}, {22: true}}},
	"0 2 * * 6":    {Sets: [5]map[int]bool{{0: true}, {2: true}, nil, nil, {6: true}}},
	"0 * * * *":    {Sets: [5]map[int]bool{{0: true}}},
}

// newOracle looks at the clock from the key's last rotation until some time after now.
func newOracle(t *testing.T, k lifecycle.Key, p *policy.Policy, now time.Time) oracle {
	const ahead = 9 * day
	o := oracle{key: k, policy: p, length: p.RotationWindowLength.Duration}
	since, until := k.Rotation.Base, now.Add(ahead)
	if until.Before(since.Add(ahead)) {
		until = since.Add(ahead)
	}
	z := zone(t, p.RotationZone)
	switch {
	case p.RotationSchedule != "":
		o.slots = crons[p.RotationSchedule].Walk(z, since, until)
	case p.RotationPeriod.Duration > 0:
		left := p.RotationPeriod.Duration
		for at := since.Add(time.Minute); !at.After(until); at = at.Add(time.Minute) {
			if left -= time.Minute; left == 0 {
				o.slots, left = append(o.slots, at), p.RotationPeriod.Duration
			}
		}
	}
	if p.RotationWindow != "" {
		o.opens = crons[p.RotationWindow].Walk(z, since.Add(-2*day), until)
	}
	if len(p.RotationBlackout) > 0 {
		o.origin = since.Add(-3 * day).Truncate(time.Minute)
		for at := o.origin; at.Before(until); at = at.Add(time.Minute) {
			o.dark = append(o.dark, scheduletest.Dark(p.RotationBlackout, at, z))
		}
	}
	return o
}

func (o oracle) isDark(at time.Time) bool {
	return o.dark != nil && o.dark[at.Sub(o.origin)/time.Minute]
}

// opening is when the window opened that is open at the time, or opens next, and until when it is; a blackout cuts it.
func (o oracle) opening(at time.Time) (from, to time.Time) {
	for ; ; at = at.Truncate(time.Minute).Add(time.Minute) {
		window, open := o.window(at)
		if open && !o.isDark(at) {
			return o.cut(at, window)
		}
	}
}

// window is when the window opened that is open at the time; zero: it always is.
func (o oracle) window(at time.Time) (opened time.Time, open bool) {
	if o.policy.RotationWindow == "" {
		return opened, true
	}
	for _, opened := range o.opens {
		if !at.Before(opened) && at.Before(opened.Add(o.length)) {
			return opened, true
		}
	}
	return opened, false
}

// cut looks back and ahead for a blackout in an open window.
func (o oracle) cut(at, window time.Time) (from, to time.Time) {
	from = window
	if !window.IsZero() {
		to = window.Add(o.length)
	}
	for back := at.Truncate(time.Minute); o.dark != nil && back.After(o.origin) && !back.Before(window); back = back.Add(-time.Minute) {
		if o.isDark(back) {
			from = back.Add(time.Minute)
			break
		}
	}
	last := o.origin.Add(time.Duration(len(o.dark)) * time.Minute)
	for ahead := at.Truncate(time.Minute); ahead.Before(last) && (to.IsZero() || ahead.Before(to)); ahead = ahead.Add(time.Minute) {
		if o.isDark(ahead) {
			return from, ahead
		}
	}
	return from, to
}

// most is the longest jitter of the slot that is next.
func (o oracle) most() time.Duration {
	if o.policy.RotationSchedule == "" {
		return o.policy.RotationJitter.Of(o.policy.RotationPeriod.Duration)
	}
	return o.policy.RotationJitter.Of(o.slots[1].Sub(o.slots[0]))
}

// scheduled is when the schedule makes the key due, and when it does as of now, where a window was missed. The jitter is
// what the plan gives the key at the time it was last rotated, when nothing was missed yet.
func (o oracle) scheduled(t *testing.T, now time.Time) (first, asOfNow time.Time, ok bool) {
	if len(o.slots) < 2 {
		return first, first, false
	}
	put := o.given(t, nil, o.slots[0], o.most())
	first = o.slots[0].Add(put)
	if open, end := o.opening(first.Add(5 * time.Minute)); open.After(first) {
		first = open.Add(o.inside(t, open, end))
	}
	asOfNow = first
	if open, end := o.opening(now); open.After(first) {
		asOfNow = open.Add(o.inside(t, open, end))
	}
	return first, asOfNow, true
}

// inside is the jitter inside a window.
func (o oracle) inside(t *testing.T, open, end time.Time) time.Duration {
	most := o.most()
	if !end.IsZero() {
		most = min(most, end.Sub(open)/2)
	}
	return o.given(t, &open, time.Time{}, most)
}

// given asks the plan for the jitter of a key whose schedule is all that moves it, and holds it to its bounds.
func (o oracle) given(t *testing.T, open *time.Time, slot time.Time, most time.Duration) time.Duration {
	p := *o.policy
	p.OriginatorPeriod, p.RotationMode = schedule.Span{Text: "0"}, policy.Manual
	k := o.key
	k.Rotation.Exhausted, k.Staged, p.RotationBlackout = 0, 0, nil
	if open == nil {
		p.RotationWindow = ""
	} else { // at which the key is spread as it is in every window
		p.RotationSchedule, p.RotationPeriod, slot = "", schedule.Span{Text: "1m", Duration: time.Minute}, *open
		p.RotationWindow, p.RotationJitter = "", jitter(t, most.String())
		k.Rotation.Base = open.Add(-time.Minute)
	}
	p, err := policy.Stored(policy.Policy{Revision: 1, Created: p.Created, Document: p.Document})
	require.NoError(t, err)
	put := lifecycle.Plan(k, &p, k.Rotation.Base).Next.Sub(slot)
	require.GreaterOrEqual(t, put, time.Duration(0))
	require.LessOrEqual(t, put, most)
	return put
}

// wanted is what the plan has to say.
type wanted struct {
	status lifecycle.Status
	next   time.Time
	slot   time.Time
}

// plan says of a key that can encrypt no more that it has stopped, unless it rotates now.
func (o oracle) plan(t *testing.T, now time.Time) wanted {
	w := o.schedule(t, now)
	blocked := o.key.Rotation.Exhausted == o.key.Primary && o.policy.OnLimit == policy.OnLimitBlock
	if blocked && w.status != lifecycle.Due {
		w.status = lifecycle.Stopped
	}
	return w
}

func (o oracle) schedule(t *testing.T, now time.Time) wanted {
	if o.key.Staged != 0 && o.key.Rotation.Failures > 0 {
		return o.unpromoted()
	}
	var firsts, nows []time.Time
	var bySlot time.Time
	if first, asOfNow, ok := o.scheduled(t, now); ok {
		firsts, nows, bySlot = append(firsts, first), append(nows, asOfNow), asOfNow
	}
	r := o.key.Rotation
	if end := o.policy.OriginatorPeriod.Duration; end > 0 && o.policy.RotationMode == policy.Auto {
		at := r.Promoted.Add(end)
		if o.key.Staged == 0 {
			at = at.Add(-o.policy.StagingTime.Duration)
		}
		firsts, nows = append(firsts, at), append(nows, at)
	}
	if r.Exhausted == o.key.Primary && o.policy.OnLimit == policy.OnLimitRotate {
		firsts, nows = append(firsts, r.ExhaustedAt), append(nows, r.ExhaustedAt)
	}
	if len(firsts) == 0 {
		return wanted{status: lifecycle.Unscheduled}
	}
	first, at := soonest(firsts), soonest(nows)
	denied := len(o.policy.AllowedTypes) > 0
	switch {
	case now.Before(first):
		return wanted{lifecycle.Scheduled, first, time.Time{}}
	case denied || o.key.Staged != 0 || o.policy.RotationMode != policy.Auto:
		return wanted{lifecycle.Overdue, first, time.Time{}}
	case r.Failures > 0 && (now.Before(at) || (now.Before(r.RetryAt) && !now.Before(r.FailedAt))):
		if r.Failures >= o.policy.RotationRetryCycles {
			return wanted{lifecycle.Stalled, first, time.Time{}}
		}
		return wanted{lifecycle.Retrying, first, time.Time{}}
	case now.Before(at):
		return wanted{lifecycle.Scheduled, at, time.Time{}}
	}
	due := wanted{status: lifecycle.Due, next: at}
	if at.Equal(bySlot) {
		for _, slot := range o.slots {
			if !slot.After(now) {
				due.slot = slot
			}
		}
	}
	return due
}

// unpromoted is a key whose staged version could not be promoted.
func (o oracle) unpromoted() wanted {
	r, status := o.key.Rotation, lifecycle.Retrying
	if r.Failures >= o.policy.RotationRetryCycles {
		status = lifecycle.Stalled
	}
	return wanted{status: status, next: r.Last.Add(o.policy.StagingTime.Duration)}
}

func soonest(times []time.Time) time.Time {
	first := times[0]
	for _, at := range times {
		if at.Before(first) {
			first = at
		}
	}
	return first
}
