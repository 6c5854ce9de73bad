// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"strconv"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// runPostChecks runs the policy's checks on the active version, if it was promoted and has not passed them yet. The error is
// that the version failed and was rolled back. Checks that could not be completed are left to a tick: until then the
// due index lists the key.
func (e *Engine) runPostChecks(ctx context.Context, r Repo, k lifecycle.Key) (lifecycle.Key, error) {
	policy, err := e.policyOf(ctx, r, k)
	if err == nil && !k.NeedsPostChecks(policy) {
		return k, nil
	}
	var result checkResult
	r = r.AsSystem() // whoever promoted the version did not ask for its rollback
	proved, err := e.update(ctx, r, k.Name, func(k lifecycle.Key) (c lifecycle.Commit, err error) {
		policy, err := e.policyOf(ctx, r, k)
		if err != nil || !k.NeedsPostChecks(policy) {
			return lifecycle.Commit{Key: k}, err
		}
		c, result, err = e.commitPostChecks(ctx, r, k, policy)
		return c, err
	})
	if err != nil {
		e.log.Error("a promoted version could not be checked yet; a tick goes on", "key", k.Name, "error", errors.Join(result.cause, err))
		return k, nil
	}
	result.logOutcome(e, proved)
	return proved, result.err()
}

// checkResult is the outcome of checks that failed; the zero result is that of checks that passed.
type checkResult struct {
	cause error
	did   lifecycle.Step // the rollback; zero: there was no version to go back to
	bad   int
}

// commitPostChecks decides what the checks after a promotion mean for the key. That a key passed them is no act of its own: custody
// does not keep it.
func (e *Engine) commitPostChecks(ctx context.Context, r Repo, k lifecycle.Key, policy *lifecycle.Policy) (c lifecycle.Commit, v checkResult, err error) {
	failed := e.newCheckRun(r, k, policy, k.Primary).run(ctx, "post-check", postChecks, policy.PostChecks)
	if ctx.Err() != nil { // it says nothing about the version
		return lifecycle.Commit{Key: k}, v, ctx.Err()
	}
	if failed == nil {
		c, err = e.commit(ctx, r, lifecycle.Commit{Key: k.WithChecksPassed()}, policy)
		return c, v, err
	}
	v = checkResult{cause: failed, bad: k.Primary}
	order := lifecycle.Order{At: e.now(), Rules: k.RulesFor(policy)}
	c.Key, v.did = k.WithChecksFailed(shorten(failed.Error()), policy, order)
	if v.did.ID != "" {
		c.Event = eventOf(v.did, failed.Error())
		var name checkError
		if errors.As(failed, &name) {
			c.Event.Details["check"] = name.name
		}
		c.Event.Details["failed_version"] = strconv.Itoa(v.bad)
	}
	c, err = e.commit(ctx, r, c, policy)
	return c, v, err
}

// logOutcome is the alert.
func (v checkResult) logOutcome(e *Engine, k lifecycle.Key) {
	switch {
	case v.cause == nil:
	case v.did.ID == "":
		e.log.Error("a promoted version failed a check and there is none to go back to", "key", k.Name, "version", v.bad, "policy", k.Policy,
			"error", v.cause)
	default:
		e.log.Error("a promoted version failed a check and was rolled back", "key", k.Name, "version", v.bad, "active", k.Primary,
			"policy", k.Policy, "failures", k.Rotation.Failures, "retry", k.Rotation.RetryAt, "error", v.cause)
	}
}

// err is what an operator is told. It is a refusal and no fault: clients repeat what ended in a fault, and every
// repetition would make another version.
func (v checkResult) err() error {
	switch {
	case v.cause == nil:
		return nil
	case v.did.ID == "":
		return lifecycle.Refusedf("%v; there is no version to roll back to, version %d stays active", v.cause, v.bad)
	default:
		return lifecycle.Refusedf("%v; version %d was rolled back, version %d is active", v.cause, v.bad, v.did.Version)
	}
}
