// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
)

func withPIN(pin string) func(*token.Config) {
	return func(c *token.Config) { c.PIN = []byte(pin) }
}

func rewritten(c *token.Config) { c.Rewritten = true }

func TestAWrongPINIsTriedOnceHoweverManyCallersThereAre(t *testing.T) {
	run(t, faketoken.Config{LockAfter: 3}, func(t *testing.T, b *bench) {
		tok := b.open(withPIN("wrong"))
		for range 3 {
			errs := together(8, func(int) error { return tok.Check(t.Context()) })
			requireAll(t, errs, hsm.ErrPINRejected)
			require.NotErrorIs(t, errs[0], hsm.ErrUnavailable, "no later try is better")
			require.NotContains(t, errs[0].Error(), "wrong")
			time.Sleep(time.Hour)
		}
		require.Equal(t, 1, b.library.Calls(faketoken.Login))
		require.Equal(t, 1, b.library.BadLogins())
		h := tok.Health()
		require.Equal(t, token.PINRejected, h.State)
		require.Equal(t, 3*time.Hour, time.Since(h.Since))
		require.Equal(t, "CKR_PIN_INCORRECT (0xA0)", h.LastError)
	})
}

func TestAPINThatWasChangedIsNoticedByTheNextLoginAndTriedOnce(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.probed(b.open())
		b.device.SetPIN("changed")
		require.NoError(t, kek.open(t.Context()), "a login goes on")
		b.device.Restart()
		requireAll(t, together(8, func(int) error { return kek.open(t.Context()) }), hsm.ErrPINRejected)
		require.Equal(t, 1, b.library.BadLogins())
		require.Zero(t, kek.token.Health().Reinits)
	})
}

func TestEveryAnswerThatRejectsThePINLatches(t *testing.T) {
	for _, rv := range []cryptoki.Error{
		cryptoki.ErrPINIncorrect, cryptoki.ErrPINInvalid, cryptoki.ErrPINLenRange, cryptoki.ErrPINExpired, cryptoki.ErrPINLocked,
		cryptoki.ErrUserPINNotInitialized,
	} {
		run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
			tok := b.open()
			b.library.Fail(faketoken.Login, rv, 1)
			for range 2 {
				err := tok.Check(t.Context())
				require.ErrorIs(t, err, hsm.ErrPINRejected)
				require.ErrorIs(t, err, rv)
			}
			require.Equal(t, 1, b.library.Calls(faketoken.Login))
		})
	}
}

func TestAPINThatIsLockedIsNotTried(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		b.device.LockPIN()
		require.ErrorIs(t, b.open().Check(t.Context()), hsm.ErrPINRejected)
		require.Zero(t, b.library.Calls(faketoken.Login))
	})
}

func TestTheLastTryIsUsedOnlyByWhoWroteTheConfiguration(t *testing.T) {
	run(t, faketoken.Config{LockAfter: 2}, func(t *testing.T, b *bench) {
		first := b.open(withPIN("wrong"))
		require.ErrorIs(t, first.Check(t.Context()), hsm.ErrPINRejected)
		first.Close()

		started := b.open()
		require.ErrorIs(t, started.Check(t.Context()), hsm.ErrPINRejected)
		require.Zero(t, b.library.Calls(faketoken.Login))
		started.Close()

		require.NoError(t, b.open(rewritten).Check(t.Context()))
	})
}

func TestANewConfigurationOpensTheLatch(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		old := b.open(withPIN("wrong"))
		require.ErrorIs(t, old.Check(t.Context()), hsm.ErrPINRejected)

		fresh := b.open()
		require.NoError(t, fresh.Check(t.Context()))
		require.Equal(t, token.Healthy, fresh.Health().State)
		require.ErrorIs(t, old.Check(t.Context()), hsm.ErrPINRejected)
		require.Equal(t, token.PINRejected, old.Health().State)
		require.Equal(t, 1, b.library.BadLogins())
	})
}

func TestTheSamePINIsTriedAgainOnlyWhereItWasWrittenAnew(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		b.device.SetPIN("for a while")
		old := b.open()
		require.ErrorIs(t, old.Check(t.Context()), hsm.ErrPINRejected)
		require.ErrorIs(t, b.open().Check(t.Context()), hsm.ErrPINRejected)
		require.Equal(t, 1, b.library.Calls(faketoken.Login))

		b.device.SetPIN(pin)
		require.NoError(t, b.open(rewritten).Check(t.Context()))
		require.NoError(t, old.Check(t.Context()), "it has the same PIN")
	})
}

func TestARejectionOutlivesTheProcess(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open(func(c *token.Config) { c.Rejected = true })
		require.ErrorIs(t, tok.Check(t.Context()), hsm.ErrPINRejected)
		require.Zero(t, b.library.Calls(faketoken.Login))
		require.Equal(t, token.PINRejected, tok.Health().State)
	})
}

func TestAnotherPINForATokenInUseIsRefused(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		require.NoError(t, b.open().Check(t.Context()))
		for _, other := range []string{"another", ""} {
			err := b.open(withPIN(other)).Check(t.Context())
			require.ErrorIs(t, err, hsm.ErrMisconfigured)
			require.NotContains(t, err.Error(), pin)
		}
		require.Equal(t, 1, b.library.Calls(faketoken.Login))
	})
}

func TestTwoMountsShareOneLibraryAndOneLogin(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		one := b.open()
		other := b.open(func(c *token.Config) { c.Label, c.Serial = "", "0001" })
		requireNone(t, together(8, func(i int) error { return []*token.Token{one, other}[i%2].Check(t.Context()) }))
		require.Equal(t, 1, b.loads)
		require.Equal(t, 1, b.library.Calls(faketoken.Login))

		one.Close()
		one.Close()
		require.NoError(t, other.Check(t.Context()))
		require.ErrorIs(t, one.Check(t.Context()), hsm.ErrUnavailable)
		other.Close()
		require.Zero(t, b.device.Sessions())
		require.Equal(t, 1, b.library.Calls(faketoken.Finalize))
	})
}

func TestALibraryThatWasClosedIsLoadedAgain(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		require.NoError(t, tok.Check(t.Context()))
		tok.Close()
		require.NoError(t, b.open().Check(t.Context()))
		require.Equal(t, 2, b.loads)
	})
}

func TestSixteenFirstCallersLogInOnce(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		requireNone(t, together(16, func(int) error { return tok.Check(t.Context()) }))
		require.Equal(t, 1, b.library.Calls(faketoken.Login))
	})
}

func TestALoginThatExistsAlreadyIsOne(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		other, err := b.library.Open(0)
		require.NoError(t, err)
		require.NoError(t, other.Login([]byte(pin)))
		require.NoError(t, b.open().Check(t.Context()))
	})
}

func TestAnErrorOfTheDeviceDuringLoginIsNoRejection(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		b.library.Fail(faketoken.Login, cryptoki.ErrDeviceError, 1)
		require.NoError(t, b.open().Check(t.Context()))
	})
}

func TestFunctionsNeitherLogInNorClose(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		for range 2 {
			require.NoError(t, tok.Run(t.Context(), func(s cryptoki.Session, _ uint64) error {
				require.ErrorIs(t, s.Login([]byte("wrong")), cryptoki.ErrUserAlreadyLoggedIn)
				return s.Close()
			}))
		}
		require.Zero(t, b.library.BadLogins())
		require.Zero(t, b.library.Calls(faketoken.CloseSession))
	})
}

func TestATokenThatRequiresAPINIsNotAskedWithoutOne(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		require.ErrorIs(t, b.open(withPIN("")).Check(t.Context()), hsm.ErrPINRejected)
		require.Zero(t, b.library.Calls(faketoken.Login))
	})
}

func TestATokenWithoutAPINIsUsedWithoutOne(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		b.library = faketoken.NewLibrary(faketoken.NewDevice(faketoken.Config{Label: "prod"}))
		require.NoError(t, b.open(withPIN("")).Check(t.Context()))
		require.Zero(t, b.library.Calls(faketoken.Login))
	})
}

func TestThePINIsCopied(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		secret := []byte(pin)
		tok := b.open(func(c *token.Config) { c.PIN = secret })
		clear(secret)
		require.NoError(t, tok.Check(t.Context()))
	})
}
