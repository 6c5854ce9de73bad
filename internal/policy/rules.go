// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// This file holds the rules for each field of a policy on its own; those between lengths of time are in times.go.

var (
	preChecks  = []string{"hsm_healthy", "storage_writable", "clock_sane"}
	postChecks = []string{"round_trip", "old_version_decrypts", "fingerprint_unique"}
)

// PreChecks lists what can be checked before a version is promoted.
func PreChecks() []string { return slices.Clone(preChecks) }

// PostChecks lists what can be checked after a version was promoted.
func PostChecks() []string { return slices.Clone(postChecks) }

// checkFields reports the first field that breaks a rule, in the order of the rows.
func (d Document) checkFields() error {
	const longestSource = 64 * 1024
	if len(d.Source) > longestSource {
		return refusal.InvalidField("document", d.Source, "at most 64 KiB")
	}
	for _, f := range fields {
		if err := f.check(&d); err != nil {
			return err
		}
	}
	return nil
}

// checkUnderstood reports whether every field of a stored revision says something. How much is allowed is not asked again:
// a rule may have become stricter since.
func (p *Policy) checkUnderstood() error {
	if p.Revision < 1 {
		return refusal.InvalidField("revision", p.Revision, "must be at least 1")
	}
	for _, f := range fields {
		if err := f.valid(&p.Document); err != nil {
			return err
		}
	}
	return nil
}

func oneOf[T ~string](choices ...T) rule[T] {
	return func(field string, value T, _ *Document) error {
		if slices.Contains(choices, value) {
			return nil
		}
		return refusal.InvalidField(field, string(value), "must be "+either(as[string](choices)))
	}
}

// either lists what can be chosen: "a, b or c".
func either(choices []string) string {
	last := len(choices) - 1
	return strings.Join(choices[:last], ", ") + " or " + choices[last]
}

func between[T int | int64](least, most T) rule[T] {
	return func(field string, value T, _ *Document) error {
		if value >= least && value <= most {
			return nil
		}
		return refusal.InvalidField(field, value, "must be between "+strconv.FormatInt(int64(least), 10)+" and "+strconv.FormatInt(int64(most), 10))
	}
}

func eachOf[T ~string](known []T) rule[[]T] {
	return func(field string, values []T, _ *Document) error {
		for _, value := range values {
			if !slices.Contains(known, value) {
				return refusal.InvalidField(field, string(value), "unknown; known are "+strings.Join(as[string](known), ", "))
			}
		}
		return nil
	}
}

func atMost(size int) rule[string] {
	return func(field, text string, _ *Document) error {
		if len(text) <= size {
			return nil
		}
		return refusal.InvalidField(field, text, "at most "+strconv.Itoa(size)+" bytes")
	}
}

func ownerRule(field, owner string, d *Document) error {
	if owner == "" {
		return refusal.InvalidField(field, "", "a policy needs an owner")
	}
	return atMost(256)(field, owner, d)
}

func isPattern(field, pattern string, _ *Document) error {
	if _, err := regexp.Compile(pattern); err != nil {
		return refusal.InvalidField(field, pattern, "must be a regular expression in RE2 syntax")
	}
	return nil
}

func labelsRule(_ string, labels map[string]string, _ *Document) error { return CheckLabels(labels) }

// CheckLabels bounds what the record of a key or of a policy may be made to hold.
func CheckLabels(labels map[string]string) error {
	const most, longestName, longestValue = 64, 64, 256
	if len(labels) > most {
		return refusal.InvalidField("labels", len(labels), "at most 64 labels")
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name == "" || len(name) > longestName {
			return refusal.InvalidField("labels", name, "a label's name has 1 to 64 bytes")
		}
		if len(labels[name]) > longestValue {
			return refusal.InvalidField("labels", labels[name], "a label's value has at most 256 bytes")
		}
	}
	return nil
}

func knownType(field string, t keytype.Type) error {
	if _, err := keytype.Parse(string(t)); err != nil {
		return refusal.InvalidField(field, string(t), "unknown key type; known are "+strings.Join(keytype.Names(), ", "))
	}
	return nil
}

func allowedTypesRule(field string, types []keytype.Type, d *Document) error {
	for _, t := range types {
		if err := knownType(field, t); err != nil {
			return err
		}
		if t.StrengthBits() < d.MinStrengthBits {
			return refusal.InvalidField(field, string(t), "has "+strconv.Itoa(t.StrengthBits())+" bits of strength, less than min_strength_bits")
		}
	}
	return nil
}

func denyAfterRule(field string, dates map[keytype.Type]string, _ *Document) error {
	for _, t := range slices.Sorted(maps.Keys(dates)) {
		if err := knownType(field, t); err != nil {
			return err
		}
		if _, ok := denyTime(dates[t]); !ok {
			return refusal.InvalidField(field, dates[t], `must be a date such as "2030-12-31" or a time in RFC 3339`)
		}
	}
	return nil
}

func nextTypeRule(field string, next map[keytype.Type]keytype.Type, d *Document) error {
	for _, t := range slices.Sorted(maps.Keys(next)) {
		to := next[t]
		for _, one := range []keytype.Type{t, to} {
			if err := knownType(field, one); err != nil {
				return err
			}
		}
		switch {
		case !keytype.SharePurpose(t, to):
			return refusal.InvalidField(field, string(to), "must be for something that keys of type "+string(t)+" are for: encryption, signatures, HMACs or CMACs")
		case to.StrengthBits() < d.MinStrengthBits:
			return refusal.InvalidField(field, string(to), "has "+strconv.Itoa(to.StrengthBits())+" bits of strength, less than min_strength_bits")
		case len(d.AllowedTypes) > 0 && !slices.Contains(d.AllowedTypes, to):
			return refusal.InvalidField(field, string(to), "must be one of allowed_types")
		case leadsBack(next, t):
			return refusal.InvalidField(field, string(t), "must not lead back to the type, at once or by others")
		}
	}
	return nil
}

// leadsBack reports whether a type comes again when one type follows another.
func leadsBack(next map[keytype.Type]keytype.Type, t keytype.Type) bool {
	at := t
	for range next {
		if at = next[at]; at == t {
			return true
		}
	}
	return false
}

// denyTime returns the moment from which a type is denied: the end of the day named, in UTC.
func denyTime(date string) (time.Time, bool) {
	if day, err := time.Parse(time.DateOnly, date); err == nil {
		return day.AddDate(0, 0, 1), true
	}
	at, err := time.Parse(time.RFC3339, date)
	return at, err == nil
}

func blackoutRule(field string, days []string, _ *Document) error {
	const most = 64
	if len(days) > most {
		return refusal.InvalidField(field, len(days), "at most 64 entries")
	}
	return nil
}

func complianceRule(field string, entries []string, _ *Document) error {
	const most, longest = 64, 128
	if len(entries) > most {
		return refusal.InvalidField(field, len(entries), "at most 64 entries")
	}
	for _, entry := range entries {
		if entry == "" || len(entry) > longest {
			return refusal.InvalidField(field, entry, "an entry has 1 to 128 bytes")
		}
	}
	return nil
}
