// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Order is what goes with an operation.
type Order struct {
	At         time.Time
	Behind     string // why no date of this clock can be trusted; empty: it can
	Rules      policy.EffectiveRules
	Until      time.Time // Recover: archive it again then; zero: as the policy says
	LastDenied time.Time // of the version, or of any version for a whole key; zero: never
	Code       string    // ReportCompromise: a KMIP revocation reason
	Occurred   time.Time // ReportCompromise; zero: unknown, taken as now
}

// Step is what happened to one version or, with Version 0, to a whole key.
type Step struct {
	ID       string // row of the transition table
	Op       Op
	Version  int
	From, To string
}

// Apply returns the key after an operation: on one of its versions, with version 0 on the key as a whole, and for
// [Rollback] on its active version. The error is [refusal.ErrInvalid] for a version that does not exist and [refusal.ErrRefused] where state
// or rules forbid it.
func (k Key) Apply(op Op, v int, o Order) (Key, Step, error) {
	switch {
	case op == Rollback:
		return rollback(k, o)
	case op == ErasePrivate:
		return erasePrivate(k, o)
	case v == 0:
		return applyToKey(k, op, o)
	default:
		return applyToVersion(k, op, v, o)
	}
}

func applyToVersion(k Key, op Op, v int, o Order) (Key, Step, error) {
	from := k.versionState(v)
	if from == NoState {
		return k, Step{}, refusal.Invalidf("version: %d: key %q has versions 1 to %d", v, k.Name, k.Latest)
	}
	if !k.Status.admits(op, from) {
		return k, Step{}, refusal.Refusedf("version %d: key %q is %s as a whole; use the operations of the key", v, k.Name, k.Status.State)
	}
	row, err := rowFor(k, op, from, v)
	if err != nil {
		return k, Step{}, err
	}
	if err := (guards{k, o}).check(row, v); err != nil {
		return k, Step{}, err
	}
	d := draftOf(k)
	d.move(row, v, o)
	d.compactDestroyed()
	next := d.finished()
	next.Revision = after(k.Revision)
	if err := k.Overrides.checkRoom(next.Overrides, k.Name, op.Urgent()); err != nil {
		return k, Step{}, err
	}
	return next, Step{ID: row.id, Op: op, Version: v, From: from.String(), To: next.versionState(v).String()}, nil
}

// rowFor returns the row of the table for an operation on version v. A version that only the floor archives can be archived
// for good, and has to be before it is retired: its quiet period begins there. A version is reported once, also where it
// was retired since.
func rowFor(k Key, op Op, from State, v int) (edge, error) {
	byFloor := from == Archived && k.Overrides[v].State != Archived
	switch {
	case byFloor && op == Archive:
		return find(op, Deactivated, v)
	case byFloor && op == Retire:
		return edge{}, refusal.Refusedf("version %d is archived only by min_decryption_version, which is %d: archive it first", v, k.MinDecryption)
	case op == ReportCompromise && from == Retired && k.Overrides[v].Compromise.reported():
		reported := k.Overrides[v].Compromise.Reported
		return edge{}, refusal.Refusedf("version %d is retired and was reported as compromised at %s: a report stands, and gives nothing back", v, timeText(reported))
	default:
		return find(op, from, v)
	}
}

// applyToKey returns the key after an operation on it as a whole. The error is [refusal.ErrRefused].
func applyToKey(k Key, op Op, o Order) (Key, Step, error) {
	to, err := findKey(op, k)
	if err != nil {
		return k, Step{}, err
	}
	next, guard := k, guards{k, o}
	next.Status = KeyStatus{State: to, At: o.At}
	next.Status.Before = k.Status.Before
	switch op {
	case Archive:
		next.Status.RetireNotBefore, next.Status.Before = o.At.Add(o.Rules.QuietPeriod), k.Status.State
	case Restore:
		err = guard.restore(k.Status.DestroyAt)
		next.Status.RetireNotBefore = o.At.Add(o.Rules.QuietPeriod)
	case Recover:
		next.Status.Before = Enabled
	case Retire:
		err = guard.retire(k.Status.At, k.Status.RetireNotBefore, true)
		next.Status.DestroyAt = o.At.Add(o.Rules.DestroyDelay)
	case Destroy:
		err = guard.destroy(k.Status.DestroyAt)
	}
	if err != nil {
		return k, Step{}, err
	}
	next.Revision = after(k.Revision)
	return next, Step{Op: op, From: k.Status.State.String(), To: to.String()}, nil
}

func laterOf(a, b time.Time) time.Time { return slices.MaxFunc([]time.Time{a, b}, time.Time.Compare) }
