// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// CheckPromoted runs the policy's checks on the active version, if it was promoted and has not passed them yet. The error
// is that the version failed and was rolled back. Checks that could not be completed are left to a tick: until then the
// due index lists the key. It is the system's act: whoever promoted the version did not ask for its rollback.
func (a Acts) CheckPromoted(ctx context.Context, k lifecycle.Key) (lifecycle.Key, error) {
	policy, err := a.data.PolicyOf(ctx, &k)
	if err == nil && !k.PostChecks(policy).Pending() {
		return k, nil
	}
	var result CheckResult
	proved, err := a.UpdatePrepared(ctx, k.Name, func(p *Prepared, k lifecycle.Key, at time.Time) (c lifecycle.Commit, err error) {
		policy, err := a.data.PolicyOf(ctx, &k)
		if err != nil || !k.PostChecks(policy).Pending() {
			return lifecycle.Commit{Key: k}, err
		}
		c, result, err = p.PostCheck(ctx, k, policy, at)
		return c, err
	})
	if err != nil {
		a.Log.Error("a promoted version could not be checked yet; a tick goes on", "key", k.Name, "error", errors.Join(result.Cause, err))
		return k, nil
	}
	result.Report(a.Log, proved)
	return proved, result.err()
}

// CheckResult is the outcome of checks that failed; the zero result is that of checks that passed.
type CheckResult struct {
	Cause error
	did   lifecycle.Step // the rollback; zero: there was no version to go back to
	bad   int
}

// PostCheck decides what the checks after a promotion mean for the key. That a key passed them is no act of its own: custody
// does not keep it.
func (p *Prepared) PostCheck(
	ctx context.Context, k lifecycle.Key, policy *policy.Policy, at time.Time,
) (c lifecycle.Commit, v CheckResult, err error) {
	failed := p.found(postCheck, Promotion{Key: k, Policy: policy, Version: k.Primary}, at)
	if isUnprepared(failed) || errors.Is(failed, envelope.ErrUnavailable) { // a wrapper that is away says nothing about the version
		return lifecycle.Commit{Key: k}, v, failed
	}
	if failed == nil {
		c, err = p.Complete(ctx, lifecycle.Commit{Key: k.PostChecks(policy).Passed()}, policy, at)
		return c, v, err
	}
	v = CheckResult{Cause: failed, bad: k.Primary}
	order := lifecycle.Order{At: at, Rules: k.RulesFor(policy)}
	c.Key, v.did = k.PostChecks(policy).Failed(Shorten(failed.Error()), order)
	if v.did.ID != "" {
		c.Event = EventOf(v.did, failed.Error())
		var name checkError
		if errors.As(failed, &name) {
			c.Event.Details["check"] = name.name
		}
		c.Event.Details["failed_version"] = strconv.Itoa(v.bad)
	}
	c, err = p.Complete(ctx, c, policy, at)
	return c, v, err
}

// Report tells the operators: it is the alert.
func (v CheckResult) Report(log hclog.Logger, k lifecycle.Key) {
	switch {
	case v.Cause == nil:
	case v.did.ID == "":
		log.Error("a promoted version failed a check and there is none to go back to", "key", k.Name, "version", v.bad, "policy", k.Policy,
			"error", v.Cause)
	default:
		log.Error("a promoted version failed a check and was rolled back", "key", k.Name, "version", v.bad, "active", k.Primary,
			"policy", k.Policy, "failures", k.Rotation.Failures, "retry", k.Rotation.RetryAt, "error", v.Cause)
	}
}

// err is what an operator is told. It is a refusal and no fault: clients repeat what ended in a fault, and every
// repetition would make another version.
func (v CheckResult) err() error {
	switch {
	case v.Cause == nil:
		return nil
	case v.did.ID == "":
		return refusal.Refusedf("%v; there is no version to roll back to, version %d stays active", v.Cause, v.bad)
	default:
		return refusal.Refusedf("%v; version %d was rolled back, version %d is active", v.Cause, v.bad, v.did.Version)
	}
}

// Shorten bounds what a record is made to hold.
func Shorten(text string) string {
	const longest = 256
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "")
}
