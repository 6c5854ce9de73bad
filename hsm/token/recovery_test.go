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

func TestOpeningATokenTouchesNothing(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		require.Equal(t, token.Unknown, tok.Health().State)
		require.Zero(t, b.loads)
		require.NoError(t, tok.Check(t.Context()))
		require.Equal(t, 1, b.loads)
		require.Equal(t, token.Healthy, tok.Health().State)
	})
}

func TestEightCallersAreServedThroughThreeRestartsWithFourLogins(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		kek := b.probed(tok)
		for round := range 4 {
			if round > 0 {
				b.device.Restart()
			}
			requireNone(t, together(8, func(int) error { return kek.open(t.Context()) }))
		}
		require.Equal(t, 4, b.library.Calls(faketoken.Login))
		h := tok.Health()
		require.Equal(t, token.Healthy, h.State)
		require.Equal(t, 3, h.Relogins)
		require.Zero(t, h.Reinits)
	})
}

func TestTwentyNineRestartsCostOneLoginEach(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.kek(b.open()) // without a probe
		for range 29 {
			b.device.Restart()
			require.NoError(t, kek.open(t.Context()))
		}
		require.Equal(t, 30, b.library.Calls(faketoken.Login))
		require.Zero(t, kek.token.Health().Reinits)
	})
}

func TestARestartInTheMiddleOfACallIsRecoveredFrom(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.kek(b.open())
		b.library.Before(faketoken.Decrypt, 1, b.device.Restart)
		require.NoError(t, kek.open(t.Context()))
	})
}

func TestATokenThatVanishedIsBackSoonAfterItReturns(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		kek := b.probed(tok)
		b.device.Vanish()
		start := time.Now()
		time.AfterFunc(1500*time.Millisecond, b.device.Return)
		require.ErrorIs(t, kek.open(t.Context()), hsm.ErrUnavailable)
		require.Equal(t, 150*time.Millisecond, time.Since(start), "a short absence is waited for")
		require.Equal(t, token.Unavailable, tok.Health().State)
		for kek.open(t.Context()) != nil {
			time.Sleep(10 * time.Millisecond)
		}
		require.Less(t, time.Since(start), 1600*time.Millisecond)
		// At 0, 50, 150, 350, 750 and 1550 ms.
		require.Equal(t, 6, tok.Health().Reinits)
		require.Equal(t, token.Healthy, tok.Health().State)
	})
}

func TestPausesBetweenRecoveriesGrowToTheLongest(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open(func(c *token.Config) { c.MaxBackoff = 4 * time.Second })
		kek := b.probed(tok)
		b.device.Vanish()
		for range 600 {
			require.Error(t, kek.open(t.Context()))
			time.Sleep(100 * time.Millisecond)
		}
		reinits := tok.Health().Reinits
		require.InDelta(t, 7+60/4, reinits, 3)
		b.device.Return()
		time.Sleep(4 * time.Second)
		require.NoError(t, kek.open(t.Context()))
		require.Equal(t, reinits+1, tok.Health().Reinits)
	})
}

func TestATokenThatWasUnpluggedIsBackWithoutInitialize(t *testing.T) {
	for _, rv := range []cryptoki.Error{cryptoki.ErrDeviceRemoved, cryptoki.ErrTokenNotPresent, cryptoki.ErrTokenNotRecognized} {
		run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
			kek := b.probed(b.open())
			b.library.Fail(faketoken.Decrypt, rv, 1)
			require.NoError(t, kek.open(t.Context()))
			require.Equal(t, 1, kek.token.Health().Relogins)
			require.Zero(t, kek.token.Health().Reinits)
		})
	}
}

func TestATokenThatIsUnpluggedIsUnavailableUntilItIsBack(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.probed(b.open())
		b.device.Unplug()
		require.ErrorIs(t, kek.open(t.Context()), hsm.ErrUnavailable)
		b.device.Return()
		time.Sleep(time.Second)
		require.NoError(t, kek.open(t.Context()))
	})
}

func TestALoginThatOtherCodeEndedIsMadeAgain(t *testing.T) {
	for _, rv := range []cryptoki.Error{cryptoki.ErrObjectHandleInvalid, cryptoki.ErrUserNotLoggedIn, cryptoki.ErrKeyHandleInvalid} {
		run(t, faketoken.Config{NoLogin: rv}, func(t *testing.T, b *bench) {
			kek := b.kek(b.open())
			b.library.Logout(0)
			requireNone(t, together(8, func(int) error { return kek.open(t.Context()) }))
			require.Equal(t, 2, b.library.Calls(faketoken.Login))
			require.Zero(t, kek.token.Health().Reinits)
		})
	}
}

func TestWhatIsNotFoundWithoutALoginIsLookedForAgain(t *testing.T) {
	for _, lose := range []func(b *bench){
		func(b *bench) { b.library.Logout(0) },
		func(b *bench) { b.device.Restart() },
	} {
		run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
			tok := b.open()
			b.kek(tok)
			b.library.Before(faketoken.FindObjects, 1, func() { lose(b) })
			var found []cryptoki.Object
			require.NoError(t, tok.Run(t.Context(), func(s cryptoki.Session, _ uint64) (err error) {
				found, err = s.Find(cryptoki.Template{{Type: cryptoki.AttrLabel, Value: "kek"}})
				return err
			}))
			require.Len(t, found, 1)
			require.Equal(t, 2, b.library.Calls(faketoken.Login))
		})
	}
}

func TestFiveErrorsOfTheDeviceCostOneInitialize(t *testing.T) {
	for _, rv := range []cryptoki.Error{cryptoki.ErrDeviceError, cryptoki.ErrDeviceMemory} {
		run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
			tok := b.open()
			kek := b.probed(tok)
			b.library.Fail(faketoken.Decrypt, rv, 5)
			start := time.Now()
			require.NoError(t, kek.open(t.Context()))
			require.Equal(t, 1, tok.Health().Reinits)
			require.Equal(t, 150*time.Millisecond, time.Since(start))
			require.Equal(t, token.Healthy, tok.Health().State)
		})
	}
}

func TestAFewErrorsOfTheDeviceCostNoRecovery(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.kek(b.open())
		b.library.Fail(faketoken.Decrypt, cryptoki.ErrDeviceError, 3)
		require.NoError(t, kek.open(t.Context()))
		require.Equal(t, 1, b.library.Calls(faketoken.Login))
	})
}

func TestErrorsThatEachRungLeavesClimbToTheNextWithoutAProbe(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		kek := b.kek(tok)
		b.library.Fail(faketoken.Decrypt, cryptoki.ErrSessionHandleInvalid, 3)
		require.NoError(t, kek.open(t.Context()))
		h := tok.Health()
		require.Equal(t, 2, h.Reinits, "a new login, C_Initialize, a pause, C_Initialize")
		require.Equal(t, 3, h.Relogins)
		require.Equal(t, token.Healthy, h.State)
	})
}

func TestTheLevelOfARecoveryIsKeptAcrossCalls(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		kek := b.kek(tok)
		b.device.Vanish()
		random := func(s cryptoki.Session, _ uint64) error {
			_, err := s.Random(8)
			return err
		}
		var err error
		for range 4 { // random bytes come from a token that is gone, and prove nothing
			err = kek.open(t.Context())
			_ = tok.Run(t.Context(), random)
		}
		require.ErrorIs(t, err, hsm.ErrUnavailable)
		require.Positive(t, tok.Health().Reinits)
	})
}

func TestALibraryThatSomebodyFinalizedIsInitialised(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.kek(b.open())
		b.library.Fail(faketoken.Decrypt, cryptoki.ErrNotInitialized, 1)
		require.NoError(t, kek.open(t.Context()))
		require.Equal(t, 1, kek.token.Health().Reinits)
	})
}

func TestHandlesOfBeforeNeverNameAnotherKeyAfterwards(t *testing.T) {
	run(t, faketoken.Config{ReuseHandles: true}, func(t *testing.T, b *bench) {
		b.addKey("another")
		kek := b.kek(b.open())
		for range 3 {
			b.library.Fail(faketoken.Decrypt, cryptoki.ErrNotInitialized, 1)
			require.NoError(t, kek.open(t.Context()))
		}
	})
}

func TestAKeyThatIsMissingThoughTheTokenWorksIsReported(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		kek := b.probed(tok)
		b.device.Wipe()
		requireAll(t, together(8, func(int) error { return kek.open(t.Context()) }), hsm.ErrKEKMissing)
		h := tok.Health()
		require.Equal(t, token.KEKMissing, h.State)
		require.Equal(t, 1, h.Reinits, "it looks like a token that vanished until then")
		require.ErrorIs(t, kek.open(t.Context()), hsm.ErrKEKMissing)
		require.Equal(t, 1, tok.Health().Reinits, "and not again at once")
	})
}

func TestAMissingKeyOfOneMountDoesNotDisturbAnother(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		one, other := b.open(), b.open()
		b.probed(one)
		gone := &key{token: other, label: "gone"}
		other.SetProbe(gone.unseal)
		require.ErrorIs(t, gone.open(t.Context()), hsm.ErrKEKMissing)
		require.Equal(t, token.KEKMissing, other.Health().State)
		require.Equal(t, token.Healthy, one.Health().State)
		require.Zero(t, one.Health().Reinits)
	})
}

func TestAKeyThatComesBackIsFoundByTheNextCheck(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		late := &key{token: tok, label: "late"}
		tok.SetProbe(func(s cryptoki.Session, epoch uint64) error {
			_, err := late.find(s, epoch)
			return err
		})
		require.ErrorIs(t, tok.Check(t.Context()), hsm.ErrKEKMissing)
		b.addKey("late")
		require.NoError(t, tok.Check(t.Context()))
		require.Equal(t, token.Healthy, tok.Health().State)
	})
}
