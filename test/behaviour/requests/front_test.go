// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/front"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// fresh matches what no two answers have the same.
var fresh = regexp.MustCompile(`vault:v[0-9]+:[A-Za-z0-9+/=]+`)

// asked are the requests of the data plane as clients send them; the first part of each name says what becomes of it.
func asked(t *testing.T, m *mounttest.Mount) map[string]struct {
	path string
	data map[string]any
} {
	t.Helper()
	m.Must(m.Write("keys/k"))
	m.Must(m.Write("keys/signer", "type", "ecdsa-p256"))
	text := mounttest.B64("text")
	ciphertext := m.Encrypt("k", "text")
	signature := m.Must(m.Write("sign/signer", "input", text)).Data["signature"]
	batch := func(items ...any) map[string]any { return mounttest.Data("batch_input", append([]any{}, items...)) }
	item := func(kv ...any) any { return mounttest.Data(kv...) }
	type request = struct {
		path string
		data map[string]any
	}
	return map[string]request{
		"encrypt":                      {"encrypt/k", mounttest.Data("plaintext", text)},
		"encrypt with more":            {"encrypt/k", mounttest.Data("plaintext", text, "associated_data", text, "key_version", 1)},
		"encrypt a batch":              {"encrypt/k", batch(item("plaintext", text), item("plaintext", text, "reference", "its reference"), item("plaintext", "", "other", 1))},
		"encrypt a batch without item": {"encrypt/k", batch()},
		"encrypt a batch, some of it":  {"encrypt/k", batch(item("plaintext", text), item("plaintext", "not base64"))},
		"encrypt a number":             {"encrypt/k", batch(item("plaintext", 7))},
		"encrypt nothing":              {"encrypt/k", mounttest.Data()},
		"encrypt what is none":         {"encrypt/k", mounttest.Data("plaintext", "not base64")},
		"encrypt by another version":   {"encrypt/k", mounttest.Data("plaintext", text, "key_version", 9)},
		"decrypt":                      {"decrypt/k", mounttest.Data("ciphertext", ciphertext)},
		"decrypt a batch":              {"decrypt/k", batch(item("ciphertext", ciphertext, "reference", "r"), item("ciphertext", ciphertext))},
		"decrypt a batch, some of it":  {"decrypt/k", map[string]any{"batch_input": []any{item("ciphertext", ciphertext), item("ciphertext", "vault:v1:AAAA")}, "partial_failure_response_code": 202}},
		"decrypt nothing":              {"decrypt/k", mounttest.Data()},
		"decrypt by no key":            {"decrypt/none", mounttest.Data("ciphertext", ciphertext)},
		"rewrap":                       {"rewrap/k", mounttest.Data("ciphertext", ciphertext)},
		"rewrap a batch":               {"rewrap/k", batch(item("ciphertext", ciphertext, "reference", "r"), item("ciphertext", "x"))},
		"sign":                         {"sign/signer", mounttest.Data("input", text)},
		"sign a batch":                 {"sign/signer", batch(item("input", text))},
		"verify":                       {"verify/signer", mounttest.Data("input", text, "signature", signature)},
		"verify what is none":          {"verify/signer", mounttest.Data("input", text, "signature", "vault:v1:AAAA")},
		"hmac":                         {"hmac/k", mounttest.Data("input", text)},
		"datakey in the clear":         {"datakey/plaintext/k", mounttest.Data("bits", 128)},
		"datakey":                      {"datakey/wrapped/k", mounttest.Data()},
		"datakey of another form":      {"datakey/other/k", mounttest.Data()},
	}
}

// TestAnAnswerIsTheSameDirectly sends each request by internal/front and by the SDK. What is answered directly costs storage nothing,
// and its JSON is that of encoding/json.
func TestAnAnswerIsTheSameDirectly(t *testing.T) {
	m := mounttest.New(t)
	for name, r := range asked(t, m) {
		t.Run(name, func(t *testing.T) {
			body, err := json.Marshal(r.data)
			require.NoError(t, err)
			req := &logical.Request{ID: "id", Operation: logical.UpdateOperation, Path: r.path, Storage: m.Storage}
			direct, ok, directErr := m.Backend.(front.Direct).Direct(t.Context(), req, string(body))
			require.True(t, ok, "it is answered by the SDK")
			around := *req
			require.NoError(t, json.Unmarshal(body, &around.Data))
			sdk, sdkErr := m.HandleRequest(t.Context(), &around)
			require.Equal(t, sdkErr, directErr)
			require.Equal(t, alike(t, sdk), alike(t, direct))
			if direct == nil {
				return
			}
			if text, ok := vaultapi.Encode(direct.Data); ok {
				want, err := json.Marshal(direct.Data)
				require.NoError(t, err)
				require.JSONEq(t, string(want), text)
			}
		})
	}
}

// alike is an answer without what is fresh in it: of a data key, its length is left.
func alike(t *testing.T, resp *logical.Response) string {
	t.Helper()
	if resp == nil {
		return ""
	}
	shown := *resp
	shown.Data = maps.Clone(resp.Data)
	if plaintext, ok := shown.Data["plaintext"].(string); ok && shown.Data["ciphertext"] != nil {
		shown.Data["plaintext"] = len(plaintext)
	}
	text, err := json.Marshal(shown)
	require.NoError(t, err)
	return fresh.ReplaceAllString(string(text), "vault")
}

// TestADirectRequestCostsNoStorage: all that a request to the data plane needs is in memory.
func TestADirectRequestCostsNoStorage(t *testing.T) {
	m := mounttest.New(t)
	for _, r := range asked(t, m) {
		body, err := json.Marshal(r.data)
		require.NoError(t, err)
		req := &logical.Request{Operation: logical.UpdateOperation, Path: r.path, Storage: m.Storage}
		if r.path == "decrypt/none" {
			continue
		}
		ask := func() {
			_, _, _ = m.Backend.(front.Direct).DirectExists(t.Context(), req)
			_, ok, _ := m.Backend.(front.Direct).Direct(t.Context(), req, string(body))
			require.True(t, ok)
		}
		ask()
		m.Storage.Reset()
		ask()
		require.Equal(t, storagetest.Counts{}, m.Storage.Reset(), r.path)
	}
}
