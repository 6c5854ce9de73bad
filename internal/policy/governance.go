// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"cmp"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Governance says how the keys of a mount come under a policy, and how it is watched who uses them.
type Governance struct {
	RequirePolicy bool   // every new key has one
	DefaultPolicy string // of keys whose maker names none; empty: none

	LedgerOff   bool          // the uses of keys are not counted
	ReviewEvery time.Duration // how often somebody has to review who uses which keys; 0: [DefaultReviewEvery]
	Reviewed    time.Time     // when somebody did; zero: never
}

// How often somebody has to review who uses which keys.
const (
	DefaultReviewEvery = 90 * 24 * time.Hour
	minReviewEvery     = 24 * time.Hour
	maxReviewEvery     = 10 * 366 * 24 * time.Hour
)

// WithReviewEvery returns it with another time between reviews. The error is [refusal.ErrInvalid].
func (g Governance) WithReviewEvery(every time.Duration) (Governance, error) {
	if every < minReviewEvery || every > maxReviewEvery {
		return g, refusal.InvalidField("access_review_every", int64(every/time.Second), "must be between 1d and 3660d")
	}
	if g.ReviewEvery = every; every == DefaultReviewEvery {
		g.ReviewEvery = 0
	}
	return g, nil
}

// ReviewInterval returns how often somebody has to review who uses which keys.
func (g Governance) ReviewInterval() time.Duration { return cmp.Or(g.ReviewEvery, DefaultReviewEvery) }

// ReviewDue returns when the next review is due; zero: it is, as there never was one.
func (g Governance) ReviewDue() time.Time {
	if g.Reviewed.IsZero() {
		return time.Time{}
	}
	return g.Reviewed.Add(g.ReviewInterval())
}

// PolicyFor returns the name of the policy that a new key gets. Asked is nil where its maker left it open; the empty
// name asks for none. The error is [refusal.ErrInvalid].
func (g Governance) PolicyFor(asked *string) (string, error) {
	name := g.DefaultPolicy
	if asked != nil {
		name = *asked
	}
	if name == "" && g.RequirePolicy {
		return "", refusal.Because(refusal.ByPolicy, refusal.InvalidField("policy", "", "config/engine has require_policy: a new key needs a policy"))
	}
	return name, nil
}

// CheckDetach reports whether a key may be left without a policy. The error is [refusal.ErrInvalid].
func (g Governance) CheckDetach() error {
	if g.RequirePolicy {
		return refusal.Because(refusal.ByPolicy, refusal.InvalidField("policy", "", "config/engine has require_policy: a key cannot be detached from its policy"))
	}
	return nil
}
