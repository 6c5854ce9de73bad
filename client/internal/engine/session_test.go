// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/clienttest"
	"github.com/keylife/vault-plugin-keylife/client/internal/engine"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

func TestADataKeyIsMadeOpenedAndRewrapped(t *testing.T) {
	f := newFake(t)
	e := engineOf(t, f)
	require.Empty(t, f.Requests(), "New asks nobody")
	made, err := e.Make(t.Context(), "orders")
	require.NoError(t, err)
	require.Len(t, made.Key, kle1.KeySize)
	f.Rotate("orders")
	items, err := e.Rewrap(t.Context(), "orders", []string{made.EDK, "vault:v1:AAAA"})
	require.NoError(t, err)
	require.Equal(t, kle1.ErrInvalidMessage, items[1].Err)
	version, _ := kle1.Version(items[0].EDK)
	require.Equal(t, 2, version)
	items, err = e.Open(t.Context(), "orders", []string{items[0].EDK})
	require.NoError(t, err)
	require.Equal(t, made.Key, items[0].Key)
	items, err = e.Open(t.Context(), "payments", []string{made.EDK})
	require.NoError(t, err)
	require.Equal(t, kle1.ErrInvalidMessage, items[0].Err)
	require.Equal(t, map[string]int{"login": 1, "datakey": 1, "rewrap": 1, "decrypt": 2}, f.Requests())
}

func TestManyCallersShareOneLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		e := engineOf(t, f)
		together := func() {
			var all sync.WaitGroup
			for i := range 64 {
				key := []string{"orders", "payments"}[i%2]
				all.Go(func() {
					_, err := e.Make(t.Context(), key)
					if err != nil {
						t.Errorf("make: %v", err)
					}
				})
			}
			all.Wait()
		}
		together()
		require.Equal(t, 1, f.Requests()["login"])
		f.RevokeTokens()
		together()
		require.Equal(t, 2, f.Requests()["login"])
	})
}

func TestARevokedTokenCostsALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		e := engineOf(t, f)
		_, err := e.Make(t.Context(), "orders")
		require.NoError(t, err)
		f.RevokeTokens()
		_, err = e.Make(t.Context(), "orders")
		require.NoError(t, err)
		require.Equal(t, map[string]int{"login": 2, "datakey": 3}, f.Requests())
	})
}

func TestARightThatIsMissingIsNoReasonToLogInAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		e := engineOf(t, f)
		f.Deny("orders", clienttest.DataKey)
		for range 5 {
			_, err := e.Make(t.Context(), "orders")
			require.Equal(t, "access_denied", sortOf(t, err))
		}
		require.Equal(t, map[string]int{"login": 2, "datakey": 6}, f.Requests())
		f.Deny("payments", clienttest.DataKey)
		_, err := e.Make(t.Context(), "payments")
		require.Equal(t, "access_denied", sortOf(t, err))
		require.Equal(t, 3, f.Requests()["login"], "another key is another matter")

		time.Sleep(10 * time.Second)
		f.ResetRequests()
		_, err = e.Make(t.Context(), "orders")
		require.Equal(t, "access_denied", sortOf(t, err))
		require.Equal(t, 1, f.Requests()["login"])
		f.Allow("orders", clienttest.DataKey)
		_, err = e.Make(t.Context(), "orders")
		require.NoError(t, err, "what came back is noticed at once")
	})
}

func TestRefusedLoginsAreAccessDeniedAndRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		e := engineOf(t, f)
		f.RefuseLogins(true)
		for range 3 {
			for _, key := range []string{"orders", "payments"} {
				_, err := e.Make(t.Context(), key)
				require.Equal(t, "access_denied", sortOf(t, err))
				require.ErrorContains(t, err, "invalid role or secret ID")
			}
		}
		require.Equal(t, map[string]int{"login": 1}, f.Requests(), "a Vault locks out who tries too often")
		f.RefuseLogins(false)
		time.Sleep(10 * time.Second)
		_, err := e.Make(t.Context(), "orders")
		require.NoError(t, err)

		f.RevokeTokens()
		f.RefuseLogins(true)
		_, err = e.Make(t.Context(), "orders")
		require.Equal(t, "access_denied", sortOf(t, err))
	})
}

// Vault refused the old token, and did not say what it thinks of a new one.
func TestALoginThatDoesNotGetThroughIsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		f := newFake(t)
		vault := clientOver(t, func(r *http.Request) (*http.Response, error) {
			if down && r.URL.Path == "/v1/auth/approle/login" {
				return answer(r, 503, `{"errors":["Vault is sealed"]}`), nil
			}
			return f.RoundTrip(r)
		})
		e := newEngine(t, engine.Options{Vault: vault, Auth: f.Auth()})
		_, err := e.Make(t.Context(), "orders")
		require.NoError(t, err)
		f.RevokeTokens()
		down = true
		for range 3 {
			_, err = e.Make(t.Context(), "orders")
			require.Equal(t, "unavailable", sortOf(t, err))
		}
		down = false
		_, err = e.Make(t.Context(), "orders")
		require.NoError(t, err)
	})
}

func TestATokenOfTheCallersClientIsUsedAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		vault := f.Client()
		e := newEngine(t, engine.Options{Vault: vault})
		_, err := e.Make(t.Context(), "orders")
		require.NoError(t, err)
		f.RevokeTokens()
		_, err = e.Make(t.Context(), "orders")
		require.Equal(t, "access_denied", sortOf(t, err))
		require.Equal(t, map[string]int{"lookup": 1, "datakey": 2}, f.Requests(), "it cannot log in")

		vault.SetToken(f.Client().Token())
		_, err = e.Make(t.Context(), "orders")
		require.NoError(t, err, "a token that the caller changed is taken")
	})
}

func TestNoTokenAtAllIsAccessDenied(t *testing.T) {
	f := newFake(t)
	vault := f.Client()
	vault.ClearToken()
	e := newEngine(t, engine.Options{Vault: vault})
	_, err := e.Make(t.Context(), "orders")
	require.Equal(t, "access_denied", sortOf(t, err))
	require.ErrorContains(t, err, "there is no token")
}

func TestATokenThatMayNotLookItselfUpIsUsed(t *testing.T) {
	f := newFake(t)
	vault := clientOver(t, func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodGet {
			return answer(r, 403, `{"errors":["permission denied"]}`), nil
		}
		return f.RoundTrip(r)
	})
	vault.SetToken(f.Client().Token())
	_, err := newEngine(t, engine.Options{Vault: vault}).Make(t.Context(), "orders")
	require.NoError(t, err)
}

func TestRequestsTellWhoSendsThem(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "hvs.of-the-environment")
	f := newFake(t)
	seen := map[string]http.Header{}
	vault := clientOver(t, func(r *http.Request) (*http.Response, error) {
		seen[r.URL.Path] = r.Header
		return f.RoundTrip(r)
	})
	vault.SetNamespace("team")
	vault.AddHeader("X-Own", "kept")
	e := newEngine(t, engine.Options{Vault: vault, Auth: f.Auth(), Mount: "/engines/keylife/", Consumer: "billing"})
	_, err := e.Make(t.Context(), "orders")
	require.NoError(t, err)
	require.Contains(t, seen, "/v1/engines/keylife/datakey/plaintext/orders")
	for path, header := range seen {
		require.Equal(t, "keylife-go/0.1 (billing)", header.Get("User-Agent"), path)
		require.Equal(t, "team", header.Get("X-Vault-Namespace"), path)
		require.Equal(t, "kept", header.Get("X-Own"), path)
	}
	require.Empty(t, seen["/v1/auth/approle/login"].Get("X-Vault-Token"))
	require.Equal(t, "hvs.the-token", vault.Token(), "the caller's client stays as it is")
	require.NotEqual(t, "hvs.the-token", seen["/v1/engines/keylife/datakey/plaintext/orders"].Get("X-Vault-Token"))
}

func TestRequestsAreObserved(t *testing.T) {
	f := newFake(t)
	var saw []string
	e := newEngine(t, engine.Options{Vault: f.Client(), Auth: f.Auth(), Observe: func(_ context.Context, key, op string) func(error) {
		return func(err error) {
			saw = append(saw, op+" "+key+" "+sortOf(t, err))
		}
	}})
	_, err := e.Make(t.Context(), "orders")
	require.NoError(t, err)
	f.SetOutage(clienttest.Sealed)
	_, err = e.Open(t.Context(), "orders", []string{edk})
	require.Error(t, err)
	require.Equal(t, []string{"login  ", "datakey orders ", "decrypt orders unavailable"}, saw)
}

func TestALoginOutlivesTheCallerThatBeganIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		e := newEngine(t, engine.Options{Vault: f.Client(), Auth: slowAuth{f.Auth(), 3 * time.Second}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := e.Make(ctx, "orders")
		require.Equal(t, "unavailable", sortOf(t, err))
		_, err = e.Make(t.Context(), "orders")
		require.NoError(t, err)
		require.Equal(t, 1, f.Requests()["login"])
	})
}

func TestALoginThatTakesTooLongIsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		e := newEngine(t, engine.Options{Vault: f.Client(), Auth: slowAuth{f.Auth(), time.Hour}})
		start := time.Now()
		_, err := e.Make(t.Context(), "orders")
		require.Equal(t, "unavailable", sortOf(t, err))
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

type slowAuth struct {
	api.AuthMethod
	takes time.Duration
}

func (a slowAuth) Login(ctx context.Context, c *api.Client) (*api.Secret, error) {
	select {
	case <-time.After(a.takes):
		return a.AuthMethod.Login(ctx, c)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestAnAuthMethodThatFailsHereIsNoRefusal(t *testing.T) {
	f := newFake(t)
	for _, auth := range []api.AuthMethod{authOf(nil, errors.New("read secret-id: no such file")), authOf(nil, nil), authOf(&api.Secret{}, nil)} {
		_, err := newEngine(t, engine.Options{Vault: f.Client(), Auth: auth}).Make(t.Context(), "orders")
		require.Equal(t, "unavailable", sortOf(t, err))
	}
}

type fixedAuth struct {
	secret *api.Secret
	err    error
}

func authOf(s *api.Secret, err error) api.AuthMethod { return fixedAuth{s, err} }

func (a fixedAuth) Login(context.Context, *api.Client) (*api.Secret, error) { return a.secret, a.err }

func TestCloseEndsALoginAndIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		var ended atomic.Bool
		e := newEngine(t, engine.Options{
			Vault: f.Client(), Auth: slowAuth{f.Auth(), time.Hour},
			Observe: func(context.Context, string, string) func(error) { return func(error) { ended.Store(true) } },
		})
		failed := make(chan error, 1)
		go func() {
			_, err := e.Make(t.Context(), "orders")
			failed <- err
		}()
		synctest.Wait()
		e.Close()
		require.True(t, ended.Load(), "Close waits for what runs")
		require.ErrorIs(t, <-failed, refusal.ErrClosed)
		e.Close()
		_, err := e.Make(t.Context(), "orders")
		require.ErrorIs(t, err, refusal.ErrClosed)
		require.Empty(t, f.Requests())
	})
}
