// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// TestNoErrorQuotesASecret puts values of every wrong kind into every field of every path. Texts of errors get into
// Vault's logs.
func TestNoErrorQuotesASecret(t *testing.T) {
	const marker, number = "the-marker", 8675309.25
	wrong := []any{
		map[string]any{"ssn": marker},
		map[string]any{"a": map[string]any{"b": marker}},
		[]any{marker, marker},
		[]any{map[string]any{"a": marker}},
		[]any{[]any{marker}},
		marker, number,
		[]any{number, number},
		true, nil,
	}
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	secrets := map[string]bool{}
	for _, path := range m.Framework().Paths {
		where := m.ExampleOf(path)
		for name, schema := range path.Fields {
			secret := schema.DisplayAttrs != nil && schema.DisplayAttrs.Sensitive
			for _, value := range wrong {
				if _, isText := value.(string); !secret && (isText || schema.Type != framework.TypeString) {
					continue // a list of names, say, may be quoted
				}
				secrets[name] = secrets[name] || secret
				got := m.Write(where, name, value)
				require.NotContains(t, got.Err, marker, "%s %s", where, name)
				if secret {
					require.NotContains(t, got.Err, "8675309", "%s %s", where, name)
				}
			}
		}
	}
	require.NotContains(t, m.Log.String(), marker)
	require.Equal(t, map[string]bool{"plaintext": true, "ciphertext": true, "context": true, "nonce": true, "associated_data": true, "iv": true, "pin": true, "input": true, "hmac": true, "cmac": true, "backup": true},
		only(secrets), "the fields for secrets")
}

// only drops what is false.
func only(set map[string]bool) map[string]bool {
	for name, in := range set {
		if !in {
			delete(set, name)
		}
	}
	return set
}

func TestNoErrorOfABatchQuotesASecret(t *testing.T) {
	const marker = "the-marker"
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	for _, path := range []string{"encrypt/k", "decrypt/k", "rewrap/k", "encrypt/new"} {
		for _, name := range []string{"plaintext", "ciphertext", "context", "nonce", "associated_data", "iv", "padding_scheme", "reference", "key_version"} {
			for _, value := range []any{map[string]any{"a": marker}, []any{marker}, marker, 8675309.25} {
				for _, items := range []any{[]any{map[string]any{name: value}}, map[string]any{name: value}, []any{value}, value} {
					got := m.Write(path, "batch_input", items)
					require.NotContains(t, got.Err, marker, "%s %s", path, name)
					if name != "key_version" {
						require.NotContains(t, got.Err, "8675309", "%s %s", path, name)
					}
				}
			}
		}
	}
	require.NotContains(t, m.Log.String(), marker)
}

// TestAWrongFieldDoesNotHideWhatExists: who may update but not create would be told 403 in place of what is wrong.
func TestAWrongFieldDoesNotHideWhatExists(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	m.Must(m.Write("policies/p", "owner", "o"))
	exists := func(path string, data map[string]any) bool {
		req := &logical.Request{Operation: logical.UpdateOperation, Path: path, Data: data, Storage: m.Storage}
		found, exists, err := m.HandleExistenceCheck(context.Background(), req)
		require.NoError(t, err, "Vault logs it, with what it says of the field")
		require.True(t, found)
		return exists
	}
	for _, data := range []map[string]any{
		mounttest.Data("key_version", 1.5), mounttest.Data("key_version", 99999999999.0), mounttest.Data("key_version", "one"), mounttest.Data("convergent_encryption", 5.0),
		mounttest.Data("plaintext", map[string]any{"a": "b"}), mounttest.Data("plaintext", 1.5), mounttest.Data("min_strength_bits", 1.5), mounttest.Data("labels", 7.0),
		mounttest.Data("policy", "a..b"), mounttest.Data("name", "x"),
	} {
		require.True(t, exists("encrypt/k", data), data)
		require.True(t, exists("policies/p", data), data)
		require.False(t, exists("encrypt/new", data), data)
		require.False(t, exists("policies/new", data), data)
	}
	require.False(t, exists("encrypt/a..b", nil))
	require.False(t, exists("encrypt/"+strings.Repeat("n", 9000), nil))
}

func TestASmallWholeNumberIsAText(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "owner", 7.0, "labels", map[string]any{"a": 9007199254740991.0, "b": true}))
	view := m.Must(m.Read("keys/k")).Data
	require.Equal(t, "7", view["owner"])
	require.Equal(t, map[string]string{"a": "9007199254740991", "b": "1"}, view["labels"])
	ciphertext := m.Must(m.Write("encrypt/k", "plaintext", 12345678.0)).Data["ciphertext"]
	require.Equal(t, "12345678", m.Must(m.Write("decrypt/k", "ciphertext", ciphertext)).Data["plaintext"])
	rows := mounttest.Rows(t, m.Must(m.Write("rewrap/k", "batch_input", []any{map[string]any{"ciphertext": ciphertext, "reference": 12.0}})))
	require.Equal(t, "12", rows[0].Reference)
}

func TestALongNameIsTakenUpToItsLimit(t *testing.T) {
	m := mounttest.New(t)
	name := strings.Repeat("n", 1024)
	m.Must(m.Write("policies/"+name, "owner", "o"))
	m.Must(m.Write("keys/"+name, "policy", name))
	require.Equal(t, "x", m.Decrypt(name, m.Encrypt(name, "x")))
	m.Must(m.Write("keys/"+name+"/rotate", "reason", "because of a test"))
	m.Must(m.Read("keys/" + name + "/history"))
}

func TestAnItemAsksForAVersionOfAnyNumber(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	ciphertext := m.Encrypt("k", "x")
	for _, version := range []float64{99999999999, -99999999999, 1e18} {
		item := func(kv ...any) []any { return []any{mounttest.Data(append(kv, "key_version", version)...)} }
		got := m.Write("encrypt/k", "batch_input", item("plaintext", ""))
		require.Equal(t, 400, got.Status)
		require.Contains(t, got.Data["batch_results"].([]any)[0].(map[string]any), "error")
		rows := mounttest.Rows(t, m.Must(m.Write("rewrap/k", "batch_input", item("ciphertext", ciphertext))))
		require.NotEmpty(t, rows[0].Error)
		m.Must(m.Write("decrypt/k", "batch_input", item("ciphertext", ciphertext)))
	}
	require.Equal(t, 500, m.Write("encrypt/k", "batch_input", []any{mounttest.Data("plaintext", "", "key_version", 1e19)}).Status)
}

func TestItemsOfRewrapHaveTheirNamesInAnyCase(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	item := mounttest.Data("Ciphertext", m.Encrypt("k", "x"), "REFERENCE", "r", "reference", "the exact name counts", "Key_Version", 1.0)
	rows := mounttest.Rows(t, m.Must(m.Write("rewrap/k", "batch_input", []any{item})))
	require.Empty(t, rows[0].Error)
	require.Equal(t, "the exact name counts", rows[0].Reference)
	require.Equal(t, 500, m.Write("decrypt/k", "batch_input", []any{item}).Status, "only those of rewrap, as in Transit")
}
