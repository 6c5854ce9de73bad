// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
)

// setting is a row of [Settings]: how its value is shown, and why the second of two is looser than the first; empty: it is not. "Not
// looser" is a preorder: true of a value and itself, and of the first and the last of three where it is true of each two.
type setting struct {
	field  string
	text   func(Settings) string
	looser func(from, to Settings) string
}

// settings is a row for each setting.
var settings = []setting{
	{FieldApprovals, func(s Settings) string { return quoted(s.rulesText()) }, func(from, to Settings) string { return LooserRules(from.Approvals, to.Approvals) }},
	{FieldDuties, Settings.DutiesHash, incomparable(func(s Settings) string { return s.Duties }, "approvers accept other duties")},
	span(FieldAcknowledgeEvery, func(s Settings) time.Duration { return s.AcknowledgeEvery }, longer, "an acknowledgement counts for longer"),
	span(FieldApproverWait, func(s Settings) time.Duration { return s.ApproverWait }, shorter, "an approver counts sooner"),
	{FieldAuthMount, func(s Settings) string { return quoted(s.AuthMount) }, incomparable(func(s Settings) string { return s.AuthMount }, "approvers of another auth mount count")},
	{FieldBreakGlassGroups, func(s Settings) string { return fmt.Sprintf("%q", s.BreakGlassGroups) }, more(func(s Settings) []string { return s.BreakGlassGroups }, "other groups may break the glass")},
	{FieldBreakGlassRoot, func(s Settings) string { return fmt.Sprint(s.BreakGlassRoot) }, func(from, to Settings) string {
		return when(to.BreakGlassRoot && !from.BreakGlassRoot, "a token without an entity may break the glass")
	}},
	{FieldBreakGlassOperations, func(s Settings) string { return quoted(joined(s.BreakGlassOperations)) }, more(func(s Settings) []acts.Gate { return s.BreakGlassOperations }, "more is done by break-glass")},
	span(FieldReviewWithin, func(s Settings) time.Duration { return s.ReviewWithin }, longer, "reviews are due later"),
}

// Loosening is a setting in which settings are looser than others.
type Loosening struct{ Field, Why string }

// Looser returns the settings in which the second are looser than the first, in the order of the rows. What cannot be compared is
// looser where it differs.
func Looser(from, to Settings) (found []Loosening) {
	for _, row := range settings {
		if why := row.looser(from, to); why != "" {
			found = append(found, Loosening{row.field, why})
		}
	}
	return found
}

// LooserRules names the operations that need less consent by the second rules; empty: none does. One that needed none cannot.
func LooserRules(from, to map[acts.Gate]Rule) string {
	var found []string
	for _, gate := range slices.Sorted(maps.Keys(from)) {
		after, ruled := to[gate]
		if why := cmp.Or(when(!ruled, "nobody's consent is needed"), from[gate].looser(after)); why != "" {
			found = append(found, string(gate)+": "+why)
		}
	}
	return strings.Join(found, "; ")
}

// looser says why another rule asks for less than this one; empty: it does not.
func (r Rule) looser(next Rule) string {
	switch {
	case r.NotCreator != next.NotCreator:
		return "which of the two is stricter cannot be told"
	case next.Need < r.Need:
		return "fewer persons"
	case len(added(r.Groups, next.Groups)) > 0:
		return "persons of other groups count"
	default:
		return ""
	}
}

// The ways to compare.

// incomparable is for texts of which neither is stricter, and any is stricter than none.
func incomparable(of func(Settings) string, why string) func(from, to Settings) string {
	return func(from, to Settings) string { return when(of(from) != "" && of(from) != of(to), why) }
}

func span(field string, of func(Settings) time.Duration, looser func(from, to time.Duration) bool, why string) setting {
	return setting{
		field, func(s Settings) string { return of(s).String() },
		func(from, to Settings) string { return when(looser(of(from), of(to)), why) },
	}
}

func longer(from, to time.Duration) bool  { return to > from }
func shorter(from, to time.Duration) bool { return to < from }

// more is for lists of what may be.
func more[T ~string](of func(Settings) []T, why string) func(from, to Settings) string {
	return func(from, to Settings) string { return when(len(added(of(from), of(to))) > 0, why) }
}

func added[T comparable](from, to []T) []T {
	return slices.DeleteFunc(slices.Clone(to), func(value T) bool { return slices.Contains(from, value) })
}

func when(is bool, why string) string {
	if is {
		return why
	}
	return ""
}

// rulesText shows the rules as they are written, in the order of the operations.
func (s Settings) rulesText() string {
	rules := make([]string, 0, len(s.Approvals))
	for _, gate := range slices.Sorted(maps.Keys(s.Approvals)) {
		rules = append(rules, AsGiven(gate, s.Approvals[gate]))
	}
	return strings.Join(rules, "; ")
}

func quoted(text string) string { return fmt.Sprintf("%q", text) }
