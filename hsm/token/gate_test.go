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

// finalized makes the library answer the next call of f that somebody has finalized it.
func (b *bench) finalized(f faketoken.Func) { b.library.Fail(f, cryptoki.ErrNotInitialized, 1) }

func TestWhoComesDuringInitializeWaitsForItsEnd(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.probed(b.open())
		b.finalized(faketoken.Decrypt)
		b.library.Before(faketoken.Initialize, 1, func() { time.Sleep(100 * time.Millisecond) })
		first := make(chan error)
		go func() { first <- kek.open(t.Context()) }()
		synctest.Wait()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, kek.open(ctx), context.DeadlineExceeded)
		require.NoError(t, kek.open(t.Context()))
		require.Equal(t, 100*time.Millisecond, time.Since(start))
		require.NoError(t, <-first)
		require.Equal(t, 1, b.library.Calls(faketoken.Initialize))
	})
}

func TestAnInitializeThatHangsFailsAllAtOnce(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		kek := b.probed(tok)
		b.finalized(faketoken.Decrypt)
		hold := b.library.Hang(faketoken.Initialize, 1)
		require.ErrorIs(t, kek.open(t.Context()), hsm.ErrUnavailable)
		start := time.Now()
		requireAll(t, together(20, func(int) error { return kek.open(t.Context()) }), hsm.ErrUnavailable)
		_, err := tok.Mechanisms(t.Context())
		require.ErrorIs(t, err, hsm.ErrUnavailable)
		require.Zero(t, time.Since(start))
		hold.Release()
		time.Sleep(time.Minute)
		require.NoError(t, kek.open(t.Context()))
	})
}

func TestAnInitializeThatFailsIsTriedAgain(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		kek := b.probed(b.open())
		b.finalized(faketoken.Decrypt)
		b.library.Fail(faketoken.Initialize, cryptoki.ErrGeneralError, 2)
		require.NoError(t, kek.open(t.Context()))
		require.Equal(t, 3, b.library.Calls(faketoken.Initialize))
		require.Equal(t, 1, kek.token.Health().Reinits)
	})
}

func TestTwoTokensThatNeedInitializeShareOne(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		b.plug(faketoken.Config{Label: "a", Serial: "1"}, faketoken.Config{Label: "b", Serial: "2"})
		tokens := []*token.Token{b.open(selecting("a", "")), b.open(selecting("b", ""))}
		for _, tok := range tokens {
			require.NoError(t, tok.Check(t.Context()))
		}
		b.library.Fail(faketoken.GenerateRandom, cryptoki.ErrNotInitialized, 2)
		b.library.Before(faketoken.Initialize, 1, func() { time.Sleep(100 * time.Millisecond) })
		requireNone(t, together(2, func(i int) error {
			return tokens[i].Run(t.Context(), func(s cryptoki.Session, _ uint64) error {
				time.Sleep(time.Millisecond) // until the other is here too
				_, err := s.Random(1)
				return err
			})
		}))
		require.Equal(t, 1, b.library.Calls(faketoken.Initialize))
		require.Equal(t, 4, b.library.Calls(faketoken.Login))
	})
}

func TestALibraryThatHangsWhileItLoadsIsNotLoadedTwice(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		loading := make(chan struct{})
		slow := func(c *token.Config) {
			load := c.Load
			c.Load = func() (cryptoki.Library, error) {
				<-loading
				return load()
			}
		}
		tokens := []*token.Token{b.open(slow), b.open(slow)}
		start := time.Now()
		requireAll(t, together(2, func(i int) error { return tokens[i].Check(t.Context()) }), hsm.ErrUnavailable)
		require.LessOrEqual(t, time.Since(start), 450*time.Millisecond, "a deadline and two pauses")
		time.Sleep(time.Second)
		start = time.Now()
		requireAll(t, together(2, func(i int) error { return tokens[i].Check(t.Context()) }), hsm.ErrUnavailable)
		require.LessOrEqual(t, time.Since(start), 150*time.Millisecond, "pauses, no deadline")
		require.Equal(t, token.Unavailable, tokens[0].Health().State)
		require.Equal(t, token.Unavailable, tokens[1].Health().State)
		close(loading)
		time.Sleep(time.Minute)
		requireNone(t, together(2, func(i int) error { return tokens[i].Check(t.Context()) }))
		require.Equal(t, 1, b.loads)
	})
}

func TestWhoWaitsForASessionIsToldWhenTheTokenIsClosed(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open(func(c *token.Config) { c.MaxSessions = 1 })
		kek := b.probed(tok)
		b.slow(1, 200*time.Millisecond)
		errs := make(chan error, 2)
		for range 2 {
			go func() { errs <- kek.open(t.Context()) }()
			synctest.Wait()
		}
		tok.Close()
		require.ErrorIs(t, <-errs, hsm.ErrUnavailable)
		require.NoError(t, <-errs, "what was under way was done")
		synctest.Wait()
		require.Zero(t, b.device.Sessions())
	})
}
