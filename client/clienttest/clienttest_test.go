// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package clienttest_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/clienttest"
)

// newFake is a Vault with the keys orders and payments.
func newFake(t *testing.T) *clienttest.FakeVault {
	t.Helper()
	f := clienttest.New(t)
	f.CreateKey("orders")
	f.CreateKey("payments")
	return f
}

// makeDataKey returns a data key as the engine encrypted it, and in the clear.
func makeDataKey(t *testing.T, c *api.Client, key string) (edk, plaintext string) {
	t.Helper()
	s, err := c.Logical().Write("keylife/datakey/plaintext/"+key, map[string]any{"bits": 256})
	require.NoError(t, err)
	return s.Data["ciphertext"].(string), s.Data["plaintext"].(string)
}

// ask sends a batch, and returns the status and the body.
func ask(t *testing.T, c *api.Client, path string, edks ...string) (status int, body string) {
	t.Helper()
	items := make([]string, len(edks))
	for i, edk := range edks {
		items[i] = fmt.Sprintf(`{"ciphertext":%q}`, edk)
	}
	request := fmt.Sprintf(`{"batch_input":[%s],"partial_failure_response_code":200}`, strings.Join(items, ","))
	r, err := c.Logical().WriteRaw("keylife/"+path, []byte(request))
	require.NotNil(t, r, "no answer: %v", err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(text)
}

func TestADataKeyOpensUnderItsKeyAlone(t *testing.T) {
	f := newFake(t)
	c := f.Client()
	edk, plaintext := makeDataKey(t, c, "orders")
	require.True(t, strings.HasPrefix(edk, "vault:v1:"))
	raw, err := base64.StdEncoding.DecodeString(plaintext)
	require.NoError(t, err)
	require.Len(t, raw, 32)

	status, body := ask(t, c, "decrypt/orders", edk)
	require.Equal(t, 200, status)
	require.Contains(t, body, plaintext)
	status, body = ask(t, c, "decrypt/payments", edk)
	require.Equal(t, 400, status, "all items failed")
	require.Contains(t, body, "cipher: message authentication failed")
	require.NotContains(t, body, plaintext)
}

// What Vault 1.21.1 said of these with its own Transit.
func TestAnswersHaveTheFormsOfVault(t *testing.T) {
	f := newFake(t)
	c := f.Client()
	edk, _ := makeDataKey(t, c, "orders")
	other, _ := makeDataKey(t, c, "payments")
	for _, a := range []struct {
		path   string
		edks   []string
		status int
		body   string
	}{
		{"decrypt/orders", []string{edk, other}, 200, `{"error":"cipher: message authentication failed","plaintext":"","reference":""}]`},
		{"decrypt/orders", []string{"junk"}, 400, "invalid ciphertext: no prefix"},
		{"decrypt/orders", []string{"vault:v1:AAAA"}, 400, "invalid ciphertext length"},
		{"decrypt/orders", []string{"vault:v9:AAAA"}, 400, "invalid ciphertext: version is too new"},
		{"decrypt/orders", []string{"vault:v1:%%%"}, 400, "invalid ciphertext: could not decode base64"},
		{"decrypt/orders", nil, 400, `{"errors":["missing batch input to process"]}`},
		{"decrypt/none", []string{edk}, 400, `{"errors":["encryption key not found"]}`},
		{"rewrap/orders", []string{other}, 200, `"batch_results":[{"error":"cipher: message authentication failed","reference":""}]`},
		{"nothing/orders", nil, 404, `{"errors":["no handler for route \"keylife/nothing/orders\". route entry not found."]}`},
	} {
		status, body := ask(t, c, a.path, a.edks...)
		require.Equal(t, a.status, status, "%s %v: %s", a.path, a.edks, body)
		require.Contains(t, body, a.body)
	}
}

func TestStatesAndFloorsRefuse(t *testing.T) {
	f := newFake(t)
	c := f.Client()
	first, _ := makeDataKey(t, c, "orders")
	f.Rotate("orders")
	second, _ := makeDataKey(t, c, "orders")
	require.True(t, strings.HasPrefix(second, "vault:v2:"))
	_, body := ask(t, c, "rewrap/orders", first)
	require.Contains(t, body, "vault:v2:")

	for s, may := range map[clienttest.State]bool{"suspended": false, "archived": false, "retired": false, "destroyed": false, "compromised": true, "active": true} {
		f.SetState("orders", 1, s)
		for _, path := range []string{"decrypt/orders", "rewrap/orders"} {
			_, body := ask(t, c, path, first)
			require.Equal(t, !may, strings.Contains(body, fmt.Sprintf(" [version_%s]", s)), "%s of %s: %s", path, s, body)
		}
		status, _ := ask(t, c, "decrypt/orders", first, second)
		require.Equal(t, 200, status, "the other version opens")
	}

	f.SetState("orders", 2, clienttest.Suspended)
	_, err := c.Logical().Write("keylife/datakey/plaintext/orders", nil)
	require.ErrorContains(t, err, `key "orders" cannot encrypt: its version 2 is suspended [version_suspended]`)
	f.SetState("orders", 2, clienttest.Active)
	f.SetKeyState("orders", clienttest.Suspended)
	_, err = c.Logical().Write("keylife/datakey/plaintext/orders", nil)
	require.ErrorContains(t, err, "[key_suspended]")
	_, body = ask(t, c, "decrypt/orders", second)
	require.Contains(t, body, "[key_suspended]")
	f.SetKeyState("orders", clienttest.Active)

	f.SetState("orders", 1, clienttest.Active)
	f.SetMinDecryptionVersion("orders", 2)
	_, body = ask(t, c, "decrypt/orders", first)
	require.Contains(t, body, `(too old)"`)
}

func TestRightsAreTakenByKeyAndOperation(t *testing.T) {
	f := newFake(t)
	c := f.Client()
	edk, _ := makeDataKey(t, c, "orders")
	f.Deny("orders", clienttest.Decrypt)
	status, body := ask(t, c, "decrypt/orders", edk)
	require.Equal(t, 403, status)
	require.Contains(t, body, "permission denied")
	status, _ = ask(t, c, "rewrap/orders", edk)
	require.Equal(t, 200, status)
	f.Allow("orders", clienttest.Decrypt)
	status, _ = ask(t, c, "decrypt/orders", edk)
	require.Equal(t, 200, status)
	require.Equal(t, map[string]int{"datakey": 1, "decrypt": 2, "rewrap": 1}, f.Requests())
	f.ResetRequests()
	require.Empty(t, f.Requests())
}

func TestTokensEndAndAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		c := f.Client()
		f.SetTokens(30*time.Minute, true)
		f.SetMaxTTL(time.Hour)
		s, err := c.Auth().Login(t.Context(), f.Auth())
		require.NoError(t, err)
		require.Equal(t, 1800, s.Auth.LeaseDuration)
		require.True(t, s.Auth.Renewable)

		time.Sleep(25 * time.Minute)
		lookup, err := c.Auth().Token().LookupSelf()
		require.NoError(t, err)
		ttl, err := lookup.TokenTTL()
		require.NoError(t, err)
		require.Equal(t, 5*time.Minute, ttl)
		s, err = c.Auth().Token().RenewSelf(0)
		require.NoError(t, err)
		require.Equal(t, 1800, s.Auth.LeaseDuration)
		time.Sleep(25 * time.Minute)
		s, err = c.Auth().Token().RenewSelf(0)
		require.NoError(t, err)
		require.Equal(t, 600, s.Auth.LeaseDuration, "no renewal goes beyond the longest life")
		time.Sleep(10 * time.Minute)
		_, err = c.Auth().Token().RenewSelf(0)
		require.ErrorContains(t, err, "invalid token")

		f.SetTokens(time.Hour, false)
		_, err = c.Auth().Login(t.Context(), f.Auth())
		require.NoError(t, err)
		_, err = c.Auth().Token().RenewSelf(0)
		require.ErrorContains(t, err, "not renewable")
		f.RevokeTokens()
		status, _ := ask(t, c, "decrypt/orders", "vault:v1:AAAA")
		require.Equal(t, 403, status)
		f.RefuseLogins(true)
		_, err = c.Auth().Login(t.Context(), f.Auth())
		require.ErrorContains(t, err, "invalid role or secret ID")
		require.Equal(t, map[string]int{"login": 3, "lookup": 1, "renew": 4, "decrypt": 1}, f.Requests())
	})
}

func TestOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		c := f.Client()
		edk, _ := makeDataKey(t, c, "orders")
		for outage, status := range map[clienttest.Outage]int{"sealed": 503, "busy": 429, "failing": 500, "garbled": 200} {
			f.SetOutage(outage)
			got, body := ask(t, c, "decrypt/orders", edk)
			require.Equal(t, status, got, "%s", outage)
			require.NotContains(t, body, "plaintext")
		}
		f.SetOutage(clienttest.Down)
		_, err := c.Logical().Write("keylife/datakey/plaintext/orders", nil)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)

		f.SetOutage(clienttest.Slow)
		c.SetClientTimeout(time.Hour)
		began := time.Now()
		_, err = c.Logical().Write("keylife/datakey/plaintext/orders", nil)
		require.ErrorContains(t, err, "context deadline exceeded")
		require.Equal(t, time.Hour, time.Since(began))

		f.SetOutage(clienttest.None)
		status, _ := ask(t, c, "decrypt/orders", edk)
		require.Equal(t, 200, status)
	})
}

func TestItServesASocketToo(t *testing.T) {
	f := newFake(t)
	server := httptest.NewServer(f)
	defer server.Close()
	c := f.Client()
	require.NoError(t, c.SetAddress(server.URL))
	c.SetMaxRetries(0)
	overSocket, err := api.NewClient(&api.Config{Address: server.URL, HttpClient: &http.Client{Transport: &http.Transport{}}})
	require.NoError(t, err)
	overSocket.SetToken(c.Token())
	edk, plaintext := makeDataKey(t, overSocket, "orders")
	_, body := ask(t, c, "decrypt/orders", edk)
	require.Contains(t, body, plaintext)

	f.SetOutage(clienttest.Down)
	_, err = overSocket.Logical().Write("keylife/datakey/plaintext/orders", nil)
	require.Error(t, err)
	var answered *api.ResponseError
	require.False(t, errors.As(err, &answered), "no answer at all: %v", err)
}
