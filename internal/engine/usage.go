// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// metersKept bounds the meters in memory. One that goes loses its lease: too many are counted then, never too few.
const metersKept = 65536

// meter counts what one version protects against a lease that storage knows of already. A crash loses what is left of
// the lease, so that what storage says is never less than what was protected.
type meter struct {
	mu     sync.Mutex
	limits lifecycle.Limits // under which it was leased
	left   lifecycle.Usage
}

// take uses up part of the lease, taking another one where it does not suffice; a lease of nothing means that the limits
// leave no room. Whoever else protects with the version waits meanwhile: they would need that lease too. Of each, only
// what is short is leased, so that no more than a block is ever left. A lease under other limits is dropped: it may go
// beyond those in force.
func (m *meter) take(
	limits lifecycle.Limits, use lifecycle.Usage, lease func(need, want lifecycle.Usage) (lifecycle.Usage, error),
) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.limits != limits {
		m.limits, m.left = limits, lifecycle.Usage{}
	}
	if need := use.Beyond(m.left); need != (lifecycle.Usage{}) {
		granted, err := lease(need, limits.Block().Beyond(m.left))
		if err != nil || granted == (lifecycle.Usage{}) {
			return err
		}
		m.left = m.left.Plus(granted)
	}
	m.left = m.left.Beyond(use)
	return nil
}

// unused returns what is left of the lease under these limits; under others nothing is.
func (m *meter) unused(limits lifecycle.Limits) lifecycle.Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.limits != limits {
		return lifecycle.Usage{}
	}
	return m.left
}

func newMeter() (*meter, error) { return new(meter), nil }

func (e *Engine) meter(id versionID) *meter {
	m, _ := e.meters.get(id, newMeter) // newMeter has no error
	return m
}

// leaseError ends a request: what cannot be counted does not leave protected.
type leaseError struct{ error }

func (l leaseError) Unwrap() error { return l.error }

// spend counts what is about to leave protected. Where the version has reached its limit it sees to a successor, and
// returns the key and the version to use instead. Requested is the version that the caller named; 0: none.
func (e *Engine) spend(ctx context.Context, r Repo, k subject, version, requested int, use lifecycle.Usage) (subject, int, error) {
	if most := k.terms.Limits.Bytes; most > 0 && use.Bytes > most { // no successor would help
		return k, version, lifecycle.Invalidf("plaintext: %d bytes: one version may protect %d, by max_bytes of policy %q", use.Bytes, most, k.Policy)
	}
	for range 3 { // others may use the successor up before it is reached
		over, err := e.take(ctx, r, k, version, k.terms.Limits, use)
		if err != nil || over == (lifecycle.Usage{}) {
			return k, version, err
		}
		next, err := e.succeed(ctx, r, k, version, over)
		if err != nil {
			return k, version, err
		}
		was := version
		if version, err = next.ToProtect(requested, next.terms); err != nil {
			return k, was, err
		}
		if k = next; version == was {
			break
		}
	}
	over, err := e.take(ctx, r, k, version, k.terms.Limits.Hard(), use)
	if err == nil && over != (lifecycle.Usage{}) {
		err = lifecycle.Refusedf("key_version %d of key %q reached its usage limit (max_encryptions %d, max_bytes %d; 0: none) and has no successor yet: rotate the key",
			version, k.Name, k.terms.Limits.Encryptions, k.terms.Limits.Bytes)
	}
	return k, version, err
}

// take charges the version. Where the limits leave no room, over is what it would have come to; zero: it is charged.
func (e *Engine) take(
	ctx context.Context, r Repo, k subject, version int, most lifecycle.Limits, use lifecycle.Usage,
) (over lifecycle.Usage, err error) {
	if most.None() {
		return over, nil
	}
	err = e.meter(versionID{k.ID, version}).take(k.terms.Limits, use, func(need, want lifecycle.Usage) (lifecycle.Usage, error) {
		granted, before, err := r.Lease(ctx, k.Name, Ask{KeyID: k.ID, Version: version, Need: need, Want: want, Most: most})
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

// succeed sees to a successor of an active version that reached its limit, as a tick would, and returns the key as it is
// then. Nobody asked for it, so it is the system's act. If it fails the request goes on with the version there is, and a
// tick tries again.
func (e *Engine) succeed(ctx context.Context, r Repo, k subject, version int, over lifecycle.Usage) (subject, error) {
	fresh, err := e.subject(ctx, r, k.Name)
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
	noted := fresh.Exhausted(over, fresh.terms.Limits, e.now())
	if noted.Rotation == fresh.Rotation && !lifecycle.Plan(noted, policy, e.now()).ToRotate() {
		return fresh, nil // known, and for a tick or an operator
	}
	r = r.AsSystem()
	_, err = e.update(ctx, r, k.Name, func(k lifecycle.Key) (lifecycle.Commit, error) {
		if k.ID != fresh.ID || k.Primary != version {
			return lifecycle.Commit{Key: k}, nil
		}
		return e.commit(ctx, r, lifecycle.Commit{Key: k.Exhausted(over, fresh.terms.Limits, e.now())}, policy)
	})
	if err != nil {
		e.log.Error("usage limit reached, and it could not be noted", "key", k.Name, "version", version, "error", err)
		return fresh, nil
	}
	t := &tick{Engine: e, r: r, started: e.now(), request: true}
	if _, err := t.attend(ctx, time.Time{}, k.Name); err != nil {
		_ = t.noteFailure(ctx, k.Name, err) // logged there; a tick comes to the key anyway
	}
	return e.subject(ctx, r, k.Name)
}

// Used is what a version protected, and the most that it may.
type Used struct {
	lifecycle.Usage
	Limits  lifecycle.Limits
	OnLimit lifecycle.OnLimit
}

// Usage returns what a version protected; 0: the active one. Nothing is counted of a key that has no limits.
func (e *Engine) Usage(ctx context.Context, r Repo, name string, version int) (Used, error) {
	k, err := e.subject(ctx, r, name)
	if err != nil {
		return Used{}, err
	}
	if version == 0 {
		version = k.Primary
	}
	used := Used{Limits: k.terms.Limits, OnLimit: k.terms.OnLimit}
	leased, err := r.Leased(ctx, name, k.ID, version)
	used.Usage = e.counted(versionID{k.ID, version}, leased, used.Limits)
	return used, err
}

// counted is what counts against the limits, of what was leased in all.
func (e *Engine) counted(id versionID, leased lifecycle.Usage, limits lifecycle.Limits) lifecycle.Usage {
	if m, ok := e.meters.peek(id); ok {
		return leased.Beyond(m.unused(limits))
	}
	return leased
}

// leasedUnder returns what was leased of the active version. Where none of the policies limits it, nothing is read.
func leasedUnder(ctx context.Context, r Repo, k lifecycle.Key, policies ...*lifecycle.Policy) (lifecycle.Usage, error) {
	limits := func(p *lifecycle.Policy) bool { return !k.TermsOf(p).Limits.None() }
	if k.Primary == 0 || !slices.ContainsFunc(policies, limits) {
		return lifecycle.Usage{}, nil
	}
	return r.Leased(ctx, k.Name, k.ID, k.Primary)
}

// worn returns the key with the note that its next encryption will make, where the policy leaves no room for one.
func (e *Engine) worn(k lifecycle.Key, p *lifecycle.Policy, leased lifecycle.Usage, now time.Time) lifecycle.Key {
	limits := k.TermsOf(p).Limits
	least := lifecycle.Usage{Encryptions: 1, Bytes: 1}
	return k.Exhausted(e.counted(versionID{k.ID, k.Primary}, leased, limits).Plus(least), limits, now)
}

// plaintextSize is how many bytes a base64 text holds.
func plaintextSize(text string) int64 {
	padding := len(text) - len(strings.TrimRight(text, "="))
	return int64(len(text)/4*3 - min(padding, 2))
}
