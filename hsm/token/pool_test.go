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

func TestAWarmCallOpensNoSession(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.kek(b.open())
		opened := b.library.Calls(faketoken.OpenSession)
		require.Equal(t, 2, opened, "one keeps the login, one works")
		for range 10 {
			require.NoError(t, kek.open(t.Context()))
		}
		require.Equal(t, opened, b.library.Calls(faketoken.OpenSession))
		require.Equal(t, 2, kek.token.Health().Sessions)
	})
}

// slow makes each of the next n decryptions take d.
func (b *bench) slow(n int, d time.Duration) {
	b.library.Before(faketoken.Decrypt, n, func() { time.Sleep(d) })
}

func TestMoreCallersThanSessionsWaitForTheirTurn(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.kek(b.open(func(c *token.Config) { c.MaxSessions, c.AcquireTimeout = 2, 5*time.Second }))
		b.slow(6, 200*time.Millisecond)
		start := time.Now()
		requireNone(t, together(6, func(int) error { return kek.open(t.Context()) }))
		require.Equal(t, 600*time.Millisecond, time.Since(start))
		require.Equal(t, 3, b.device.Sessions())
	})
}

func TestASlowTokenTurnsAwayWhoWouldWaitTooLong(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.kek(b.open(func(c *token.Config) {
			c.MaxSessions, c.CallTimeout, c.AcquireTimeout = 1, 5*time.Second, 3*time.Second
		}))
		b.slow(3, 2*time.Second)
		errs := together(3, func(i int) error {
			time.Sleep(time.Duration(i) * time.Millisecond) // in order
			return kek.open(t.Context())
		})
		require.NoError(t, errs[0])
		require.NoError(t, errs[1])
		require.ErrorIs(t, errs[2], hsm.ErrUnavailable)
		require.NoError(t, kek.open(t.Context()))
	})
}

func TestWhoGivesUpWaitingLeavesTheirTurnToOthers(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.kek(b.open(func(c *token.Config) {
			c.MaxSessions, c.CallTimeout, c.AcquireTimeout = 1, 5*time.Second, 5*time.Second
		}))
		b.slow(1, 2*time.Second)
		go func() { _ = kek.open(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, kek.open(ctx), context.DeadlineExceeded)
		require.NoError(t, kek.open(t.Context()))
	})
}

func TestAContextThatIsOverStartsNothing(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.kek(b.open())
		calls := b.library.Calls(faketoken.Decrypt)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := kek.open(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, hsm.ErrUnavailable)
		require.Equal(t, calls, b.library.Calls(faketoken.Decrypt))
	})
}

func TestATokenThatAllowsFourSessionsServesEightCallers(t *testing.T) {
	for _, told := range []bool{true, false} {
		run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
			if told {
				b.device = faketoken.NewDevice(faketoken.Config{Label: "prod", Serial: "0001", PIN: pin, MaxSessions: 4})
				b.library = faketoken.NewLibrary(b.device)
				b.addKey("kek")
			} else {
				b.device.LimitSessions(4)
			}
			kek := b.kek(b.open(func(c *token.Config) { c.AcquireTimeout = 5 * time.Second }))
			b.slow(80, 20*time.Millisecond)
			requireNone(t, together(80, func(int) error { return kek.open(t.Context()) }))
			require.Equal(t, 4, b.device.Sessions())
			h := kek.token.Health()
			require.Zero(t, h.Relogins+h.Reinits)
			require.Equal(t, token.Healthy, h.State)
			if told {
				require.Equal(t, 4+1, b.library.Calls(faketoken.OpenSession)-b.device.Sessions()+5, "none was refused")
			}
		})
	}
}

func TestATokenThatOthersHaveFilledIsUnavailable(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		b.device.LimitSessions(1)
		tok := b.open()
		require.ErrorIs(t, tok.Check(t.Context()), hsm.ErrUnavailable)
		b.device.LimitSessions(0)
		time.Sleep(time.Minute)
		require.NoError(t, tok.Check(t.Context()))
	})
}

func TestATokenOfOneSessionIsNotUsed(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		b.library = faketoken.NewLibrary(faketoken.NewDevice(faketoken.Config{Label: "prod", PIN: pin, MaxSessions: 1}))
		require.ErrorContains(t, b.open().Check(t.Context()), "one to work with")
		require.Zero(t, b.library.Calls(faketoken.Login))
	})
}

func TestASessionInWhichACallFailedIsNotLentAgain(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.kek(b.open())
		b.library.Fail(faketoken.Decrypt, cryptoki.ErrOperationActive, 1)
		require.NoError(t, kek.open(t.Context()))
		require.Equal(t, 1, b.library.Calls(faketoken.CloseSession))
		require.Equal(t, 1, b.library.Calls(faketoken.Login), "another session was enough")

		err := kek.token.Run(t.Context(), func(s cryptoki.Session, epoch uint64) error {
			_, _ = s.Attributes(4711, cryptoki.AttrLabel) // and the function does not mind
			return nil
		})
		require.NoError(t, err)
		require.NoError(t, kek.open(t.Context()), "the fake answers CKR_OPERATION_ACTIVE in a session in which a call failed")
		require.Equal(t, 2, b.library.Calls(faketoken.CloseSession))
		require.Equal(t, 2, b.device.Sessions())
	})
}

func TestAFunctionThatFailsByItselfIsCalledOnce(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		calls := 0
		err := b.open().Run(t.Context(), func(cryptoki.Session, uint64) error {
			calls++
			return errWrong
		})
		require.Equal(t, errWrong, err)
		require.Equal(t, 1, calls)
	})
}

func TestAPoolThatShrankGrowsAgainWhenTheTokenLetsIt(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		b.device.LimitSessions(3)
		kek := b.kek(b.open(func(c *token.Config) { c.AcquireTimeout = 5 * time.Second }))
		busy := func() time.Duration {
			start := time.Now()
			b.slow(6, 100*time.Millisecond)
			requireNone(t, together(6, func(int) error { return kek.open(t.Context()) }))
			return time.Since(start)
		}
		require.Equal(t, 300*time.Millisecond, busy(), "two at a time")
		time.Sleep(time.Minute)
		require.Equal(t, 300*time.Millisecond, busy(), "one more was tried in vain")
		b.device.LimitSessions(0)
		for range 6 {
			time.Sleep(time.Minute)
			busy()
		}
		require.Equal(t, 100*time.Millisecond, busy())
		require.Equal(t, 1, b.library.Calls(faketoken.Login))
	})
}
