// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Rotation says why a key gets a new version.
type Rotation struct {
	Trigger lifecycle.Trigger
	Reason  string
	Slot    time.Time // the point of the schedule that it counts from; zero: now
	Stage   bool      // it is to be promoted later
	Next    lifecycle.NextType

	BreakGlass bool // see [Precondition]

	from *imported // what is imported; nil: the version is made here
}

// of returns the key with one version more, and the state of that.
func (w Rotation) of(k lifecycle.Key, at time.Time) (next lifecycle.Key, to lifecycle.State, err error) {
	if w.from != nil {
		next, err = lifecycle.WithImport(k, w.Reason, !w.from.material.HasKey(), at)
		return next, lifecycle.Active, err
	}
	if w.Stage {
		next, err = k.Stage(w.Trigger, w.Reason, w.Slot, at)
		return next, lifecycle.PreActive, err
	}
	next, err = k.Rotate(w.Trigger, w.Reason, w.Slot, at)
	return next, lifecycle.Active, err
}

// typed returns the key as it is to be when it gets the version, if the policy lets it have one of that type.
func (w Rotation) typed(k lifecycle.Key, p *policy.Policy, at time.Time) (next lifecycle.Key, err error) {
	if w.from != nil {
		next, err = lifecycle.OfNext(k, w.from.next)
	} else {
		next, err = lifecycle.WithNext(k, w.Next, p)
	}
	if p == nil || err != nil { // no policy admits every type
		return next, err
	}
	return next, p.AdmitsVersion(next.Type, at)
}

// act is what custody and policies call it.
func (w Rotation) act() acts.Name {
	if w.from != nil {
		return acts.Import
	}
	return acts.Rotate
}

// byHand reports a version that somebody asks for.
func (w Rotation) byHand() bool { return w.Trigger == lifecycle.ByOperator || w.from != nil }

// checkReason asks the policy, unless it was the clock that asked for the version.
func (w Rotation) checkReason(p *policy.Policy) error {
	if !w.byHand() {
		return nil
	}
	return p.CheckReason(w.act(), w.Reason)
}

// permitVersion asks for consent to a version that somebody asks for.
func (p *Prepared) permitVersion(ctx context.Context, k lifecycle.Key, why Rotation, of *policy.Policy) (event lifecycle.Event, err error) {
	if !why.byHand() {
		return event, nil
	}
	row, _ := acts.Of(acts.Key, why.act())
	g := ofKey(row.Gate, &k, of, Precondition{Reason: why.Reason, BreakGlass: why.BreakGlass})
	g = g.with("type", string(why.Next.Type))
	if why.Stage {
		g = g.with("stage", "true")
	}
	if why.from != nil {
		g = g.with(importedPart, why.from.part()).with("fingerprint", why.from.material.Fingerprint())
	}
	return p.gate().permitKey(ctx, &k, g, event)
}

// NewVersion is the one way to a new version: rotations differ only in their trigger. A version that is promoted at once has
// passed the policy's checks before; those after its promotion are for [Acts.CheckPromoted], or a tick. What can be refused is
// refused before a wrapper is asked for anything.
func (p *Prepared) NewVersion(ctx context.Context, k lifecycle.Key, why Rotation, at time.Time) (c lifecycle.Commit, err error) {
	if why.from == nil {
		p.rotates = attempt{why.Trigger, k.Latest}
	}
	policy, err := p.demanded(ctx, &k)
	if err != nil {
		return c, err
	}
	before := k
	if k, err = why.typed(k, policy, at); err != nil {
		return c, err
	}
	if err := why.checkReason(policy); err != nil {
		return c, err
	}
	if k, err = p.abandonStored(ctx, k, policy, at); err != nil {
		return c, err
	}
	var to lifecycle.State
	if c.Key, to, err = why.of(k, at); err != nil {
		return c, err
	}
	incident := why.Trigger == lifecycle.ByIncident
	c.Verify = !why.Stage && !incident && policy != nil && slices.Contains(policy.PreChecks, checkStorage)
	consented, err := p.permitVersion(ctx, before, why, policy)
	if err != nil {
		return c, err
	}
	of := Promotion{k, policy, c.Key.Latest, incident}
	if c.Version, err = p.checkedVersion(ctx, of, why.Stage, at); err != nil {
		return c, err
	}
	c.Event = why.event(before, k, c, to).With(checksKept, p.preChecksText(of, why, c.Verify)).ConsentedAs(consented)
	return p.Complete(ctx, c, policy, at)
}

// event is what custody keeps of a version of the commit. Before is the key as it was, k as it is once numbers were given up.
func (w Rotation) event(before, k lifecycle.Key, c lifecycle.Commit, to lifecycle.State) lifecycle.Event {
	event := lifecycle.Event{
		Act: string(w.act()), Versions: []int{c.Key.Latest}, From: lifecycle.NoState.String(), To: to.String(), Reason: w.Reason,
		Details: map[string]string{"trigger": string(w.Trigger), "fingerprint": c.Version.Fingerprint},
	}
	if w.from != nil {
		event = event.With(importedPart, w.from.part())
	}
	event = event.With(changedType, lifecycle.ChangeOfType(before, c.Key))
	if k.Latest > before.Latest {
		event = event.With(abandonedVersions, fmt.Sprintf("%d to %d", before.Latest+1, k.Latest))
	}
	return event
}

// checkedVersion returns the version that was made for the act, once it has passed the checks before its promotion. Where both
// checks and version are lacking they are made together, the checks first.
func (p *Prepared) checkedVersion(ctx context.Context, of Promotion, staged bool, at time.Time) (v *lifecycle.Version, err error) {
	if !staged {
		if err = p.PreCheck(of, at); err != nil && !isUnprepared(err) {
			return nil, err
		}
	}
	v, lacking := p.newVersion(ctx, of.Key, of.Version, of.Policy, at)
	return v, cmp.Or(err, lacking)
}

const (
	mostAbandoned     = 64                   // how many numbers a rotation gives up at most
	abandonedVersions = "abandoned_versions" // the detail of a custody record that names them
	changedType       = "type"               // that of one that says which type follows which
	checksKept        = "checks"             // that of one that says how the checks before a promotion went
)

// abandonStored gives up the numbers under which acts that were cut short have stored versions. What is stored of a key is
// never overwritten: were the act to land in spite of all, what was encrypted with it could not be read again.
func (p *Prepared) abandonStored(
	ctx context.Context, k lifecycle.Key, policy *policy.Policy, at time.Time,
) (lifecycle.Key, error) {
	for range mostAbandoned {
		stored, err := p.isStored(ctx, k, k.Latest+1)
		if err != nil || !stored {
			return k, err
		}
		k = k.Abandoned(k.RulesFor(policy), at)
	}
	return k, refusal.Refusedf("key %q has more than %d stored versions that no act committed; restore versions/%s/ from a snapshot", k.Name, mostAbandoned, k.Name)
}

// isStored reads it once, for as long as no other writer has the key's lock.
func (p *Prepared) isStored(ctx context.Context, k lifecycle.Key, number int) (stored bool, err error) {
	stored, known := p.stored[number]
	if known {
		return stored, nil
	}
	if stored, err = p.store.Versions.IsStored(ctx, k, number); err != nil {
		return false, err
	}
	p.stored[number] = stored
	if stored {
		p.Log.Warn("version was stored by an act that was cut short; its number is given up", "key", k.Name, "version", number)
	}
	return stored, nil
}
