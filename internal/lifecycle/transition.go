// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"slices"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Op is an act on a version or on a key as a whole; see the catalogue in internal/acts.
type Op = acts.Name

// The operations. Destroy, Lapse and ErasePrivate are the clock's alone.
const (
	Promote          = acts.Promote
	Suspend          = acts.Suspend
	Resume           = acts.Resume
	Archive          = acts.Archive
	Recover          = acts.Recover
	Retire           = acts.Retire
	Restore          = acts.Restore
	Destroy          = acts.Destroy
	ReportCompromise = acts.Compromise
	Rollback         = acts.Rollback // moves pointers: see rollback.go
	Lapse            = acts.Lapse
	ErasePrivate     = acts.ErasePrivate // moves a floor: see erase_private.go
)

// edge is one row of the transition table.
type edge struct {
	id   string // of the contract: T1 ... T15
	op   Op
	from State
	to   State // NoState: the state before
}

// edges is the whole state machine of versions; nothing else decides a transition. T1 (new versions), T3 (rollback)
// and T14 (emergency rotation) move the key's pointers: see rotate.go and rollback.go.
var edges = []edge{
	{"T2", Promote, PreActive, Active},
	{"T4", Lapse, Active, Deactivated},
	{"T5", Retire, PreActive, Retired},
	{"T6", Suspend, PreActive, Suspended},
	{"T6", Suspend, Active, Suspended},
	{"T6", Suspend, Deactivated, Suspended},
	{"T7", Resume, Suspended, NoState},
	{"T8", Archive, Deactivated, Archived},
	{"T9", Recover, Archived, Deactivated},
	{"T9", Recover, Compromised, Compromised}, // one that was out of use when it was reported
	{"T10", Retire, Archived, Retired},
	{"T11", Restore, Retired, NoState},
	{"T12", Destroy, Retired, Destroyed},
	{"T13", ReportCompromise, PreActive, Compromised},
	{"T13", ReportCompromise, Active, Compromised},
	{"T13", ReportCompromise, Deactivated, Compromised},
	{"T13", ReportCompromise, Suspended, Compromised},
	{"T13", ReportCompromise, Archived, Compromised},
	{"T13", ReportCompromise, Retired, Compromised},
	{"T15", Retire, Compromised, Retired},
}

// find returns the row for an operation on a version in the state. The error names the state, what the operation
// needs and what is possible instead.
func find(op Op, from State, v int) (edge, error) {
	var needs, ops names
	for _, e := range edges {
		switch {
		case e.op == op && e.from == from:
			return e, nil
		case e.op == op:
			needs.add(e.from.String())
		case e.from == from && !e.op.OnlyByClock():
			ops.add(string(e.op))
		}
	}
	return edge{}, refusal.Refusedf("version %d is %s: %s needs %s; possible now: %s", v, from, op, needs.list(" or "), ops.list(", "))
}

// TransitionNames are the operations that change a state, each once.
func TransitionNames() []Op {
	ops := []Op{Rollback, ErasePrivate}
	for _, e := range edges {
		ops = append(ops, e.op)
	}
	for _, e := range keyEdges {
		ops = append(ops, e.op)
	}
	slices.Sort(ops)
	return slices.Compact(ops)
}

// names are each listed once.
type names []string

func (n *names) add(name string) {
	if !slices.Contains(*n, name) {
		*n = append(*n, name)
	}
}

func (n names) list(between string) string {
	if len(n) == 0 {
		return "nothing"
	}
	return strings.Join(n, between)
}

// keyEdges is the state machine of whole keys.
var keyEdges = []struct {
	op       Op
	from, to KeyState
}{
	{Suspend, Enabled, KeySuspended},
	{Resume, KeySuspended, Enabled},
	{Archive, Enabled, KeyArchived},
	{Archive, KeySuspended, KeyArchived},
	{Recover, KeyArchived, Enabled},
	{Recover, KeyArchived, KeySuspended}, // if it was before
	{Retire, KeyArchived, KeyRetired},
	{Restore, KeyRetired, KeyArchived},
	{Destroy, KeyRetired, KeyDestroyed},
}

func findKey(op Op, k Key) (to KeyState, err error) {
	var needs, ops names
	for _, e := range keyEdges {
		if e.op == op && e.from == k.Status.State && (op != Recover || e.to == k.Status.Before) {
			return e.to, nil
		}
		if e.op == op {
			needs.add(e.from.String())
		}
		if e.from == k.Status.State && !e.op.OnlyByClock() {
			ops.add(string(e.op))
		}
	}
	if len(needs) == 0 {
		return Enabled, refusal.Refusedf("a key as a whole has no operation %q", string(op))
	}
	return Enabled, refusal.Refusedf("key %q is %s: %s needs %s; possible now: %s",
		k.Name, k.Status.State, op, needs.list(" or "), ops.list(", "))
}
