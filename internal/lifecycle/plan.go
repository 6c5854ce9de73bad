// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
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
)

// Outlook is the decision of [Plan]: how the key stands, why, and when to look again.
type Outlook struct {
	Status Status
	Mode   Mode
	Period time.Duration
	Next   time.Time // when the key is, or was, due for rotation; zero: never
	Wake   time.Time // when the engine has to look at the key again; zero: not by itself
	Why    string    // one sentence for an operator
}

// ToRotate reports whether the engine rotates the key now.
func (o Outlook) ToRotate() bool { return o.Status == Due }

// Plan decides what is due for the key at now. The policy is nil for a key that none governs, or whose policy is
// missing. It is pure: the tick only executes what it says, and reading a key shows the same answer.
func Plan(k Key, p *Policy, now time.Time) Outlook {
	period, jitter, mode := k.schedule(p)
	if k.Mark.State != Enabled {
		return Outlook{Status: Unscheduled, Mode: mode, Why: fmt.Sprintf("the key is %s", k.Mark.State)}
	}
	if period == 0 {
		return Outlook{Status: Unscheduled, Mode: mode, Why: unscheduledWhy(k, p)}
	}
	next := k.Rotation.Since.Add(period + spread(k, jitter))
	out := Outlook{Mode: mode, Period: period, Next: next, Wake: next}
	switch {
	case now.Before(next):
		out.Status = Scheduled
		out.Why = scheduledWhy(k, period, next)
	case k.Staged != 0:
		out.Status, out.Wake = Overdue, time.Time{}
		out.Why = fmt.Sprintf("due, and version %d is still staged: promote or retire it", k.Staged)
	case mode != Auto:
		out.Status, out.Wake = Overdue, time.Time{}
		out.Why = fmt.Sprintf("due, and rotation_mode %s leaves the rotation to an operator", mode)
	case now.Before(k.Rotation.RetryAt):
		out.Status, out.Wake = Retrying, k.Rotation.RetryAt
		out.Why = fmt.Sprintf("due, and the last of %d attempts failed: %s", k.Rotation.Failures, k.Rotation.LastError)
	default:
		out.Status = Due
		out.Why = fmt.Sprintf("the rotation period of %s ended at %s", period, next.UTC().Format(time.RFC3339))
	}
	return out
}

// schedule returns the rotation rules in force for the key.
func (k Key) schedule(p *Policy) (period, jitter time.Duration, mode Mode) {
	switch {
	case p != nil:
		return p.RotationPeriod.Duration, p.RotationJitter.Of(p.RotationPeriod.Duration), p.RotationMode
	case k.Policy != "": // the policy is missing: rotate nothing on a guess
		return 0, 0, Manual
	default:
		return k.AutoRotatePeriod, 0, Auto
	}
}

func scheduledWhy(k Key, period time.Duration, next time.Time) string {
	since := k.Rotation.Since
	if k.Primary == 0 {
		return "no version is active: the last one lapsed"
	}
	why := fmt.Sprintf("version %d is in force for %s from %s", k.Primary, period, since.UTC().Format(time.RFC3339))
	if put := next.Sub(since.Add(period)); put > 0 {
		why += fmt.Sprintf(", put off by %s of jitter", put)
	}
	return why
}

func unscheduledWhy(k Key, p *Policy) string {
	switch {
	case p != nil:
		return fmt.Sprintf("policy %q has rotation_period 0", p.Name)
	case k.Policy != "":
		return fmt.Sprintf("policy %q is missing", k.Policy)
	default:
		return "the key has no policy and no auto_rotate_period"
	}
}

// spread puts a rotation off by 0 to jitter, in whole seconds: the same for a key and a version whenever it is asked,
// different between keys, so that keys made together do not rotate together.
func spread(k Key, jitter time.Duration) time.Duration {
	seconds := uint64(jitter / time.Second) //nolint:gosec // a jitter is never negative
	if seconds == 0 {
		return 0
	}
	mac := hmac.New(sha256.New, []byte(k.ID))
	_, _ = fmt.Fprintf(mac, "keylife/jitter/v1/%d", k.Latest)
	return time.Duration(binary.BigEndian.Uint64(mac.Sum(nil))%(seconds+1)) * time.Second //nolint:gosec // at most jitter
}

// lastSlot returns the latest point of the schedule that is not after now, at least one period after since.
func lastSlot(since time.Time, period time.Duration, now time.Time) time.Time {
	slots := max(now.Sub(since)/period, 1)
	return since.Add(slots * period)
}
