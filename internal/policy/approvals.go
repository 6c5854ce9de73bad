// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// This file holds what a policy says of consent.

var (
	// gates are what approvals may name.
	gates = acts.Gates(acts.Version, acts.Key, acts.Policy)
	// madeGates are acts on a version that somebody has made before.
	madeGates = slices.DeleteFunc(acts.Gates(acts.Version), func(g acts.Gate) bool { return g == acts.Gate(acts.Import) })
)

// rulesOfConsent is a map of operations to rules, each in the one form that a rule has, however it was written.
var rulesOfConsent = rulesKind()

func rulesKind() kind[map[acts.Gate]string] {
	k := table[acts.Gate, string]()
	read := k.read
	k.read = func(plain any) (map[acts.Gate]string, error) {
		rules, err := read(plain)
		for gate, text := range rules {
			if rule, err := consent.ParseRule(text); err == nil { // what is none is refused by approvalsRule
				rules[gate] = rule.String()
			}
		}
		return rules, err
	}
	return k
}

func approvalsRule(field string, rules map[acts.Gate]string, _ *Document) error {
	for _, gate := range slices.Sorted(maps.Keys(rules)) {
		refuse := func(why string) error {
			return refusal.InvalidField(field, string(gate)+"="+rules[gate], why)
		}
		rule, err := consent.ParseRule(rules[gate])
		switch {
		case gate == acts.Gate(acts.Hold) || acts.Name(gate).Emergency():
			return refuse("containment needs one person")
		case !slices.Contains(gates, gate):
			return refuse("unknown; known are " + strings.Join(as[string](gates), ", "))
		case err != nil:
			return refuse(err.Error())
		case rule.NotCreator && !slices.Contains(madeGates, gate):
			return refuse("not creator is for what is done to a version: " + strings.Join(as[string](madeGates), ", "))
		}
	}
	return nil
}

// Approval returns the rule that says whose consent an act needs; false: none does. It may be asked of a nil policy.
func (p *Policy) Approval(gate acts.Gate) (consent.Rule, bool) {
	if p == nil {
		return consent.Rule{}, false
	}
	text, ok := p.Approvals[gate]
	if !ok {
		return consent.Rule{}, false
	}
	return must(consent.ParseRule(text)), true
}

// ApprovalTTL is how long a request for consent is open. It may be asked of a nil policy.
func (p *Policy) ApprovalTTL() time.Duration {
	if p == nil {
		return consent.DefaultApprovalTTL
	}
	return orDefault(p.Document.ApprovalTTL, consent.DefaultApprovalTTL)
}

// ExecutionTTL is how long what was approved may be executed. It may be asked of a nil policy.
func (p *Policy) ExecutionTTL() time.Duration {
	if p == nil {
		return consent.DefaultExecutionTTL
	}
	return orDefault(p.Document.ExecutionTTL, consent.DefaultExecutionTTL)
}

func orDefault(s schedule.Span, otherwise time.Duration) time.Duration {
	if s.Text == "" {
		return otherwise
	}
	return s.Duration
}

// Warnings tells what a policy asks for that will seldom be had, or is easily got around.
func (p *Policy) Warnings() (warnings []string) {
	shortest, _ := p.periods()
	voided := slices.DeleteFunc(acts.Gates(acts.Version, acts.Key), func(gate acts.Gate) bool { // a request is void when its key is another
		rule, ok := p.Approval(gate)
		return !ok || rule.NotCreator
	})
	if shortest > 0 && shortest < p.ApprovalTTL() && len(voided) > 0 {
		warnings = append(warnings, "approvals: keys rotate every "+schedule.DurationText(shortest)+", and approval_ttl is "+schedule.DurationText(p.ApprovalTTL())+
			": keys that rotate faster than people answer void their requests ("+strings.Join(as[string](voided), ", ")+")")
	}
	if _, guarded := p.Approval(acts.GatePolicy); len(p.Approvals) > 0 && !guarded {
		warnings = append(warnings, "approvals: there is no rule for policy: who may write the policy can take its rules away")
	}
	return warnings
}
