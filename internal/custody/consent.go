// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"fmt"
	"strings"
)

// What records of consent say.
const (
	approveAct        = "approve"
	approvalDetail    = "approval"     // the request
	approverIDsDetail = "approver_ids" // of an act with consent: the entities whose votes it counted
)

// vote is that of an entity for a request, in the chain of what that is about.
type vote struct{ chain, approval, entity string }

// votes holds the consent that acts were done with against the records of the votes. It keeps each vote, and does not tell the
// rounds of a request apart.
type votes struct {
	cast map[vote]bool
	open map[string]vote // by chain: the one whose record was the last
}

// follow takes the next record of a sound chain. The error is a [*Problem] that matches [ErrConsent].
func (v *votes) follow(r Record) error {
	last, voting := v.open[r.Key]
	delete(v.open, r.Key)
	switch {
	case r.Kind == End && voting && r.Outcome == Failed:
		delete(v.cast, last)
	case r.Act == approveAct:
		cast := vote{r.Key, r.Details[approvalDetail], r.Actor.EntityID}
		if !v.cast[cast] {
			v.cast[cast], v.open[r.Key] = true, cast
		}
	default:
		return v.check(r)
	}
	return nil
}

func (v *votes) check(r Record) error {
	ids, cut := strings.CutSuffix(r.Details[approverIDsDetail], clippedTrail)
	if ids == "" {
		return nil
	}
	entities := strings.Split(ids, ", ")
	if cut {
		entities = entities[:len(entities)-1]
	}
	for _, entity := range entities {
		if !v.cast[vote{r.Key, r.Details[approvalDetail], entity}] {
			return &Problem{Key: r.Key, Seq: r.Seq, Err: fmt.Errorf("%w: %s was done with the consent of entity %q to request %q, which has no record of that vote",
				ErrConsent, r.Act, entity, r.Details[approvalDetail])}
		}
	}
	return nil
}
