// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keks_test

import (
	"context"
	"crypto/rand"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	hsmtoken "github.com/keylife/vault-plugin-keylife/hsm/token"
	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keks"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// bubbleClock is the time of the bubble that a test runs in.
type bubbleClock struct{}

func (bubbleClock) Now() time.Time { return time.Now() }

func (bubbleClock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// references is a count of what keys have wrapped, as a test wants it.
type references struct {
	residents, left int // keys on the token

	of      map[[16]byte]int
	partial bool
	begun   []string // purposes of which something is to be wrapped anew, with the active key then
}

func (r *references) BeginRewrap(_ context.Context, purpose string, kek [16]byte) error {
	if kek == [16]byte{} {
		purpose += " by another"
	}
	r.begun = append(r.begun, purpose)
	return nil
}

func (r *references) References(_ context.Context, kek [16]byte) (n int, complete bool, err error) {
	return r.of[kek], !r.partial, nil
}

// world is a mount with a token that is configured.
type world struct {
	*keks.Session
	device  *faketoken.Device
	counted *references
	tokens  store.Tokens
	ring    *keyring.Keyring
	handle  store.Handle
	disk    *storagetest.Storage
	asked   map[acts.Gate]int // whose consent was asked for
	consent error             // what people say
}

func run(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{device: faketoken.NewDevice(faketoken.Config{Label: "prod", Serial: "1", PIN: "pin"}), counted: &references{of: map[[16]byte]int{}}, asked: map[acts.Gate]int{}}
		host := &tokens.Host{
			Registry:  hsmtoken.NewRegistry(bubbleClock{}, func() float64 { return 0 }),
			Libraries: map[string]tokens.Library{"fake": {Path: "/fake.so"}},
			Open:      func(tokens.Library) (cryptoki.Library, error) { return faketoken.NewLibrary(w.device), nil },
		}
		w.disk = storagetest.New()
		handle := store.New(time.Now, hclog.NewNullLogger()).On(w.disk, store.Caller{Actor: custody.Actor{System: true}})
		w.tokens, w.handle = handle.Tokens(), handle
		w.ring = keyring.New(keyring.Config{Now: time.Now, Rand: rand.Reader, Tokens: host})
		manager := keks.New(keks.Config{MostWraps: 100, Now: time.Now, Rand: rand.Reader, Log: hclog.NewNullLogger(), Host: host, Ring: w.ring})
		w.Session = manager.Session(keks.Storage{Tokens: w.tokens, Material: w.counted, Instance: func(ctx context.Context) (string, error) {
			_, instance, err := w.ring.Wrapper(ctx, handle.KEKs(), envelope.PurposeOnline, true)
			return instance, err
		}, Consent: func(_ context.Context, gate acts.Gate, event lifecycle.Event) (lifecycle.Event, error) {
			w.asked[gate]++
			return event.With("approval", "ap-1"), w.consent
		}})
		w.configure(t, func(s *tokens.Settings) { s.Library, s.Label, s.PIN = "fake", "prod", "pin" })
		test(t, w)
		require.NoError(t, w.ring.Close())
	})
}

func (w *world) configure(t *testing.T, change func(*tokens.Settings)) {
	t.Helper()
	_, err := w.Configure(t.Context(), func(s tokens.Settings) (tokens.Settings, bool) {
		change(&s)
		return s, true
	}, "")
	require.NoError(t, err)
}

func (w *world) stored(t *testing.T) keyring.HSM {
	t.Helper()
	h, err := w.tokens.HSM(t.Context())
	require.NoError(t, err)
	return h
}

// rotated returns a key of material in use that another one has taken the place of.
func (w *world) rotated(t *testing.T) [16]byte {
	t.Helper()
	old, ok := w.stored(t).ActiveOf(envelope.PurposeOnline)
	require.True(t, ok)
	_, err := w.Rotate(t.Context(), keks.Rotation{Purpose: envelope.PurposeOnline})
	require.NoError(t, err)
	return old.ID
}

func TestAKeyIsDestroyedOnceNothingIsWrappedByItAndItsTimeHasCome(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		id := w.rotated(t)
		require.Equal(t, 3, w.device.Objects())
		w.counted.of[id] = 2
		_, err := w.Retire(t.Context(), id, "")
		require.ErrorIs(t, err, refusal.ErrRefused)
		require.ErrorContains(t, err, "2 stored entries")
		w.counted.of[id], w.counted.partial = 0, true
		_, err = w.Retire(t.Context(), id, "")
		require.ErrorContains(t, err, "not known yet")
		w.counted.partial = false
		_, err = w.Destroy(t.Context(), id, "")
		require.ErrorContains(t, err, "only a retired one")
		k, err := w.Retire(t.Context(), id, "")
		require.NoError(t, err)
		require.Equal(t, keyring.Retired, k.State)
		_, err = w.Retire(t.Context(), id, "")
		require.ErrorContains(t, err, "already")

		_, err = w.Destroy(t.Context(), id, "")
		require.ErrorContains(t, err, "kek_min_age")
		time.Sleep(24 * time.Hour) // of the bubble
		w.counted.of[id] = 1
		_, err = w.Destroy(t.Context(), id, "")
		require.ErrorContains(t, err, "1 stored entries")
		require.Equal(t, 3, w.device.Objects())
		w.counted.of[id] = 0
		k, err = w.Destroy(t.Context(), id, "")
		require.NoError(t, err)
		require.True(t, k.Gone)
		require.Equal(t, 2, w.device.Objects())
		k, err = w.KEK(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, keyring.Destroyed, k.State)
		require.True(t, k.Gone)
	})
}

func TestWhatARuleMayAskConsentForIsNotDoneWithout(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		require.Equal(t, map[acts.Gate]int{acts.GateConfig: 1}, w.asked)
		id := w.rotated(t)
		_, err := w.Retire(t.Context(), id, "")
		require.NoError(t, err)
		time.Sleep(24 * time.Hour) // of the bubble
		before := w.stored(t)
		w.consent = refusal.ErrConsent
		_, err = w.Destroy(t.Context(), id, "")
		require.ErrorIs(t, err, refusal.ErrConsent)
		_, err = w.Configure(t.Context(), func(s tokens.Settings) (tokens.Settings, bool) {
			s.Enabled = false
			return s, true
		}, "")
		require.ErrorIs(t, err, refusal.ErrConsent)
		require.Equal(t, before, w.stored(t))
		require.Equal(t, map[acts.Gate]int{acts.GateConfig: 2, acts.GateKEKDestroy: 1}, w.asked)
		_, err = w.Rotate(t.Context(), keks.Rotation{Purpose: envelope.PurposeOnline})
		require.NoError(t, err, "no rule can hold back a new key")
		w.consent = nil
		k, err := w.Destroy(t.Context(), id, "")
		require.NoError(t, err)
		require.Equal(t, keyring.Destroyed, k.State)
	})
}

func TestATokenThatIsAwayWhenAKeyIsDestroyedLosesItLater(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		id := w.rotated(t)
		_, err := w.Retire(t.Context(), id, "")
		require.NoError(t, err)
		time.Sleep(24 * time.Hour) // of the bubble
		w.device.Vanish()
		k, err := w.Destroy(t.Context(), id, "")
		require.NoError(t, err)
		require.False(t, k.Gone)
		require.NoError(t, w.Tick(t.Context()))
		require.Equal(t, 3, w.device.Objects())
		w.device.Return()
		time.Sleep(time.Minute)
		require.NoError(t, w.Tick(t.Context()))
		require.Equal(t, 2, w.device.Objects())
		k, err = w.KEK(t.Context(), id)
		require.NoError(t, err)
		require.True(t, k.Gone)
	})
}

func TestATokenIsGivenUpOnceNothingIsWrappedByItsKeys(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		_, err := w.Delete(t.Context(), "")
		require.ErrorIs(t, err, refusal.ErrRefused)
		require.ErrorContains(t, err, "enabled=false")
		w.configure(t, func(s *tokens.Settings) { s.Enabled = false })
		for _, k := range w.stored(t).KEKs {
			_, err := w.Retire(t.Context(), k.ID, "")
			require.NoError(t, err)
		}
		last := w.stored(t).KEKs[0].ID
		w.counted.of[last] = 1
		_, err = w.Delete(t.Context(), "")
		require.ErrorContains(t, err, "1 stored entries")
		w.counted.of[last] = 0
		left, err := w.Delete(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, 2, left)
		_, err = w.Read(t.Context())
		require.ErrorIs(t, err, refusal.ErrNotFound)
		_, err = w.Rotate(t.Context(), keks.Rotation{})
		require.ErrorIs(t, err, refusal.ErrNotFound)
		require.NoError(t, w.Tick(t.Context()))
		require.Equal(t, 2, w.device.Objects())
		require.Zero(t, w.device.Sessions())

		w.configure(t, func(s *tokens.Settings) { s.Library, s.Label, s.PIN = "fake", "prod", "pin" })
		require.Len(t, w.stored(t).KEKs, 4, "it begins with new keys")
		time.Sleep(24 * time.Hour) // of the bubble
		_, err = w.Destroy(t.Context(), last, "")
		require.NoError(t, err)
		require.Equal(t, 3, w.device.Objects())
	})
}

func TestOneActAtATime(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		done := make(chan error)
		for range 4 {
			go func() {
				_, err := w.Rotate(context.Background(), keks.Rotation{})
				done <- err
			}()
		}
		for range 4 {
			require.NoError(t, <-done)
		}
		h := w.stored(t)
		require.Len(t, h.KEKs, 10)
		active := 0
		for _, k := range h.KEKs {
			if k.State == keyring.Active {
				active++
			}
		}
		require.Equal(t, 2, active)
		require.Equal(t, 10, w.device.Objects())
	})
}

func TestSettingsThatTheTokenDoesNotPassAreNotPutInForce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		before := w.stored(t)
		for name, change := range map[string]func(*tokens.Settings){
			"another PIN": func(s *tokens.Settings) { s.PIN = "wrong" }, "another label": func(s *tokens.Settings) { s.Label = "other" },
			"another library": func(s *tokens.Settings) { s.Library = "other" },
		} {
			_, err := w.Configure(t.Context(), func(s tokens.Settings) (tokens.Settings, bool) {
				change(&s)
				return s, true
			}, "")
			require.Error(t, err, name)
			require.Equal(t, before, w.stored(t), name)
			use, err := w.ring.Token(before)
			require.NoError(t, err)
			require.NoError(t, use.Check(t.Context()), name)
		}
	})
}

func TestWhatIsStoredIsWrappedAnewWheneverAnotherKeyWraps(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		begun := func() []string {
			was := w.counted.begun
			w.counted.begun = nil
			return was
		}
		require.Equal(t, []string{"use", "archive"}, begun(), "the first keys")
		w.configure(t, func(s *tokens.Settings) { s.MaxSessions = 4 })
		require.Empty(t, begun())
		w.rotated(t)
		require.Equal(t, []string{"use"}, begun())
		w.configure(t, func(s *tokens.Settings) { s.Enabled = false })
		require.Equal(t, []string{"use by another", "archive by another"}, begun())
		w.configure(t, func(s *tokens.Settings) { s.Enabled = true })
		require.Equal(t, []string{"use", "archive"}, begun())
	})
}
