// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package observe

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// MaxFailures bounds the versions that [Scrub] names.
const MaxFailures = 100

// FindingsAge is how old the findings of a tick may be, and how long none may succeed. Vault calls the tick once a minute.
const FindingsAge = 3 * time.Minute

// Health is what the last tick found out about what a mount stands on. A text says what is wrong; empty: nothing is.
type Health struct {
	Started time.Time // of the process
	At      time.Time // of the findings; zero: there are none yet
	Storage string    // it did not answer
	KEKs    string    // a key encryption key does not open what it wrapped
	HSM     string    // it is away
	Unfit   bool      // HSM: it is away for longer than material in memory may be used
}

// A Grade is how well something is.
type Grade int

// The grades, the best first.
const (
	OK       Grade = iota
	Degraded       // requests are served, and somebody has to act
	Failing        // requests fail, or nothing is known
)

// String is the word that answers show.
func (g Grade) String() string { return [...]string{"ok", "degraded", "failing"}[g] }

// A Finding is how well one thing is, and why it is not.
type Finding struct {
	Check string
	Grade Grade
	Why   string // empty: it is well
}

// The checks, in the order in which they are shown.
const (
	CheckStorage = "storage"
	CheckKEKs    = "key_encryption_keys"
	CheckHSM     = "hsm"
	CheckTick    = "tick"
	CheckClock   = "clock"
	CheckCustody = "custody"
	CheckScrub   = "scrub"
)

// Worst returns the grade of the worst of some findings.
func Worst(findings []Finding) Grade {
	worst := OK
	for _, f := range findings {
		worst = max(worst, f.Grade)
	}
	return worst
}

// Findings returns how the mount is, one finding a check, from memory. Active is whether this node does what the clock does.
func (o *Observer) Findings(now time.Time, active bool) []Finding {
	h, scrub := o.Board.Health.Get(), o.Board.Scrub.Get()
	hsm := Degraded
	if h.Unfit {
		hsm = Failing
	}
	return []Finding{
		found(CheckStorage, Failing, h.Storage),
		found(CheckKEKs, Failing, h.KEKs),
		found(CheckHSM, hsm, h.HSM),
		o.tickFinding(h, now, active),
		found(CheckClock, Degraded, o.Board.Tick.Get().Frozen),
		found(CheckCustody, Degraded, brokenText(o.BrokenChains())),
		found(CheckScrub, Degraded, scrub.text()),
	}
}

func found(check string, grade Grade, why string) Finding {
	if why == "" {
		grade = OK
	}
	return Finding{check, grade, why}
}

// tickFinding says how old the findings are. Old ones say nothing of how the mount is now.
func (o *Observer) tickFinding(h Health, now time.Time, active bool) Finding {
	last := o.Board.Tick.Get().LastSuccess
	if last.Before(h.Started) {
		last = h.Started
	}
	switch {
	case now.Sub(h.At) > FindingsAge && now.Sub(h.Started) > FindingsAge:
		return Finding{CheckTick, Failing, "no tick ran since " + timeText(h.At, "the start of the process")}
	case active && now.Sub(last) > FindingsAge:
		return Finding{CheckTick, Degraded, "no tick ended without an error since " + timeText(last, "")}
	}
	return Finding{Check: CheckTick}
}

func timeText(at time.Time, none string) string {
	if at.IsZero() {
		return none
	}
	return at.UTC().Format(time.RFC3339)
}

// brokenText names the first chains.
func brokenText(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("%d chains are broken: %q", len(names), names[:min(len(names), 10)])
}

// A Failure is a stored version that is not what it was made as.
type Failure struct {
	Key     string
	Version int
	Why     string
	Since   time.Time // when it was found first
}

func (s Scrub) text() string {
	if len(s.Failures) == 0 {
		return ""
	}
	first := s.Failures[0]
	return fmt.Sprintf("%d versions are damaged; the first: key %q version %d: %s", len(s.Failures)+s.Hidden, first.Key, first.Version, first.Why)
}

// WithFailures returns the part with the failures, the oldest first, as many as [MaxFailures] allows.
func (s Scrub) WithFailures(all []Failure) Scrub {
	slices.SortFunc(all, func(a, b Failure) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Version, b.Version))
	})
	shown := min(len(all), MaxFailures)
	s.Failures, s.Hidden = all[:shown], len(all)-shown
	return s
}
