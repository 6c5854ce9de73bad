// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
	if h, err = s.noteWraps(ctx, h); err != nil {
		return err
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
	if !h.Settings.Enabled {
		return nil
	}
	purposes, why := due(h, s.Now(), s.MostWraps)
	switch {
	case len(purposes) == 0:
		return nil
	case !h.Settings.AllowGenerate:
		s.Log.Warn("a key encryption key is due for rotation, and allow_generate_kek is false", "purposes", purposes, "why", why)
		return nil
	}
	return s.make(ctx, use, order{purposes, 0, acts.RotateKEK, why})
}

// due returns the purposes whose key is to be replaced, and why.
func due(h keyring.HSM, now time.Time, mostWraps uint64) (purposes []string, why string) {
	for _, purpose := range Purposes {
		k, ok := h.ActiveOf(purpose)
		switch period := h.Settings.RotationPeriod; {
		case !ok:
		case k.Wraps >= mostWraps:
			purposes, why = append(purposes, purpose), fmt.Sprintf("it has wrapped %d times", k.Wraps)
		case period > 0 && !now.Before(k.Activated.Add(period)):
			purposes, why = append(purposes, purpose), cmp.Or(why, "kek_rotation_period is over")
		}
	}
	return purposes, why
}

// noteWraps adds to the records of keys what they have wrapped since the last tick, in one Put, and returns what is stored then.
// Where the Put was reported to have failed, and did not, the next one counts twice: a key is rotated the earlier for it.
func (s *Session) noteWraps(ctx context.Context, h keyring.HSM) (keyring.HSM, error) {
	counts := s.Ring.Wraps()
	if len(counts) == 0 {
		return h, nil
	}
	err := s.store.Tokens.SetKEKs(ctx, func(now keyring.HSM) ([]keyring.TokenKEK, lifecycle.Event, error) {
		h = now
		h.KEKs = slices.Clone(now.KEKs)
		for i := range h.KEKs {
			h.KEKs[i].Wraps += counts[h.KEKs[i].ID]
		}
		return h.KEKs, lifecycle.Event{}, nil
	})
	if err == nil {
		s.Ring.WrapsStored(counts)
	}
	return h, err
}
