// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// Purposes are those that keys wrap for.
var Purposes = []string{envelope.PurposeOnline, envelope.PurposeArchive}

// errNothing ends a change of keys that has nothing to change. No caller sees it.
var errNothing = errors.New("nothing to change")

// order is what is asked to be made.
type order struct {
	purposes []string
	suite    hsm.Suite // 0: that of the key before, or what the token is found to be able to
	act      acts.Name
	reason   string
}

// complete makes the keys that a token lacks which is to wrap.
func (s *Session) complete(ctx context.Context, use *tokens.Use, suite hsm.Suite, reason string) error {
	h, err := s.store.Tokens.HSM(ctx)
	if err != nil || !h.Configured || !h.Settings.Enabled || !h.Settings.AllowGenerate {
		return err
	}
	var missing []string
	for _, purpose := range Purposes {
		if _, ok := h.ActiveOf(purpose); !ok {
			missing = append(missing, purpose)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return s.make(ctx, use, order{missing, suite, acts.CreateKEK, reason})
}

// make makes keys on the token, and puts them in force at once.
func (s *Session) make(ctx context.Context, use *tokens.Use, o order) error {
	if err := s.tidy(ctx, use); err != nil {
		return err
	}
	drawn, err := s.draw(ctx, use, o)
	if err != nil {
		return err
	}
	err = s.store.Tokens.SetKEKs(ctx, func(h keyring.HSM) ([]keyring.TokenKEK, lifecycle.Event, error) {
		return slices.Concat(h.KEKs, drawn), lifecycle.Event{}, nil
	})
	if err != nil {
		return err
	}
	for i, k := range drawn {
		if drawn[i].KEK, err = hsm.Create(ctx, use, k.KEK, s.Rand); err != nil {
			err = fmt.Errorf("make key encryption key: %w", err)
			return errors.Join(err, s.tidy(context.WithoutCancel(ctx), use))
		}
	}
	return s.activate(ctx, drawn, o)
}

// draw describes the keys that are to be made.
func (s *Session) draw(ctx context.Context, use *tokens.Use, o order) (drawn []keyring.TokenKEK, err error) {
	instance, err := s.store.Instance(ctx)
	if err != nil {
		return nil, err
	}
	h, err := s.store.Tokens.HSM(ctx)
	if err != nil {
		return nil, err
	}
	info, err := use.Info(ctx)
	if err != nil {
		return nil, err
	}
	options := h.Settings.Options()
	for _, purpose := range o.purposes {
		before, ok := h.ActiveOf(purpose)
		switch {
		case o.suite == 0 && ok && options.Allow(before.Suite):
			o.suite = before.Suite
		case o.suite == 0:
			choice, err := hsm.Choose(ctx, use, options, s.Now(), s.Rand)
			if err != nil {
				return nil, err
			}
			o.suite = choice.Suite
		}
		spec := hsm.Spec{
			Label:  fmt.Sprintf("keylife-%.8s-%s-%d", instance, purpose, 1+len(h.KEKs)),
			Serial: info.Serial, Suite: o.suite, OAEPHash: options.OAEPHash,
		}
		k, err := hsm.DrawKEK(spec, s.Now(), s.Rand)
		if err != nil {
			return nil, err
		}
		drawn = append(drawn, keyring.TokenKEK{KEK: k, Purpose: purpose, State: keyring.Pending})
	}
	return drawn, nil
}

// activate puts keys in force that are on the token, in the place of those that were.
func (s *Session) activate(ctx context.Context, made []keyring.TokenKEK, o order) error {
	for _, k := range made {
		if err := s.store.Material.BeginRewrap(ctx, k.Purpose, k.ID); err != nil {
			return err
		}
	}
	err := s.store.Tokens.SetKEKs(ctx, func(h keyring.HSM) ([]keyring.TokenKEK, lifecycle.Event, error) {
		now, event := s.Now(), lifecycle.Event{Act: string(o.act), Reason: o.reason}
		keks := slices.Clone(h.KEKs)
		for _, k := range made {
			i := slices.IndexFunc(keks, func(old keyring.TokenKEK) bool { return old.ID == k.ID })
			switch {
			case i < 0 && k.Adopted:
				keks = append(keks, k)
				i = len(keks) - 1
			case i < 0 || keks[i].State != keyring.Pending:
				return nil, event, refusal.Refusedf("the key encryption keys were changed meanwhile")
			}
			for j := range keks {
				if old := &keks[j]; old.Purpose == k.Purpose && old.State == keyring.Active {
					old.State, old.Deactivated = keyring.DecryptOnly, now
					event = event.With("before_"+k.Purpose, fmt.Sprintf("%x", old.ID))
				}
			}
			k.State, k.Activated = keyring.Active, now
			keks[i] = k
			event = event.With("kek_"+k.Purpose, fmt.Sprintf("%x", k.ID)).With("suite", k.Suite.String()).With("token_serial", k.Serial)
		}
		return keks, event, nil
	})
	s.Ring.Forget()
	if err == nil {
		s.Log.Info("key encryption keys are in force", "act", string(o.act), "purposes", o.purposes, "reason", o.reason)
	}
	return err
}

// tidy takes off the token what was drawn and never put in force, and what is to be destroyed. What cannot be taken off now
// stays written down.
func (s *Session) tidy(ctx context.Context, use *tokens.Use) error {
	h, err := s.store.Tokens.HSM(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(h.KEKs, func(k keyring.TokenKEK) bool { return k.State == keyring.Pending }) {
		// From this Put on, one that put them in force and failed will not land any more.
		if h.KEKs, err = s.give(ctx); err != nil {
			return err
		}
	}
	for _, k := range h.KEKs {
		if k.State != keyring.Destroyed || k.Gone {
			continue
		}
		if err := s.takeOff(ctx, use, k); err != nil {
			return err
		}
	}
	return nil
}

// give gives up the keys that are pending.
func (s *Session) give(ctx context.Context) (after []keyring.TokenKEK, err error) {
	err = s.store.Tokens.SetKEKs(ctx, func(h keyring.HSM) ([]keyring.TokenKEK, lifecycle.Event, error) {
		after = slices.Clone(h.KEKs)
		for i := range after {
			if after[i].State == keyring.Pending {
				after[i].State, after[i].Destroyed = keyring.Destroyed, s.Now()
			}
		}
		return after, lifecycle.Event{}, nil
	})
	return after, err
}

// takeOff destroys a key on the token, unless somebody else made it, and notes that it is gone; of one that was never in force
// nothing stays.
func (s *Session) takeOff(ctx context.Context, use *tokens.Use, k keyring.TokenKEK) error {
	if !k.Adopted {
		if err := s.destroy(ctx, use, k.KEK); err != nil {
			return err
		}
	}
	err := s.store.Tokens.SetKEKs(ctx, func(h keyring.HSM) ([]keyring.TokenKEK, lifecycle.Event, error) {
		i := slices.IndexFunc(h.KEKs, func(old keyring.TokenKEK) bool { return old.ID == k.ID && old.State == keyring.Destroyed })
		switch keks := slices.Clone(h.KEKs); {
		case i < 0:
			return nil, lifecycle.Event{}, errNothing
		case k.Activated.IsZero():
			return slices.Delete(keks, i, i+1), lifecycle.Event{}, nil
		default:
			keks[i].Gone = true
			return keks, lifecycle.Event{}, nil
		}
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// destroy destroys a key on the token. A token that has vanished finds no key either: that one is missing counts once the token
// was seen to work.
func (s *Session) destroy(ctx context.Context, use *tokens.Use, k hsm.KEK) error {
	err := hsm.Destroy(ctx, use, k)
	if !errors.Is(err, hsm.ErrKEKMissing) {
		return err
	}
	if err := s.works(ctx, use); err != nil {
		return err
	}
	if err := hsm.Destroy(ctx, use, k); !errors.Is(err, hsm.ErrKEKMissing) {
		return err
	}
	return nil
}

// works sees that the token is there, with a key that the mount has on it, where it has one.
func (s *Session) works(ctx context.Context, use *tokens.Use) error {
	h, err := s.store.Tokens.HSM(ctx)
	if err != nil {
		return err
	}
	if _, err := use.Info(ctx); err != nil {
		return err
	}
	for _, k := range h.KEKs {
		if !k.Opens() {
			continue
		}
		w, err := hsm.NewWrapper(use, k.KEK, s.Rand)
		if err != nil {
			return err
		}
		return w.Check(ctx)
	}
	return nil
}
