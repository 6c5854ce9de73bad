// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// This file holds what makes a key due for rotation, and when.

// dueReason is what makes a key due, and when.
type dueReason struct {
	at        time.Time
	trigger   Trigger
	why       string
	jitter    time.Duration // by which jitter put it off
	maxJitter time.Duration // by which jitter may put it off
	blackout  time.Time     // the end of the blackout that put it off; zero: none did
}

// dueReasons returns all that makes the key due, each when it does.
func (p planner) dueReasons() []dueReason {
	var found []dueReason
	for _, find := range []func() (dueReason, bool){p.bySchedule, p.byPeriod, p.byUsage} {
		if c, ok := find(); ok {
			found = append(found, c)
		}
	}
	return found
}

func earliest(reasons []dueReason) dueReason {
	return slices.MinFunc(reasons, func(a, b dueReason) int { return a.at.Compare(b.at) })
}

// bySchedule is the next slot, put off by jitter and until the window opens. Keys that wait for a window are spread
// inside it.
func (p planner) bySchedule() (dueReason, bool) {
	k, r := p.key, p.rules
	if r.recurrence.None() {
		return dueReason{}, false
	}
	slot := r.recurrence.After(k.Rotation.Base)
	if slot.IsZero() {
		return dueReason{}, false
	}
	c := dueReason{trigger: BySchedule, maxJitter: r.jitter(slot)}
	c.jitter = spread(k, c.maxJitter)
	c.at = slot.Add(c.jitter)
	c = p.waiting(c, r.window.At(c.at.Add(policy.TickLate)))
	c.why = fmt.Sprintf("the rotation period of %s ended at %s", schedule.DurationText(r.recurrence.Every), timeText(c.at))
	if r.recurrence.Every == 0 {
		c.why = fmt.Sprintf("rotation_schedule named %s", timeText(slot))
	}
	if !c.blackout.IsZero() {
		c.why += ", kept back by rotation_blackout until " + timeText(c.blackout)
	}
	return c, true
}

// nextWindow returns the cause as it stands at now: a schedule whose window has closed waits for the next one. Nothing else
// is bound to windows.
func (p planner) nextWindow(c dueReason) dueReason {
	if c.trigger != BySchedule {
		return c
	}
	return p.waiting(c, p.rules.window.At(p.now))
}

// waiting returns the cause put off until a stretch is open, where that begins later. Other keys have waited for it, too, so
// it is spread in the first half.
func (p planner) waiting(c dueReason, open schedule.Stretch) dueReason {
	if open.From.After(c.at) {
		c.at, c.blackout = open.From.Add(spread(p.key, open.Spread(c.maxJitter))), open.After
	}
	return c
}

// byPeriod is the end of the active version's originator period, early enough for its successor to be staged. Where an
// operator rotates, a pending transition stops the version instead.
func (p planner) byPeriod() (dueReason, bool) {
	k, r := p.key, p.rules
	end := originatorEnd(k, r.policy)
	if end.IsZero() || r.mode != policy.Auto {
		return dueReason{}, false
	}
	why := fmt.Sprintf("originator_period of version %d ends at %s", k.Primary, timeText(end))
	if k.Staged == 0 {
		end = end.Add(-r.policy.StagingTime.Duration)
	}
	return dueReason{at: end, trigger: ByPeriod, why: why}, true
}

// byUsage is the moment when the active version reached a usage limit.
func (p planner) byUsage() (dueReason, bool) {
	k, r := p.key, p.rules
	if r.policy == nil || r.policy.OnLimit != policy.OnLimitRotate || !exhausted(k, k.RulesFor(r.policy).Limits) {
		return dueReason{}, false
	}
	why := fmt.Sprintf("version %d reached its usage limit", k.Primary)
	return dueReason{at: k.Rotation.ExhaustedAt, trigger: ByUsage, why: why}, true
}

// byClock is at once, for a key whose dates lie in the future: a clock that was ahead wrote them, and by them the key would
// rotate too late.
func (p planner) byClock() (dueReason, bool) {
	k, now := p.key, p.now
	dated := k.Rotation.Base
	if k.Staged == 0 { // or its promotion will date the key
		dated = laterOf(dated, k.Rotation.Promoted)
	}
	if !dated.After(now.Add(mayLag)) {
		return dueReason{}, false
	}
	why := fmt.Sprintf("version %d is dated %s, by a clock that was ahead", k.Primary, timeText(dated))
	return dueReason{at: now, trigger: ByClock, why: why}, true
}

// spread puts a rotation off by 0 to jitter, in whole seconds: the same for a key and its active version whenever it is
// asked, different between keys, so that keys made together do not rotate together.
func spread(k Key, jitter time.Duration) time.Duration {
	seconds := uint64(jitter / time.Second) //nolint:gosec // a jitter is never negative
	if seconds == 0 {
		return 0
	}
	rotation := k.Primary
	if rotation == 0 {
		rotation = k.Latest
	}
	mac := hmac.New(sha256.New, []byte(k.ID))
	_, _ = fmt.Fprintf(mac, "keylife/jitter/v1/%d", rotation)
	return time.Duration(binary.BigEndian.Uint64(mac.Sum(nil))%(seconds+1)) * time.Second //nolint:gosec // at most jitter
}
