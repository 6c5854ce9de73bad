// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"fmt"
	"math"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// Status says in one word how a key stands to its rotation schedule.
type Status string

// The rotation statuses of a key.
const (
	Unscheduled Status = "none"      // nothing rotates this key
	Scheduled   Status = "scheduled" // on time
	Due         Status = "due"       // the next tick rotates it
	Overdue     Status = "overdue"   // due, but an operator has to rotate it
	Retrying    Status = "retrying"  // due, and the last attempt failed
	Stalled     Status = "stalled"   // as retrying, and so often that somebody has to look
	Stopped     Status = "stopped"   // enabled, cannot encrypt, and the next tick does not change that
)

// Alerts lists the statuses that somebody has to look at.
func Alerts() []Status { return []Status{Retrying, Stalled, Overdue, Stopped} }

// Statuses lists all statuses of a key.
func Statuses() []Status { return append([]Status{Unscheduled, Scheduled, Due}, Alerts()...) }

// RotationPlan is the decision of [Plan]: how the key stands, why, and when to look again.
type RotationPlan struct {
	Status  Status
	Mode    policy.RotationMode
	Period  time.Duration // 0: none, or a cron schedule
	Next    time.Time     // when the key is, or was, due for rotation; zero: never
	Wake    time.Time     // when the engine has to look at the key again; zero: not by itself
	Trigger Trigger       // what makes the key due
	Slot    time.Time     // the point of the schedule that a rotation now counts from; zero: from now
	Why     string        // one sentence for an operator

	since   time.Time // Stopped: since when
	failing Status    // Retrying or Stalled while the last attempt is a failed one, also when the next is due
}

// ToRotate reports whether the engine rotates the key now.
func (o RotationPlan) ToRotate() bool { return o.Status == Due }

// Alert returns what operators should look at.
func (o RotationPlan) Alert() Alert {
	switch {
	case o.Status == Stopped:
		return Alert{Stopped, o.since}
	case o.Status == Overdue:
		return Alert{Overdue, o.Next}
	case o.failing != "":
		return Alert{o.failing, o.Next}
	default:
		return Alert{}
	}
}

// Plan decides what is due for the key at now. The policy is nil for a key that none governs, or whose policy is
// missing or cannot be read. It is pure: the tick only executes what it says, and reading a key shows the same answer.
func Plan(k Key, p *policy.Policy, now time.Time) RotationPlan {
	return newPlanner(k, p, now).plan().orStopped(k, k.RulesFor(p))
}

// planner works out the plan of a key as if it could encrypt.
type planner struct {
	key   Key
	rules rotationRules
	now   time.Time
}

func newPlanner(k Key, p *policy.Policy, now time.Time) planner {
	return planner{k, rotationRulesFor(k, p), now}
}

func (p planner) plan() RotationPlan {
	k, r := p.key, p.rules
	out := RotationPlan{Mode: r.mode, Period: r.recurrence.Every}
	if k.Status.State != Enabled {
		return unscheduled(out, fmt.Sprintf("the key is %s", k.Status.State))
	}
	if k.Successor() != 0 && k.Rotation.Failures > 0 {
		return p.promotionFailing(out)
	}
	reasons := p.dueReasons()
	if len(reasons) == 0 {
		return unscheduled(out, unscheduledWhy(k, r.policy))
	}
	if c, ok := p.byClock(); ok {
		reasons = append(reasons, c)
	}
	first := earliest(reasons)
	out.Next, out.Wake, out.Trigger = first.at, first.at, first.trigger
	if p.now.Before(first.at) {
		out.Status, out.Why = Scheduled, scheduledWhy(k, first)
		return out
	}
	if obstacle := p.obstacle(); obstacle != "" {
		out.Status, out.Wake, out.Why = Overdue, time.Time{}, "due, "+obstacle
		return out
	}
	for i, c := range reasons {
		reasons[i] = p.nextWindow(c)
	}
	return p.due(out, earliest(reasons))
}

// obstacle says why a key that is due is left to an operator, to go on after "due, "; empty: the engine rotates it.
func (p planner) obstacle() string {
	k, r := p.key, p.rules
	refusal := r.admits(k, p.now)
	switch {
	case refusal != nil:
		return "but " + refusal.Error()
	case !k.permits(BySchedule):
		return "but it was imported without allow_rotation: its owner has to import the next version"
	case k.Staged != 0:
		return fmt.Sprintf("and version %d is still %s", k.Staged, stagedBlocker(k))
	case r.mode != policy.Auto:
		return fmt.Sprintf("and rotation_mode %s leaves the rotation to an operator", r.mode)
	}
	return ""
}

// due decides for a key whose time has come and that the engine rotates: now, after a pause where attempts failed, or in
// the next window where that of the schedule has closed.
func (p planner) due(out RotationPlan, c dueReason) RotationPlan {
	k, now := p.key, p.now
	failed := k.Rotation.Failures > 0
	out.failing = p.failing()
	wait := laterOf(c.at, k.Rotation.retryAt(now))
	switch {
	case now.Before(wait) && failed:
		out.Status, out.Wake = out.failing, wait
		out.Why = fmt.Sprintf("due, and the last of %d attempts failed: %s", k.Rotation.Failures, k.Rotation.LastError)
		if !c.blackout.IsZero() {
			out.Why += "; the next one waits for the end of rotation_blackout until " + timeText(wait)
		}
	case now.Before(wait):
		out.Why = fmt.Sprintf("due since %s, and waits for %s until %s", timeText(out.Next), c.waitsFor(), timeText(wait))
		out.Status, out.Next, out.Wake = Scheduled, wait, wait
	default:
		out.Status, out.Next, out.Wake, out.Trigger, out.Why = Due, c.at, c.at, c.trigger, c.why
		if c.trigger == BySchedule {
			out.Slot = p.rules.recurrence.Last(k.Rotation.Base, now)
		}
	}
	return out
}

// waitsFor names what a cause waits for that has come.
func (c dueReason) waitsFor() string {
	if !c.blackout.IsZero() {
		return "the end of rotation_blackout"
	}
	return "rotation_window"
}

// failing says whether the last attempt failed, and whether so many did that somebody has to look; empty: it did not.
func (p planner) failing() Status {
	k := p.key
	switch {
	case k.Rotation.Failures == 0:
		return ""
	case k.Rotation.Failures >= p.rules.cycles:
		return Stalled
	default:
		return Retrying
	}
}

func unscheduled(out RotationPlan, why string) RotationPlan {
	out.Status, out.Why = Unscheduled, why
	return out
}

// rotationRules are those of a policy, or of the key itself, that bear on its rotation.
type rotationRules struct {
	recurrence schedule.Recurrence
	window     schedule.Window
	mode       policy.RotationMode
	cycles     int
	policy     *policy.Policy // nil: none
}

// rotationRulesFor returns the rotation rules in force for the key.
func rotationRulesFor(k Key, p *policy.Policy) rotationRules {
	const never = math.MaxInt
	switch {
	case p != nil:
		return rotationRules{recurrence: p.Recurrence(), window: p.Window(), mode: p.RotationMode, cycles: p.RotationRetryCycles, policy: p}
	case k.Policy != "": // the policy says nothing: rotate nothing on a guess
		return rotationRules{mode: policy.Manual, cycles: never}
	default:
		return rotationRules{recurrence: schedule.Recurrence{Every: k.AutoRotatePeriod}, mode: policy.Auto, cycles: never}
	}
}

// jitter returns the most by which a rotation at the slot is put off.
func (r rotationRules) jitter(slot time.Time) time.Duration {
	if r.policy == nil || r.recurrence.None() {
		return 0
	}
	return r.policy.RotationJitter.Of(r.recurrence.Gap(slot))
}

func (r rotationRules) admits(k Key, now time.Time) error {
	if r.policy == nil {
		return nil
	}
	next, err := WithNext(k, NextType{}, r.policy)
	if err != nil {
		return err
	}
	return r.policy.AdmitsVersion(next.Type, now)
}

func scheduledWhy(k Key, c dueReason) string {
	if c.trigger != BySchedule {
		return c.why
	}
	why := fmt.Sprintf("version %d is in force from %s until %s", k.Primary, timeText(k.Rotation.Base), timeText(c.at))
	if c.jitter > 0 {
		why += fmt.Sprintf(", put off by %s of jitter", schedule.DurationText(c.jitter))
	}
	if !c.blackout.IsZero() {
		why += ", kept back by rotation_blackout until " + timeText(c.blackout)
	}
	return why
}

func unscheduledWhy(k Key, p *policy.Policy) string {
	switch {
	case p != nil:
		return fmt.Sprintf("policy %q has rotation_period 0 and no rotation_schedule", p.Name)
	case k.Policy != "":
		return fmt.Sprintf("policy %q is missing or cannot be read", k.Policy)
	default:
		return "the key has no policy and no auto_rotate_period"
	}
}
