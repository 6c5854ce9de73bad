// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import "github.com/keylife/vault-plugin-keylife/internal/schedule"

// What a policy says of time is written in the words of package schedule.
type (
	Span   = schedule.Span
	Jitter = schedule.Jitter
)

// MaxSpan bounds every duration.
const MaxSpan = schedule.MaxSpan

// ParseSpan reads a span. The error is [ErrInvalid] and names the field.
func ParseSpan(field, text string) (Span, error) {
	span, err := schedule.ParseSpan(text)
	return span, brokenBy(field, text, err)
}

// ParseJitter reads a jitter. The error is [ErrInvalid] and names the field.
func ParseJitter(field, text string) (Jitter, error) {
	jitter, err := schedule.ParseJitter(text)
	return jitter, brokenBy(field, text, err)
}

// brokenBy reports the rule that the text of a field breaks; nil: none.
func brokenBy(field, text string, rule error) error {
	if rule == nil {
		return nil
	}
	return InvalidField(field, text, rule.Error())
}
