// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file holds the rules for each field of a policy on its own; those between lengths of time are in policy_times.go.

// PreChecks lists what can be checked before a version is promoted.
func PreChecks() []string { return []string{"hsm_healthy", "storage_writable", "clock_sane"} }

// PostChecks lists what can be checked after a version was promoted.
func PostChecks() []string {
	return []string{"round_trip", "old_version_decrypts", "fingerprint_unique"}
}

// reasoned are the operations for which a policy may demand a reason.
var reasoned = []string{
	"create", "rotate-manual", "configure", "hold",
	string(Promote), string(Suspend), string(Resume), string(Archive), string(Recover), string(Retire),
	string(Restore), string(ReportCompromise), "rollback",
}

func (d Document) checkFields() error {
	for _, check := range []func(Document) error{
		Document.checkText, Document.checkTypes, Document.checkChoices, Document.checkNumbers, Document.checkLists, Document.checkSpans,
	} {
		if err := check(d); err != nil {
			return err
		}
	}
	return nil
}

// checkUnderstood reports whether every field of a stored revision says something. How much is allowed is not asked again:
// a rule may have become stricter since.
func (p Policy) checkUnderstood() error {
	switch {
	case p.Revision < 1:
		return InvalidField("revision", p.Revision, "must be at least 1")
	case p.DestroyDelay.Duration == 0:
		return InvalidField("destroy_delay", p.DestroyDelay.Text, "must not be 0")
	}
	for _, check := range []func(Document) error{
		Document.checkChoices, Document.checkNumbers, Document.checkPattern,
	} {
		if err := check(p.Document); err != nil {
			return err
		}
	}
	return nil
}

func (d Document) checkPattern() error {
	if _, err := regexp.Compile(d.ReasonPattern); err != nil {
		return InvalidField("reason_pattern", d.ReasonPattern, "must be a regular expression in RE2 syntax")
	}
	return nil
}

func (d Document) checkText() error {
	const longestOwner, longestDescription, longestSource = 256, 4096, 64 * 1024
	switch {
	case d.Owner == "":
		return InvalidField("owner", "", "a policy needs an owner")
	case len(d.Owner) > longestOwner:
		return InvalidField("owner", d.Owner, "at most 256 bytes")
	case len(d.Description) > longestDescription:
		return InvalidField("description", d.Description, "at most 4096 bytes")
	case len(d.Source) > longestSource:
		return InvalidField("document", d.Source, "at most 64 KiB")
	case len(d.ReasonPattern) > longestOwner:
		return InvalidField("reason_pattern", d.ReasonPattern, "at most 256 bytes")
	}
	if err := d.checkPattern(); err != nil {
		return err
	}
	return checkLabels(d.Labels)
}

func (d Document) checkTypes() error {
	for _, t := range d.AllowedTypes {
		if _, err := ParseType(string(t)); err != nil {
			return InvalidField("allowed_types", string(t), "unknown key type; known are "+strings.Join(TypeNames(), ", "))
		}
		if t.StrengthBits() < d.MinStrengthBits {
			return InvalidField("allowed_types", string(t), "has "+strconv.Itoa(t.StrengthBits())+" bits of strength, less than min_strength_bits")
		}
	}
	for t, date := range d.DenyAfter {
		if _, err := ParseType(string(t)); err != nil {
			return InvalidField("deny_after", string(t), "unknown key type; known are "+strings.Join(TypeNames(), ", "))
		}
		if _, ok := denyTime(date); !ok {
			return InvalidField("deny_after", date, `must be a date such as "2030-12-31" or a time in RFC 3339`)
		}
	}
	return nil
}

// denyTime returns the moment from which a type is denied: the end of the day named, in UTC.
func denyTime(date string) (time.Time, bool) {
	if day, err := time.Parse(time.DateOnly, date); err == nil {
		return day.AddDate(0, 0, 1), true
	}
	at, err := time.Parse(time.RFC3339, date)
	return at, err == nil
}

func (d Document) checkChoices() error {
	for _, choice := range []struct {
		field, value string
		known        []string
	}{
		{"rotation_mode", string(d.RotationMode), []string{string(Auto), string(Manual), string(Notify)}},
		{"hsm", string(d.HSM), []string{string(Optional), string(Required)}},
		{"on_limit", string(d.OnLimit), []string{string(OnLimitRotate), string(OnLimitBlock)}},
		{"compromised_processing", string(d.CompromisedProcessing), []string{string(Allow), string(Deny)}},
		{"suspended_processing", string(d.SuspendedProcessing), []string{string(Allow), string(Deny)}},
	} {
		if !slices.Contains(choice.known, choice.value) {
			return InvalidField(choice.field, choice.value, "must be "+either(choice.known))
		}
	}
	return nil
}

// either lists what can be chosen: "a, b or c".
func either(choices []string) string {
	last := len(choices) - 1
	return strings.Join(choices[:last], ", ") + " or " + choices[last]
}

func (d Document) checkNumbers() error {
	for _, number := range []struct {
		field              string
		value, least, most int64
	}{
		{"min_strength_bits", int64(d.MinStrengthBits), 0, 256},
		{"min_versions_kept", int64(d.MinVersionsKept), 0, most},
		{"rotation_retry_cycles", int64(d.RotationRetryCycles), 1, 1000},
		{"max_encryptions", d.MaxEncryptions, LimitByType, mostEncryptions},
		{"max_bytes", d.MaxBytes, 0, mostBytes},
	} {
		if number.value < number.least || number.value > number.most {
			return InvalidField(number.field, number.value, "must be between "+strconv.FormatInt(number.least, 10)+" and "+strconv.FormatInt(number.most, 10))
		}
	}
	return nil
}

func (d Document) checkLists() error {
	for _, list := range []struct {
		field         string
		values, known []string
	}{
		{"require_reason", d.RequireReason, reasoned},
		{"pre_checks", d.PreChecks, PreChecks()},
		{"post_checks", d.PostChecks, PostChecks()},
	} {
		for _, value := range list.values {
			if !slices.Contains(list.known, value) {
				return InvalidField(list.field, value, "unknown; known are "+strings.Join(list.known, ", "))
			}
		}
	}
	const mostCompliance, longest = 64, 128
	if len(d.Compliance) > mostCompliance {
		return InvalidField("compliance", len(d.Compliance), "at most 64 entries")
	}
	for _, entry := range d.Compliance {
		if entry == "" || len(entry) > longest {
			return InvalidField("compliance", entry, "an entry has 1 to 128 bytes")
		}
	}
	return nil
}

// checkSpans holds the bounds of single lengths of time.
func (d Document) checkSpans() error {
	const shortestPeriod, day = time.Minute, 24 * time.Hour
	switch {
	case d.RotationPeriod.Duration != 0 && d.RotationPeriod.Duration < shortestPeriod:
		return InvalidField("rotation_period", d.RotationPeriod.Text, "must be 0 (no rotation) or at least 1m")
	case d.RotationPeriod.Duration != 0 && d.RotationSchedule != "":
		return InvalidField("rotation_schedule", d.RotationSchedule, "excludes rotation_period, which is "+d.RotationPeriod.Text+"; set that to 0")
	case d.RotationWindow != "" && d.RotationWindowLength.Duration < time.Hour:
		return InvalidField("rotation_window_length", d.RotationWindowLength.Text, "must be at least 1h")
	case d.RotationRetryBase.Duration < time.Second:
		return InvalidField("rotation_retry_base", d.RotationRetryBase.Text, "must be at least 1s")
	case d.RotationRetryMax.Duration < d.RotationRetryBase.Duration || d.RotationRetryMax.Duration > 30*day:
		return InvalidField("rotation_retry_max", d.RotationRetryMax.Text, "must be between rotation_retry_base and 30d")
	case d.DestroyDelay.Duration < day || d.DestroyDelay.Duration > 3650*day:
		return InvalidField("destroy_delay", d.DestroyDelay.Text, "must be between 24h and 3650d")
	}
	return nil
}
