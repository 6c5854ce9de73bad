// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// Document is the text of a policy as its author wrote it. Field names are those of the API. Each field but Source has a row
// in fields_*.go.
type Document struct {
	Description          string
	Owner                string
	AllowedTypes         []keytype.Type                // empty: any
	MinStrengthBits      int                           // SP 800-57 Part 1 Rev 5, section 5.6.1
	DenyAfter            map[keytype.Type]string       // the last day on which a key of the type gets a version: a date, or an RFC 3339 time
	NextType             map[keytype.Type]keytype.Type // of a version that is made of a key whose active version is of the type; others keep theirs
	Exportable           bool                          // a bound key may be exportable
	AllowPlaintextBackup bool                          // a bound key may be backed up in the clear
	HSM                  Requirement                   // whether material has to be wrapped by an HSM

	RotationMode         RotationMode
	RotationPeriod       schedule.Span // 0: none
	RotationSchedule     string        // a cron expression; excludes RotationPeriod
	RotationZone         string        // of the schedule and the window, an IANA name; empty: UTC
	RotationJitter       schedule.Jitter
	RotationWindow       string // a cron expression: when the window opens in which the clock rotates; empty: always open
	RotationWindowLength schedule.Span
	RotationBlackout     []string      // days, or ranges of days, on which the clock does not rotate; empty: none
	RotationRetryBase    schedule.Span // wait after the first failed attempt, doubled after each one that follows
	RotationRetryMax     schedule.Span // the longest wait
	RotationRetryCycles  int           // failed attempts in a row after which the key counts as stalled
	NotifyBefore         schedule.Span // how long before an end that nobody automates somebody is told; 0: not at all
	MaxEncryptions       int64         // by one version; [LimitByType]: as the type needs; 0: no limit
	MaxBytes             int64         // of plaintext, by one version; 0: no limit
	OnLimit              OnLimit
	PreChecks            []string // before a version is promoted
	PostChecks           []string // after it was

	AllowPinnedEncrypt    bool          // a version that is not the active one may encrypt for callers who name it
	ErasePrivateKey       bool          // a version that will never be active again keeps its public half alone
	StagingTime           schedule.Span // how long a new version is pre-active; 0: not at all
	RollbackWindow        schedule.Span // after a promotion; no text: a day, at most a quarter of the period
	OriginatorPeriod      schedule.Span // SP 800-57 Part 1 Rev 5, 5.3.4; no text: a year, or the rotation period if that is longer
	RecipientPeriod       schedule.Span // SP 800-57 Part 1 Rev 5, 5.3.4: after deactivation a version processes so long; 0: for ever
	ArchiveAfter          schedule.Span // after deactivation; 0: at the end of the recipient period
	RetireAfter           schedule.Span // after archiving; 0: never by the clock
	QuietPeriod           schedule.Span // without denied uses before a version is retired
	DestroyDelay          schedule.Span // between retiring and destroying
	MinVersionsKept       int           // readable versions that archiving leaves
	CompromisedProcessing Permission
	SuspendedProcessing   Permission
	RequireReason         []string // operations that need a reason
	ReasonPattern         string   // a regular expression (RE2) that such a reason has to match; empty: any

	Approvals       map[acts.Gate]string // an act, or a part of one, to the rule that says whose consent it needs; see [consent.ParseRule]
	ApprovalTTL     schedule.Span        // how long a request is open
	ExecutionTTL    schedule.Span        // how long what was approved may be executed
	ApprovalExclude []consent.Exclusion  // who is not counted; the requester never is
	DrillEvery      schedule.Span        // how often the answer to a compromise is exercised; 0: never

	Labels     map[string]string
	Compliance []string // requirements that the policy is meant to meet, such as "pci-dss-4.0.1/3.7.4"
	Source     string   // the HCL text that the policy was written as; empty: it was written field by field
}

// RotationMode says who rotates a key when it is due.
type RotationMode string

// The rotation modes of a policy.
const (
	Auto   RotationMode = "auto"   // the engine rotates
	Manual RotationMode = "manual" // an operator rotates; the engine raises "overdue"
	Notify RotationMode = "notify" // as manual, for keys whose rotation another system drives
)

// Requirement says whether something is required.
type Requirement string

// The needs.
const (
	Optional Requirement = "optional"
	Required Requirement = "required"
)

// OnLimit says what happens to a version that reached its usage limit.
type OnLimit string

// Rotate makes a new version; Block leaves the key without an active version until the schedule or an operator rotates it.
const (
	OnLimitRotate OnLimit = "rotate"
	OnLimitBlock  OnLimit = "block"
)

// Permission allows or denies.
type Permission string

// The two rules.
const (
	Allow Permission = "allow"
	Deny  Permission = "deny"
)

// DefaultDocument is what the fields hold that an author leaves out.
func DefaultDocument() (d Document) {
	for _, f := range fields {
		f.reset(&d)
	}
	return d
}

// copied returns the document with lists and maps of its own, never nil: none given and an empty one are one content.
func (d Document) copied() Document {
	for _, f := range fields {
		f.own(&d)
	}
	return d
}
