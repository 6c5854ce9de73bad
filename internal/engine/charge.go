// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// leaseError ends a request: what cannot be counted does not leave protected.
type leaseError struct{ error }

func (l leaseError) Unwrap() error { return l.error }

// itemCharge is what an item is charged for.
type itemCharge struct {
	lifecycle.Usage
	requested int // the version that the caller named; 0: none
}

// charge counts what is about to leave protected. Where the version has reached its limit it sees to a successor, and
// returns the key and the version to use instead.
//
// One request of a key at a time sees to a successor, and it is the first to be charged for it: whoever learns of the new
// version finds the turn taken, and waits for it. So others cannot use up what it waited for.
func (e *Engine) charge(ctx context.Context, r Repo, k governedKey, version int, c itemCharge) (governedKey, int, error) {
	if k.rules.Limits.None() {
		return k, version, nil
	}
	var over lifecycle.Usage
	if !e.successions.busy(k.ID) {
		var err error
		if over, err = e.reserve(ctx, r, k, version, k.rules.Limits, c.Usage); err != nil || over == (lifecycle.Usage{}) {
			return k, version, err
		}
	}
	end, err := e.successions.take(ctx, k.ID)
	if err != nil {
		return k, version, leaseError{err}
	}
	defer end()
	return e.chargeInTurn(ctx, r, k, version, c, over)
}

// chargeInTurn goes on where the version had no room, over being what it would have come to; zero: it was not tried yet.
// It ends: where nobody else makes a version meanwhile, the successor is empty.
func (e *Engine) chargeInTurn(ctx context.Context, r Repo, k governedKey, version int, c itemCharge, over lifecycle.Usage) (governedKey, int, error) {
	for {
		if over == (lifecycle.Usage{}) {
			var err error
			if over, err = e.reserve(ctx, r, k, version, k.rules.Limits, c.Usage); err != nil || over == (lifecycle.Usage{}) {
				return k, version, err
			}
		}
		next, to, err := e.successor(ctx, r, k, version, c.requested, over)
		if err != nil {
			return k, version, err
		}
		if to == version {
			return next, version, e.reserveBeyond(ctx, r, next, version, c.Usage)
		}
		k, version, over = next, to, lifecycle.Usage{}
	}
}

// successor returns the key and the version to use in place of one that has reached its limit; the same where there is
// none yet.
func (e *Engine) successor(ctx context.Context, r Repo, k governedKey, version, requested int, over lifecycle.Usage) (governedKey, int, error) {
	next, err := e.replaceExhausted(ctx, r, k, version, over)
	if err != nil {
		return k, version, err
	}
	to, err := next.ToProtect(requested, next.rules)
	return next, to, err
}

// reserveBeyond charges a version that has reached its limit and has no successor, as far as the hard limit lets it.
func (e *Engine) reserveBeyond(ctx context.Context, r Repo, k governedKey, version int, use lifecycle.Usage) error {
	over, err := e.reserve(ctx, r, k, version, k.rules.Limits.Hard(), use)
	if err == nil && over != (lifecycle.Usage{}) {
		err = lifecycle.Refusedf("key_version %d of key %q reached its usage limit (max_encryptions %d, max_bytes %d; 0: none) and has no successor yet: rotate the key",
			version, k.Name, k.rules.Limits.Encryptions, k.rules.Limits.Bytes)
	}
	return err
}

// reserve charges the version. Where the limits leave no room, over is what it would have come to; zero: it is charged. What
// no version may protect is refused: no successor would help.
func (e *Engine) reserve(
	ctx context.Context, r Repo, k governedKey, version int, most lifecycle.Limits, use lifecycle.Usage,
) (over lifecycle.Usage, err error) {
	if most.None() { // they were lifted meanwhile
		return over, nil
	}
	if most := k.rules.Limits.Bytes; most > 0 && use.Bytes > most {
		return over, lifecycle.Invalidf("plaintext: %d bytes: one version may protect %d, by max_bytes of policy %q", use.Bytes, most, k.Policy)
	}
	err = e.meter(versionID{k.ID, version}).take(k.rules.Limits, use, func(need, want lifecycle.Usage) (lifecycle.Usage, error) {
		granted, before, err := r.Lease(ctx, k.Name, LeaseRequest{KeyID: k.ID, Version: version, Need: need, Want: want, Most: most})
		if err != nil {
			return granted, leaseError{err}
		}
		if granted == (lifecycle.Usage{}) {
			over = before.Plus(need)
		}
		return granted, nil
	})
	return over, err
}

// replaceExhausted sees to a successor of an active version that reached its limit, as a tick would, and returns the key as it is
// then. Nobody asked for it, so it is the system's act. If it fails the request goes on with the version there is, and a
// tick tries again.
func (e *Engine) replaceExhausted(ctx context.Context, r Repo, k governedKey, version int, over lifecycle.Usage) (governedKey, error) {
	fresh, err := e.governedKey(ctx, r, k.Name)
	switch {
	case err != nil:
		return fresh, err
	case fresh.ID != k.ID:
		return fresh, errStale
	case fresh.Primary != version:
		return fresh, nil
	}
	policy, err := e.policyOf(ctx, r, *fresh.Key)
	if err != nil {
		return fresh, err
	}
	noted := fresh.Exhausted(over, fresh.rules.Limits, e.now())
	if noted.Rotation == fresh.Rotation && !lifecycle.Plan(noted, policy, e.now()).ToRotate() {
		return fresh, nil // known, and for a tick or an operator
	}
	r = r.AsSystem()
	_, err = e.update(ctx, r, k.Name, func(k lifecycle.Key) (lifecycle.Commit, error) {
		if k.ID != fresh.ID || k.Primary != version {
			return lifecycle.Commit{Key: k}, nil
		}
		return e.commit(ctx, r, lifecycle.Commit{Key: k.Exhausted(over, fresh.rules.Limits, e.now())}, policy)
	})
	if err != nil {
		e.log.Error("usage limit reached, and it could not be noted", "key", k.Name, "version", version, "error", err)
		return fresh, nil
	}
	t := &tick{Engine: e, r: r, started: e.now(), request: true}
	if _, err := t.processKey(ctx, time.Time{}, k.Name); err != nil {
		_ = t.noteFailure(ctx, k.Name, err) // logged there; a tick comes to the key anyway
	}
	return e.governedKey(ctx, r, k.Name)
}

// plaintextSize is how many bytes a base64 text holds.
func plaintextSize(text string) int64 {
	padding := len(text) - len(strings.TrimRight(text, "="))
	return int64(len(text)/4*3 - min(padding, 2))
}
