// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
)

// checked is for a token that is checked every half minute.
func checked(c *token.Config) { c.HealthInterval = 30 * time.Second }

// countingClock counts the timers that are begun.
type countingClock struct {
	bubbleClock
	timers *atomic.Int32
}

func (c countingClock) AfterFunc(d time.Duration, f func()) func() bool {
	c.timers.Add(1)
	return c.bubbleClock.AfterFunc(d, f)
}

func TestATokenIsCheckedFromItsFirstUseUntilItIsClosed(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		var timers atomic.Int32
		b.registry = token.NewRegistry(countingClock{timers: &timers}, func() float64 { return 0 })
		tok := b.open(checked)
		time.Sleep(time.Hour)
		require.Zero(t, b.loads, "nothing happens before the first use")
		b.probed(tok)
		used := b.library.Calls(faketoken.Decrypt)
		time.Sleep(5*time.Minute + time.Second)
		require.Equal(t, used+10, b.library.Calls(faketoken.Decrypt))
		tok.SetHealthInterval(time.Minute)
		time.Sleep(5*time.Minute + time.Second)
		require.Equal(t, used+15, b.library.Calls(faketoken.Decrypt))
		tok.Close()
		synctest.Wait()
		closed := timers.Load()
		time.Sleep(time.Hour)
		require.Equal(t, closed, timers.Load())
		require.Equal(t, used+15, b.library.Calls(faketoken.Decrypt))
	})
}

func TestATokenThatNobodyUsesIsBackWithinTwoSeconds(t *testing.T) {
	for name, leave := range map[string]func(*faketoken.Device){"vanished": (*faketoken.Device).Vanish, "unplugged": (*faketoken.Device).Unplug} {
		run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
			tok := b.open(checked)
			kek := b.probed(tok)
			leave(b.device)
			require.NoError(t, tok.Away(), "nobody has noticed")
			time.Sleep(time.Hour)
			require.ErrorIs(t, tok.Away(), hsm.ErrUnavailable, name)
			require.Equal(t, token.Unavailable, tok.Health().State)
			b.device.Return()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			require.Equal(t, token.Healthy, tok.Health().State, name)
			require.NoError(t, tok.Away())
			reinits := tok.Health().Reinits
			require.NoError(t, kek.open(t.Context()))
			require.Equal(t, reinits, tok.Health().Reinits)
		})
	}
}

func TestAUseThatFailsBringsTheNextCheckForward(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open(func(c *token.Config) { c.HealthInterval = time.Hour })
		kek := b.probed(tok)
		b.device.Unplug()
		require.ErrorIs(t, kek.open(t.Context()), hsm.ErrUnavailable)
		time.Sleep(10 * time.Second)
		require.Equal(t, token.Unavailable, tok.Health().State)
		b.device.Return()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, token.Healthy, tok.Health().State)
	})
}

func TestATokenThatWasNeverFoundIsFoundOnceItIsThere(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		b.device.Vanish()
		tok := b.open(checked)
		require.ErrorIs(t, tok.Check(t.Context()), hsm.ErrUnavailable)
		time.Sleep(time.Hour)
		require.ErrorIs(t, tok.Away(), hsm.ErrUnavailable)
		b.device.Return()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.NoError(t, tok.Away())
	})
}

func TestARejectedPINIsAwayAndNotTriedByChecks(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open(checked, func(c *token.Config) { c.PIN = []byte("wrong") })
		require.ErrorIs(t, tok.Check(t.Context()), hsm.ErrPINRejected)
		time.Sleep(time.Hour)
		require.ErrorIs(t, tok.Away(), hsm.ErrPINRejected)
		require.Equal(t, 1, b.library.BadLogins())
	})
}

// exiting is for a token of two sessions, of which each end of the process is kept.
func exiting(exits chan<- error) func(*token.Config) {
	return func(c *token.Config) {
		c.MaxSessions = 2
		c.Exit = func(why error) { exits <- why }
	}
}

func TestTheProcessEndsWhereAllSessionsHangForAMinute(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		exits := make(chan error, 9)
		tok := b.open(exiting(exits))
		kek := b.probed(tok)
		hold := b.library.Hang(faketoken.Decrypt, 2)
		requireAll(t, together(2, func(int) error { return kek.open(t.Context()) }), hsm.ErrUnavailable)
		time.Sleep(59 * time.Second)
		require.Empty(t, exits)
		time.Sleep(2 * time.Second)
		require.Len(t, exits, 1)
		why := <-exits
		require.ErrorContains(t, why, "hang")
		require.NotContains(t, why.Error(), pin)
		time.Sleep(time.Hour)
		require.Empty(t, exits)
		hold.Release()
	})
}

func TestTheProcessEndsWhereARecoveryHangsForAMinute(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		exits := make(chan error, 9)
		tok := b.open(exiting(exits))
		kek := b.probed(tok)
		b.device.Restart()
		hold := b.library.Hang(faketoken.Login, 1)
		require.ErrorIs(t, kek.open(t.Context()), hsm.ErrUnavailable)
		time.Sleep(61 * time.Second)
		require.Len(t, exits, 1)
		hold.Release()
	})
}

func TestTheProcessGoesOnWhereCallsComeBack(t *testing.T) {
	for name, after := range map[string]func(b *bench, tok *token.Token, hold *faketoken.Hold){
		"one call came back":    func(b *bench, _ *token.Token, hold *faketoken.Hold) { hold.Release() },
		"the token was closed":  func(_ *bench, tok *token.Token, _ *faketoken.Hold) { tok.Close() },
		"another hangs instead": func(b *bench, _ *token.Token, hold *faketoken.Hold) { hold.Release() },
	} {
		run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
			exits := make(chan error, 9)
			tok := b.open(exiting(exits))
			kek := b.probed(tok)
			hold := b.library.Hang(faketoken.Decrypt, 2)
			requireAll(t, together(2, func(int) error { return kek.open(t.Context()) }), hsm.ErrUnavailable)
			time.Sleep(50 * time.Second)
			after(b, tok, hold)
			synctest.Wait()
			var later *faketoken.Hold
			if name == "another hangs instead" {
				later = b.library.Hang(faketoken.Decrypt, 2)
				requireAll(t, together(2, func(int) error { return kek.open(t.Context()) }), hsm.ErrUnavailable)
			}
			time.Sleep(50 * time.Second)
			require.Empty(t, exits, name)
			switch name {
			case "another hangs instead":
				later.Release()
			case "the token was closed":
				hold.Release()
			}
			synctest.Wait()
		})
	}
}

func TestAProcessGoesOnWhileOneSessionWorks(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		exits := make(chan error, 9)
		tok := b.open(exiting(exits))
		kek := b.probed(tok)
		hold := b.library.Hang(faketoken.Decrypt, 1)
		require.ErrorIs(t, kek.open(t.Context()), hsm.ErrUnavailable)
		time.Sleep(time.Hour)
		require.NoError(t, kek.open(t.Context()))
		require.Empty(t, exits)
		hold.Release()
	})
}
