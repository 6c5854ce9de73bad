// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
)

func TestFourCallsThatHangFailAtTheirDeadlineAndNoOthersDo(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		kek := b.probed(tok)
		hold := b.library.Hang(faketoken.Decrypt, 4)
		start := time.Now()
		errs := together(8, func(i int) error {
			time.Sleep(time.Duration(i) * time.Millisecond) // the first four hang
			return kek.open(t.Context())
		})
		requireAll(t, errs[:4], hsm.ErrUnavailable)
		requireNone(t, errs[4:])
		require.Equal(t, 303*time.Millisecond, time.Since(start))
		requireNone(t, together(100, func(int) error { return kek.open(t.Context()) }))
		h := tok.Health()
		require.Equal(t, token.Degraded, h.State)
		require.Equal(t, [4]int{4, 4, 0, 0}, [4]int{h.Timeouts, h.Stuck, h.Relogins, h.Reinits})

		hold.Release()
		synctest.Wait()
		require.Equal(t, 4, b.library.Calls(faketoken.CloseSession), "what hung once is not lent again")
		h = tok.Health()
		require.Equal(t, token.Healthy, h.State)
		require.Equal(t, 4, h.Timeouts)
		require.Zero(t, h.Stuck)
		require.Equal(t, b.device.Sessions(), h.Sessions)
		requireNone(t, together(8, func(int) error { return kek.open(t.Context()) }))
	})
}

func TestATokenWithAllSessionsHungIsUnavailableAtOnce(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open(func(c *token.Config) { c.MaxSessions = 2 })
		kek := b.probed(tok)
		hold := b.library.Hang(faketoken.Decrypt, 2)
		start := time.Now()
		errs := together(5, func(int) error { return kek.open(t.Context()) })
		requireAll(t, errs, hsm.ErrUnavailable)
		require.Equal(t, 300*time.Millisecond, time.Since(start), "who waited for a session is told with the others")
		require.ErrorIs(t, kek.open(t.Context()), hsm.ErrUnavailable)
		require.Equal(t, 300*time.Millisecond, time.Since(start))
		require.Equal(t, token.Unavailable, tok.Health().State)

		hold.Release()
		synctest.Wait()
		require.NoError(t, kek.open(t.Context()))
	})
}

func TestACallerThatGivesUpLeavesTheCallAlone(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		kek := b.probed(tok)
		hold := b.library.Hang(faketoken.Decrypt, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, kek.open(ctx), context.DeadlineExceeded)
		require.Zero(t, tok.Health().Stuck)
		time.Sleep(time.Second)
		require.Equal(t, 1, tok.Health().Stuck)
		hold.Release()
		synctest.Wait()
		require.Zero(t, tok.Health().Stuck)
	})
}

func TestAFunctionMakesNoFurtherCallsForACallerThatIsGone(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		b.kek(tok)
		hold := b.library.Hang(faketoken.GenerateRandom, 1)
		err := tok.RunOnce(t.Context(), func(s cryptoki.Session, _ uint64) error {
			if _, err := s.Random(1); err != nil {
				return err
			}
			_, err := s.Generate(cryptoki.Mechanism{Type: cryptoki.AESKeyGen}, keyTemplate("late"))
			return err
		})
		require.ErrorIs(t, err, hsm.ErrUnavailable)
		hold.Release()
		synctest.Wait()
		require.Zero(t, b.library.Calls(faketoken.GenerateKey))
	})
}

func TestMakingAKeyMayTakeLonger(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open(func(c *token.Config) { c.GenerateTimeout = 30 * time.Second })
		b.library.Before(faketoken.GenerateKey, 1, func() { time.Sleep(29 * time.Second) })
		b.library.Before(faketoken.GenerateKey, 1, func() { time.Sleep(31 * time.Second) })
		calls := 0
		require.NoError(t, tok.RunOnce(t.Context(), generate(&calls)))
		require.ErrorIs(t, tok.RunOnce(t.Context(), generate(&calls)), hsm.ErrUnavailable)
		require.Equal(t, 2, calls)
		time.Sleep(time.Minute)
		require.Zero(t, tok.Health().Stuck)
	})
}

func TestTheLibraryIsNotFinalizedWhileACallHangs(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		kek := b.probed(tok)
		hold := b.library.Hang(faketoken.Decrypt, 1)
		require.ErrorIs(t, kek.open(t.Context()), hsm.ErrUnavailable)
		b.device.Vanish()
		for range 10 {
			require.ErrorIs(t, kek.open(t.Context()), hsm.ErrUnavailable)
			time.Sleep(time.Second)
		}
		require.Zero(t, b.library.Calls(faketoken.Initialize))
		b.device.Return()
		hold.Release()
		synctest.Wait()
		time.Sleep(time.Minute)
		require.NoError(t, kek.open(t.Context()))
		require.Equal(t, 1, b.library.Calls(faketoken.Initialize))
	})
}

func TestARestartIsRecoveredFromWhileAnotherCallHangs(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.probed(b.open())
		hold := b.library.Hang(faketoken.Decrypt, 1)
		require.ErrorIs(t, kek.open(t.Context()), hsm.ErrUnavailable)
		b.device.Restart()
		require.NoError(t, kek.open(t.Context()))
		hold.Release()
	})
}

func TestInitializeWaitsForTheCallsThatAreUnderWay(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.probed(b.open())
		b.slow(4, 200*time.Millisecond)
		slow := make(chan []error)
		go func() { slow <- together(4, func(int) error { return kek.open(t.Context()) }) }()
		synctest.Wait()
		start := time.Now()
		b.library.Fail(faketoken.GenerateRandom, cryptoki.ErrNotInitialized, 1)
		require.NoError(t, kek.token.Run(t.Context(), func(s cryptoki.Session, _ uint64) error {
			_, err := s.Random(1)
			return err
		}))
		require.Equal(t, 200*time.Millisecond, time.Since(start))
		requireNone(t, <-slow)
		require.Equal(t, 1, b.library.Calls(faketoken.Initialize))
	})
}

func TestARecoveryThatHangsFailsItsCallersAndIsNotBegunAgain(t *testing.T) {
	for _, f := range []faketoken.Func{faketoken.GetTokenInfo, faketoken.OpenSession, faketoken.Login} {
		run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
			tok := b.open()
			kek := b.probed(tok)
			b.device.Restart()
			calls := b.library.Calls(f)
			hold := b.library.Hang(f, 1)
			start := time.Now()
			require.ErrorIs(t, kek.open(t.Context()), hsm.ErrUnavailable)
			require.Equal(t, 300*time.Millisecond, time.Since(start))
			again := time.Now()
			requireAll(t, together(8, func(int) error { return kek.open(t.Context()) }), hsm.ErrUnavailable)
			require.Zero(t, time.Since(again))
			require.Equal(t, calls+1, b.library.Calls(f), "%s", f)
			require.Equal(t, 1, tok.Health().Stuck)

			hold.Release()
			time.Sleep(time.Minute)
			require.NoError(t, kek.open(t.Context()), "%s", f)
			require.Equal(t, token.Healthy, tok.Health().State)
		})
	}
}

func TestASessionThatHangsWhenItIsClosedCostsItsCallerOnly(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.probed(b.open())
		b.device.Restart()
		hold := b.library.Hang(faketoken.CloseSession, 1)
		failed := 0
		for _, err := range together(8, func(int) error { return kek.open(t.Context()) }) {
			if err != nil {
				failed++
				require.ErrorIs(t, err, hsm.ErrUnavailable)
			}
		}
		require.Equal(t, 1, failed)
		hold.Release()
	})
}

func TestALibraryThatHangsWhileItLoadsHoldsNobodyUp(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		loading := make(chan struct{})
		tok := b.open(func(c *token.Config) {
			load := c.Load
			c.Load = func() (cryptoki.Library, error) {
				<-loading
				return load()
			}
		})
		start := time.Now()
		requireAll(t, together(4, func(int) error { return tok.Check(t.Context()) }), hsm.ErrUnavailable)
		require.Equal(t, 300*time.Millisecond, time.Since(start))
		close(loading)
		time.Sleep(time.Minute)
		require.NoError(t, tok.Check(t.Context()))
	})
}

func TestCloseDoesNotWaitForWhatHangs(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		kek := b.probed(tok)
		hold := b.library.Hang(faketoken.Decrypt, 1)
		require.ErrorIs(t, kek.open(t.Context()), hsm.ErrUnavailable)
		start := time.Now()
		tok.Close()
		require.Zero(t, time.Since(start))
		require.Zero(t, b.library.Calls(faketoken.Finalize))
		hold.Release()
		synctest.Wait()
		require.Zero(t, b.device.Sessions())
	})
}
