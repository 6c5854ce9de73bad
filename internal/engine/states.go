// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
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
func (s Versions) Transition(ctx context.Context, name string, in Operation) (View, error) {
	if err := in.check(); err != nil {
		return View{}, err
	}
	var did lifecycle.Step
	var before lifecycle.Key
	var review *consent.Review
	k, err := s.Acts().UpdatePrepared(ctx, name, func(p *Prepared, k lifecycle.Key, at time.Time) (c lifecycle.Commit, err error) {
		if err := refusal.CheckRevision(in.CAS, k.Revision); err != nil {
			return c, err
		}
		before = k
		c, did, err = p.decideTransition(ctx, k, in, at)
		review = c.Event.Review
		return c, err
	})
	if errors.Is(err, refusal.ErrRepeated) {
		return s.answerAgain(ctx, k)
	}
	if err != nil {
		return View{}, err
	}
	s.Log.Info("changed state", "key", name, "version", in.Version, "operation", string(in.Op), "from", did.From, "to", did.To, "reason", in.Reason)
	s.Approvals().Reviews().logBreakGlass(review)
	pending := s.Acts().relocateDisplaced(ctx, before, k)
	if _, err := s.SystemActs().CheckPromoted(ctx, k); err != nil && in.Op != lifecycle.ReportCompromise {
		return View{}, err // a report stands whatever became of the version that took over
	}
	view, err := s.Keys().Read(ctx, name)
	if view, err = s.Keys().left(k, view, err); err != nil && in.Op.Urgent() {
		view, err = View{Key: k, Plan: lifecycle.Plan(k, nil, s.Now()), Unread: err}, nil
	}
	view.Pending = pending
	return view, err
}

func (o Operation) check() error {
	switch {
	case o.Op == lifecycle.ReportCompromise && !slices.Contains(reasonCodes, o.Code):
		return refusal.InvalidField("reason_code", o.Code, "must be one of "+strings.Join(reasonCodes, ", "))
	case o.For < 0:
		return refusal.InvalidField("time_limit", o.For, "must not be negative")
	}
	return nil
}

// decideTransition decides an operation. What stops a key is decided also where storage does not give its policy.
func (p *Prepared) decideTransition(
	ctx context.Context, k lifecycle.Key, in Operation, at time.Time,
) (c lifecycle.Commit, did lifecycle.Step, err error) {
	policy, fault := p.data.Ruling(ctx, &k)
	unread := fault != nil && !dataplane.SaysNothing(fault)
	if unread && !in.Op.Emergency() {
		return c, did, fault
	}
	if c, did, err = p.applied(ctx, k, in, policy, at); err != nil {
		return c, did, err
	}
	if c.Event, err = p.permitTransition(ctx, k, in, policy, EventOf(did, in.Reason)); err != nil {
		return c, did, err
	}
	if fault != nil {
		c.Event = c.Event.With("policy_fault", fault.Error())
	}
	if in.Op == lifecycle.ReportCompromise {
		if c, err = p.compromised(ctx, c, in, policy, at); err != nil {
			return c, did, err
		}
	}
	if c, err = p.Complete(ctx, c, policy, at); unread {
		c.Key.Due = at // a tick asks the policy again
	}
	return c, did, err
}

// permitTransition asks for consent to an operation that does not stop anything.
func (p *Prepared) permitTransition(
	ctx context.Context, k lifecycle.Key, in Operation, policy *policy.Policy, event lifecycle.Event,
) (lifecycle.Event, error) {
	scope := acts.Key
	if in.Version > 0 {
		scope = acts.Version
	}
	row, _ := acts.Of(scope, in.Op)
	if row.Gate == "" {
		return event, nil
	}
	g := ofKey(row.Gate, &k, policy, in.Precondition).ofVersion(p.Session, in.Version)
	if in.For > 0 {
		g = g.with("time_limit", in.For.String())
	}
	return p.gate().permitKey(ctx, &k, g, event)
}

// applied does an operation on the key, if the policy allows it.
func (p *Prepared) applied(
	ctx context.Context, k lifecycle.Key, in Operation, policy *policy.Policy, at time.Time,
) (c lifecycle.Commit, did lifecycle.Step, err error) {
	if err := policy.CheckReason(in.Op, in.Reason); err != nil {
		return c, did, err
	}
	order, err := p.order(ctx, k, in, policy, at)
	if err != nil {
		return c, did, err
	}
	c.Key, did, err = k.Apply(in.Op, in.Version, order)
	if err == nil && in.Op == lifecycle.Promote {
		err = p.PreCheck(Promotion{k, policy, in.Version, false}, at)
	}
	return c, did, err
}

// order is what goes with an operation. Denied uses are asked for where they can hold it back: what stops a key must not
// wait for them.
func (p *Prepared) order(
	ctx context.Context, k lifecycle.Key, in Operation, policy *policy.Policy, at time.Time,
) (o lifecycle.Order, err error) {
	o = lifecycle.Order{Rules: k.RulesFor(policy), Code: in.Code, Occurred: in.Occurred}
	if o.At, o.Behind, err = p.dated(ctx, in.Op, at); err != nil {
		return o, err
	}
	if in.Occurred.After(o.At) {
		return o, refusal.InvalidField("occurred_at", in.Occurred.Format(time.RFC3339), "must not be in the future")
	}
	if in.For > 0 {
		o.Until = o.At.Add(in.For)
	}
	if in.Op == lifecycle.Retire {
		var denied dataplane.Denied
		denied, err = p.data.DeniedUses(ctx, k, in.Version)
		o.LastDenied = denied.Last(in.Version)
	}
	return o, err
}

// dated returns what an operation is dated by, and whether the clock is behind. What stops a key does not wait for that.
func (p *Prepared) dated(ctx context.Context, op lifecycle.Op, now time.Time) (at time.Time, behind string, err error) {
	if !op.Dated() {
		return now, "", nil
	}
	clock, err := p.store.Settings.Clock(ctx)
	if err != nil && op.Urgent() {
		return now, "", nil
	}
	at, behind = clock.Date(now)
	return at, behind, err
}

// compromised completes the report of a compromise: where it is the active version, another one takes over in the
// same commit (transition T14). If none can be made the report counts all the same.
func (p *Prepared) compromised(
	ctx context.Context, c lifecycle.Commit, in Operation, policy *policy.Policy, at time.Time,
) (lifecycle.Commit, error) {
	c.Event.Details["reason_code"] = in.Code
	if !in.Occurred.IsZero() {
		c.Event.Details["occurred_at"] = in.Occurred.UTC().Format(time.RFC3339)
	}
	if c.Key.NeedsSuccessor() {
		return p.replaced(ctx, c, policy, at)
	}
	return c, nil
}

// replaced gives the key another active version: the staged one, or a new one. The error is that this is not prepared yet.
func (p *Prepared) replaced(
	ctx context.Context, c lifecycle.Commit, policy *policy.Policy, at time.Time,
) (lifecycle.Commit, error) {
	k := c.Key
	if staged := k.Successor(); staged != 0 {
		next, _, err := k.Apply(lifecycle.Promote, staged, lifecycle.Order{At: at, Rules: k.RulesFor(policy)})
		if err == nil {
			if err := p.PreCheck(Promotion{k, policy, staged, true}, at); err != nil {
				return c, err
			}
			c = c.Followed(next, nil)
			c.Event.Details["replaced_by"] = "staged version"
			return c, nil
		}
	}
	emergency, err := p.NewVersion(ctx, k, Rotation{Trigger: lifecycle.ByIncident, Reason: c.Event.Reason}, at)
	if isUnprepared(err) {
		return c, err
	}
	if err != nil {
		if ctx.Err() == nil { // else nothing comes of the report either
			p.Log.Error("a compromised active version cannot be replaced; the key cannot encrypt", "key", k.Name, "error", err)
		}
		c.Event.Details["replaced_by"] = "nothing: rotation failed"
		return c, nil
	}
	c = c.Followed(emergency.Key, emergency.Version)
	c.Event.Details["replaced_by"] = "new version"
	for _, name := range []string{abandonedVersions, changedType, checksKept} {
		c.Event = c.Event.With(name, emergency.Event.Details[name])
	}
	return c, nil
}

// Hold sets or lifts the legal hold of a key.
func (s Versions) Hold(ctx context.Context, name string, on bool, pre Precondition) (View, error) {
	return s.change(ctx, name, acts.Hold, pre, func(k lifecycle.Key) (lifecycle.Key, error) { return k.WithHold(on), nil })
}

// Trim destroys the versions below floor at once, as Transit does, for keys that no policy governs.
func (s Versions) Trim(ctx context.Context, name string, floor int, pre Precondition) (View, error) {
	return s.change(ctx, name, acts.Trim, pre, func(k lifecycle.Key) (lifecycle.Key, error) { return k.Trim(floor) })
}

// change commits a simple change of a key that custody keeps.
func (s Versions) change(
	ctx context.Context, name string, act acts.Name, pre Precondition,
	next func(lifecycle.Key) (lifecycle.Key, error),
) (View, error) {
	var before lifecycle.Key
	k, err := s.Acts().Update(ctx, name, func(k lifecycle.Key, at time.Time) (c lifecycle.Commit, err error) {
		if err := refusal.CheckRevision(pre.CAS, k.Revision); err != nil {
			return c, err
		}
		before = k
		policy, err := s.data.PolicyOf(ctx, &k)
		if err != nil {
			return c, err
		}
		if err := policy.CheckReason(act, pre.Reason); err != nil {
			return c, err
		}
		if c.Key, err = next(k); err != nil || c.Key.Revision == k.Revision {
			return lifecycle.Commit{Key: k}, err
		}
		c.Event = lifecycle.Event{Act: string(act), Reason: pre.Reason, Details: lifecycle.Differences(k, c.Key)}
		if act == acts.Hold && !c.Key.Hold {
			if c.Event, err = s.gate().permitKey(ctx, &k, ofKey(acts.GateUnhold, &k, policy, pre), c.Event); err != nil {
				return c, err
			}
		}
		return s.Acts().Complete(ctx, c, policy, at)
	})
	if errors.Is(err, refusal.ErrRepeated) {
		return s.answerAgain(ctx, k)
	}
	if err != nil {
		return View{}, err
	}
	s.Log.Info("changed key", "key", name, "act", string(act), "reason", pre.Reason)
	pending := s.Acts().relocateDisplaced(ctx, before, k)
	view, err := Keys(s).shown(ctx, k)
	view.Pending = pending
	return view, err
}
