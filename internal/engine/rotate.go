// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Rotate makes a new version of the key and lets it protect from now on or, staged, only when it is promoted.
func (e *Engine) Rotate(ctx context.Context, r Repo, name string, stage bool, pre Precondition) (View, error) {
	k, err := e.update(ctx, r, name, func(k lifecycle.Key) (lifecycle.Commit, error) {
		if err := lifecycle.CheckRevision(pre.CAS, k.Revision); err != nil {
			return lifecycle.Commit{}, err
		}
		return e.rotated(ctx, r, k, rotation{trigger: lifecycle.ByOperator, reason: pre.Reason, stage: stage})
	})
	if err != nil {
		if errors.Is(blame(err), ErrFault) {
			e.log.Error("rotation failed", "key", name, "trigger", string(lifecycle.ByOperator), "error", err)
		}
		return View{}, err
	}
	e.log.Info("rotated key", "key", name, "version", k.Latest, "trigger", string(lifecycle.ByOperator), "staged", stage, "reason", pre.Reason)
	return e.view(ctx, r, k)
}

// rotation says why a key gets a new version.
type rotation struct {
	trigger lifecycle.Trigger
	reason  string
	stage   bool // it is to be promoted later
}

// rotated is the one way to a new version: rotations differ only in their trigger.
func (e *Engine) rotated(ctx context.Context, r Repo, k lifecycle.Key, why rotation) (c lifecycle.Commit, err error) {
	policy, err := e.admit(ctx, r, k)
	if err != nil {
		return c, err
	}
	if why.trigger == lifecycle.ByOperator {
		if err := policy.CheckReason("rotate-manual", why.reason); err != nil {
			return c, err
		}
	}
	period, to := lifecycle.Plan(k, policy, e.now()).Period, lifecycle.Active
	if why.stage {
		to = lifecycle.PreActive
		c.Key, err = k.Stage(why.trigger, why.reason, period, e.now())
	} else {
		c.Key, err = k.Rotated(why.trigger, why.reason, period, e.now())
	}
	if err != nil {
		return c, err
	}
	if c.Version, err = e.newVersion(ctx, r, &k, c.Key.Latest); err != nil {
		return c, err
	}
	c.Event = lifecycle.Event{
		Act: "rotate", Versions: []int{c.Key.Latest}, From: lifecycle.NoState.String(), To: to.String(), Reason: why.reason,
		Details: map[string]string{"trigger": string(why.trigger), "fingerprint": c.Version.Fingerprint},
	}
	return e.commit(ctx, r, c, policy)
}
