// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// The names of the settings.
const (
	FieldApprovals            = "approvals"
	FieldDuties               = "duties"
	FieldAcknowledgeEvery     = "acknowledge_every"
	FieldApproverWait         = "approver_wait"
	FieldAuthMount            = "auth_mount"
	FieldBreakGlassGroups     = "break_glass_groups"
	FieldBreakGlassRoot       = "break_glass_root"
	FieldBreakGlassOperations = "break_glass_operations"
	FieldReviewWithin         = "review_within"
)

// Bounds of settings.
const (
	mostDuties = 4096 // bytes
	day        = 24 * time.Hour
)

// BreakGlassable are the operations that break-glass can be allowed for: they give back, and take nothing away.
func BreakGlassable() []acts.Gate {
	return []acts.Gate{"promote", "rollback", "resume", "recover", "restore"}
}

// Check reports what is wrong with settings that somebody writes; the error names the field, the value and the rule.
func (s Settings) Check() error {
	for _, broken := range []error{
		s.checkApprovals(),
		checkText(FieldDuties, s.Duties, mostDuties),
		checkText(FieldAuthMount, s.AuthMount, mostName),
		checkSpan(FieldAcknowledgeEvery, s.AcknowledgeEvery, day, 3650*day),
		checkSpan(FieldApproverWait, s.ApproverWait, 0, 30*day),
		checkSpan(FieldReviewWithin, s.ReviewWithin, time.Hour, 30*day),
		checkGroups(FieldBreakGlassGroups, s.BreakGlassGroups),
		checkOperations(FieldBreakGlassOperations, s.BreakGlassOperations),
	} {
		if broken != nil {
			return broken
		}
	}
	return nil
}

func (s Settings) checkApprovals() error {
	known := acts.Gates(acts.Mount)
	for _, gate := range slices.Sorted(maps.Keys(s.Approvals)) {
		switch {
		case !slices.Contains(known, gate):
			return refusal.InvalidField(FieldApprovals, string(gate), "is no operation of the mount that consent can be asked for; those are "+joined(known))
		case s.Approvals[gate].NotCreator:
			return refusal.InvalidField(FieldApprovals, AsGiven(gate, s.Approvals[gate]), "not creator is for versions of keys, in a policy")
		}
	}
	return nil
}

// ParseRules reads the rules of approvals; the error names the operation, what it was given and the rule.
func ParseRules(texts map[string]string) (map[acts.Gate]Rule, error) {
	rules := make(map[acts.Gate]Rule, len(texts))
	for _, operation := range slices.Sorted(maps.Keys(texts)) {
		rule, err := ParseRule(texts[operation])
		if err != nil {
			return nil, refusal.InvalidField(FieldApprovals, operation+"="+texts[operation], err.Error())
		}
		rules[acts.Gate(operation)] = rule
	}
	return rules, nil
}

// AsGiven shows a rule as it is written into approvals.
func AsGiven(gate acts.Gate, rule Rule) string { return string(gate) + "=" + rule.String() }

func checkText(field, text string, most int) error {
	if len(text) > most {
		return refusal.InvalidField(field, text, fmt.Sprintf("at most %d bytes", most))
	}
	if !utf8.ValidString(text) {
		return refusal.InvalidField(field, strings.ToValidUTF8(text, "?"), "must be UTF-8")
	}
	return nil
}

func checkSpan(field string, d, least, most time.Duration) error {
	if d < least || d > most {
		return refusal.InvalidField(field, int64(d/time.Second), fmt.Sprintf("must be %d to %d seconds", least/time.Second, most/time.Second))
	}
	return nil
}

func checkGroups(field string, groups []string) error {
	if len(groups) > MostGroups {
		return refusal.InvalidField(field, strings.Join(groups, ", "), fmt.Sprintf("at most %d groups", MostGroups))
	}
	for i, name := range groups {
		if name == "" || len(name) > mostName || slices.Contains(groups[:i], name) {
			return refusal.InvalidField(field, name, fmt.Sprintf("must name each group once, with 1 to %d bytes", mostName))
		}
	}
	return nil
}

func checkOperations(field string, operations []acts.Gate) error {
	for i, operation := range operations {
		if !slices.Contains(BreakGlassable(), operation) || slices.Contains(operations[:i], operation) {
			return refusal.InvalidField(field, string(operation), "must be of these, each once: "+joined(BreakGlassable()))
		}
	}
	return nil
}

func joined(gates []acts.Gate) string {
	texts := make([]string, len(gates))
	for i, gate := range gates {
		texts[i] = string(gate)
	}
	return strings.Join(texts, ", ")
}

// Same reports whether two settings say the same, whatever their revisions.
func (s Settings) Same(other Settings) bool { return len(s.Differences(other)) == 0 }

// Differences returns the settings in which another differs, each as it is and as it becomes. Of the duties it is their digests.
func (s Settings) Differences(next Settings) map[string]string {
	changes := map[string]string{}
	for _, row := range settings {
		if before, after := row.text(s), row.text(next); after != before {
			changes[row.field] = before + " -> " + after
		}
	}
	return changes
}
