// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// itemCharge is what an item is charged for.
type itemCharge struct {
	policy.Usage
	requested int    // the version that the caller named; 0: none
	field     string // that has the bytes
}

// chargeFor is the charge for so many bytes of a field.
func chargeFor(field string, size int64, requested int) itemCharge {
	return itemCharge{policy.Usage{Encryptions: 1, Bytes: size}, requested, field}
}

// charge counts what is about to leave protected. Where the version has reached its limit it sees to a successor, and
// returns the key and the version to use instead.
//
// One request of a key at a time sees to a successor, and it is the first to be charged for it: whoever learns of the new
// version finds the turn taken, and waits for it. So others cannot use up what it waited for.
func (s *Session) charge(ctx context.Context, k Governed, version int, c itemCharge) (Governed, int, error) {
	if k.Rules.Limits.None() {
		return k, version, nil
	}
	var over policy.Usage
	if !s.plane.successions.busy(k.ID) {
		var err error
		if over, err = s.reserve(ctx, k, version, k.Rules.Limits, c); err != nil || over == (policy.Usage{}) {
			return k, version, err
		}
	}
	end, err := s.plane.successions.take(ctx, k.ID)
	if err != nil {
		return k, version, requestError{err}
	}
	defer end()
	return s.chargeInTurn(ctx, k, version, c, over)
}

// chargeInTurn goes on where the version had no room, over being what it would have come to; zero: it was not tried yet.
// It ends: where nobody else makes a version meanwhile, the successor is empty.
func (s *Session) chargeInTurn(ctx context.Context, k Governed, version int, c itemCharge, over policy.Usage) (Governed, int, error) {
	for {
		if over == (policy.Usage{}) {
			var err error
			if over, err = s.reserve(ctx, k, version, k.Rules.Limits, c); err != nil || over == (policy.Usage{}) {
				return k, version, err
			}
		}
		next, to, err := s.successor(ctx, k, version, c.requested, over)
		if err != nil {
			return k, version, err
		}
		if to == version {
			return next, version, s.reserveBeyond(ctx, next, version, c)
		}
		k, version, over = next, to, policy.Usage{}
	}
}

// successor returns the key and the version to use in place of one that has reached its limit; the same where there is
// none yet.
func (s *Session) successor(ctx context.Context, k Governed, version, requested int, over policy.Usage) (Governed, int, error) {
	next, err := s.replaceExhausted(ctx, k, version, over)
	if err != nil {
		return k, version, err
	}
	to, err := next.Permissions(next.Rules).ToProtect(requested)
	if err != nil {
		return next, to, limitError{err}
	}
	return next, to, nil
}

// reserveBeyond charges a version that has reached its limit and has no successor, as far as the hard limit lets it.
func (s *Session) reserveBeyond(ctx context.Context, k Governed, version int, c itemCharge) error {
	over, err := s.reserve(ctx, k, version, k.Rules.Limits.Hard(), c)
	if err == nil && over != (policy.Usage{}) {
		err = limitf(refusal.Refusedf, "key_version %d of key %q reached its usage limit (max_encryptions %d, max_bytes %d; 0: none) and has no successor yet: rotate the key",
			version, k.Name, k.Rules.Limits.Encryptions, k.Rules.Limits.Bytes)
	}
	return err
}

// reserve charges the version. Where the limits leave no room, over is what it would have come to; zero: it is charged. What
// no version may protect is refused: no successor would help.
func (s *Session) reserve(
	ctx context.Context, k Governed, version int, most policy.Limits, c itemCharge,
) (over policy.Usage, err error) {
	if most.None() { // they were lifted meanwhile
		return over, nil
	}
	if most := k.Rules.Limits.Bytes; most > 0 && c.Bytes > most {
		return over, limitf(refusal.Invalidf, "%s: %d bytes: one version may protect %d, by max_bytes of policy %q", c.field, c.Bytes, most, k.Policy)
	}
	err = s.plane.meter(versionID{k.ID, version}).take(ctx, k.Rules.Limits, c.Usage, func(need, want policy.Usage) (policy.Usage, error) {
		granted, before, err := s.Usage.Lease(ctx, k.Name, lifecycle.LeaseRequest{KeyID: k.ID, Version: version, Need: need, Want: want, Most: most})
		if err == nil && granted == (policy.Usage{}) {
			over = before.Plus(need)
		}
		return granted, err
	})
	if err != nil {
		return over, requestError{err} // what cannot be counted does not leave protected
	}
	return over, nil
}

// replaceExhausted sees to a successor of an active version that reached its limit, and returns the key as it is then.
// Nobody asked for it, so it is the system's act. If it fails the request goes on with the version there is, and a tick
// tries again.
func (s *Session) replaceExhausted(ctx context.Context, k Governed, version int, over policy.Usage) (Governed, error) {
	fresh, err := s.Governed(ctx, k.Name)
	switch {
	case err != nil:
		return fresh, err
	case fresh.ID != k.ID:
		return fresh, errStale
	case fresh.Primary != version:
		return fresh, nil
	}
	if err := s.Scheduler.ReplaceExhausted(ctx, *fresh.Key, over); err != nil {
		return fresh, err
	}
	return s.Governed(ctx, k.Name)
}

// plaintextSize is how many bytes a base64 text holds.
func plaintextSize(text string) int64 {
	padding := len(text) - len(strings.TrimRight(text, "="))
	return int64(len(text)/4*3 - min(padding, 2))
}
