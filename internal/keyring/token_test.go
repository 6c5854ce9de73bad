// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keyring_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	hsmtoken "github.com/keylife/vault-plugin-keylife/hsm/token"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// bubbleClock is the time of the bubble that a test runs in.
type bubbleClock struct{}

func (bubbleClock) Now() time.Time { return time.Now() }

func (bubbleClock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// bench is a mount with a token.
type bench struct {
	t      *testing.T
	device *faketoken.Device
	host   *tokens.Host
	ring   *keyring.Keyring
	stored *memory
	loads  []*faketoken.Library
}

// onBench runs a test on a mount with a token that has no key yet.
func onBench(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, device: faketoken.NewDevice(faketoken.Config{Label: "prod", Serial: "1", PIN: "pin"}), stored: &memory{t: t}}
		b.host = &tokens.Host{
			Registry:  hsmtoken.NewRegistry(bubbleClock{}, func() float64 { return 0 }),
			Libraries: map[string]tokens.Library{"fake": {Path: "/fake.so"}},
			Getenv:    func(string) string { return "" },
			Open: func(tokens.Library) (cryptoki.Library, error) {
				b.loads = append(b.loads, faketoken.NewLibrary(b.device))
				return b.loads[len(b.loads)-1], nil
			},
		}
		b.stored.hsm.Configured = true
		b.stored.hsm.Settings = tokens.Defaults()
		b.stored.hsm.Settings.Library, b.stored.hsm.Settings.Label, b.stored.hsm.Settings.PIN = "fake", "prod", "pin"
		b.ring = keyring.New(keyring.Config{Now: time.Now, Rand: rand.Reader, Tokens: b.host})
		test(t, b)
		require.NoError(t, b.ring.Close())
		for _, l := range b.loads {
			require.Empty(t, l.Misuse())
		}
	})
}

// make makes a key on the token, which takes the place of the active one.
func (b *bench) make(purpose string) keyring.TokenKEK {
	b.t.Helper()
	use := b.host.Use(b.stored.hsm.Settings, false)
	defer func() { require.NoError(b.t, use.Close()) }()
	drawn, err := hsm.DrawKEK(hsm.Spec{Label: "kek", Serial: "1", Suite: hsm.SuiteGCM}, start, rand.Reader)
	require.NoError(b.t, err)
	made, err := hsm.Create(b.t.Context(), use, drawn, rand.Reader)
	require.NoError(b.t, err)
	for i := range b.stored.hsm.KEKs {
		if k := &b.stored.hsm.KEKs[i]; k.Purpose == purpose {
			k.State = keyring.DecryptOnly
		}
	}
	kek := keyring.TokenKEK{KEK: made, Purpose: purpose, State: keyring.Active}
	b.stored.hsm.KEKs = append(b.stored.hsm.KEKs, kek)
	b.ring.Forget()
	return kek
}

func (b *bench) wrapper(purpose string) *keyring.Wrapper {
	b.t.Helper()
	w, _, err := b.ring.Wrapper(b.t.Context(), b.stored, purpose, true)
	require.NoError(b.t, err)
	many, ok := w.(*keyring.Wrapper)
	require.True(b.t, ok)
	return many
}

func (b *bench) wrap(purpose string) []byte {
	b.t.Helper()
	wrapped, err := b.wrapper(purpose).Wrap(b.t.Context(), []byte("dek"), nil)
	require.NoError(b.t, err)
	return wrapped
}

func (b *bench) unwrap(purpose string, wrapped []byte) error {
	dek, err := b.wrapper(purpose).Unwrap(context.Background(), wrapped, nil)
	if err == nil {
		require.Equal(b.t, []byte("dek"), dek)
	}
	return err
}

func TestEachPurposeWrapsWithItsActiveKeyAndOpensAllItHasHad(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		var wrapped [][]byte
		wrapped = append(wrapped, b.wrap(envelope.PurposeOnline))
		require.False(t, b.wrapper(envelope.PurposeOnline).Hardware())
		require.Equal(t, b.stored.keks.Use.ID, b.wrapper(envelope.PurposeOnline).Active())
		for range 2 {
			kek := b.make(envelope.PurposeOnline)
			require.True(t, b.wrapper(envelope.PurposeOnline).Hardware())
			require.Equal(t, kek.ID, b.wrapper(envelope.PurposeOnline).Active())
			wrapped = append(wrapped, b.wrap(envelope.PurposeOnline))
			id, err := b.wrapper(envelope.PurposeOnline).KEKIDOf(wrapped[len(wrapped)-1])
			require.NoError(t, err)
			require.Equal(t, kek.ID, id)
			require.True(t, b.wrapper(envelope.PurposeOnline).IsHardware(id))
			require.False(t, b.wrapper(envelope.PurposeOnline).IsHardware(b.stored.keks.Use.ID))
		}
		for _, w := range wrapped {
			require.NoError(t, b.unwrap(envelope.PurposeOnline, w))
		}
		require.False(t, b.wrapper(envelope.PurposeArchive).Hardware(), "the archive has keys of its own")
		b.make(envelope.PurposeArchive)
		for _, w := range wrapped {
			require.ErrorIs(t, b.unwrap(envelope.PurposeArchive, w), hsm.ErrKEKMissing)
		}
	})
}

func TestWhatIsWrappedByADestroyedKeyDoesNotOpen(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.make(envelope.PurposeOnline)
		wrapped := b.wrap(envelope.PurposeOnline)
		b.make(envelope.PurposeOnline)
		for state, want := range map[keyring.State]error{keyring.Retired: nil, keyring.Destroyed: hsm.ErrKEKMissing, keyring.Pending: hsm.ErrKEKMissing} {
			b.stored.hsm.KEKs[0].State = state
			b.ring.Forget()
			require.ErrorIs(t, b.unwrap(envelope.PurposeOnline, wrapped), want, state)
		}
	})
}

func TestADeadTokenStopsWhatItWrappedAndNothingElse(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		software := b.wrap(envelope.PurposeOnline)
		b.make(envelope.PurposeOnline)
		wrapped := b.wrap(envelope.PurposeOnline)
		b.device.Vanish()
		require.NoError(t, b.unwrap(envelope.PurposeOnline, software))
		require.ErrorIs(t, b.unwrap(envelope.PurposeOnline, wrapped), envelope.ErrUnavailable)
		_, err := b.wrapper(envelope.PurposeOnline).Wrap(t.Context(), []byte("dek"), nil)
		require.ErrorIs(t, err, envelope.ErrUnavailable, "software does not take its place")
		require.True(t, b.wrapper(envelope.PurposeOnline).Hardware())
		require.NoError(t, b.unwrap(envelope.PurposeOnline, software))
		require.ErrorIs(t, b.ring.Health().Err, envelope.ErrUnavailable)
		b.device.Return()
		time.Sleep(time.Minute) // of the bubble: the pause between recoveries
		require.NoError(t, b.unwrap(envelope.PurposeOnline, wrapped))
		require.Zero(t, b.ring.Health())
	})
}

func TestATokenThatCannotBeUsedAsConfiguredIsAway(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		software := b.wrap(envelope.PurposeOnline)
		b.make(envelope.PurposeOnline)
		wrapped := b.wrap(envelope.PurposeOnline)
		good := b.stored.hsm.Settings
		for name, change := range map[string]func(*tokens.Settings){
			"library": func(s *tokens.Settings) { s.Library = "gone" }, "label": func(s *tokens.Settings) { s.Label = "gone" },
			"PIN": func(s *tokens.Settings) { s.PIN = "wrong" }, "file of the PIN": func(s *tokens.Settings) { s.PIN, s.PINFile = "", "gone" },
		} {
			b.stored.hsm.Settings = good
			change(&b.stored.hsm.Settings)
			b.ring.Forget()
			require.ErrorIs(t, b.unwrap(envelope.PurposeOnline, wrapped), envelope.ErrUnavailable, name)
			require.NoError(t, b.unwrap(envelope.PurposeOnline, software), name)
		}
		b.stored.hsm.Settings = good
		b.ring.Forget()
		require.NoError(t, b.unwrap(envelope.PurposeOnline, wrapped))
	})
}

func TestTheConnectionOutlivesAChangeOfKeys(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.make(envelope.PurposeOnline)
		wrapped := b.wrap(envelope.PurposeOnline)
		before := len(b.loads)
		for range 3 {
			b.ring.Forget()
			require.NoError(t, b.unwrap(envelope.PurposeOnline, wrapped))
		}
		require.Len(t, b.loads, before)
	})
}

func TestATrialOfOtherSettingsEndsTheUseAndGivesItBack(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.make(envelope.PurposeOnline)
		wrapped := b.wrap(envelope.PurposeOnline)
		other := b.stored.hsm.Settings
		other.PIN = "another"
		use, end, err := b.ring.Try(other)
		require.NoError(t, err)
		require.ErrorIs(t, use.Check(t.Context()), hsm.ErrPINRejected)
		require.ErrorIs(t, b.unwrap(envelope.PurposeOnline, wrapped), envelope.ErrUnavailable)
		require.NoError(t, end())
		require.NoError(t, b.unwrap(envelope.PurposeOnline, wrapped))

		same, end, err := b.ring.Try(b.stored.hsm.Settings)
		require.NoError(t, err)
		require.NoError(t, same.Check(t.Context()))
		require.NoError(t, b.unwrap(envelope.PurposeOnline, wrapped), "settings that are in force are tried beside it")
		require.NoError(t, end())
	})
}

func TestADisabledTokenOpensAndDoesNotWrap(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.make(envelope.PurposeOnline)
		wrapped := b.wrap(envelope.PurposeOnline)
		b.stored.hsm.Settings.Enabled = false
		b.ring.Forget()
		require.NoError(t, b.unwrap(envelope.PurposeOnline, wrapped))
		require.False(t, b.wrapper(envelope.PurposeOnline).Hardware())
		require.Equal(t, b.stored.keks.Use.ID, b.wrapper(envelope.PurposeOnline).Active())
	})
}

// A request that meets a token which is known to be away is told at once, and the token is back for it two seconds after it is.
func TestNobodyWaitsForATokenThatIsKnownToBeAway(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.make(envelope.PurposeOnline)
		wrapped := b.wrap(envelope.PurposeOnline)
		require.False(t, b.ring.Suspect())
		b.device.Unplug()
		require.ErrorIs(t, b.unwrap(envelope.PurposeOnline, wrapped), envelope.ErrUnavailable)
		for range 100 {
			require.ErrorIs(t, b.ring.Away(), envelope.ErrUnavailable)
			begin := time.Now()
			require.ErrorIs(t, b.unwrap(envelope.PurposeOnline, wrapped), envelope.ErrUnavailable)
			_, err := b.wrapper(envelope.PurposeOnline).Wrap(t.Context(), []byte("dek"), nil)
			require.ErrorIs(t, err, envelope.ErrUnavailable)
			require.Zero(t, time.Since(begin))
			time.Sleep(36 * time.Second)
		}
		require.True(t, b.ring.Suspect())
		b.device.Return()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.NoError(t, b.ring.Away())
		require.False(t, b.ring.Suspect())
		require.NoError(t, b.unwrap(envelope.PurposeOnline, wrapped))
	})
}

func TestOneCallAtATimeFindsOutWhetherATokenThatHangsIsBack(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		b.make(envelope.PurposeOnline)
		wrapped := b.wrap(envelope.PurposeOnline)
		library := b.loads[len(b.loads)-1]
		hold := library.Hang(faketoken.Decrypt, 2)
		require.ErrorIs(t, b.unwrap(envelope.PurposeOnline, wrapped), envelope.ErrUnavailable)
		probe := make(chan error, 1)
		go func() { probe <- b.unwrap(envelope.PurposeOnline, wrapped) }()
		synctest.Wait()
		begin := time.Now()
		require.ErrorIs(t, b.ring.Away(), envelope.ErrUnavailable)
		require.ErrorIs(t, b.unwrap(envelope.PurposeOnline, wrapped), envelope.ErrUnavailable)
		require.Zero(t, time.Since(begin), "another call finds out")
		require.ErrorIs(t, <-probe, envelope.ErrUnavailable)
		require.NoError(t, b.ring.Away(), "nobody does")
		require.True(t, b.ring.Suspect())
		require.NoError(t, b.unwrap(envelope.PurposeOnline, wrapped))
		require.False(t, b.ring.Suspect())
		hold.Release()
		synctest.Wait()
	})
}

func TestAKeyThatIsMissingOrAnotherIsNamed(t *testing.T) {
	for want, change := range map[error]func(*bench){
		hsm.ErrKEKMissing: func(b *bench) { b.device.Wipe() },
		hsm.ErrKEKMismatch: func(b *bench) {
			b.stored.hsm.KEKs[0].CanarySum = make([]byte, 32)
			b.ring.Forget()
		},
	} {
		onBench(t, func(t *testing.T, b *bench) {
			kek := b.make(envelope.PurposeOnline)
			wrapped := b.wrap(envelope.PurposeOnline)
			change(b)
			err := b.unwrap(envelope.PurposeOnline, wrapped)
			require.ErrorIs(t, err, want)
			require.NotErrorIs(t, err, envelope.ErrUnavailable)
			require.ErrorContains(t, err, fmt.Sprintf("%x", kek.ID))
			require.ErrorContains(t, err, "hsm/keks")
		})
	}
}

func TestCallsOfTheTokenAreMeasuredAndThoseOfSoftwareAreNot(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		o := b.ring.Observe
		require.NoError(t, b.unwrap(envelope.PurposeOnline, b.wrap(envelope.PurposeOnline)))
		require.Zero(t, o.HSM.Wrap.OK.Load()+o.HSM.Unwrap.OK.Load())

		b.make(envelope.PurposeOnline)
		wrapped := b.wrap(envelope.PurposeOnline)
		require.NoError(t, b.unwrap(envelope.PurposeOnline, wrapped))
		require.Error(t, b.unwrap(envelope.PurposeOnline, append(wrapped[:len(wrapped)-1:len(wrapped)-1], wrapped[len(wrapped)-1]^1)))
		require.EqualValues(t, 1, o.HSM.Wrap.OK.Load())
		require.EqualValues(t, 2, o.HSM.Unwrap.OK.Load(), "a token that refuses works")
		up, inUse := b.ring.Up()
		require.True(t, up && inUse)

		b.device.Unplug()
		require.Error(t, b.unwrap(envelope.PurposeOnline, wrapped))
		require.EqualValues(t, 1, o.HSM.Unwrap.Error.Load())
		require.EqualValues(t, 3, o.HSM.Unwrap.Durations().Count)
		up, inUse = b.ring.Up()
		require.True(t, inUse && !up)
	})
}
