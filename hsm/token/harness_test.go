// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
)

const pin = "correct horse"

// bubbleClock is the time of the bubble that a test runs in: it passes when all goroutines wait.
type bubbleClock struct{}

func (bubbleClock) Now() time.Time { return time.Now() }

func (bubbleClock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// bench is a process with a library of one device, unless a test makes more of them.
type bench struct {
	t        *testing.T
	device   *faketoken.Device
	library  *faketoken.Library
	registry *token.Registry
	loads    int
}

// run runs a test on a bench, in a bubble of its own. The library must not have been misused.
func run(t *testing.T, c faketoken.Config, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c.Label, c.Serial = "prod", "0001"
		if c.PIN == "" {
			c.PIN = pin
		}
		b := &bench{
			t: t, device: faketoken.NewDevice(c), registry: token.NewRegistry(bubbleClock{}, func() float64 { return 0 }),
		}
		b.library = faketoken.NewLibrary(b.device)
		b.addKey("kek")
		test(t, b)
		require.Empty(t, b.library.Misuse())
	})
}

// addKey makes a key by another process, so that the calls of this one start at nothing.
func (b *bench) addKey(label string) {
	b.t.Helper()
	other := faketoken.NewLibrary(b.device)
	s, err := other.Open(0)
	require.NoError(b.t, err)
	require.NoError(b.t, s.Login([]byte(pin)))
	_, err = s.Generate(cryptoki.Mechanism{Type: cryptoki.AESKeyGen}, keyTemplate(label))
	require.NoError(b.t, err)
	require.NoError(b.t, other.Close())
}

func keyTemplate(label string) cryptoki.Template {
	return cryptoki.Template{
		{Type: cryptoki.AttrToken, Value: true},
		{Type: cryptoki.AttrLabel, Value: label},
		{Type: cryptoki.AttrValueLen, Value: uint(32)},
		{Type: cryptoki.AttrEncrypt, Value: true},
		{Type: cryptoki.AttrDecrypt, Value: true},
	}
}

func (b *bench) config() token.Config {
	return token.Config{
		Library: "lib", Label: "prod", PIN: []byte(pin), CallTimeout: 300 * time.Millisecond, AcquireTimeout: 350 * time.Millisecond,
		Load: func() (cryptoki.Library, error) {
			b.loads++
			if b.library.Calls(faketoken.Finalize) > 0 {
				require.Empty(b.t, b.library.Misuse())
				b.library = faketoken.NewLibrary(b.device)
			}
			return b.library, nil
		},
	}
}

// open opens a token that is closed with the test.
func (b *bench) open(change ...func(*token.Config)) *token.Token {
	b.t.Helper()
	c := b.config()
	for _, f := range change {
		f(&c)
	}
	opened, err := b.registry.Open(c)
	require.NoError(b.t, err)
	b.t.Cleanup(opened.Close)
	return opened
}

// key uses a key as package hsm does: the handle is looked up once an epoch, errors pass.
type key struct {
	token *token.Token
	label string

	mu     sync.Mutex
	epoch  uint64
	handle cryptoki.Object
	sealed []byte
}

var gcm = cryptoki.Mechanism{Type: cryptoki.AESGCM, GCM: &cryptoki.GCM{IV: []byte("twelve bytes"), AAD: []byte("aad")}}

// kek returns the key of a token, with something sealed under it that open opens. It is no call that a test counts.
func (b *bench) kek(t *token.Token) *key {
	b.t.Helper()
	return b.kekNamed(t, "kek")
}

func (b *bench) kekNamed(t *token.Token, label string) *key {
	b.t.Helper()
	k := &key{token: t, label: label}
	require.NoError(b.t, t.Run(b.t.Context(), func(s cryptoki.Session, epoch uint64) error {
		handle, err := k.find(s, epoch)
		if err != nil {
			return err
		}
		k.sealed, err = s.Do(cryptoki.Encrypt, handle, gcm, []byte("secret"))
		return err
	}))
	return k
}

// probed also makes it the probe of the token.
func (b *bench) probed(t *token.Token) *key {
	k := b.kek(t)
	t.SetProbe(k.unseal)
	return k
}

func (k *key) find(s cryptoki.Session, epoch uint64) (cryptoki.Object, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.epoch == epoch {
		return k.handle, nil
	}
	found, err := s.Find(cryptoki.Template{{Type: cryptoki.AttrLabel, Value: k.label}})
	switch {
	case err != nil:
		return 0, err
	case len(found) != 1:
		return 0, fmt.Errorf("%d keys: %w", len(found), hsm.ErrKEKMissing)
	}
	k.epoch, k.handle = epoch, found[0]
	return k.handle, nil
}

var errWrong = errors.New("wrong plaintext")

func (k *key) unseal(s cryptoki.Session, epoch uint64) error { return k.unsealThis(s, epoch, k.sealed) }

func (k *key) unsealThis(s cryptoki.Session, epoch uint64, sealed []byte) error {
	handle, err := k.find(s, epoch)
	if err != nil {
		return err
	}
	got, err := s.Do(cryptoki.Decrypt, handle, gcm, sealed)
	if err == nil && string(got) != "secret" {
		return errWrong
	}
	return err
}

// open opens what is sealed, as a caller does.
func (k *key) open(ctx context.Context) error { return k.token.Run(ctx, k.unseal) }

// together runs f by n callers at a time, and returns their errors.
func together(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { errs[i] = f(i) })
	}
	group.Wait()
	return errs
}

func requireAll(t *testing.T, errs []error, want error) {
	t.Helper()
	for _, err := range errs {
		require.ErrorIs(t, err, want)
	}
}

func requireNone(t *testing.T, errs []error) {
	t.Helper()
	for _, err := range errs {
		require.NoError(t, err)
	}
}
