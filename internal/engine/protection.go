// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// protection finds, for one report, the versions that no HSM wraps. It asks no token for anything, and reads no material
// but where a rewrap is open: without one, the active key encryption key wraps all of it.
type protection struct {
	*Session
	of map[string]wrappedBy // by purpose; nil: not asked yet

	id    string // of the key that was looked at last
	found []int  // its versions that no HSM wraps
}

func (s *Session) protection() *protection { return &protection{Session: s} }

// wrappedBy is what is known of the keys that wrap the material of a purpose.
type wrappedBy struct {
	wrapper envelope.KEKWrapper // tells which one wraps what; nil: one wraps all of it
	active  bool                // the active one is kept by an HSM
}

// findings names the versions of the key that no HSM wraps, where the policy wants it.
func (p *protection) findings(ctx context.Context, k lifecycle.Key, rules *policy.Policy) ([]policy.Finding, error) {
	if rules == nil || rules.HSM != policy.Required {
		return nil, nil
	}
	found, err := p.unsafe(ctx, k)
	return lifecycle.WrappedByNoHSM(found), err
}

// unsafe returns the versions of the key that no HSM wraps, whatever its policy wants.
func (p *protection) unsafe(ctx context.Context, k lifecycle.Key) (found []int, err error) {
	if p.of == nil {
		if p.of, err = p.wrappers(ctx); err != nil {
			return nil, err
		}
	}
	if p.id != k.ID {
		if found, err = p.versions(ctx, k); err != nil {
			return nil, err
		}
		p.id, p.found = k.ID, found
	}
	return p.found, nil
}

// wrappers reads what is known of the wrappers. One that cannot be had is passed over: it wraps nothing, and its absence is
// told where material is needed.
func (p *protection) wrappers(ctx context.Context) (map[string]wrappedBy, error) {
	open, err := p.store.Rewraps.PendingRewraps(ctx)
	if err != nil {
		return nil, err
	}
	of := map[string]wrappedBy{}
	for purpose := range locations {
		one, _, err := p.data.Wrappers.Wrapper(ctx, purpose, false)
		switch {
		case ctx.Err() != nil:
			return nil, err
		case err != nil:
			continue
		}
		h, ok := one.(hardware)
		by := wrappedBy{active: ok && h.Hardware()}
		if slices.Contains(open, purpose) {
			by.wrapper, _ = one.(envelope.KEKWrapper)
		}
		of[purpose] = by
	}
	return of, nil
}

// versions returns those of the key that no HSM wraps, the oldest first.
func (p *protection) versions(ctx context.Context, k lifecycle.Key) (found []int, err error) {
	if k.Protection == lifecycle.Resident {
		return nil, nil
	}
	for n := 1; n <= k.Latest; n++ {
		purpose := envelope.PurposeOnline
		switch lifecycle.LocationOf(k, n) {
		case lifecycle.Erased:
			continue
		case lifecycle.InArchive:
			purpose = envelope.PurposeArchive
		}
		by, known := p.of[purpose]
		safe := by.active
		if known && by.wrapper != nil {
			if safe, err = p.isSafe(ctx, k, n); err != nil {
				return nil, err
			}
		}
		if known && !safe {
			found = append(found, n)
		}
	}
	return found, nil
}

// isSafe reads a version, wherever it is at the moment. Of one that cannot be read, or does not tell what wraps it, nobody
// can say that an HSM does.
func (p *protection) isSafe(ctx context.Context, k lifecycle.Key, n int) (bool, error) {
	for _, purpose := range []string{envelope.PurposeOnline, envelope.PurposeArchive} {
		v, err := p.store.Sealed.SealedVersion(ctx, locations[purpose], k.Name, n)
		switch {
		case ctx.Err() != nil:
			return false, err
		case errors.Is(err, refusal.ErrNotFound), err == nil && len(v.Sealed) == 0:
			continue
		case err != nil:
			return false, nil //nolint:nilerr // that is the finding
		}
		return p.of[purpose].wraps(v.Sealed), nil
	}
	return true, nil // there is nothing to wrap
}

// wraps reports whether an HSM wraps the sealed material.
func (by wrappedBy) wraps(sealed []byte) bool {
	if by.wrapper == nil {
		return by.active
	}
	id, err := envelope.KEKOf(by.wrapper, sealed)
	if err != nil {
		return false
	}
	if id == by.wrapper.Active() {
		return by.active
	}
	all, ok := by.wrapper.(kekHardware)
	return ok && all.IsHardware(id)
}

// kekHardware is what a wrapper has besides that tells of each of its key encryption keys whether an HSM keeps it.
type kekHardware interface{ IsHardware(kek [16]byte) bool }
