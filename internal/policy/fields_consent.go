// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// consents say whose consent acts need.
var consents = []Field{
	define(row[map[acts.Gate]string]{
		name: "approvals", kind: rulesOfConsent, at: func(d *Document) *map[acts.Gate]string { return &d.Approvals }, sparse: true,
		valid:  approvalsRule,
		looser: looserApprovals,
		help:   `Operation to the rule that says whose consent it needs: "2 of key-approvers", with more groups behind commas, or "not creator".`,
		docs:   Docs{Type: "map of operation to rule", Rule: "operations are those of [consent](#whose-consent-an-act-needs). A rule asks for 1 to 10 persons of at most 8 groups of Vault's identity, by name or id: `2 of key-approvers, security`; or, for an act on a version, for another person than who made it: `not creator`. What stops a key needs nobody's consent", Source: "PCI 3.7.6"},
	}),
	define(row[schedule.Span]{
		name: "approval_ttl", kind: span, at: func(d *Document) *schedule.Span { return &d.ApprovalTTL }, def: spanOf("72h"), sparse: true,
		rule:   ttlRule,
		looser: by(length, more[time.Duration]("requests are open for longer")),
		help:   "How long a request for consent is open, 5m to 14d.",
		docs:   Docs{Unit: "seconds", Rule: "5m to 14d, from the request"},
	}),
	define(row[schedule.Span]{
		name: "execution_ttl", kind: span, at: func(d *Document) *schedule.Span { return &d.ExecutionTTL }, def: spanOf("24h"), sparse: true,
		rule:   ttlRule,
		looser: by(length, more[time.Duration]("consent can be used for longer")),
		help:   "How long an operation may be executed after it was approved, 5m to 14d.",
		docs:   Docs{Unit: "seconds", Rule: "5m to 14d, from the vote that was the last one needed"},
	}),
	define(row[[]consent.Exclusion]{
		name: "approval_exclude", kind: list[consent.Exclusion](), at: func(d *Document) *[]consent.Exclusion { return &d.ApprovalExclude },
		def: []consent.Exclusion{consent.ExcludeRequester, consent.ExcludeCreator}, sparse: true,
		rule:   eachOf([]consent.Exclusion{consent.ExcludeRequester, consent.ExcludeCreator, consent.ExcludeAuthor}),
		looser: fewerExclusions,
		help:   "Who is not counted as an approver: requester, which is always so, creator (of the version or the key), author (of the revision of the policy in force).",
		docs:   Docs{Type: "list of roles", Rule: "of `requester`, `creator` (of the version or the key), `author` (of the revision in force): who has that part is not counted as an approver. The requester never is"},
	}),
}
