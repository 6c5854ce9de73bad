// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/clienttest"
)

// newVault is one with the key orders.
func newVault(t testing.TB) *clienttest.FakeVault {
	t.Helper()
	vault := clienttest.New(t)
	vault.CreateKey("orders")
	return vault
}

func newClient(t testing.TB, vault *clienttest.FakeVault, change ...func(*client.Config)) *client.Client {
	t.Helper()
	config := client.Config{Vault: vault.Client(), Auth: vault.Auth()}
	for _, c := range change {
		c(&config)
	}
	c, err := client.New(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestTextsAndBytesOpen(t *testing.T) {
	vault := newVault(t)
	key := newClient(t, vault).Key("orders")
	text, err := key.EncryptText(t.Context(), []byte("4111"), row)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(text, "kle1."))
	message, err := key.Encrypt(t.Context(), []byte("4112"), nil)
	require.NoError(t, err)
	plaintext, err := key.Decrypt(t.Context(), []byte(text), row)
	require.NoError(t, err)
	require.Equal(t, "4111", string(plaintext))
	plaintexts, err := key.DecryptMany(t.Context(), [][]byte{[]byte(text), message}, row, nil)
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("4111"), []byte("4112")}, plaintexts)

	vault.Rotate("orders")
	rewrapped, err := key.Rewrap(t.Context(), [][]byte{[]byte(text), message})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(rewrapped[0]), "kle1."), "the form stays")
	for _, m := range rewrapped {
		info, err := client.Inspect(m)
		require.NoError(t, err)
		require.Equal(t, client.Info{Key: "orders", Version: 2}, info)
	}
	plaintexts, err = key.DecryptMany(t.Context(), rewrapped, row, nil)
	require.NoError(t, err)
	require.Equal(t, "4112", string(plaintexts[1]))
}

func TestOfManyEachHasItsError(t *testing.T) {
	key := newClient(t, newVault(t)).Key("orders")
	good, err := key.Encrypt(t.Context(), []byte("x"), row)
	require.NoError(t, err)
	messages := [][]byte{good, nil, []byte("kle1.!"), good}
	plaintexts, err := key.DecryptMany(t.Context(), messages, row)
	require.ErrorIs(t, err, client.ErrInvalidMessage)
	require.Equal(t, [][]byte{[]byte("x"), nil, nil, []byte("x")}, plaintexts)
	var item *client.ItemError
	require.ErrorAs(t, err, &item)
	require.Equal(t, 1, item.Index)
	rewrapped, err := key.Rewrap(t.Context(), messages)
	require.ErrorIs(t, err, client.ErrInvalidMessage)
	require.Nil(t, rewrapped[1])
	require.NotNil(t, rewrapped[3])
	_, err = key.DecryptMany(t.Context(), messages, row, row)
	require.ErrorIs(t, err, client.ErrInput)
	require.ErrorContains(t, err, "2 for 4 messages")
	none, err := key.DecryptMany(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestAStreamIsFinishedWhateverBecomesOfItsKey(t *testing.T) {
	vault := newVault(t)
	config := func(c *client.Config) { c.Bounds.MaxBytes = 3 << 20 }
	c, reader := newClient(t, vault, config), newClient(t, vault)
	key := c.Key("orders")
	var out bytes.Buffer
	w, err := key.EncryptStream(t.Context(), &out, row)
	require.NoError(t, err)
	plaintext := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	_, err = w.Write(plaintext[:100])
	require.NoError(t, err)
	vault.Deny("orders", clienttest.DataKey)
	require.ErrorIs(t, key.Refresh(t.Context()), client.ErrAccessDenied)
	_, err = w.Write(plaintext[100 : 1<<20])
	require.NoError(t, err)
	require.NoError(t, c.Close())
	_, err = w.Write(plaintext[1<<20:])
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, err = key.EncryptStream(t.Context(), &out, row)
	require.ErrorIs(t, err, client.ErrClosed)

	var again bytes.Buffer
	vault.Rotate("orders")
	require.NoError(t, reader.Key("orders").RewrapStream(t.Context(), &again, bytes.NewReader(out.Bytes())))
	require.Equal(t, 1, vault.Requests()[clienttest.Rewrap])
	require.Zero(t, vault.Requests()[clienttest.Decrypt])
	info, err := client.Inspect(again.Bytes())
	require.NoError(t, err)
	require.Equal(t, client.Info{Stream: true, Key: "orders", Version: 2}, info)
	for _, stream := range [][]byte{out.Bytes(), again.Bytes()} {
		r, err := reader.Key("orders").DecryptStream(t.Context(), bytes.NewReader(stream), row)
		require.NoError(t, err)
		opened, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plaintext, opened))
		_, err = reader.Key("orders").DecryptStream(t.Context(), bytes.NewReader(stream), nil)
		require.ErrorIs(t, err, client.ErrInvalidMessage)
		_, err = reader.Key("orders").Decrypt(t.Context(), stream, row)
		require.ErrorIs(t, err, client.ErrInvalidMessage, "it is not in one piece")
	}
}

func TestBytesOfAStreamCount(t *testing.T) {
	vault := newVault(t)
	key := newClient(t, vault, func(c *client.Config) { c.Bounds.MaxBytes = 1 << 20 }).Key("orders")
	var edks []string
	for range 2 {
		var out bytes.Buffer
		w, err := key.EncryptStream(t.Context(), &out, row)
		require.NoError(t, err)
		_, err = w.Write(make([]byte, 1<<20))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		edks = append(edks, string(out.Bytes()[:120]))
	}
	require.NotEqual(t, edks[0], edks[1], "the first one is used up")
}

func TestWhatIsWrongIsToldBeforeAnythingIsAsked(t *testing.T) {
	vault := newVault(t)
	c := newClient(t, vault)
	for _, name := range []string{"", "a/b", "..", "-a", strings.Repeat("a", 256)} {
		key := c.Key(name)
		_, err := key.Encrypt(t.Context(), nil, nil)
		_, err2 := key.Decrypt(t.Context(), nil, nil)
		_, err3 := key.DecryptMany(t.Context(), [][]byte{nil})
		_, err4 := key.Rewrap(t.Context(), [][]byte{nil})
		_, err5 := key.EncryptStream(t.Context(), io.Discard, nil)
		_, err6 := key.DecryptStream(t.Context(), strings.NewReader(""), nil)
		_, err7 := key.Version(t.Context())
		for _, err := range []error{err, err2, err3, err4, err5, err6, err7, key.Refresh(t.Context()), key.RewrapStream(t.Context(), io.Discard, strings.NewReader(""))} {
			require.ErrorIs(t, err, client.ErrInput, "%q", name)
		}
	}
	key := c.Key("orders")
	_, err := key.Encrypt(t.Context(), make([]byte, 64<<20+1), nil)
	require.ErrorIs(t, err, client.ErrInput)
	_, err = key.Decrypt(t.Context(), []byte("KLE1"), nil)
	require.ErrorIs(t, err, client.ErrInvalidMessage)
	require.Empty(t, vault.Requests())
}

func TestConfigurationsAreChecked(t *testing.T) {
	vault := newVault(t).Client()
	sealer := func() ([]byte, error) { return nil, nil }
	for want, config := range map[string]client.Config{
		"Vault: no client":                    {},
		"Timeout: -1s":                        {Vault: vault, Timeout: -time.Second},
		"Wait: -1s":                           {Vault: vault, Wait: -time.Second},
		"Bounds.TTL: 500ms, want at least 1s": {Vault: vault, Bounds: client.Bounds{TTL: time.Second / 2}},
		"Bounds.StaleProtect: 15m0s, want not below TTL":      {Vault: vault, Bounds: client.Bounds{TTL: 20 * time.Minute}},
		"Bounds.MaxStale: 10m0s, want not below StaleProtect": {Vault: vault, Bounds: client.Bounds{MaxStale: 10 * time.Minute}},
		"Bounds.DataKeyAge: 25h0m0s, want 1s to 24h0m0s":      {Vault: vault, Bounds: client.Bounds{DataKeyAge: 25 * time.Hour}},
		"Bounds.MaxMessages: 1048577, want 1 to 1048576":      {Vault: vault, Bounds: client.Bounds{MaxMessages: 1<<20 + 1}},
		"Bounds.MaxBytes: -1, want 1 to 68719476736":          {Vault: vault, Bounds: client.Bounds{MaxBytes: -1}},
		`Offline.Path: ""`:                                      {Vault: vault, Offline: client.Offline{For: time.Hour, Sealer: sealer}},
		"Offline.Sealer: nil":                                   {Vault: vault, Offline: client.Offline{Path: "x", For: time.Hour}},
		"Offline.For: 0s, want above 0":                         {Vault: vault, Offline: client.Offline{Path: "x", Sealer: sealer}},
		"Offline.For: 169h0m0s, want above 0, at most 168h0m0s": {Vault: vault, Offline: client.Offline{Path: "x", Sealer: sealer, For: 169 * time.Hour}},
		`mount "a b"`:                                           {Vault: vault, Mount: "a b"},
		`consumer "a b"`:                                        {Vault: vault, Consumer: "a b"},
	} {
		_, err := client.New(config)
		require.ErrorIs(t, err, client.ErrInput, want)
		require.ErrorContains(t, err, want)
	}
	c, err := client.New(client.Config{Vault: vault, Mount: "/teams/keylife/"})
	require.NoError(t, err)
	_, err = c.Key("orders").Encrypt(t.Context(), nil, nil)
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

func TestNewWaitsForVault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vault := newVault(t)
		vault.SetOutage(clienttest.Sealed)
		config := client.Config{Vault: vault.Client(), Auth: vault.Auth(), Wait: 30 * time.Second}
		start := time.Now()
		_, err := client.New(config)
		require.ErrorIs(t, err, client.ErrUnavailable)
		require.ErrorContains(t, err, "wait 30s for vault")
		require.Equal(t, 30*time.Second, time.Since(start))
		time.AfterFunc(5*time.Second, func() { vault.SetOutage(clienttest.None) })
		c, err := client.New(config)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		vault.RefuseLogins(true)
		start = time.Now()
		_, err = client.New(config)
		require.ErrorIs(t, err, client.ErrAccessDenied)
		require.Zero(t, time.Since(start))
	})
}

func TestAfterCloseEveryUseIsClosed(t *testing.T) {
	c := newClient(t, newVault(t))
	key := c.Key("orders")
	message, err := key.Encrypt(t.Context(), []byte("x"), nil)
	require.NoError(t, err)
	_, err = key.Decrypt(t.Context(), message, nil)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	_, err = key.Encrypt(t.Context(), nil, nil)
	require.ErrorIs(t, err, client.ErrClosed)
	_, err = key.Decrypt(t.Context(), message, nil)
	require.ErrorIs(t, err, client.ErrClosed)
	_, err = key.DecryptMany(t.Context(), [][]byte{message})
	require.ErrorIs(t, err, client.ErrClosed)
	_, err = key.Rewrap(t.Context(), [][]byte{message})
	require.ErrorIs(t, err, client.ErrClosed)
	_, err = key.Version(t.Context())
	require.ErrorIs(t, err, client.ErrClosed)
	require.ErrorIs(t, key.Refresh(t.Context()), client.ErrClosed)
}

func TestACancelledUseTellsBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vault := newVault(t)
		vault.SetOutage(clienttest.Slow)
		key := newClient(t, vault).Key("orders")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err := key.Encrypt(ctx, nil, nil)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, client.ErrUnavailable)
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestStatsTellHowKeysStand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newVault(t))
		require.Empty(t, c.Stats())
		_, err := c.Key("orders").Encrypt(t.Context(), nil, nil)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Equal(t, []client.KeyStats{{Key: "orders", Version: 1, DataKeys: 1, ProofAge: time.Minute}}, c.Stats())
	})
}

func TestRequestsAreToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vault, m := newVault(t), &seen{}
		key := newClient(t, vault, func(c *client.Config) { c.Metrics = m }).Key("orders")
		vault.SetOutage(clienttest.Down)
		_, err := key.Encrypt(t.Context(), nil, nil)
		require.Error(t, err)
		vault.SetOutage(clienttest.None)
		time.Sleep(10 * time.Second)
		_, err = key.Encrypt(t.Context(), nil, nil)
		require.NoError(t, err)
		require.Equal(t, 1, m.requests["datakey ok"])
		require.Equal(t, 1, m.requests["login ok"])
		require.Positive(t, m.requests["login unavailable"])
	})
}

// What a metric, a log or an error could hold is looked at for secrets.
func TestErrorsTellNoSecret(t *testing.T) {
	vault := newVault(t)
	key := newClient(t, vault).Key("orders")
	plaintext, secretContext := "4111111111111111", client.Context{"card": "number-17"}
	message, err := key.Encrypt(t.Context(), []byte(plaintext), secretContext)
	require.NoError(t, err)
	var all []error
	add := func(_ []byte, err error) { all = append(all, err) }
	add(key.Decrypt(t.Context(), message, row))
	add(key.Encrypt(t.Context(), []byte(plaintext), client.Context{"number-17": "\xff"}))
	vault.SetState("orders", 1, clienttest.Suspended)
	fresh := newClient(t, vault).Key("orders")
	add(fresh.Decrypt(t.Context(), message, secretContext))
	add(fresh.Encrypt(t.Context(), []byte(plaintext), secretContext))
	vault.Deny("orders", clienttest.Decrypt)
	add(fresh.Decrypt(t.Context(), message, secretContext))
	_, edk, ok := strings.Cut(string(message), "vault:v1:")
	require.True(t, ok)
	for _, err := range all {
		require.Error(t, err)
		for _, secret := range []string{plaintext, "number-17", edk[:40]} {
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, errors.Unwrap(err)), secret)
		}
	}
}
