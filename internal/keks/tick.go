// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keks

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// Tick sees how the token is, ends what was cut short, and rotates keys whose period is over. An error of the token is for the
// next tick to be over.
func (s *Session) Tick(ctx context.Context) error {
	if s.none.Load() {
		return nil
	}
	end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	h, err := s.store.Tokens.HSM(ctx)
	if err != nil {
		return err
	}
	if !h.Configured {
		s.none.Store(true)
		return nil
	}
	use, err := s.Ring.Token(h)
	if err != nil {
		return err
	}
	if err := use.Check(ctx); err != nil {
		s.Log.Warn("the HSM does not work", "state", string(use.Health().State), "error", err)
		if errors.Is(err, hsm.ErrPINRejected) && h.Settings.PINRejected.IsZero() {
			return s.noteRejected(ctx, h.Settings)
		}
		return nil
	}
	if err := s.settle(ctx, use, h); err != nil {
		s.Log.Warn("what is to be done with the HSM is left to the next tick", "error", err)
	}
	return nil
}

// noteRejected stores that the PIN was rejected, so that no other process tries it either.
func (s *Session) noteRejected(ctx context.Context, of tokens.Settings) error {
	return s.store.Tokens.SetHSM(ctx, lifecycle.Event{}, func(h keyring.HSM) (tokens.Settings, bool, error) {
		if h.Settings == of {
			h.Settings.PINRejected = s.Now()
		}
		return h.Settings, h.Configured, nil
	})
}

// settle ends what was cut short, and rotates what is due.
func (s *Session) settle(ctx context.Context, use *tokens.Use, h keyring.HSM) error {
	if err := s.tidy(ctx, use); err != nil {
		return err
	}
	if err := s.complete(ctx, use, 0, "the configuration was cut short"); err != nil {
		return err
	}
	if h.Settings.RotationPeriod == 0 || !h.Settings.Enabled || !h.Settings.AllowGenerate {
		return nil
	}
	var due []string
	for _, purpose := range Purposes {
		k, ok := h.ActiveOf(purpose)
		if ok && !s.Now().Before(k.Activated.Add(h.Settings.RotationPeriod)) {
			due = append(due, purpose)
		}
	}
	if len(due) == 0 {
		return nil
	}
	return s.make(ctx, use, order{due, 0, acts.RotateKEK, "kek_rotation_period is over"})
}
