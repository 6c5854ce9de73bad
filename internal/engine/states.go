// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Operation asks for a change of state of one version or, with Version 0, of a whole key.
type Operation struct {
	Op       lifecycle.Op
	Version  int
	Code     string        // compromise: a KMIP revocation reason
	Occurred time.Time     // compromise; zero: unknown
	For      time.Duration // recover: archive it again after this time; 0: as the policy says
	Precondition
}

// reasonCodes are the revocation reasons of KMIP 2.1, section 11.46, for which a version counts as compromised.
var reasonCodes = []string{
	"unspecified", "key_compromise", "ca_compromise", "affiliation_changed", "superseded", "cessation_of_operation", "privilege_withdrawn",
}

// Transition changes the state of a version or of a whole key.
func (e *Engine) Transition(ctx context.Context, r Repo, name string, in Operation) (View, error) {
	if err := in.check(); err != nil {
		return View{}, err
	}
	var did lifecycle.Step
	var before lifecycle.Key
	k, err := e.update(ctx, r, name, func(k lifecycle.Key) (c lifecycle.Commit, err error) {
		if err := lifecycle.CheckRevision(in.CAS, k.Revision); err != nil {
			return c, err
		}
		before = k
		c, did, err = e.decideTransition(ctx, r, k, in)
		return c, err
	})
	if errors.Is(err, lifecycle.ErrRepeated) {
		return e.answerAgain(ctx, r, k)
	}
	if err != nil {
		return View{}, err
	}
	e.log.Info("changed state", "key", name, "version", in.Version, "operation", string(in.Op), "from", did.From, "to", did.To, "reason", in.Reason)
	pending := e.relocateDisplaced(ctx, r, before, k)
	if _, err := e.runPostChecks(ctx, r, k); err != nil && in.Op != lifecycle.ReportCompromise {
		return View{}, err // a report stands whatever became of the version that took over
	}
	view, err := e.Read(ctx, r, name)
	if err != nil && in.Op.Urgent() {
		view, err = View{Key: k, Plan: lifecycle.Plan(k, nil, e.now()), Unread: err}, nil
	}
	view.Pending = pending
	return view, err
}

func (o Operation) check() error {
	switch {
	case o.Op == lifecycle.ReportCompromise && !slices.Contains(reasonCodes, o.Code):
		return lifecycle.InvalidField("reason_code", o.Code, "must be one of "+strings.Join(reasonCodes, ", "))
	case o.For < 0:
		return lifecycle.InvalidField("time_limit", o.For, "must not be negative")
	}
	return nil
}

// decideTransition decides an operation. What stops a key is decided also where storage does not give its policy.
func (e *Engine) decideTransition(ctx context.Context, r Repo, k lifecycle.Key, in Operation) (c lifecycle.Commit, did lifecycle.Step, err error) {
	policy, fault := e.ruling(ctx, r, k)
	unread := fault != nil && !saysNothing(fault)
	if unread && !in.Op.Stops() {
		return c, did, fault
	}
	if c, did, err = e.applied(ctx, r, k, in, policy); err != nil {
		return c, did, err
	}
	c.Event = eventOf(did, in.Reason)
	if fault != nil {
		c.Event = c.Event.With("policy_fault", fault.Error())
	}
	if in.Op == lifecycle.ReportCompromise {
		c = e.compromised(ctx, r, c, in, policy)
	}
	if c, err = e.commit(ctx, r, c, policy); unread {
		c.Key.Due = e.now() // a tick asks the policy again
	}
	return c, did, err
}

// applied does an operation on the key, if the policy allows it.
func (e *Engine) applied(
	ctx context.Context, r Repo, k lifecycle.Key, in Operation, policy *lifecycle.Policy,
) (c lifecycle.Commit, did lifecycle.Step, err error) {
	if err := policy.CheckReason(string(in.Op), in.Reason); err != nil {
		return c, did, err
	}
	order, err := e.order(ctx, r, k, in, policy)
	if err != nil {
		return c, did, err
	}
	switch {
	case in.Op == lifecycle.Rollback:
		c.Key, did, err = k.Rollback(order)
	case in.Version == 0:
		c.Key, did, err = k.ApplyToKey(in.Op, order)
	default:
		c.Key, did, err = k.Apply(in.Op, in.Version, order)
	}
	if err == nil && in.Op == lifecycle.Promote {
		err = e.preCheck(ctx, r, k, policy, in.Version, false)
	}
	return c, did, err
}

// order is what goes with an operation. Denied uses are asked for where they can hold it back: what stops a key must not
// wait for them.
func (e *Engine) order(ctx context.Context, r Repo, k lifecycle.Key, in Operation, policy *lifecycle.Policy) (o lifecycle.Order, err error) {
	o = lifecycle.Order{Rules: k.RulesFor(policy), Code: in.Code, Occurred: in.Occurred}
	if o.At, o.Behind, err = e.dated(ctx, r, in.Op); err != nil {
		return o, err
	}
	if in.Occurred.After(o.At) {
		return o, lifecycle.InvalidField("occurred_at", in.Occurred.Format(time.RFC3339), "must not be in the future")
	}
	if in.For > 0 {
		o.Until = o.At.Add(in.For)
	}
	if in.Op == lifecycle.Retire {
		var denied byVersion
		denied, err = e.deniedUses(ctx, r, k, in.Version)
		o.LastDenied = denied.last(in.Version)
	}
	return o, err
}

// dated returns what an operation is dated by, and whether the clock is behind. What stops a key does not wait for that.
func (e *Engine) dated(ctx context.Context, r Repo, op lifecycle.Op) (at time.Time, behind string, err error) {
	now := e.now()
	if !op.Dated() {
		return now, "", nil
	}
	clock, err := r.Clock(ctx)
	if err != nil && op.Urgent() {
		return now, "", nil
	}
	at, behind = clock.Date(now)
	return at, behind, err
}

func eventOf(did lifecycle.Step, reason string) lifecycle.Event {
	event := lifecycle.Event{Act: string(did.Op), From: did.From, To: did.To, Reason: reason}
	if did.Version > 0 {
		event.Versions = []int{did.Version}
	}
	if did.ID != "" {
		event.Details = map[string]string{"transition": did.ID}
	}
	return event
}

// compromised completes the report of a compromise: where it is the active version, another one takes over in the
// same commit (transition T14). If none can be made the report counts all the same.
func (e *Engine) compromised(ctx context.Context, r Repo, c lifecycle.Commit, in Operation, policy *lifecycle.Policy) lifecycle.Commit {
	c.Event.Details["reason_code"] = in.Code
	if !in.Occurred.IsZero() {
		c.Event.Details["occurred_at"] = in.Occurred.UTC().Format(time.RFC3339)
	}
	if c.Key.NeedsSuccessor() {
		c = e.replaced(ctx, r, c, policy)
	}
	return c
}

// replaced gives the key another active version: the staged one, or a new one.
func (e *Engine) replaced(ctx context.Context, r Repo, c lifecycle.Commit, policy *lifecycle.Policy) lifecycle.Commit {
	k := c.Key
	if staged := k.Successor(); staged != 0 {
		next, _, err := k.Apply(lifecycle.Promote, staged, lifecycle.Order{At: e.now(), Rules: k.RulesFor(policy)})
		if err == nil {
			_ = e.preCheck(ctx, r, k, policy, staged, true)
			next.Revision = k.Revision
			c.Key = next
			c.Event.Details["replaced_by"] = "staged version"
			return c
		}
	}
	emergency, err := e.newVersionCommit(ctx, r, k, rotation{trigger: lifecycle.ByIncident, reason: c.Event.Reason})
	if err != nil {
		if ctx.Err() == nil { // else nothing comes of the report either
			e.log.Error("a compromised active version cannot be replaced; the key cannot encrypt", "key", k.Name, "error", err)
		}
		c.Event.Details["replaced_by"] = "nothing: rotation failed"
		return c
	}
	emergency.Key.Revision = k.Revision
	c.Key, c.Version = emergency.Key, emergency.Version
	c.Event.Details["replaced_by"] = "new version"
	if numbers, ok := emergency.Event.Details[abandonedVersions]; ok {
		c.Event.Details[abandonedVersions] = numbers
	}
	return c
}

// Hold sets or lifts the legal hold of a key.
func (e *Engine) Hold(ctx context.Context, r Repo, name string, on bool, pre Precondition) (View, error) {
	return e.change(ctx, r, name, "hold", pre, func(k lifecycle.Key) (lifecycle.Key, error) { return k.WithHold(on), nil })
}

// Trim destroys the versions below floor at once, as Transit does, for keys that no policy governs.
func (e *Engine) Trim(ctx context.Context, r Repo, name string, floor int, pre Precondition) (View, error) {
	return e.change(ctx, r, name, "trim", pre, func(k lifecycle.Key) (lifecycle.Key, error) { return k.Trim(floor) })
}

// change commits a simple change of a key that custody keeps.
func (e *Engine) change(
	ctx context.Context, r Repo, name, act string, pre Precondition,
	make func(lifecycle.Key) (lifecycle.Key, error),
) (View, error) {
	var before lifecycle.Key
	k, err := e.update(ctx, r, name, func(k lifecycle.Key) (c lifecycle.Commit, err error) {
		if err := lifecycle.CheckRevision(pre.CAS, k.Revision); err != nil {
			return c, err
		}
		before = k
		policy, err := e.policyOf(ctx, r, k)
		if err != nil {
			return c, err
		}
		if err := policy.CheckReason(act, pre.Reason); err != nil {
			return c, err
		}
		if c.Key, err = make(k); err != nil || c.Key.Revision == k.Revision {
			return lifecycle.Commit{Key: k}, err
		}
		c.Event = lifecycle.Event{Act: act, Reason: pre.Reason, Details: k.Differences(c.Key)}
		return e.commit(ctx, r, c, policy)
	})
	if errors.Is(err, lifecycle.ErrRepeated) {
		return e.answerAgain(ctx, r, k)
	}
	if err != nil {
		return View{}, err
	}
	e.log.Info("changed key", "key", name, "act", act, "reason", pre.Reason)
	pending := e.relocateDisplaced(ctx, r, before, k)
	view, err := e.view(ctx, r, k)
	view.Pending = pending
	return view, err
}
