// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Rotate makes a new version of the key and lets it protect from now on or, staged, only when it is promoted.
func (e *Engine) Rotate(ctx context.Context, r Repo, name string, stage bool, pre Precondition) (View, error) {
	k, err := e.update(ctx, r, name, func(k lifecycle.Key) (lifecycle.Commit, error) {
		if err := lifecycle.CheckRevision(pre.CAS, k.Revision); err != nil {
			return lifecycle.Commit{}, err
		}
		return e.newVersionCommit(ctx, r, k, rotation{trigger: lifecycle.ByOperator, reason: pre.Reason, stage: stage})
	})
	if errors.Is(err, lifecycle.ErrRepeated) {
		return e.answerAgain(ctx, r, k)
	}
	if err != nil {
		if errors.Is(classify(err), ErrFault) && !errors.Is(err, lifecycle.ErrNotFound) {
			e.log.Error("rotation failed", "key", name, "trigger", string(lifecycle.ByOperator), "error", err)
		}
		return View{}, err
	}
	e.log.Info("rotated key", "key", name, "version", k.Latest, "trigger", string(lifecycle.ByOperator), "staged", stage, "reason", pre.Reason)
	if k, err = e.runPostChecks(ctx, r, k); err != nil {
		return View{}, err
	}
	return e.view(ctx, r, k)
}

// answerAgain answers a request that came again, and completes what the first one may have left.
func (e *Engine) answerAgain(ctx context.Context, r Repo, k lifecycle.Key) (View, error) {
	pending := e.relocateNow(ctx, r, k.Name)
	k, err := e.runPostChecks(ctx, r, k)
	if err != nil {
		return View{}, err
	}
	view, err := e.view(ctx, r, k)
	view.Pending = pending
	return view, err
}

// rotation says why a key gets a new version.
type rotation struct {
	trigger lifecycle.Trigger
	reason  string
	slot    time.Time // the point of the schedule that it counts from; zero: now
	stage   bool      // it is to be promoted later
}

// of returns the key with one version more, and the state of that.
func (w rotation) of(k lifecycle.Key, at time.Time) (next lifecycle.Key, to lifecycle.State, err error) {
	if w.stage {
		next, err = k.Stage(w.trigger, w.reason, w.slot, at)
		return next, lifecycle.PreActive, err
	}
	next, err = k.Rotate(w.trigger, w.reason, w.slot, at)
	return next, lifecycle.Active, err
}

// newVersionCommit is the one way to a new version: rotations differ only in their trigger. A version that is promoted at once has
// passed the policy's checks before; those after its promotion are for prove, or a tick.
func (e *Engine) newVersionCommit(ctx context.Context, r Repo, k lifecycle.Key, why rotation) (c lifecycle.Commit, err error) {
	policy, err := e.admitVersion(ctx, r, k)
	if err != nil {
		return c, err
	}
	if why.trigger == lifecycle.ByOperator {
		if err := policy.CheckReason("rotate-manual", why.reason); err != nil {
			return c, err
		}
	}
	was := k.Latest
	if k, err = e.abandonStored(ctx, r, k, policy); err != nil {
		return c, err
	}
	var to lifecycle.State
	if c.Key, to, err = why.of(k, e.now()); err != nil {
		return c, err
	}
	if !why.stage {
		incident := why.trigger == lifecycle.ByIncident
		if err := e.preCheck(ctx, r, k, policy, c.Key.Latest, incident); err != nil {
			return c, err
		}
		c.Verify = !incident && policy != nil && slices.Contains(policy.PreChecks, checkStorage)
	}
	if c.Version, err = e.newVersion(ctx, r, &k, c.Key.Latest, policy); err != nil {
		return c, err
	}
	c.Event = lifecycle.Event{
		Act: "rotate", Versions: []int{c.Key.Latest}, From: lifecycle.NoState.String(), To: to.String(), Reason: why.reason,
		Details: map[string]string{"trigger": string(why.trigger), "fingerprint": c.Version.Fingerprint},
	}
	if k.Latest > was {
		c.Event.Details[abandonedVersions] = fmt.Sprintf("%d to %d", was+1, k.Latest)
	}
	return e.commit(ctx, r, c, policy)
}

const (
	mostAbandoned     = 64                   // how many numbers a rotation gives up at most
	abandonedVersions = "abandoned_versions" // the detail of a custody record that names them
)

// abandonStored gives up the numbers under which acts that were cut short have stored versions. What is stored of a key is
// never overwritten: were the act to land in spite of all, what was encrypted with it could not be read again.
func (e *Engine) abandonStored(ctx context.Context, r Repo, k lifecycle.Key, policy *lifecycle.Policy) (lifecycle.Key, error) {
	for range mostAbandoned {
		stored, err := r.IsStored(ctx, k, k.Latest+1)
		if err != nil || !stored {
			return k, err
		}
		e.log.Warn("version was stored by an act that was cut short; its number is given up", "key", k.Name, "version", k.Latest+1)
		k = k.Abandoned(k.RulesFor(policy), e.now())
	}
	return k, lifecycle.Refusedf("key %q has more than %d stored versions that no act committed; restore versions/%s/ from a snapshot", k.Name, mostAbandoned, k.Name)
}

// admitVersion returns the policy that governs the key, if it lets the key have a new version.
func (e *Engine) admitVersion(ctx context.Context, r Repo, k lifecycle.Key) (*lifecycle.Policy, error) {
	policy, err := e.demanded(ctx, r, k)
	if policy == nil || err != nil { // no policy admits every key
		return nil, err
	}
	return policy, policy.AdmitsVersion(k.Type, e.now())
}
