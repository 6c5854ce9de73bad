// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/clienttest"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// maker returns what makes messages as another process would, each with a data key of its own.
func maker(t testing.TB, vault *api.Client) func() []byte {
	return func() []byte {
		secret, err := vault.Logical().Write("keylife/datakey/plaintext/orders", map[string]any{"bits": 256})
		require.NoError(t, err)
		key, err := base64.StdEncoding.DecodeString(secret.Data["plaintext"].(string))
		require.NoError(t, err)
		d, err := kle1.New("orders", secret.Data["ciphertext"].(string), key)
		require.NoError(t, err)
		message, err := d.Seal([]byte("of another"), row)
		require.NoError(t, err)
		return message
	}
}

// storm is many goroutines that use one client while everything happens to its Vault.
type storm struct {
	t        *testing.T
	key      *client.Key
	others   [][]byte
	allowed  func(error) bool
	mu       sync.Mutex
	messages [][]byte
	streams  [][]byte
}

func (s *storm) use(ctx context.Context, i int) error {
	plaintext := fmt.Appendf(nil, "message %d", i)
	message, err := s.key.Encrypt(ctx, plaintext, row)
	if err == nil {
		s.mu.Lock()
		s.messages = append(s.messages, message)
		s.mu.Unlock()
		var opened []byte
		if opened, err = s.key.Decrypt(ctx, message, row); err == nil {
			require.Equal(s.t, plaintext, opened)
		}
	}
	return err
}

func (s *storm) useMany(ctx context.Context) error {
	picked := make([][]byte, 5)
	for i := range picked {
		picked[i] = s.others[rand.IntN(len(s.others))]
	}
	opened, err := s.key.DecryptMany(ctx, picked, row)
	for _, plaintext := range opened {
		require.True(s.t, plaintext == nil || string(plaintext) == "of another")
	}
	return err
}

func (s *storm) useStream(ctx context.Context) error {
	if rand.IntN(10) > 0 { // a stream takes megabytes
		return nil
	}
	var out bytes.Buffer
	w, err := s.key.EncryptStream(ctx, &out, row)
	if err != nil {
		return err
	}
	_, err = w.Write([]byte("of a stream"))
	require.NoError(s.t, err)
	require.NoError(s.t, w.Close())
	s.mu.Lock()
	s.streams = append(s.streams, out.Bytes())
	s.mu.Unlock()
	r, err := s.key.DecryptStream(ctx, bytes.NewReader(out.Bytes()), row)
	if err != nil {
		return err
	}
	opened, err := io.ReadAll(r)
	require.NoError(s.t, err)
	require.Equal(s.t, "of a stream", string(opened))
	return nil
}

func (s *storm) refresh(ctx context.Context) error {
	if rand.IntN(20) > 0 {
		return nil
	}
	return s.key.Refresh(ctx)
}

// run uses the client until it is closed.
func (s *storm) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for {
				for _, use := range []func() error{
					func() error { return s.use(ctx, i) }, func() error { return s.useMany(ctx) }, func() error { return s.useStream(ctx) },
					func() error { _, err := s.key.Version(ctx); return err }, func() error { return s.refresh(ctx) },
				} {
					err := use()
					if errors.Is(err, client.ErrClosed) {
						return
					}
					if err != nil && !s.allowed(err) {
						s.t.Errorf("not allowed: %v", err)
						return
					}
				}
				time.Sleep(time.Duration(rand.IntN(int(40 * time.Second))))
			}
		})
	}
	all.Wait()
}

func TestAStormLosesNothing(t *testing.T) {
	down := func(vault *clienttest.FakeVault) { vault.SetOutage(clienttest.Down) }
	up := func(vault *clienttest.FakeVault) { vault.SetOutage(clienttest.None) }
	for name, c := range map[string]struct {
		happens []func(*clienttest.FakeVault)
		allowed []error
	}{
		"rotation and revoked tokens": {[]func(*clienttest.FakeVault){
			func(v *clienttest.FakeVault) { v.Rotate("orders") }, (*clienttest.FakeVault).RevokeTokens,
		}, nil},
		"outages within the bounds, and more": {[]func(*clienttest.FakeVault){
			down, up, func(v *clienttest.FakeVault) { v.Rotate("orders") },
			func(v *clienttest.FakeVault) { v.SetOutage(clienttest.Slow) }, up, func(v *clienttest.FakeVault) { v.SetOutage(clienttest.Garbled) }, up,
		}, []error{client.ErrUnavailable}},
		"rights that come and go": {[]func(*clienttest.FakeVault){
			func(v *clienttest.FakeVault) { v.Deny("orders", clienttest.Decrypt) }, func(v *clienttest.FakeVault) { v.Allow("orders", clienttest.Decrypt) },
			func(v *clienttest.FakeVault) { v.Deny("orders", clienttest.DataKey) }, func(v *clienttest.FakeVault) { v.Allow("orders", clienttest.DataKey) },
			(*clienttest.FakeVault).RevokeTokens, down, up,
		}, []error{client.ErrUnavailable, client.ErrAccessDenied}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				vault := newVault(t)
				another := maker(t, vault.Client())
				s := &storm{t: t, allowed: func(err error) bool {
					for _, a := range c.allowed {
						if errors.Is(err, a) {
							return true
						}
					}
					return false
				}}
				for range 40 {
					s.others = append(s.others, another())
				}
				config := client.Config{Vault: vault.Client(), Auth: vault.Auth(), Bounds: client.Bounds{MaxMessages: 500}}
				used, err := client.New(config)
				require.NoError(t, err)
				s.key = used.Key("orders")
				go func() {
					for range 3 {
						for _, happen := range c.happens {
							time.Sleep(2 * time.Minute)
							happen(vault)
						}
					}
					require.NoError(t, used.Close())
				}()
				s.run(t.Context())
				up(vault)
				s.open(newClient(t, vault).Key("orders"))
			})
		})
	}
}

// open opens all that was encrypted.
func (s *storm) open(key *client.Key) {
	require.NotEmpty(s.t, s.messages)
	require.NotEmpty(s.t, s.streams)
	opened, err := key.DecryptMany(s.t.Context(), s.messages, row)
	require.NoError(s.t, err)
	require.Len(s.t, opened, len(s.messages))
	for _, stream := range s.streams {
		r, err := key.DecryptStream(s.t.Context(), bytes.NewReader(stream), row)
		require.NoError(s.t, err)
		_, err = io.ReadAll(r)
		require.NoError(s.t, err)
	}
	s.t.Logf("%d messages, %d streams", len(s.messages), len(s.streams))
}
