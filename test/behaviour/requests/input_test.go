// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package requests_test is about requests on any path: what is refused and how it is said, what no answer may tell, and
// what another node did.
package requests_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// oneBad is a batch of which one item fails.
var oneBad = []any{mounttest.Data("plaintext", ""), mounttest.Data("plaintext", "!")}

// badInput are requests on a mount with policy p (revision 1), key k (two versions) and key d (derived): each is
// refused with a status that names the field and the rule, and writes nothing.
var badInput = []struct {
	path   string
	data   map[string]any
	status int
	says   []string
}{
	{"keys/new", mounttest.Data("type", "aes512"), 400, []string{"type", `"aes512"`, "aes256-gcm96"}},
	{"keys/new", mounttest.Data("type", ""), 400, []string{"type", "unknown key type"}},
	{"keys/new", mounttest.Data("key_size", 32), 400, []string{"key_size", "32"}},
	{"keys/new", mounttest.Data("convergent_encryption", true), 400, []string{"convergent_encryption", "derived"}},
	{"keys/new", mounttest.Data("derived", "perhaps"), 400, []string{"derived", "perhaps"}},
	{"keys/new", mounttest.Data("derived", 2.0), 400, []string{"derived", "2", "true or false"}},
	{"keys/new", mounttest.Data("auto_rotate_period", "59m"), 400, []string{"auto_rotate_period", "59m", "an hour"}},
	{"keys/new", mounttest.Data("auto_rotate_period", 3153600001.0), 400, []string{"auto_rotate_period", "3153600001", "100 years"}},
	{"keys/new", mounttest.Data("auto_rotate_period", "2555000h"), 400, []string{"auto_rotate_period", "2555000h", "100 years"}},
	{"keys/k/config", mounttest.Data("auto_rotate_period", "9223372036"), 400, []string{"auto_rotate_period", "9223372036", "100 years"}},
	{"keys/k/config", mounttest.Data("auto_rotate_period", 1e300), 400, []string{"auto_rotate_period", "100 years"}},
	{"keys/k/versions/2/compromise", mounttest.Data("occurred_at", "0000-01-01T00:00:00+23:59", "reason", "because of a test"), 400, []string{"occurred_at", "0000-01-01T00:00:00+23:59", "RFC 3339", "1970"}},
	{"keys/k/versions/2/compromise", mounttest.Data("occurred_at", "0001-01-01T00:00:00Z", "reason", "because of a test"), 400, []string{"occurred_at", "0001-01-01T00:00:00Z", "1970"}},
	{"keys/k/versions/2/compromise", mounttest.Data("occurred_at", "9999-12-31T23:59:59-23:59", "reason", "because of a test"), 400, []string{"occurred_at", "9999-12-31T23:59:59-23:59", "9999"}},
	{"keys/k/versions/1/recover", mounttest.Data("time_limit", "36501d", "reason", "because of a test"), 400, []string{"time_limit", "36501d", "100 years"}},
	{"keys/new", mounttest.Data("auto_rotate_period", 3600.5), 400, []string{"auto_rotate_period", "3600.5", "whole number"}},
	{"keys/new", mounttest.Data("auto_rotate_period", -1), 400, []string{"auto_rotate_period"}},
	{"keys/new", mounttest.Data("policy", "none"), 400, []string{"policy", `"none"`}},
	{"keys/new", mounttest.Data("policy", "p", "type", "aes128-gcm96"), 400, []string{"type", "aes128-gcm96", "min_strength_bits", "256"}},
	{"keys/new", mounttest.Data("policy", "p", "auto_rotate_period", "24h"), 400, []string{"auto_rotate_period", "policy"}},
	{"keys/new", mounttest.Data("owner", strings.Repeat("x", 257)), 400, []string{"owner", "256"}},
	{"keys/new", mounttest.Data("reason", strings.Repeat("x", 513)), 400, []string{"reason", "512"}},
	{"keys/new", mounttest.Data("labels", map[string]any{"": "x"}), 400, []string{"labels"}},
	{"keys/new", mounttest.Data("labels", map[string]any{"a": strings.Repeat("x", 257)}), 400, []string{"labels", "256"}},
	{"keys/new", mounttest.Data("cas", 1), 409, []string{"cas", "1", "0"}},
	{"keys/k", mounttest.Data("cas", 0), 409, []string{"cas", "0", "2"}},
	{"keys/new", mounttest.Data("cas", -1), 400, []string{"cas", "-1"}},
	{"keys/new", mounttest.Data("cas", ""), 400, []string{"cas", `""`, "integer"}},
	{"keys/k/config", mounttest.Data("cas", true), 400, []string{"cas", "true", "integer"}},
	{"keys/k/rotate", mounttest.Data("cas", false), 400, []string{"cas", "false", "integer"}},
	{"keys/k/suspend", mounttest.Data("cas", true), 400, []string{"cas", "true", "integer"}},
	{"keys/k/rotate", mounttest.Data("cas", []any{1.0}), 400, []string{"cas", "integer"}},
	{"keys/k/rotate", mounttest.Data("cas", "two"), 400, []string{"cas", "two", "integer"}},
	{"keys/new", mounttest.Data("labels", map[string]any{"a": 12345678901234567890.0}), 400, []string{"labels", "2^53"}},
	{"keys/new", mounttest.Data("labels", map[string]any{"a": 1.5}), 400, []string{"labels", "2^53"}},
	{"keys/new", mounttest.Data("owner", 12345678901234567890.0), 400, []string{"owner", "12345678901234567000", "2^53"}},
	{"keys/new", mounttest.Data("owner", map[string]any{"a": 1.0}), 400, []string{"owner", "text"}},
	{"keys/new", mounttest.Data("policy", strings.Repeat("p", 1025)), 400, []string{"policy", "1024"}},
	{"keys/" + strings.Repeat("n", 1025), mounttest.Data(), 400, []string{"name", "1024", "nnn..."}},
	{"encrypt/" + strings.Repeat("n", 10_000), mounttest.Data("plaintext", ""), 400, []string{"name", "1024", "nnn..."}},
	{"policies/" + strings.Repeat("n", 1025), mounttest.Data("owner", "o"), 400, []string{"name", "1024", "nnn..."}},
	{"keys/k/versions/99999999999999999999/suspend", mounttest.Data(), 400, []string{"version", "99999999999999999999", "integer"}},
	{"keys/a..b", mounttest.Data(), 400, []string{"name", "a..b"}},
	{"keys/none/config", mounttest.Data("owner", "x"), 400, []string{"not found", "none"}},
	{"keys/k/config", mounttest.Data("min_decryption_version", 3), 400, []string{"min_decryption_version", "3", "2"}},
	{"keys/k/config", mounttest.Data("min_decryption_version", -1), 400, []string{"min_decryption_version", "-1"}},
	{"keys/k/config", mounttest.Data("min_decryption_version", 1.5), 400, []string{"min_decryption_version", "1.5"}},
	{"keys/k/config", mounttest.Data("min_decryption_version", "x"), 400, []string{"min_decryption_version", "x"}},
	{"keys/k/config", mounttest.Data("min_encryption_version", 3), 400, []string{"min_encryption_version", "3"}},
	{"keys/k/config", mounttest.Data("min_decryption_version", 2, "min_encryption_version", 1), 400, []string{"min_encryption_version", "1", "2"}},
	{"keys/k/config", mounttest.Data("policy", "none"), 400, []string{"none"}},
	{"keys/k/config", mounttest.Data("owner", "x", "cas", 7), 409, []string{"cas", "7", "2"}},
	{"keys/none/rotate", mounttest.Data(), 400, []string{"not found"}},
	{"keys/k/rotate", mounttest.Data("cas", 1), 409, []string{"cas"}},
	{"policies/new", mounttest.Data(), 400, []string{"owner"}},
	{"policies/new", mounttest.Data("owner", "o", "rotation_periods", "1h"), 400, []string{"rotation_periods", "no such field"}},
	{"policies/new", mounttest.Data("owner", "o", "rotation_period", "59s"), 400, []string{"rotation_period", "59s", "1m"}},
	{"policies/new", mounttest.Data("owner", "o", "rotation_period", "soon"), 400, []string{"rotation_period", "soon"}},
	{"policies/new", mounttest.Data("owner", "o", "rotation_period", "-1h"), 400, []string{"rotation_period", "-1h"}},
	{"policies/new", mounttest.Data("owner", "o", "rotation_period", "200000d"), 400, []string{"rotation_period"}},
	{"policies/new", mounttest.Data("owner", "o", "rotation_period", []any{"1h"}), 400, []string{"rotation_period"}},
	{"policies/new", mounttest.Data("owner", "o", "rotation_jitter", "26%"), 400, []string{"rotation_jitter", "26%", "25%"}},
	{"policies/new", mounttest.Data("owner", "o", "rotation_period", "1h", "rotation_jitter", "16m"), 400, []string{"rotation_jitter", "16m"}},
	{"policies/new", mounttest.Data("owner", "o", "rotation_mode", "never"), 400, []string{"rotation_mode", "never", "manual"}},
	{"policies/new", mounttest.Data("owner", "o", "allowed_types", []any{"des"}), 400, []string{"allowed_types", "des"}},
	{"policies/new", mounttest.Data("owner", "o", "min_strength_bits", 257), 400, []string{"min_strength_bits", "257"}},
	{"policies/new", mounttest.Data("owner", "o", "min_strength_bits", 256, "allowed_types", "aes128-gcm96"), 400, []string{"allowed_types", "aes128-gcm96", "128"}},
	{"policies/p", mounttest.Data("owner", "x", "cas", 0), 409, []string{"cas", "0", "1"}},
	{"policies/p", mounttest.Data("revision", 3), 400, []string{"revision"}},
	{"policies/p", mounttest.Data("owner", "o", "cas", true), 400, []string{"cas", "true", "integer"}},
	{"policies/p", mounttest.Data("owner", "o", "min_versions_kept", true), 400, []string{"min_versions_kept", "true", "integer"}},
	{"policies/p", mounttest.Data("owner", "o", "max_encryptions", ""), 400, []string{"max_encryptions", `""`, "integer"}},
	{"policies/a..b", mounttest.Data("owner", "o"), 400, []string{"name", "a..b"}},
	{"encrypt/k", mounttest.Data(), 400, []string{"plaintext"}},
	{"encrypt/k", mounttest.Data("plaintext", "!"), 400, []string{"plaintext: illegal base64"}},
	{"encrypt/d", mounttest.Data("plaintext", "!", "context", "AAAA"), 400, []string{"plaintext: illegal base64"}},
	{"encrypt/d", mounttest.Data("plaintext", "", "context", "!"), 400, []string{"context: illegal base64"}},
	{"encrypt/k", mounttest.Data("plaintext", "", "nonce", "!"), 400, []string{"nonce: illegal base64"}},
	{"encrypt/k", mounttest.Data("plaintext", "", "iv", "!"), 400, []string{"iv: illegal base64"}},
	{"encrypt/k", mounttest.Data("plaintext", "", "associated_data", "!"), 500, []string{"associated_data: illegal base64"}},
	{"encrypt/d", mounttest.Data("plaintext", "", "associated_data", "!", "context", "AAAA"), 500, []string{"associated_data: illegal base64"}},
	{"encrypt/k", mounttest.Data("plaintext", "!", "associated_data", "!"), 400, []string{"plaintext: illegal base64"}},
	{"encrypt/k", mounttest.Data("plaintext", "!", "padding_scheme", "oaep"), 400, []string{"plaintext: illegal base64"}},
	{"encrypt/d", mounttest.Data("plaintext", "", "associated_data", "!"), 400, []string{"context"}},
	{"encrypt/k", mounttest.Data("plaintext", "", "key_version", 3), 400, []string{"key_version", "3"}},
	{"encrypt/k", mounttest.Data("plaintext", "", "key_version", -1), 400, []string{"negative"}},
	{"encrypt/k", mounttest.Data("plaintext", "", "key_version", "one"), 400, []string{"key_version"}},
	{"encrypt/k", mounttest.Data("plaintext", "", "nonce", "AAAA"), 400, []string{"nonce"}},
	{"encrypt/k", mounttest.Data("plaintext", "", "padding_scheme", "oaep"), 400, []string{"padding_scheme"}},
	{"encrypt/d", mounttest.Data("plaintext", ""), 400, []string{"context"}},
	{"encrypt/k", mounttest.Data("batch_input", []any{}), 400, []string{"batch input"}},
	{"encrypt/k", mounttest.Data("batch_input", []any{map[string]any{"plaintext": "!"}}), 400, nil},
	{"encrypt/k", mounttest.Data("plaintext", 12345678901234567890.0), 400, []string{"plaintext", "text", "2^53"}},
	{"encrypt/k", mounttest.Data("batch_input", oneBad, "partial_failure_response_code", 99), 400, []string{"partial_failure_response_code", "99", "200 to 599"}},
	{"encrypt/k", mounttest.Data("batch_input", oneBad, "partial_failure_response_code", 600.0), 400, []string{"partial_failure_response_code", "600", "200 to 599"}},
	{"encrypt/k", mounttest.Data("batch_input", []any{mounttest.Data("plaintext", "")}, "partial_failure_response_code", 0), 400, []string{"partial_failure_response_code", "0", "200 to 599"}},
	{"encrypt/new", mounttest.Data("batch_input", oneBad, "partial_failure_response_code", "199"), 400, []string{"partial_failure_response_code", "199", "200 to 599"}},
	{"decrypt/k", mounttest.Data("batch_input", []any{mounttest.Data("ciphertext", "")}, "partial_failure_response_code", -1), 400, []string{"partial_failure_response_code", "-1", "200 to 599"}},
	{"encrypt/k", mounttest.Data("plaintext", 1.5), 400, []string{"plaintext", "text"}},
	{"encrypt/d", mounttest.Data("plaintext", "", "context", 12345678901234567890.0), 400, []string{"context", "text"}},
	{"rewrap/k", mounttest.Data("batch_input", []any{map[string]any{"ciphertext": "", "reference": 12345678901234567890.0}}), 400, []string{"[0].reference", "text", "2^53"}},
	{"rewrap/k", mounttest.Data("batch_input", []any{map[string]any{"ciphertext": "", "reference": 1.5}}), 400, []string{"[0].reference", "text"}},
	{"encrypt/new", mounttest.Data("plaintext", "!"), 400, []string{"plaintext: illegal base64"}},
	{"encrypt/new", mounttest.Data("plaintext", "", "context", "!"), 400, []string{"context: illegal base64"}},
	{"encrypt/new", mounttest.Data("plaintext", "", "padding_scheme", "oaep"), 400, []string{"padding_scheme"}},
	{"encrypt/new", mounttest.Data("plaintext", "", "associated_data", "!"), 500, []string{"associated_data: illegal base64"}},
	{"encrypt/new", mounttest.Data("plaintext", "", "associated_data", "!", "key_version", 2), 400, []string{"key_version", "2"}},
	{"encrypt/new", mounttest.Data("batch_input", []any{map[string]any{"plaintext": "", "padding_scheme": "oaep"}}), 200, nil},
	{"encrypt/new", mounttest.Data("plaintext", "", "key_version", 2), 400, []string{"key_version", "2"}},
	{"encrypt/new", mounttest.Data("plaintext", "", "type", "rsa-1024"), 400, []string{"type", "rsa-1024"}},
	{"encrypt/new", mounttest.Data("plaintext", "", "convergent_encryption", true), 400, []string{"context"}},
	{"decrypt/k", mounttest.Data(), 400, []string{"ciphertext"}},
	{"decrypt/k", mounttest.Data("ciphertext", "vault:v3:AAAA"), 400, []string{"too new"}},
	{"decrypt/k", mounttest.Data("ciphertext", "vault:v-1:AAAA"), 400, []string{"-1"}},
	{"decrypt/k", mounttest.Data("ciphertext", "vault:vx:AAAA"), 400, []string{"version"}},
	{"decrypt/k", mounttest.Data("ciphertext", "v1:AAAA"), 400, []string{"prefix"}},
	{"decrypt/k", mounttest.Data("ciphertext", "vault:v1:!"), 400, []string{"invalid ciphertext: could not decode base64"}},
	{"decrypt/d", mounttest.Data("ciphertext", "vault:v1:!", "context", "!"), 400, []string{"context: illegal base64"}},
	{"decrypt/k", mounttest.Data("ciphertext", "vault:v1:!", "associated_data", "!"), 400, []string{"invalid ciphertext: could not decode base64"}},
	{"decrypt/k", mounttest.Data("ciphertext", "vault:v3:AAAA", "associated_data", "!"), 400, []string{"too new"}},
	{"decrypt/d", mounttest.Data("ciphertext", "vault:v1:AAAA", "associated_data", "!"), 400, []string{"context"}},
	{"decrypt/k", mounttest.Data("ciphertext", "vault:v1:AAAA", "associated_data", "!"), 500, []string{"associated_data: illegal base64"}},
	{"decrypt/d", mounttest.Data("ciphertext", "vault:v1:AAAA", "associated_data", "!", "context", "AAAA"), 500, []string{"associated_data: illegal base64"}},
	{"decrypt/k", mounttest.Data("ciphertext", "vault:v1:AAAA"), 400, []string{"length"}},
	{"decrypt/none", mounttest.Data("ciphertext", "vault:v1:AAAA"), 400, []string{"not found"}},
	{"rewrap/k", mounttest.Data("ciphertext", "vault:v1:AAAA", "associated_data", "!"), 400, []string{"associated_data"}},
	{"datakey/plain/k", mounttest.Data(), 400, []string{"plaintext", "wrapped"}},
	{"datakey/wrapped/k", mounttest.Data("bits", 100), 400, []string{"bits", "100", "256"}},
	{"datakey/wrapped/k", mounttest.Data("associated_data", "!"), 400, []string{"associated_data"}},
	{"datakey/wrapped/k", mounttest.Data("context", "!"), 400, []string{"context"}},
	{"keys/k/versions", mounttest.Data(), 405, nil},
	{"keys/-k", mounttest.Data(), 404, nil},
	{"keys/k!", mounttest.Data(), 404, nil},
}

func TestBadInputIsRefusedByNameAndWritesNothing(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "min_strength_bits", 256))
	m.Must(m.Write("keys/k"))
	m.Must(m.Write("keys/k/rotate"))
	m.Must(m.Write("keys/d", "derived", true))
	m.Storage.Reset()
	for _, c := range badInput {
		t.Run(fmt.Sprintf("%s %v", c.path, shown(c.data)), func(t *testing.T) {
			got := m.Do(logical.UpdateOperation, c.path, c.data)
			require.Equal(t, c.status, got.Status, got.Err)
			for _, word := range c.says {
				require.Contains(t, got.Err, word)
			}
			require.Zero(t, m.Storage.Reset().Writes(), "writes")
		})
	}
}

func shown(data map[string]any) string {
	text, _ := json.Marshal(data)
	return string(text[:min(len(text), 60)])
}

func TestReadingWhatIsNotThereIs404(t *testing.T) {
	m := mounttest.New(t)
	for _, path := range []string{"keys/none", "keys/none/rotation", "policies/none"} {
		require.Equal(t, http.StatusNotFound, m.Read(path).Status, path)
	}
	require.Equal(t, http.StatusNotFound, m.List("keys/").Status)
	require.Equal(t, http.StatusNotFound, m.List("policies/").Status)
}

func TestAWrongMethodIs405(t *testing.T) {
	m := mounttest.New(t)
	require.Equal(t, http.StatusMethodNotAllowed, m.Read("keys/k/rotate").Status)
	require.Equal(t, http.StatusMethodNotAllowed, m.Write("keys/k/rotation").Status)
	require.Equal(t, http.StatusMethodNotAllowed, m.Delete("encrypt/k").Status)
}

func TestListsComeInPages(t *testing.T) {
	m := mounttest.New(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		m.Must(m.Write("keys/" + name))
	}
	require.Equal(t, []string{"a", "b", "c", "d"}, m.List("keys/").Data["keys"])
	require.Equal(t, []string{"a", "b"}, m.List("keys/", "limit", 2).Data["keys"])
	require.Equal(t, []string{"c", "d"}, m.List("keys/", "after", "b", "limit", "2").Data["keys"])
	require.Equal(t, []string{"c", "d"}, m.List("keys/", "after", "bb").Data["keys"], "after need not exist")
	require.Equal(t, http.StatusNotFound, m.List("keys/", "after", "d").Status)
	require.Equal(t, http.StatusBadRequest, m.List("keys/", "limit", -1).Status)
}

func TestListsThatTransitDoesNotHaveTakeNoOtherFields(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("keys/k"))
	for _, path := range []string{"policies/", "policies/p/revisions/", "keys/k/versions/"} {
		m.Must(m.List(path, "limit", "1"))
		got := m.List(path, "nonsense", 1)
		require.Equal(t, http.StatusBadRequest, got.Status, path)
		require.Contains(t, got.Err, "nonsense", path)
	}
	require.Len(t, m.Must(m.List("keys/", "nonsense", 1)).Warnings, 1, "Transit's list ignores them")
}
