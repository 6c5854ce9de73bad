// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// example is a request path that a pattern matches: what the pattern captures is there.
func example(t *testing.T, m *mount, path *framework.Path) string {
	t.Helper()
	text := strings.Trim(path.Pattern, "^$")
	text = strings.NewReplacer(framework.GenericNameRegex("name"), "k", framework.GenericNameRegex("plaintext"), "wrapped", "/?", "/").Replace(text)
	text = regexp.MustCompile(`\(\?P<\w+>\\d\+\)`).ReplaceAllString(text, "1")
	require.Equal(t, path.Pattern, m.Route(text).Pattern, text)
	return text
}

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
	m := newMount(t)
	m.must(m.write("keys/k"))
	secrets := map[string]bool{}
	for _, path := range m.Paths {
		where := example(t, m, path)
		for name, schema := range path.Fields {
			secret := schema.DisplayAttrs != nil && schema.DisplayAttrs.Sensitive
			for _, value := range wrong {
				if _, isText := value.(string); !secret && (isText || schema.Type != framework.TypeString) {
					continue // a list of names, say, may be quoted
				}
				secrets[name] = secrets[name] || secret
				got := m.write(where, name, value)
				require.NotContains(t, got.err, marker, "%s %s", where, name)
				if secret {
					require.NotContains(t, got.err, "8675309", "%s %s", where, name)
				}
			}
		}
	}
	require.NotContains(t, m.log.String(), marker)
	require.Equal(t, map[string]bool{"plaintext": true, "ciphertext": true, "context": true, "nonce": true, "associated_data": true, "iv": true},
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
	m := newMount(t)
	m.must(m.write("keys/k"))
	for _, path := range []string{"encrypt/k", "decrypt/k", "rewrap/k", "encrypt/new"} {
		for _, name := range []string{"plaintext", "ciphertext", "context", "nonce", "associated_data", "iv", "padding_scheme", "reference", "key_version"} {
			for _, value := range []any{map[string]any{"a": marker}, []any{marker}, marker, 8675309.25} {
				for _, items := range []any{[]any{map[string]any{name: value}}, map[string]any{name: value}, []any{value}, value} {
					got := m.write(path, "batch_input", items)
					require.NotContains(t, got.err, marker, "%s %s", path, name)
					if name != "key_version" {
						require.NotContains(t, got.err, "8675309", "%s %s", path, name)
					}
				}
			}
		}
	}
	require.NotContains(t, m.log.String(), marker)
}

// TestEveryTypeOfFieldHasARule: the text that takes the place of the SDK's.
func TestEveryTypeOfFieldHasARule(t *testing.T) {
	for _, path := range newMount(t).Paths {
		for name, schema := range path.Fields {
			require.NotEmpty(t, typeRule[schema.Type], "%s %s: %s", path.Pattern, name, schema.Type)
		}
	}
}

// TestAWrongFieldDoesNotHideWhatExists: who may update but not create would be told 403 in place of what is wrong.
func TestAWrongFieldDoesNotHideWhatExists(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	m.must(m.write("policies/p", "owner", "o"))
	exists := func(path string, data map[string]any) bool {
		req := &logical.Request{Operation: logical.UpdateOperation, Path: path, Data: data, Storage: m.storage}
		found, exists, err := m.HandleExistenceCheck(context.Background(), req)
		require.NoError(t, err, "Vault logs it, with what it says of the field")
		require.True(t, found)
		return exists
	}
	for _, data := range []map[string]any{
		dataOf("key_version", 1.5), dataOf("key_version", 99999999999.0), dataOf("key_version", "one"), dataOf("convergent_encryption", 5.0),
		dataOf("plaintext", map[string]any{"a": "b"}), dataOf("plaintext", 1.5), dataOf("min_strength_bits", 1.5), dataOf("labels", 7.0),
		dataOf("policy", "a..b"), dataOf("name", "x"),
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
	m := newMount(t)
	m.must(m.write("keys/k", "owner", 7.0, "labels", map[string]any{"a": 9007199254740991.0, "b": true}))
	view := m.must(m.read("keys/k")).data
	require.Equal(t, "7", view["owner"])
	require.Equal(t, map[string]string{"a": "9007199254740991", "b": "1"}, view["labels"])
	ciphertext := m.must(m.write("encrypt/k", "plaintext", 12345678.0)).data["ciphertext"]
	require.Equal(t, "12345678", m.must(m.write("decrypt/k", "ciphertext", ciphertext)).data["plaintext"])
	rows := m.must(m.write("rewrap/k", "batch_input", []any{map[string]any{"ciphertext": ciphertext, "reference": 12.0}})).data["batch_results"]
	require.Equal(t, "12", rows.([]protectedRow)[0].Reference)
}

func TestALongNameIsTakenUpToItsLimit(t *testing.T) {
	m := newMount(t)
	name := strings.Repeat("n", 1024)
	m.must(m.write("policies/"+name, "owner", "o"))
	m.must(m.write("keys/"+name, "policy", name))
	require.Equal(t, "x", m.decrypt(name, m.encrypt(name, "x")))
	m.must(m.write("keys/"+name+"/rotate", "reason", "because of a test"))
	m.must(m.read("keys/" + name + "/history"))
}

func TestAnItemAsksForAVersionOfAnyNumber(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	ciphertext := m.encrypt("k", "x")
	for _, version := range []float64{99999999999, -99999999999, 1e18} {
		item := func(kv ...any) []any { return []any{dataOf(append(kv, "key_version", version)...)} }
		got := m.write("encrypt/k", "batch_input", item("plaintext", ""))
		require.Equal(t, 400, got.status)
		require.Contains(t, got.data["batch_results"].([]any)[0].(map[string]any), "error")
		rows := m.must(m.write("rewrap/k", "batch_input", item("ciphertext", ciphertext))).data["batch_results"]
		require.NotEmpty(t, rows.([]protectedRow)[0].Error)
		m.must(m.write("decrypt/k", "batch_input", item("ciphertext", ciphertext)))
	}
	require.Equal(t, 500, m.write("encrypt/k", "batch_input", []any{dataOf("plaintext", "", "key_version", 1e19)}).status)
}

func TestItemsOfRewrapHaveTheirNamesInAnyCase(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	item := dataOf("Ciphertext", m.encrypt("k", "x"), "REFERENCE", "r", "reference", "the exact name counts", "Key_Version", 1.0)
	rows := m.must(m.write("rewrap/k", "batch_input", []any{item})).data["batch_results"].([]protectedRow)
	require.Empty(t, rows[0].Error)
	require.Equal(t, "the exact name counts", rows[0].Reference)
	require.Equal(t, 500, m.write("decrypt/k", "batch_input", []any{item}).status, "only those of rewrap, as in Transit")
}
