// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// What one tick may do. Vault calls the tick of every mount once a minute; what is left over is done by the next.
const (
	tickTime        = 20 * time.Second
	tickKeys        = 500 // keys looked at because they are due
	tickReschedules = 200 // keys put on the due index again because their policy changed
	tickSweep       = 32  // keys whose due index entry is checked
	tickSteps       = 16  // changes of state of one key
	tickSettle      = 64  // keys whose material is moved, some versions of each
)

// followFor is how long after the last tick the next one asks for the minutes that have passed, rather than for the
// whole due index.
const followFor = time.Hour

// clock is what a tick remembers for the next one. It is a shortcut: without it the tick reads the whole due index.
type clock struct {
	running sync.Mutex
	last    time.Time // minute up to which the due index has been worked off; zero: unknown
}

// Report says what a tick did.
type Report struct {
	Rotated, Failed, Overdue     int
	Moved                        int // versions and keys that changed their state
	Erased, Settled, Rescheduled int
	Repaired                     int
	Frozen                       string // why nothing is archived, retired or destroyed; empty: it is
	Unfinished                   bool   // something is left that is due now
}

// Tick does what is due: it completes acts that were cut short, rotates the keys that are due, and checks a few
// entries of the due index. It is idempotent and bounded in time and number; one failing key stops no other. The
// error is of what is not about a single key.
func (e *Engine) Tick(ctx context.Context, r Repo) (Report, error) {
	if !e.clock.running.TryLock() {
		return Report{}, nil
	}
	defer e.clock.running.Unlock()
	t := &tick{Engine: e, r: r, started: e.now()}
	err := errors.Join(t.watchClock(ctx), t.erase(ctx), t.settleOpen(ctx), t.storeDenied(ctx), t.reschedule(ctx),
		t.workOffDue(ctx), t.sweepIndex(ctx))
	e.log.Debug("tick", "rotated", t.Rotated, "moved", t.Moved, "failed", t.Failed, "overdue", t.Overdue, "erased", t.Erased,
		"settled", t.Settled, "rescheduled", t.Rescheduled, "repaired", t.Repaired, "unfinished", t.Unfinished)
	return t.Report, err
}

// tick is one run.
type tick struct {
	*Engine
	Report
	r       Repo
	started time.Time
	seen    int
}

// spent reports whether the tick has used up its time, or Vault its patience.
func (t *tick) spent(ctx context.Context) bool {
	return ctx.Err() != nil || t.now().Sub(t.started) > tickTime
}

// workOffDue works off the due index, oldest minute first.
func (t *tick) workOffDue(ctx context.Context) error {
	minutes, err := t.minutes(ctx)
	if err != nil {
		t.clock.last = time.Time{}
		return err
	}
	for _, minute := range minutes {
		err = errors.Join(err, t.workOff(ctx, minute))
	}
	t.clock.last = t.started.Truncate(time.Minute)
	if t.Unfinished || err != nil {
		t.clock.last = time.Time{} // the next tick starts from the whole index
	}
	return err
}

// minutes returns the minutes of the due index that have come. The last one worked off comes again: keys may have
// been listed under it since, or may not have been due when it was young.
func (t *tick) minutes(ctx context.Context) ([]time.Time, error) {
	now, last := t.started.Truncate(time.Minute), t.clock.last
	if last.IsZero() || now.Before(last) || now.Sub(last) > followFor {
		all, err := t.r.Minutes(ctx)
		return slices.DeleteFunc(all, func(m time.Time) bool { return m.After(now) }), err
	}
	var passed []time.Time
	for m := last; !m.After(now); m = m.Add(time.Minute) {
		passed = append(passed, m)
	}
	return passed, nil
}

// workOff looks at the keys listed under the minute.
func (t *tick) workOff(ctx context.Context, minute time.Time) error {
	names, err := t.r.Listed(ctx, minute)
	if err != nil {
		return err
	}
	for _, name := range names {
		if t.seen >= tickKeys || t.spent(ctx) {
			t.Unfinished = true
			return nil
		}
		t.seen++
		if err := t.lookAt(ctx, minute, name); err != nil {
			t.Unfinished = true
			t.log.Error("key could not be looked at", "key", name, "error", err)
		}
	}
	return nil
}

// lookAt does what is due for one key and moves its entry in the due index. The error means that the entry is still
// there.
func (t *tick) lookAt(ctx context.Context, minute time.Time, name string) error {
	stale, err := t.attend(ctx, minute, name)
	if stale || errors.Is(err, lifecycle.ErrNotFound) {
		return t.r.Unlist(ctx, minute, name)
	}
	if err == nil {
		return nil
	}
	t.Failed++
	if noted := t.noteFailure(ctx, name, err); noted == nil {
		return nil
	}
	// Not even that could be written, or the record cannot be read: put the key off without it.
	return t.r.Defer(ctx, minute, t.started.Add(10*time.Minute), name)
}

// attend commits what the plan and the agenda say of one key, wherever the index listed it. Stale means that the
// key's record does not name this entry, so that no commit removes it.
func (t *tick) attend(ctx context.Context, minute time.Time, name string) (stale bool, err error) {
	listed, err := t.r.Key(ctx, name)
	if err != nil {
		return false, err
	}
	for range tickSteps {
		before, outlook := lifecycle.Key{}, lifecycle.Outlook{}
		var did *lifecycle.Step
		after, err := t.update(ctx, t.r, name, func(k lifecycle.Key) (c lifecycle.Commit, err error) {
			before = k
			c, outlook, did, err = t.next(ctx, k)
			return c, err
		})
		if err != nil {
			return false, err
		}
		t.announce(before, after, outlook, did)
		if after.Latest == before.Latest && did == nil {
			break
		}
	}
	if err := t.settle(ctx, t.r, name); err != nil {
		t.log.Error("material could not be moved yet; a tick goes on", "key", name, "error", err)
	}
	return !sameMinute(listed.Due, minute), nil
}

// next decides the one thing to do for a key now: rotate, a step of the agenda, or only when to look again.
func (t *tick) next(ctx context.Context, k lifecycle.Key) (c lifecycle.Commit, outlook lifecycle.Outlook, did *lifecycle.Step, err error) {
	policy, err := t.policyOf(ctx, t.r, k)
	if err != nil {
		return c, outlook, nil, err
	}
	outlook = lifecycle.Plan(k, policy, t.now())
	if k.NeedsSuccessor() {
		c, did, err = t.succeeded(ctx, k, policy)
		if !errors.Is(err, lifecycle.ErrRefused) {
			return c, outlook, did, err
		}
		t.log.Error("a compromised active version cannot be replaced; the key cannot encrypt", "key", k.Name, "error", err)
	}
	if outlook.ToRotate() {
		stage := k.TermsOf(policy).StagingTime > 0
		c, err = t.rotated(ctx, t.r, k, rotation{trigger: lifecycle.BySchedule, reason: outlook.Why, stage: stage})
		return c, outlook, nil, err
	}
	c.Key = k
	if c, did, err = t.step(ctx, k, policy); err != nil || did != nil {
		return c, outlook, did, err
	}
	if !t.now().Before(c.Key.Due) || !reflect.DeepEqual(c.Key, k) {
		c, err = t.again(ctx, c, policy, outlook)
	}
	return c, outlook, nil, err
}

// again decides when to look at the key again. What the clock guard holds back is not asked for every minute.
func (t *tick) again(ctx context.Context, c lifecycle.Commit, policy *lifecycle.Policy, outlook lifecycle.Outlook) (lifecycle.Commit, error) {
	c, err := t.commit(ctx, t.r, c, policy)
	wait := t.now().Add(frozenWait)
	if due := c.Key.Due; t.Frozen != "" && !due.IsZero() && due.Before(wait) && !outlook.Wake.Equal(due) {
		c.Key.Due = wait
	}
	return c, err
}

// succeeded gives a key whose active version was reported as compromised another one: the staged one, or a new one.
func (t *tick) succeeded(ctx context.Context, k lifecycle.Key, policy *lifecycle.Policy) (c lifecycle.Commit, did *lifecycle.Step, err error) {
	if k.Staged == 0 {
		c, err = t.rotated(ctx, t.r, k, rotation{trigger: lifecycle.ByIncident, reason: reasonCompromised})
		return c, nil, err
	}
	order := lifecycle.Order{At: t.now(), Terms: k.TermsOf(policy)}
	return t.stepped(ctx, k, lifecycle.Entry{At: t.now(), Op: lifecycle.Promote, Version: k.Staged}, order, policy)
}

// reasonCompromised is why a tick replaces an active version.
const reasonCompromised = "the active version was reported as compromised"

// frozenWait is how long a key is put off whose steps the clock guard holds back.
const frozenWait = 10 * time.Minute

// step does the first thing on the agenda that is due; did is nil where nothing is.
func (t *tick) step(ctx context.Context, k lifecycle.Key, policy *lifecycle.Policy) (c lifecycle.Commit, did *lifecycle.Step, err error) {
	c.Key = k
	now := t.now()
	for _, entry := range lifecycle.Agenda(k, policy) {
		if entry.At.After(now) {
			break
		}
		if t.Frozen != "" && entry.Irreversible() {
			continue
		}
		denied, err := t.r.Denied(ctx, k.Name)
		if err != nil {
			return c, nil, err
		}
		terms := k.TermsOf(policy)
		last := lastDenied(denied, entry.Version)
		if quiet := last.Add(terms.QuietPeriod); entry.Op == lifecycle.Retire && now.Before(quiet) {
			c.Key = c.Key.PutOff(entry.Version, quiet)
			continue
		}
		order := lifecycle.Order{At: now, Terms: terms, LastDenied: last}
		next, did, err := t.stepped(ctx, k, entry, order, policy)
		if !errors.Is(err, lifecycle.ErrRefused) {
			return next, did, err
		}
		t.log.Error("step of the agenda refused", "key", k.Name, "version", entry.Version, "operation", string(entry.Op), "error", err)
	}
	return c, nil, nil
}

func (t *tick) stepped(
	ctx context.Context, k lifecycle.Key, entry lifecycle.Entry, order lifecycle.Order, policy *lifecycle.Policy,
) (c lifecycle.Commit, did *lifecycle.Step, err error) {
	var step lifecycle.Step
	if entry.Version == 0 {
		c.Key, step, err = k.ApplyToKey(entry.Op, order)
		c.Settle = k.All()
	} else {
		c.Key, step, err = k.Apply(entry.Op, entry.Version, order)
		c.Settle = lifecycle.Of(entry.Version)
	}
	if err != nil {
		return c, nil, err
	}
	if !moves(k, c.Key, c.Settle) {
		c.Settle = lifecycle.Range{}
	}
	c.Event = eventOf(step, "due at "+entry.At.UTC().Format(time.RFC3339))
	c, err = t.commit(ctx, t.r, c, policy)
	return c, &step, err
}

// announce tells the operators what the tick did to a key.
func (t *tick) announce(before, after lifecycle.Key, outlook lifecycle.Outlook, did *lifecycle.Step) {
	switch {
	case did != nil:
		t.Moved++
		t.log.Info("changed state", "key", after.Name, "version", did.Version, "operation", string(did.Op),
			"from", did.From, "to", did.To, "policy", after.Policy)
	case after.Latest != before.Latest:
		t.Rotated++
		t.log.Info("rotated key", "key", after.Name, "version", after.Latest, "trigger", string(after.Rotation.Trigger),
			"policy", after.Policy, "due", outlook.Next, "late", t.started.Sub(outlook.Next).String())
	case outlook.Status == lifecycle.Overdue && !after.Due.Equal(before.Due):
		t.Overdue++
		t.log.Warn("key is overdue for rotation", "key", after.Name, "policy", after.Policy, "due", outlook.Next, "mode", string(outlook.Mode))
	}
}

// noteFailure records a failed rotation on the key and puts it off. Where the rotation did happen, though its
// outcome was reported as a failure, the plan shows that nothing is due, and only the due index is mended.
func (t *tick) noteFailure(ctx context.Context, name string, cause error) error {
	k, err := t.update(ctx, t.r, name, func(k lifecycle.Key) (lifecycle.Commit, error) {
		policy, err := t.policyOf(ctx, t.r, k)
		if err != nil {
			return lifecycle.Commit{}, err
		}
		next := k
		if lifecycle.Plan(k, policy, t.now()).ToRotate() {
			next = k.Failed(shorten(cause.Error()), t.now())
		}
		next.Due = t.due(next, policy)
		if soon := t.now().Add(time.Minute); next.Due.Before(soon) && !next.Due.IsZero() {
			next.Due = soon
		}
		return lifecycle.Commit{Key: next}, nil
	})
	t.log.Error("automatic act failed", "key", name, "failures", k.Rotation.Failures,
		"retry", k.Rotation.RetryAt, "error", cause)
	return err
}

// shorten bounds what a record is made to hold.
func shorten(text string) string {
	const longest = 256
	return text[:min(len(text), longest)]
}
