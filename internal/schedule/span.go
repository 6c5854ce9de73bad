// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule

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

// ParseSpan reads a span. The error is the rule that the text breaks.
func ParseSpan(text string) (Span, error) {
	d, err := parseDuration(text)
	if err != nil || d < 0 || d > MaxSpan { // below zero: too many days and hours for an int64
		return Span{}, errors.New(`must be a duration such as "90d", "12h30m" or a number of seconds, between 0 and 100 years`)
	}
	if d == 0 && strings.ContainsAny(text, "123456789") {
		return Span{}, errors.New("rounds to 0, which says something else; the shortest duration is 1ns")
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

// DurationText writes a length of time as a person would: 30d, 12h30m.
func DurationText(d time.Duration) string {
	const day = 24 * time.Hour
	days, rest := d/day, d%day
	switch {
	case d < day:
		return withoutZeros(d)
	case rest == 0:
		return strconv.FormatInt(int64(days), 10) + "d"
	default:
		return strconv.FormatInt(int64(days), 10) + "d" + withoutZeros(rest)
	}
}

// withoutZeros is Go's text of a duration without what is nothing at its end: 12h0m0s is 12h.
func withoutZeros(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
