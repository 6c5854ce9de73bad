// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"slices"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// shortestReason is the least that counts as a reason, in bytes.
const shortestReason = 10

// CheckReason reports whether the policy lets an operator do this with the reason given. The error is [refusal.ErrInvalid].
func (p *Policy) CheckReason(act acts.Name, reason string) error {
	op := act.Reason()
	if p == nil || op == "" || !slices.Contains(p.RequireReason, op) {
		return nil
	}
	if len(strings.TrimSpace(reason)) < shortestReason {
		return demands(reason, "policy \""+p.Name+"\" demands a reason of at least 10 bytes for "+op)
	}
	if p.ReasonPattern == "" {
		return nil
	}
	if p.reason == nil || !p.reason.MatchString(reason) {
		return demands(reason, "policy \""+p.Name+"\" demands for "+op+" a reason that matches reason_pattern "+p.ReasonPattern)
	}
	return nil
}

func demands(reason, rule string) error {
	return refusal.Because(refusal.ByPolicy, refusal.InvalidField("reason", reason, rule))
}
