// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
)

const testPIN = "1234"

var created = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// plainToken is the least that reaches a device: a session a call, and one new login where the last is gone.
type plainToken struct {
	library *faketoken.Library
	running sync.WaitGroup

	mu       sync.Mutex
	epoch    uint64
	sentinel cryptoki.Session // keeps the login
}

// newToken returns a token of a device, which must not be misused.
func newToken(t *testing.T, device *faketoken.Device) *plainToken {
	t.Helper()
	tok := &plainToken{library: faketoken.NewLibrary(device)}
	t.Cleanup(func() {
		tok.running.Wait()
		require.Empty(t, tok.library.Misuse())
	})
	return tok
}

func (p *plainToken) Mechanisms(context.Context) ([]cryptoki.MechanismType, error) {
	return p.library.Mechanisms(0)
}

func (p *plainToken) MechanismInfo(_ context.Context, m cryptoki.MechanismType) (cryptoki.MechanismInfo, error) {
	return p.library.MechanismInfo(0, m)
}

func (p *plainToken) Run(ctx context.Context, f func(cryptoki.Session, uint64) error) error {
	err := p.once(ctx, f)
	for _, lost := range []cryptoki.Error{
		cryptoki.ErrSessionHandleInvalid, cryptoki.ErrObjectHandleInvalid, cryptoki.ErrKeyHandleInvalid, cryptoki.ErrUserNotLoggedIn,
	} {
		if errors.Is(err, lost) {
			p.lose()
			return p.once(ctx, f)
		}
	}
	return err
}

func (p *plainToken) RunOnce(ctx context.Context, f func(cryptoki.Session, uint64) error) error {
	return p.once(ctx, f)
}

func (p *plainToken) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sentinel != nil {
		_ = p.sentinel.Close()
		p.sentinel = nil
	}
}

// once runs f in a goroutine, and does not wait for it longer than ctx lasts.
func (p *plainToken) once(ctx context.Context, f func(cryptoki.Session, uint64) error) error {
	s, epoch, err := p.open()
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	p.running.Go(func() {
		err := f(s, epoch)
		_ = s.Close()
		done <- err
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.Join(hsm.ErrUnavailable, ctx.Err())
	}
}

func (p *plainToken) open() (cryptoki.Session, uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sentinel == nil {
		s, err := p.library.Open(0)
		if err != nil {
			return nil, 0, errors.Join(hsm.ErrUnavailable, err)
		}
		if err := s.Login([]byte(testPIN)); err != nil && !errors.Is(err, cryptoki.ErrUserAlreadyLoggedIn) {
			return nil, 0, errors.Join(hsm.ErrUnavailable, err)
		}
		p.sentinel = s
		p.epoch++
	}
	s, err := p.library.Open(0)
	return s, p.epoch, err
}

// calls counts the calls of functions that f makes, but for sessions.
func (p *plainToken) calls(f func()) map[faketoken.Func]int {
	before := map[faketoken.Func]int{}
	all := []faketoken.Func{
		faketoken.FindObjects, faketoken.GetAttributes, faketoken.Encrypt, faketoken.Decrypt, faketoken.Sign,
		faketoken.GenerateRandom, faketoken.GenerateKey, faketoken.GenerateKeyPair, faketoken.DestroyObject,
	}
	for _, one := range all {
		before[one] = p.library.Calls(one)
	}
	f()
	made := map[faketoken.Func]int{}
	for _, one := range all {
		if n := p.library.Calls(one) - before[one]; n > 0 {
			made[one] = n
		}
	}
	return made
}

// device returns a device that a suite is for.
func device(s hsm.Suite, c faketoken.Config) *faketoken.Device {
	c.PIN = testPIN
	switch s {
	case hsm.SuiteGCMTokenIV:
		c.GCM = faketoken.WritesIV
	case hsm.SuiteGCMAppended:
		c.GCM = faketoken.AppendsIV
	case hsm.SuiteCBC, hsm.SuiteOAEP:
		c.Missing = append(slices.Clone(c.Missing), cryptoki.AESGCM)
	case hsm.SuiteGCM:
	}
	return faketoken.NewDevice(c)
}

// create makes a key of a suite on a token.
func create(t *testing.T, tok hsm.Token, s hsm.Suite) hsm.KEK {
	t.Helper()
	made, err := hsm.Create(t.Context(), tok, draw(t, s), rand.Reader)
	require.NoError(t, err)
	return made
}

func draw(t *testing.T, s hsm.Suite) hsm.KEK {
	t.Helper()
	k, err := hsm.DrawKEK(hsm.Spec{Label: "keylife-test", Serial: "1", Suite: s, RSABits: 2048}, created, rand.Reader)
	require.NoError(t, err)
	return k
}

func wrapper(t *testing.T, tok hsm.Token, k hsm.KEK) *hsm.Wrapper {
	t.Helper()
	w, err := hsm.NewWrapper(tok, k, rand.Reader)
	require.NoError(t, err)
	return w
}

// eachSuite runs a test with a token of each suite.
func eachSuite(t *testing.T, c faketoken.Config, test func(t *testing.T, s hsm.Suite, tok *plainToken, d *faketoken.Device)) {
	for _, s := range hsm.Suites() {
		t.Run(s.String(), func(t *testing.T) {
			d := device(s, c)
			test(t, s, newToken(t, d), d)
		})
	}
}
