// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"regexp"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// Policy is one revision of a policy: immutable, numbered from 1, named by the digest of its content.
type Policy struct {
	Name     string
	Revision int
	Hash     string // hex SHA-256 of the canonical JSON of the document, the same for equal documents however written
	Created  time.Time
	Author   string // id of the entity that wrote the revision; empty: nobody knows. The store sees to it
	Document
	LongerQuiet LongerQuietPeriod

	reason            *regexp.Regexp // of ReasonPattern; nil: no reason matches
	schedule          schedule.Cron  // of RotationSchedule
	window            schedule.Window
	shortest, longest time.Duration // between two times of the cron schedule
	closed            time.Duration // the longest time for which the window is closed
}

// LongerQuietPeriod remembers a longer quiet period of an earlier revision, which goes on for what was denied under it.
type LongerQuietPeriod struct {
	Before time.Time // uses denied before; zero: no revision had a longer one that could still run
	Quiet  time.Duration
}

// New checks the document and returns it as a revision. The error is [refusal.ErrInvalid].
func New(name string, revision int, doc Document, at time.Time) (Policy, error) {
	if err := doc.checkFields(); err != nil {
		return Policy{}, err
	}
	p, err := Stored(Policy{Name: name, Revision: revision, Created: at, Document: doc.copied()})
	if err != nil {
		return Policy{}, err
	}
	if err := p.checkTimes(); err != nil {
		return Policy{}, err
	}
	p.Hash = doc.hash()
	return p, nil
}

// Stored completes a revision that was checked when it was written. The error is [refusal.ErrInvalid]: it says what this
// release does not understand.
func Stored(p Policy) (Policy, error) {
	if err := p.checkUnderstood(); err != nil {
		return Policy{}, err
	}
	p.reason, _ = regexp.Compile(p.ReasonPattern) // which checkUnderstood has done
	if err := p.readTimes(); err != nil {
		return Policy{}, err
	}
	return p, nil
}

// readTimes works out what the expressions say of time.
func (p *Policy) readTimes() error {
	zone, err := schedule.ParseZone(p.RotationZone)
	if err != nil {
		return refusal.InvalidField("rotation_zone", p.RotationZone, err.Error())
	}
	if p.RotationSchedule != "" {
		if p.schedule, err = schedule.ParseCron(p.RotationSchedule, zone); err != nil {
			return refusal.InvalidField("rotation_schedule", p.RotationSchedule, err.Error())
		}
		p.shortest, p.longest = p.schedule.Gaps(p.Created)
	}
	if p.RotationWindow != "" {
		p.window.Length = p.RotationWindowLength.Duration
		if p.window.Opens, err = schedule.ParseCron(p.RotationWindow, zone); err != nil {
			return refusal.InvalidField("rotation_window", p.RotationWindow, err.Error())
		}
	}
	if err := p.readBlackout(zone); err != nil {
		return err
	}
	p.closed = p.window.Closed(p.Created)
	return nil
}

// readBlackout reads the days on which the clock does not rotate. Some time has to be left for it.
func (p *Policy) readBlackout(zone *time.Location) error {
	const field, farthest = "rotation_blackout", 9 // years: 29 February comes every eighth about the year 2100
	ranges := make([]schedule.Days, len(p.RotationBlackout))
	for i, text := range p.RotationBlackout {
		days, err := schedule.ParseDays(text)
		if err != nil {
			return refusal.InvalidField(field, text, err.Error())
		}
		ranges[i] = days
	}
	var err error
	if p.window.Blackout, err = schedule.NewBlackout(ranges, zone); err != nil {
		return refusal.InvalidField(field, strings.Join(p.RotationBlackout, ","), err.Error())
	}
	if len(ranges) > 0 && p.window.From(p.Created).After(p.Created.AddDate(farthest, 0, 0)) {
		return refusal.InvalidField(field, strings.Join(p.RotationBlackout, ","), "leaves no time in which rotation_window opens")
	}
	return nil
}

// Revised returns the policy as the successor of the one in force; nil: there is none.
func (p Policy) Revised(before *Policy) Policy {
	if before == nil {
		return p
	}
	quiet := before.QuietPeriod.Duration
	if running := before.LongerQuiet; p.Created.Before(running.Before.Add(running.Quiet)) {
		quiet = max(quiet, running.Quiet)
	}
	if quiet > p.QuietPeriod.Duration {
		p.LongerQuiet = LongerQuietPeriod{Before: p.Created, Quiet: quiet}
	}
	return p
}

// Unreadable stands for a policy of which nothing is known but how many revisions it has had. Whoever writes it anew begins
// with the defaults; their quiet period is the one that its keys have meanwhile.
func Unreadable(name string, revisions int) Policy {
	return Policy{Name: name, Revision: revisions, Document: DefaultDocument()}
}

// IsUnreadable reports whether the policy is one that [Unreadable] returned: every other one has a hash.
func (p Policy) IsUnreadable() bool { return p.Hash == "" }

// Same reports whether the revisions say the same, in the same words.
func (p Policy) Same(o Policy) bool { return p.Hash == o.Hash && p.Source == o.Source }

// Recurrence returns the grid of rotations.
func (p *Policy) Recurrence() schedule.Recurrence {
	return schedule.Recurrence{Every: p.RotationPeriod.Duration, Cron: p.schedule}
}

// Window returns when the clock may rotate.
func (p *Policy) Window() schedule.Window { return p.window }

// Backoff is the wait after the n-th failure in a row: for a key without a policy 1m, 2m, 4m ... at most 1h.
func (p *Policy) Backoff(n int) time.Duration {
	wait, longest := time.Minute, time.Hour
	if p != nil && p.RotationRetryBase.Duration > 0 {
		wait, longest = p.RotationRetryBase.Duration, p.RotationRetryMax.Duration
	}
	for ; n > 1 && wait < longest; n-- {
		wait *= 2
	}
	return min(wait, longest)
}
