// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// MaxSpan bounds every duration, so that date arithmetic cannot overflow.
const MaxSpan = 100 * 365 * 24 * time.Hour

// Span is a length of time as a person wrote it: Go's syntax plus "d" for days of 24 hours, or a bare number of
// seconds. The text is kept so that what is written is what is read back.
type Span struct {
	Text string
	time.Duration
}

// ParseSpan reads a span. The error is [ErrInvalid] and names the field.
func ParseSpan(field, text string) (Span, error) {
	d, err := parseDuration(text)
	if err != nil || d < 0 || d > MaxSpan { // below zero: too many days and hours for an int64
		return Span{}, InvalidField(field, text, `must be a duration such as "90d", "12h30m" or a number of seconds, between 0 and 100 years`)
	}
	if d == 0 && strings.ContainsAny(text, "123456789") {
		return Span{}, InvalidField(field, text, "rounds to 0, which says something else; the shortest duration is 1ns")
	}
	return Span{Text: text, Duration: d}, nil
}

// errSigned reports a sign: no span is below zero, and a signed part would hide in a sum.
var errSigned = errors.New("signed")

func parseDuration(text string) (time.Duration, error) {
	if strings.ContainsAny(text, "+-") {
		return 0, errSigned
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && strconv.FormatInt(seconds, 10) == text {
		const beyond = int64(MaxSpan/time.Second) + 1 // enough to be refused, not enough to overflow
		return time.Duration(min(seconds, beyond)) * time.Second, nil
	}
	number, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		return time.ParseDuration(text)
	}
	days, err := strconv.ParseUint(number, 10, 16)
	if err != nil || rest == "" {
		return time.Duration(days) * 24 * time.Hour, err
	}
	more, err := time.ParseDuration(rest)
	return time.Duration(days)*24*time.Hour + more, err
}

// Jitter is how far a rotation may be put off, as a person wrote it: a percentage of the period ("5%") or a span.
type Jitter struct {
	Text    string
	percent float64
	fixed   time.Duration
}

// maxJitterPercent is the part of the period that jitter may take.
const maxJitterPercent = 25

// ParseJitter reads a jitter; that it fits its period is checked with the policy. The error is [ErrInvalid].
func ParseJitter(field, text string) (Jitter, error) {
	number, isPercent := strings.CutSuffix(text, "%")
	if !isPercent {
		span, err := ParseSpan(field, text)
		if err != nil {
			return Jitter{}, err
		}
		return Jitter{Text: text, fixed: span.Duration}, nil
	}
	percent, err := strconv.ParseFloat(number, 64)
	if err != nil || !(percent >= 0 && percent <= maxJitterPercent) {
		return Jitter{}, InvalidField(field, text, "must be a percentage from 0% to 25% or a duration")
	}
	return Jitter{Text: text, percent: percent}, nil
}

// Of returns the most that jitter adds to the period, in whole seconds.
func (j Jitter) Of(period time.Duration) time.Duration {
	longest := j.fixed + time.Duration(float64(period)*j.percent/100)
	return longest.Truncate(time.Second)
}
