// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token_test

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
)

// TestAHandleOfBeforeALoginNeverCounts forces the order in which a token wraps under another key without an error: a session that
// was opened after a restart, in the epoch of before, comes to be logged in by another caller's recovery, and a handle of before
// names another key by then.
func TestAHandleOfBeforeALoginNeverCounts(t *testing.T) {
	run(t, faketoken.Config{ReuseHandles: true}, func(t *testing.T, b *bench) {
		b.addKey("another")
		tok := b.open()
		kek := b.kek(tok)
		another := b.kekNamed(tok, "another")
		before := kek.handle

		idle := b.hold(tok, func(cryptoki.Session, uint64) error { return nil })
		b.device.Restart()
		var sealed []byte
		var stale []error
		late := b.hold(tok, func(s cryptoki.Session, epoch uint64) error {
			handle := before // looked up in this epoch, before the restart
			if len(stale) > 0 {
				found, err := kek.find(s, epoch)
				if err != nil {
					return err
				}
				handle = found
			}
			out, err := s.Do(cryptoki.Encrypt, handle, gcm, []byte("secret"))
			sealed, stale = out, append(stale, err)
			return err
		})
		require.NoError(t, kek.open(t.Context()), "another caller recovers the token")
		require.NoError(t, another.open(t.Context()))
		require.Equal(t, before, another.handle, "the handle names another key now")

		require.NoError(t, late())
		require.Len(t, stale, 2, "it was done again")
		require.NoError(t, stale[0], "the token said nothing")
		require.NoError(t, tok.Run(t.Context(), func(s cryptoki.Session, epoch uint64) error { return kek.unsealThis(s, epoch, sealed) }))
		require.NoError(t, idle())
	})
}

// hold begins a function that has its session already, and returns what lets it go on, and waits for it.
func (b *bench) hold(tok *token.Token, f func(s cryptoki.Session, epoch uint64) error) (end func() error) {
	b.t.Helper()
	release, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- tok.Run(b.t.Context(), func(s cryptoki.Session, epoch uint64) error {
			<-release
			return f(s, epoch)
		})
	}()
	synctest.Wait()
	let := sync.OnceFunc(func() { close(release) })
	b.t.Cleanup(let)
	return func() error {
		let()
		return <-done
	}
}
