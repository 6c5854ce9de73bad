// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// decision is the one thing that a tick does to a key in one commit.
type decision struct {
	lifecycle.Commit
	plan    lifecycle.RotationPlan
	did     *lifecycle.Step // a pending transition; nil: none
	held    bool            // a step is due, and the clock guard, or denied uses that cannot be read, hold it back
	checked bool            // the policy's checks ran on a promoted version
	result  checkResult
}

// lost is the error of a decision that may not have been committed. It names what the decision was about, too.
func (d decision) lost(err error) error {
	if d.result.cause == nil {
		return err
	}
	return fmt.Errorf("%w; %s", err, d.result.cause.Error())
}

// processKey commits what the plan and the pending transitions say of one key, wherever the index listed it, until nothing is due. Stale
// means that the key's record does not name this entry, so that no commit removes it.
func (t *tick) processKey(ctx context.Context, minute time.Time, name string) (stale bool, err error) {
	var moved bool
	for i := range tickSteps {
		var before lifecycle.Key
		var d decision
		after, err := t.update(ctx, t.r, name, func(k lifecycle.Key) (c lifecycle.Commit, err error) {
			before = k
			d, err = t.decide(ctx, k)
			return d.Commit, err
		})
		if i == 0 {
			stale = !sameMinute(before.Due, minute)
		}
		if err != nil {
			return false, d.lost(err)
		}
		moved = moved || before.Displaced(after) != (lifecycle.Range{})
		t.logOutcome(before, after, d)
		done := after.Latest == before.Latest && d.did == nil && !d.checked
		if done || after.Due.IsZero() || after.Due.After(t.now()) {
			break
		}
	}
	if !moved {
		return stale, nil
	}
	if err := t.relocateMaterial(ctx, t.r, name); err != nil {
		t.log.Error("material could not be moved yet; a tick goes on", "key", name, "error", err)
	}
	return stale, nil
}

// decide decides the one thing to do for a key now: check what was promoted, rotate, a pending transition, or only when to
// look again.
func (t *tick) decide(ctx context.Context, k lifecycle.Key) (d decision, err error) {
	policy, err := t.policyOf(ctx, t.r, k)
	if err != nil {
		return d, err
	}
	if k.NeedsPostChecks(policy) {
		d.checked = true
		d.Commit, d.result, err = t.commitPostChecks(ctx, t.r, k, policy)
		return d, err
	}
	d.plan = lifecycle.Plan(k, policy, t.now())
	if k.NeedsSuccessor() {
		d.Commit, d.did, err = t.replaceCompromised(ctx, k, policy)
		if !errors.Is(err, lifecycle.ErrRefused) {
			return d, err
		}
		t.log.Error("a compromised active version cannot be replaced; the key cannot encrypt", "key", k.Name, "error", err)
	}
	if d.plan.Trigger == lifecycle.ByClock && !t.believes() { // it may be this clock that is wrong
		d.plan.Status, d.plan.Wake = lifecycle.Scheduled, time.Time{}
	}
	if d.plan.ToRotate() {
		stage := k.RulesFor(policy).StagingTime > 0
		why := rotation{trigger: d.plan.Trigger, reason: d.plan.Why, slot: d.plan.Slot, stage: stage}
		d.Commit, err = t.newVersionCommit(ctx, t.r, k, why)
		return d, err
	}
	if err := t.applyDue(ctx, k, policy, &d); err != nil || d.did != nil {
		return d, err
	}
	if !t.now().Before(d.Key.Due) || !reflect.DeepEqual(d.Key, k) {
		d.Commit, err = t.reschedule(ctx, d, policy)
	}
	return d, err
}

// reschedule decides when to look at the key again. What the clock guard holds back is not asked for every minute; a request
// puts nothing off.
func (t *tick) reschedule(ctx context.Context, d decision, policy *lifecycle.Policy) (lifecycle.Commit, error) {
	c, err := t.commit(ctx, t.r, d.Commit, policy)
	wait := t.now().Add(heldWait)
	if due := c.Key.Due; d.held && !t.request && !due.IsZero() && due.Before(wait) && !d.plan.Wake.Equal(due) {
		c.Key.Due = wait
	}
	return c, err
}

// replaceCompromised gives a key whose active version was reported as compromised another one: the staged one, or a new one.
func (t *tick) replaceCompromised(ctx context.Context, k lifecycle.Key, policy *lifecycle.Policy) (c lifecycle.Commit, did *lifecycle.Step, err error) {
	staged := k.Successor()
	if staged == 0 {
		c, err = t.newVersionCommit(ctx, t.r, k, rotation{trigger: lifecycle.ByIncident, reason: reasonCompromised})
		return c, nil, err
	}
	order := lifecycle.Order{At: t.now(), Rules: k.RulesFor(policy)}
	return t.transition(ctx, k, lifecycle.Pending{At: t.now(), Op: lifecycle.Promote, Version: staged}, order, policy)
}

// reasonCompromised is why a tick replaces an active version.
const reasonCompromised = "the active version was reported as compromised"

// heldWait is how long a key is put off of which the clock guard, or denied uses that cannot be read, hold steps back.
const heldWait = 10 * time.Minute

// applyDue does the first pending transition that is due; d.did stays nil where nothing is.
func (t *tick) applyDue(ctx context.Context, k lifecycle.Key, policy *lifecycle.Policy, d *decision) error {
	d.Key = k
	now := t.now()
	for _, entry := range lifecycle.PendingTransitions(k, policy, now) {
		if entry.At.After(now) {
			break
		}
		if t.holdsBack(entry, k.Ahead(now)) {
			d.held = true
			continue
		}
		order := lifecycle.Order{At: now, Rules: k.RulesFor(policy)}
		if entry.Op == lifecycle.Retire {
			quiet, err := t.quietUntil(ctx, k, entry.Version, &order)
			if err != nil {
				t.log.Error("denied uses cannot be read; nothing is retired", "key", k.Name, "version", entry.Version, "error", err)
				d.held = true
				continue
			}
			if now.Before(quiet) {
				d.Key = d.Key.PutOff(entry.Version, quiet)
				continue
			}
		}
		next, did, err := t.transition(ctx, k, entry, order, policy)
		if failed := new(checkError); !errors.Is(err, lifecycle.ErrRefused) || errors.As(err, failed) {
			d.Commit, d.did = next, did
			return err
		}
		t.log.Error("step of the agenda refused", "key", k.Name, "version", entry.Version, "operation", string(entry.Op), "error", err)
	}
	return nil
}

// quietUntil returns when the version may be retired, and notes in the order when a use of it was denied last.
func (t *tick) quietUntil(ctx context.Context, k lifecycle.Key, version int, order *lifecycle.Order) (time.Time, error) {
	denied, err := t.deniedUses(ctx, t.r, k, version)
	order.LastDenied = denied.last(version)
	return order.Rules.QuietUntil(k.Overrides[version].At, order.LastDenied), err
}

// believes reports whether the clock guard was asked, and believes the clock.
func (t *tick) believes() bool { return t.Frozen == "" && !t.request }

// holdsBack tells which pending transitions are left to a later tick, of a key whose dates may lie ahead.
func (t *tick) holdsBack(entry lifecycle.Pending, ahead bool) bool {
	return !t.believes() && entry.Irreversible() || t.Frozen != "" && ahead
}

func (t *tick) transition(
	ctx context.Context, k lifecycle.Key, entry lifecycle.Pending, order lifecycle.Order, policy *lifecycle.Policy,
) (c lifecycle.Commit, did *lifecycle.Step, err error) {
	var step lifecycle.Step
	if entry.Version == 0 {
		c.Key, step, err = k.ApplyToKey(entry.Op, order)
	} else {
		c.Key, step, err = k.Apply(entry.Op, entry.Version, order)
	}
	if err == nil && entry.Op == lifecycle.Promote {
		err = t.preCheck(ctx, t.r, k, policy, entry.Version, k.NeedsSuccessor())
	}
	if err != nil {
		return c, nil, err
	}
	c.Event = eventOf(step, "due at "+entry.At.UTC().Format(time.RFC3339))
	c, err = t.commit(ctx, t.r, c, policy)
	return c, &step, err
}

// logOutcome tells the operators what the tick did to a key.
func (t *tick) logOutcome(before, after lifecycle.Key, d decision) {
	switch {
	case d.checked:
		if d.result.cause != nil {
			t.RolledBack++
		}
		d.result.logOutcome(t.Engine, after)
	case d.did != nil:
		t.Moved++
		t.log.Info("changed state", "key", after.Name, "version", d.did.Version, "operation", string(d.did.Op),
			"from", d.did.From, "to", d.did.To, "policy", after.Policy)
	case after.Latest != before.Latest:
		t.Rotated++
		t.log.Info("rotated key", "key", after.Name, "version", after.Latest, "trigger", string(after.Rotation.Trigger),
			"policy", after.Policy, "due", d.plan.Next, "late", t.started.Sub(d.plan.Next).String())
	}
	if after.Alert.Status == lifecycle.Overdue && before.Alert != after.Alert {
		t.Overdue++
		t.log.Warn("key is overdue for rotation", "key", after.Name, "policy", after.Policy, "due", after.Alert.Since, "mode", string(d.plan.Mode))
	}
	if after.Alert.Status == lifecycle.Stopped && d.did != nil && d.did.Op == lifecycle.Lapse {
		t.log.Warn("key has stopped: its active version lapsed and it cannot encrypt", "key", after.Name, "policy", after.Policy)
	}
}

// noteFailure records a failed rotation or promotion on the key and puts it off. Where the rotation did happen, though
// its outcome was reported as a failure, the plan shows that nothing is due, and only the due index is mended.
func (t *tick) noteFailure(ctx context.Context, name string, cause error) error {
	k, err := t.update(ctx, t.r, name, func(k lifecycle.Key) (c lifecycle.Commit, err error) {
		policy, err := t.policyOf(ctx, t.r, k)
		if err != nil {
			return c, err
		}
		c.Key = k
		unpromoted := k.Staged != 0 && errors.As(cause, new(checkError))
		if lifecycle.Plan(k, policy, t.now()).ToRotate() || unpromoted {
			c.Key = k.Failed(shorten(cause.Error()), policy, t.now())
		}
		c, err = t.commit(ctx, t.r, c, policy)
		if soon := t.now().Add(time.Minute); c.Key.Due.Before(soon) && !c.Key.Due.IsZero() {
			c.Key.Due = soon
		}
		return c, err
	})
	what := "automatic act failed"
	if k.Alert.Status == lifecycle.Stalled {
		what = "key is stalled: its rotation failed again"
	}
	t.log.Error(what, "key", name, "policy", k.Policy, "failures", k.Rotation.Failures, "since", k.Alert.Since,
		"retry", k.Rotation.RetryAt, "error", cause)
	return err
}

// shorten bounds what a record is made to hold.
func shorten(text string) string {
	const longest = 256
	return text[:min(len(text), longest)]
}
