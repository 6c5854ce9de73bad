// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
)

// Settings are those of the mount about consent: config/approvals.
type Settings struct {
	Revision int // 0: nobody has set anything

	Approvals        map[acts.Gate]Rule // for acts on the mount
	Duties           string             // what an approver accepts, at most 4 KiB
	AcknowledgeEvery time.Duration      // how long an acknowledgement of the duties counts
	ApproverWait     time.Duration      // between enrolling and being counted
	AuthMount        string             // accessor of the auth mount at which an approver has to have an alias; empty: any

	BreakGlassGroups     []string    // whose members may act without consent
	BreakGlassRoot       bool        // whether a token without an entity may
	BreakGlassOperations []acts.Gate // what may be done so
	ReviewWithin         time.Duration
}

// The defaults, which a mount has whose settings nobody has written.
const (
	DefaultAcknowledgeEvery = 365 * 24 * time.Hour
	DefaultApproverWait     = 24 * time.Hour
	DefaultReviewWithin     = 72 * time.Hour
	DefaultApprovalTTL      = 72 * time.Hour
	DefaultExecutionTTL     = 24 * time.Hour
)

// DefaultSettings returns those of a mount that nobody has configured.
func DefaultSettings() Settings {
	return Settings{
		AcknowledgeEvery: DefaultAcknowledgeEvery, ApproverWait: DefaultApproverWait, ReviewWithin: DefaultReviewWithin,
		BreakGlassOperations: []acts.Gate{"promote"},
	}
}
