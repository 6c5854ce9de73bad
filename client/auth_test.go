// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/clienttest"
)

func fakeConfig(f *clienttest.FakeVault) *api.Config {
	return &api.Config{Address: "http://vault.invalid:8200", HttpClient: &http.Client{Transport: f}}
}

func TestATokenFileIsReadAnewWhenVaultRefusesTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clienttest.New(t)
		f.CreateKey("orders")
		sink := filepath.Join(t.TempDir(), "token")
		e := engineOver(t, fakeConfig(f), client.TokenFile(sink))
		_, err := e.Make(t.Context(), "orders")
		require.ErrorIs(t, err, client.ErrUnavailable, "it may be there in a moment")
		require.ErrorContains(t, err, sink)
		require.NoError(t, os.WriteFile(sink, []byte("\n"), 0o600))
		_, err = e.Make(t.Context(), "orders")
		require.ErrorContains(t, err, "it is empty")

		require.NoError(t, os.WriteFile(sink, []byte(f.Client().Token()+"\n"), 0o600))
		_, err = e.Make(t.Context(), "orders")
		require.NoError(t, err)
		f.RevokeTokens()
		_, err = e.Make(t.Context(), "orders")
		require.ErrorIs(t, err, client.ErrAccessDenied)
		time.Sleep(10 * time.Second)
		require.NoError(t, os.WriteFile(sink, []byte(f.Client().Token()+"\n"), 0o600))
		_, err = e.Make(t.Context(), "orders")
		require.NoError(t, err)
		require.Zero(t, f.Requests()["login"])
	})
}

func TestATokenOfAFileIsRenewedByItsOwnLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clienttest.New(t)
		f.CreateKey("orders")
		f.SetTokens(30*time.Minute, true)
		vault := f.Client()
		s, err := vault.Auth().Login(t.Context(), f.Auth())
		require.NoError(t, err)
		sink := filepath.Join(t.TempDir(), "token")
		require.NoError(t, os.WriteFile(sink, []byte(s.Auth.ClientToken), 0o600))
		e := engineOver(t, fakeConfig(f), client.TokenFile(sink))
		require.NoError(t, e.Login(t.Context()))
		time.Sleep(2 * time.Hour)
		_, err = e.Make(t.Context(), "orders")
		require.NoError(t, err)
		require.Equal(t, 1, f.Requests()["lookup"])
		require.Equal(t, 1, f.Requests()["login"], "that of the other program")
	})
}
