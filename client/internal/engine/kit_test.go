// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/clienttest"
	"github.com/keylife/vault-plugin-keylife/client/internal/engine"
)

// newFake is a Vault with the keys orders and payments.
func newFake(t *testing.T) *clienttest.FakeVault {
	t.Helper()
	f := clienttest.New(t)
	f.CreateKey("orders")
	f.CreateKey("payments")
	return f
}

// engineOf logs in to the Vault, without jitter.
func engineOf(t *testing.T, f *clienttest.FakeVault) *engine.Engine {
	t.Helper()
	return newEngine(t, engine.Options{Vault: f.Client(), Auth: f.Auth()})
}

func newEngine(t *testing.T, o engine.Options) *engine.Engine {
	t.Helper()
	if o.Mount == "" {
		o.Mount = "keylife"
	}
	o.Random = func() float64 { return 0.5 }
	e, err := engine.New(o)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

// roundTrip is a Vault of one answer.
type roundTrip func(r *http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// says is a Vault that answers requests to the engine so; logins succeed.
func says(t *testing.T, status int, body string, header ...string) *api.Client {
	t.Helper()
	return clientOver(t, func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodGet {
			return answer(r, 200, `{"data":{"ttl":0,"renewable":false}}`), nil
		}
		a := answer(r, status, body)
		for i := 0; i+1 < len(header); i += 2 {
			a.Header.Set(header[i], header[i+1])
		}
		return a, nil
	})
}

func answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

func clientOver(t *testing.T, f roundTrip) *api.Client {
	t.Helper()
	c, err := api.NewClient(&api.Config{Address: "http://vault.invalid:8200", HttpClient: &http.Client{Transport: f}})
	require.NoError(t, err)
	c.SetToken("hvs.the-token")
	return c
}
