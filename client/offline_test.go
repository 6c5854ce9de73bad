// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/clienttest"
)

func offline(t *testing.T) (path string, change func(*client.Config)) {
	path = filepath.Join(t.TempDir(), "keys")
	return path, func(c *client.Config) {
		c.Offline = client.Offline{Path: path, For: 24 * time.Hour, Sealer: func() ([]byte, error) { return bytes.Repeat([]byte{7}, 32), nil }}
		c.Bounds.MaxMessages = 160
	}
}

func encryptMany(t *testing.T, key *client.Key, n int) (done int, last error) {
	for range n {
		if _, err := key.Encrypt(t.Context(), []byte("x"), nil); err != nil {
			return done, err
		}
		done++
	}
	return done, nil
}

func TestARestoredDataKeyEncryptsASixteenthAtMost(t *testing.T) {
	for name, c := range map[string]struct{ before, after int }{
		"of which was little used": {3, 10}, "of which was much used": {155, 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				vault := newVault(t)
				_, on := offline(t)
				first := newClient(t, vault, on)
				_, err := encryptMany(t, first.Key("orders"), 1)
				require.NoError(t, err)
				vault.SetOutage(clienttest.Down) // no other one is fetched ahead
				_, err = encryptMany(t, first.Key("orders"), c.before-1)
				require.NoError(t, err)
				require.NoError(t, first.Close()) // writes what was counted
				done, err := encryptMany(t, newClient(t, vault, on).Key("orders"), 100)
				require.ErrorIs(t, err, client.ErrUnavailable)
				require.Equal(t, c.after, done)
			})
		})
	}
}

func TestARestoredDataKeyIsReplacedWhenVaultAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vault, m := newVault(t), &seen{}
		_, on := offline(t)
		first := newClient(t, vault, on)
		_, err := encryptMany(t, first.Key("orders"), 1)
		require.NoError(t, err)
		require.NoError(t, first.Close())
		vault.SetOutage(clienttest.Sealed)
		key := newClient(t, vault, on, func(c *client.Config) { c.Metrics = m }).Key("orders")
		old, err := key.Encrypt(t.Context(), nil, nil)
		require.NoError(t, err)
		require.Equal(t, client.Stale, m.last().Source)
		vault.SetOutage(clienttest.None)
		time.Sleep(10 * time.Second)
		_, err = encryptMany(t, key, 100)
		require.NoError(t, err)
		require.Equal(t, client.Local, m.last().Source)
		_, err = key.Decrypt(t.Context(), old, nil)
		require.NoError(t, err)
		require.Equal(t, client.Engine, m.last().Source, "it was not proved to decrypt yet")
	})
}

func TestAClientThatDidNothingLeavesTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vault := newVault(t)
		path, on := offline(t)
		first := newClient(t, vault, on)
		_, err := encryptMany(t, first.Key("orders"), 1)
		require.NoError(t, err)
		require.NoError(t, first.Close())
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, newClient(t, vault, on).Close())
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, before, after)
	})
}

func TestAFileThatCannotBeWrittenIsToldByClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vault := newVault(t)
		_, on := offline(t)
		sealer := errors.New("no credential")
		c, err := client.New(func() (config client.Config) {
			config = client.Config{Vault: vault.Client(), Auth: vault.Auth()}
			on(&config)
			config.Offline.Sealer = func() ([]byte, error) { return nil, sealer }
			return config
		}())
		require.NoError(t, err)
		_, err = encryptMany(t, c.Key("orders"), 1)
		require.NoError(t, err, "uses go on")
		require.ErrorIs(t, c.Close(), sealer)
	})
}
