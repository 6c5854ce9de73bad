// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// processor does to single keys what is due.
type processor struct {
	*Session
	report  *Report
	started time.Time
	frozen  bool // the clock guard does not believe the clock
	asked   bool // it was asked; on behalf of a request it was not: what is irreversible is left to the next tick
}

// since returns the same processor, which begins with a key at the time.
func (p processor) since(began time.Time) processor {
	s := *p.Session
	s.acts = s.acts.Since(began)
	p.Session = &s
	return p
}

// decision is the one thing that a tick does to a key in one commit.
type decision struct {
	lifecycle.Commit
	plan    lifecycle.RotationPlan
	did     *lifecycle.Step // a pending transition; nil: none
	held    bool            // a step is due, and the clock guard, or denied uses that cannot be read, hold it back
	checked bool            // the policy's checks ran on a promoted version
	result  engine.CheckResult
}

// lost is the error of a decision that may not have been committed. It names what the decision was about, too.
func (d decision) lost(err error) error {
	if d.result.Cause == nil {
		return err
	}
	return fmt.Errorf("%w; %s", err, d.result.Cause.Error())
}

// processed is how a key was left.
type processed struct {
	stale bool      // the key's record does not name the entry under which it was found, so that no commit removes it
	due   time.Time // when it is looked at again; zero: not by itself
}

// processKey commits what the plan and the pending transitions say of one key, wherever the index listed it, until nothing is due.
func (p *processor) processKey(ctx context.Context, minute time.Time, name string) (done processed, err error) {
	var moved bool
	for i := range tickSteps {
		var before lifecycle.Key
		var d decision
		after, err := p.acts.UpdatePrepared(ctx, name, func(act *engine.Prepared, k lifecycle.Key, at time.Time) (c lifecycle.Commit, err error) {
			before = k
			d, err = p.decide(ctx, act, k, at)
			return d.Commit, err
		})
		if i == 0 {
			done.stale = !sameMinute(before.Due, minute)
		}
		if err != nil {
			return processed{}, d.lost(err)
		}
		done.due = after.Due
		moved = moved || lifecycle.Displaced(before, after) != (lifecycle.Range{})
		p.logOutcome(before, after, d)
		last := after.Latest == before.Latest && d.did == nil && !d.checked
		if last || after.Due.IsZero() || after.Due.After(p.Now()) {
			break
		}
	}
	if !moved {
		return done, nil
	}
	if _, err := p.acts.Relocate(ctx, name); err != nil {
		p.acts.Log.Error("material could not be moved yet; a tick goes on", "key", name, "error", err)
	}
	return done, nil
}

// decide decides the one thing to do for a key now: check what was promoted, rotate, a pending transition, or only when to
// look again.
func (p *processor) decide(ctx context.Context, act *engine.Prepared, k lifecycle.Key, at time.Time) (d decision, err error) {
	policy, err := p.data.PolicyOf(ctx, &k)
	if err != nil {
		return d, err
	}
	if k.PostChecks(policy).Pending() {
		d.checked = true
		d.Commit, d.result, err = act.PostCheck(ctx, k, policy, at)
		return d, err
	}
	d.plan = lifecycle.Plan(k, policy, at)
	if k.NeedsSuccessor() {
		d.Commit, d.did, err = p.replaceCompromised(ctx, act, k, policy, at)
		if !errors.Is(err, refusal.ErrRefused) {
			return d, err
		}
		p.acts.Log.Error("a compromised active version cannot be replaced; the key cannot encrypt", "key", k.Name, "error", err)
	}
	if d.plan.Trigger == lifecycle.ByClock && !p.believes() { // it may be this clock that is wrong
		d.plan.Status, d.plan.Wake = lifecycle.Scheduled, time.Time{}
	}
	if d.plan.ToRotate() {
		stage := k.RulesFor(policy).StagingTime > 0
		why := engine.Rotation{Trigger: d.plan.Trigger, Reason: d.plan.Why, Slot: d.plan.Slot, Stage: stage}
		d.Commit, err = act.NewVersion(ctx, k, why, at)
		return d, err
	}
	if err := p.applyDue(ctx, act, k, policy, &d, at); err != nil || d.did != nil {
		return d, err
	}
	if !at.Before(d.Key.Due) || !reflect.DeepEqual(d.Key, k) {
		d.Commit, err = p.reschedule(ctx, d, policy, at)
	}
	return d, err
}

// reschedule decides when to look at the key again. What the clock guard holds back is not asked for every minute; a request
// puts nothing off.
func (p *processor) reschedule(ctx context.Context, d decision, policy *policy.Policy, at time.Time) (lifecycle.Commit, error) {
	c, err := p.acts.Complete(ctx, d.Commit, policy, at)
	wait := at.Add(heldWait)
	if due := c.Key.Due; d.held && p.asked && !due.IsZero() && due.Before(wait) && !d.plan.Wake.Equal(due) {
		c.Key.Due = wait
	}
	return c, err
}

// replaceCompromised gives a key whose active version was reported as compromised another one: the staged one, or a new one.
func (p *processor) replaceCompromised(
	ctx context.Context, act *engine.Prepared, k lifecycle.Key, policy *policy.Policy, at time.Time,
) (c lifecycle.Commit, did *lifecycle.Step, err error) {
	staged := k.Successor()
	if staged == 0 {
		c, err = act.NewVersion(ctx, k, engine.Rotation{Trigger: lifecycle.ByIncident, Reason: reasonCompromised}, at)
		return c, nil, err
	}
	order := lifecycle.Order{At: at, Rules: k.RulesFor(policy)}
	return p.transition(ctx, act, k, lifecycle.Pending{At: at, Op: lifecycle.Promote, Version: staged}, order, policy)
}

// reasonCompromised is why a tick replaces an active version.
const reasonCompromised = "the active version was reported as compromised"

// heldWait is how long a key is put off of which the clock guard, or denied uses that cannot be read, hold steps back.
const heldWait = 10 * time.Minute

// applyDue does the first pending transition that is due; d.did stays nil where nothing is.
func (p *processor) applyDue(
	ctx context.Context, act *engine.Prepared, k lifecycle.Key, policy *policy.Policy, d *decision, now time.Time,
) error {
	d.Key = k
	for _, entry := range lifecycle.PendingTransitions(k, policy, now) {
		if entry.At.After(now) {
			break
		}
		if p.holdsBack(entry, k.Rotation.Ahead(now)) {
			d.held = true
			continue
		}
		order := lifecycle.Order{At: now, Rules: k.RulesFor(policy)}
		if entry.Op == lifecycle.Retire {
			quiet, err := p.quietUntil(ctx, k, entry.Version, &order)
			if err != nil {
				p.acts.Log.Error("denied uses cannot be read; nothing is retired", "key", k.Name, "version", entry.Version, "error", err)
				d.held = true
				continue
			}
			if now.Before(quiet) {
				d.Key = d.Key.PutOff(entry.Version, quiet)
				continue
			}
		}
		next, did, err := p.transition(ctx, act, k, entry, order, policy)
		if !errors.Is(err, refusal.ErrRefused) || engine.IsCheck(err) {
			d.Commit, d.did = next, did
			return err
		}
		p.acts.Log.Error("step of the agenda refused", "key", k.Name, "version", entry.Version, "operation", string(entry.Op), "error", err)
	}
	return nil
}

// quietUntil returns when the version may be retired, and notes in the order when a use of it was denied last.
func (p *processor) quietUntil(ctx context.Context, k lifecycle.Key, version int, order *lifecycle.Order) (time.Time, error) {
	denied, err := p.data.DeniedUses(ctx, k, version)
	order.LastDenied = denied.Last(version)
	return k.QuietUntil(version, order.Rules, order.LastDenied), err
}

// believes reports whether the clock guard was asked, and believes the clock.
func (p *processor) believes() bool { return !p.frozen && p.asked }

// holdsBack tells which pending transitions are left to a later tick, of a key whose dates may lie ahead.
func (p *processor) holdsBack(entry lifecycle.Pending, ahead bool) bool {
	return !p.believes() && entry.Irreversible() || p.frozen && ahead
}

func (p *processor) transition(
	ctx context.Context, act *engine.Prepared, k lifecycle.Key, entry lifecycle.Pending, order lifecycle.Order, policy *policy.Policy,
) (c lifecycle.Commit, did *lifecycle.Step, err error) {
	var step lifecycle.Step
	c.Key, step, err = k.Apply(entry.Op, entry.Version, order)
	if err == nil && entry.Op == lifecycle.Promote {
		err = act.PreCheck(engine.Promotion{Key: k, Policy: policy, Version: entry.Version, Incident: k.NeedsSuccessor()}, order.At)
	}
	if err != nil {
		return c, nil, err
	}
	c.Event = engine.EventOf(step, "due at "+entry.At.UTC().Format(time.RFC3339))
	if entry.Op == lifecycle.ErasePrivate {
		c.Event.Details = lifecycle.Differences(k, c.Key)
	}
	c, err = p.acts.Complete(ctx, c, policy, order.At)
	return c, &step, err
}

// logOutcome tells the operators what the tick did to a key.
func (p *processor) logOutcome(before, after lifecycle.Key, d decision) {
	switch {
	case d.checked:
		if d.result.Cause != nil {
			p.report.RolledBack++
		}
		d.result.Report(p.acts.Log, after)
	case d.did != nil:
		p.report.Moved++
		p.acts.Log.Info("changed state", "key", after.Name, "version", d.did.Version, "operation", string(d.did.Op),
			"from", d.did.From, "to", d.did.To, "policy", after.Policy)
	case after.Latest != before.Latest:
		p.report.Rotated++
		p.acts.Log.Info("rotated key", "key", after.Name, "version", after.Latest, "trigger", string(after.Rotation.Trigger),
			"policy", after.Policy, "due", d.plan.Next, "late", p.started.Sub(d.plan.Next).String())
	}
	if overdue, is := after.Alerts.Of(lifecycle.Overdue); is && !slices.Contains(before.Alerts, overdue) {
		p.report.Overdue++
		p.acts.Log.Warn("key is overdue for rotation", "key", after.Name, "policy", after.Policy, "due", overdue.Since, "mode", string(d.plan.Mode))
	}
	if ending, is := after.Alerts.Of(lifecycle.Ending); is && !before.Alerts.Has(lifecycle.Ending) {
		p.acts.Log.Warn("key is near an end that nobody automates", "key", after.Name, "policy", after.Policy, "since", ending.Since, "rotation", string(d.plan.Status))
	}
	if after.Alerts.Has(lifecycle.Stopped) && d.did != nil && d.did.Op == lifecycle.Lapse {
		p.acts.Log.Warn("key has stopped: its active version lapsed and it cannot encrypt", "key", after.Name, "policy", after.Policy)
	}
}

// putOff lists a key that failed for later: as its record says once the failure is noted there, else in ten minutes. Each step has
// time of its own: the storage may have stalled until that of the key was over, and be well again. The error means that the entry is
// still there.
func (p *processor) putOff(ctx context.Context, minute time.Time, name string, cause error) error {
	own := func(do func(ctx context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, p.KeyTime/5)
		defer cancel()
		return p.acts.Guard(name, func() error { return do(ctx) })
	}
	noted := own(func(ctx context.Context) error { return p.noteFailure(ctx, name, cause) })
	if noted == nil {
		return nil
	}
	if own(func(ctx context.Context) error { _, err := p.store.Keys.Key(ctx, name); return err }) == nil {
		return noted // the storage takes no write: the next tick tries again
	}
	// The record cannot be read, or not in time: put the key off without it.
	return p.store.Due.PostponeDue(ctx, minute, p.started.Add(10*time.Minute), name)
}

// noteFailure records a failed rotation or promotion on the key and puts it off. Where the rotation did happen, though
// its outcome was reported as a failure, the plan shows that nothing is due, and only the due index is mended.
func (p *processor) noteFailure(ctx context.Context, name string, cause error) error {
	k, err := p.acts.Update(ctx, name, func(k lifecycle.Key, at time.Time) (c lifecycle.Commit, err error) {
		policy, err := p.data.PolicyOf(ctx, &k)
		if err != nil {
			return c, err
		}
		c.Key = k
		unpromoted := k.Staged != 0 && engine.IsCheck(cause)
		if lifecycle.Plan(k, policy, at).ToRotate() || unpromoted {
			c.Key = k.Failed(engine.Shorten(cause.Error()), policy, at)
		}
		c, err = p.acts.Complete(ctx, c, policy, at)
		if soon := at.Add(time.Minute); c.Key.Due.Before(soon) && !c.Key.Due.IsZero() {
			c.Key.Due = soon
		}
		return c, err
	})
	if err != nil {
		p.acts.Log.Error("automatic act failed, and that could not be noted", "key", name, "error", cause, "note", err)
		return err
	}
	what := "automatic act failed"
	failing, stalled := k.Alerts.Of(lifecycle.Stalled)
	if !stalled {
		failing, _ = k.Alerts.Of(lifecycle.Retrying)
	}
	if stalled {
		what = "key is stalled: its rotation failed again"
	}
	p.acts.Log.Error(what, "key", name, "policy", k.Policy, "failures", k.Rotation.Failures, "since", failing.Since,
		"retry", k.Rotation.RetryAt, "error", cause)
	return nil
}
