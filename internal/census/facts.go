// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package census

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// Facts are what is counted of one key.
type Facts struct {
	Kind        observe.TypeState
	Versions    map[lifecycle.State]int
	Destruction time.Time // of the key, or of the first of its versions; zero: none is planned

	Policy string // of a key that drifts from it, or of one of which that is not known
	Drift  Drift
}

// Drift says whether a key meets its policy.
type Drift int

// What is known of it. What only the stored versions show, as by what they are wrapped, is not asked.
const (
	Unknown Drift = iota // what was counted stays
	Complies
	Drifts
)

// Of returns the facts of a key, without whether it drifts.
func Of(k *lifecycle.Key) *Facts {
	return &Facts{
		Kind:        observe.TypeState{Type: string(k.Type), State: k.Status.State.String()},
		Versions:    lifecycle.VersionsByState(k),
		Destruction: lifecycle.NextDestruction(k),
		Policy:      k.Policy,
	}
}

// Under returns the facts with whether the key drifts from its policy at now: nil where none governs it, or the policy that it names
// says nothing.
func Under(k *lifecycle.Key, p *policy.Policy, now time.Time) *Facts {
	f := Of(k)
	f.Drift = Complies
	if len(lifecycle.Drift(*k, p, now)) > 0 {
		f.Drift = Drifts
	}
	return f
}
