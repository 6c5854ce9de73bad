// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent

import (
	"maps"
	"slices"
)

// Same reports whether two settings say the same, whatever their revisions.
func (s Settings) Same(other Settings) bool {
	return maps.EqualFunc(s.Approvals, other.Approvals, Rule.Equal) &&
		s.Duties == other.Duties && s.AcknowledgeEvery == other.AcknowledgeEvery && s.ApproverWait == other.ApproverWait && s.AuthMount == other.AuthMount &&
		slices.Equal(s.BreakGlassGroups, other.BreakGlassGroups) && s.BreakGlassRoot == other.BreakGlassRoot &&
		slices.Equal(s.BreakGlassOperations, other.BreakGlassOperations) && s.ReviewWithin == other.ReviewWithin
}

// Equal reports whether two rules say the same.
func (r Rule) Equal(other Rule) bool {
	return r.Need == other.Need && r.NotCreator == other.NotCreator && slices.Equal(r.Groups, other.Groups)
}
