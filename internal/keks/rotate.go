// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keks

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// Rotation asks for new keys.
type Rotation struct {
	Purpose string        // empty: each
	Adopt   *hsm.Existing // a key that is on the token, for one purpose; nil: keys are made
	Reason  string
}

// Rotate puts new keys in force; those before only unwrap from then on.
func (s *Session) Rotate(ctx context.Context, r Rotation) (keyring.HSM, error) {
	end, err := s.begin(ctx)
	if err != nil {
		return keyring.HSM{}, err
	}
	defer end()
	h, err := s.Read(ctx)
	if err != nil {
		return h, err
	}
	if repeated, err := s.store.Tokens.Repeated(ctx); err != nil || repeated {
		return h, err
	}
	o := order{purposes: Purposes, act: acts.RotateKEK, reason: r.Reason}
	if r.Purpose != "" {
		o.purposes = []string{r.Purpose}
	}
	use, err := s.Ring.Token(h)
	switch {
	case err != nil:
		return h, err
	case !h.Settings.Enabled:
		return h, refusal.Refusedf("config/hsm: enabled is false: the HSM wraps nothing new")
	case r.Adopt != nil:
		err = s.adopt(ctx, use, h, *r.Adopt, o)
	case !h.Settings.AllowGenerate:
		return h, refusal.Refusedf("config/hsm: allow_generate_kek is false: name a key that is on the token, by label or id")
	default:
		err = s.make(ctx, use, o)
	}
	if err != nil {
		return h, outward(err)
	}
	return s.store.Tokens.HSM(ctx)
}

// adopt puts a key in force that somebody else made.
func (s *Session) adopt(ctx context.Context, use *tokens.Use, h keyring.HSM, e hsm.Existing, o order) error {
	if len(o.purposes) != 1 {
		return refusal.InvalidField("purpose", "", "a key is taken up for one purpose: use or archive")
	}
	if err := s.tidy(ctx, use); err != nil {
		return err
	}
	info, err := use.Info(ctx)
	if err != nil {
		return err
	}
	e.Serial = info.Serial
	k, _, err := hsm.Adopt(ctx, use, e, h.Settings.Options(), s.Now(), s.Rand)
	if err != nil {
		return err
	}
	for _, old := range h.KEKs {
		if old.State != keyring.Destroyed && old.Label == k.Label && bytes.Equal(old.CKAID, k.CKAID) {
			return refusal.Refusedf("the mount has this key already, as %x", old.ID)
		}
	}
	return s.activate(ctx, []keyring.TokenKEK{{KEK: k, Purpose: o.purposes[0], State: keyring.Pending, Adopted: true}}, o)
}

// unreferenced refuses an act on a key by which something is wrapped, or may be.
func (s *Session) unreferenced(ctx context.Context, k keyring.TokenKEK) error {
	n, complete, err := s.store.Material.References(ctx, k.ID)
	switch {
	case err != nil:
		return err
	case n > 0:
		return refusal.Refusedf("%d stored entries are wrapped by key %x: they are wrapped anew first", n, k.ID)
	case !complete:
		return refusal.Refusedf("it is not known yet that nothing is wrapped by key %x: not all of the storage was looked at", k.ID)
	}
	return nil
}

// Retire gives a key up by which nothing is wrapped any more. It still unwraps, should anything turn up.
func (s *Session) Retire(ctx context.Context, id [16]byte, reason string) (keyring.TokenKEK, error) {
	return s.end(ctx, id, acts.RetireKEK, reason, func(h keyring.HSM, k *keyring.TokenKEK) error {
		active, _ := h.ActiveOf(k.Purpose)
		switch {
		case k.State == keyring.Retired:
			return refusal.Refusedf("key %x is retired already", id)
		case active.ID == k.ID:
			return refusal.Refusedf("key %x is active: rotate it first, or set enabled=false in config/hsm", id)
		case k.State != keyring.DecryptOnly && k.State != keyring.Active:
			return refusal.Refusedf("key %x is %s", id, k.State)
		}
		k.State, k.Retired = keyring.Retired, s.Now()
		return nil
	})
}

// Destroy destroys a retired key on the token. One that somebody else made is given up, and stays there.
func (s *Session) Destroy(ctx context.Context, id [16]byte, reason string) (keyring.TokenKEK, error) {
	return s.end(ctx, id, acts.DestroyKEK, reason, func(h keyring.HSM, k *keyring.TokenKEK) error {
		due := k.Retired.Add(h.Settings.MinAge)
		switch {
		case k.State != keyring.Retired:
			return refusal.Refusedf("key %x is %s: only a retired one is destroyed", id, k.State)
		case s.Now().Before(due):
			return refusal.Refusedf("key %x is not destroyed before %s (kek_min_age)", id, due.UTC().Format("2006-01-02T15:04:05Z"))
		}
		k.State, k.Destroyed = keyring.Destroyed, s.Now()
		return nil
	})
}

// end does an act that ends a key, after it was seen that nothing is wrapped by it.
func (s *Session) end(
	ctx context.Context, id [16]byte, act acts.Name, reason string, decide func(h keyring.HSM, k *keyring.TokenKEK) error,
) (keyring.TokenKEK, error) {
	end, err := s.begin(ctx)
	if err != nil {
		return keyring.TokenKEK{}, err
	}
	defer end()
	h, err := s.Read(ctx)
	if err != nil {
		return keyring.TokenKEK{}, err
	}
	k, err := find(h, id)
	if err != nil {
		return keyring.TokenKEK{}, err
	}
	if repeated, err := s.store.Tokens.Repeated(ctx); err != nil || repeated {
		return *k, err
	}
	if err := decide(h, k); err != nil {
		return *k, err
	}
	if err := s.unreferenced(ctx, *k); err != nil {
		return *k, err
	}
	event, err := s.consented(ctx, act, lifecycle.Event{Reason: reason, Details: map[string]string{"kek": fmt.Sprintf("%x", id)}})
	if err != nil {
		return *k, err
	}
	err = s.store.Tokens.SetKEKs(ctx, func(h keyring.HSM) ([]keyring.TokenKEK, lifecycle.Event, error) {
		h.KEKs = slices.Clone(h.KEKs)
		now, err := find(h, id)
		if err == nil {
			err = decide(h, now)
		}
		if err != nil {
			return nil, event, err
		}
		*k = *now
		return h.KEKs, event, nil
	})
	s.Ring.Forget()
	if err != nil {
		return *k, err
	}
	s.Log.Info("ended key encryption key", "act", string(act), "kek", fmt.Sprintf("%x", id), "reason", reason)
	return s.afterwards(ctx, *k), nil
}

// afterwards takes a destroyed key off the token now, if it can: otherwise the tick does.
func (s *Session) afterwards(ctx context.Context, k keyring.TokenKEK) keyring.TokenKEK {
	h, err := s.store.Tokens.HSM(ctx)
	if err != nil || k.State != keyring.Destroyed {
		return k
	}
	use, err := s.Ring.Token(h)
	if err == nil && use != nil {
		err = s.takeOff(ctx, use, k)
	}
	if err != nil {
		s.Log.Warn("a destroyed key encryption key is not off the token yet", "kek", fmt.Sprintf("%x", k.ID), "error", err)
		return k
	}
	k.Gone = true
	return k
}
