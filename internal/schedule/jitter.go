// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Jitter is how far a rotation may be put off, as a person wrote it: a percentage of the period ("5%") or a span.
type Jitter struct {
	Text    string
	percent float64
	fixed   time.Duration
}

// MaxJitterPercent is the part of the period that jitter may take.
const MaxJitterPercent = 25

// ParseJitter reads a jitter; whether it fits its period is another question. The error is the rule that the text breaks.
func ParseJitter(text string) (Jitter, error) {
	number, isPercent := strings.CutSuffix(text, "%")
	if !isPercent {
		span, err := ParseSpan(text)
		if err != nil {
			return Jitter{}, err
		}
		return Jitter{Text: text, fixed: span.Duration}, nil
	}
	percent, err := strconv.ParseFloat(number, 64)
	if err != nil || !(percent >= 0 && percent <= MaxJitterPercent) {
		return Jitter{}, errors.New("must be a percentage from 0% to 25% or a duration")
	}
	return Jitter{Text: text, percent: percent}, nil
}

// Of returns the most that jitter adds to the period, in whole seconds.
func (j Jitter) Of(period time.Duration) time.Duration {
	longest := j.fixed + time.Duration(float64(period)*j.percent/100)
	return longest.Truncate(time.Second)
}
