// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// AllPendingTransitions are [PendingTransitions] as far as they can be told without knowing the time.
func AllPendingTransitions(k Key, p *policy.Policy) []Pending {
	return PendingTransitions(k, p, time.Time{})
}

// OldestDeactivated is the oldest version that the clock may archive.
func OldestDeactivated(k Key) int { return oldestDeactivated(k) }

// Most and Reserve are the bounds on overrides.
const Most, Reserve = most, reserve

// Edge is one row of the transition table of versions.
type Edge struct {
	ID       string
	Op       Op
	From, To State // To: NoState: the state before
}

// Edges is the transition table of versions.
func Edges() []Edge {
	var out []Edge
	for _, e := range edges {
		out = append(out, Edge{e.id, e.op, e.from, e.to})
	}
	return out
}

// KeyEdge is one row of the transition table of keys.
type KeyEdge struct {
	Op       Op
	From, To KeyState
}

// KeyEdges is the transition table of keys.
func KeyEdges() []KeyEdge {
	var out []KeyEdge
	for _, e := range keyEdges {
		out = append(out, KeyEdge{e.op, e.from, e.to})
	}
	return out
}

// Grant is the entry of the permission table in words.
func Grant(s State, u Use) string {
	return map[grant]string{never: "–", always: "yes", pinned: "pinned", byPolicy: "by policy", unlocked: "unless locked", publicHalf: "by public half"}[permissions[s][u]]
}
