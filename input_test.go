// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// oneBad is a batch of which one item fails.
var oneBad = []any{dataOf("plaintext", ""), dataOf("plaintext", "!")}

// badInput are requests on a mount with policy p (revision 1), key k (two versions) and key d (derived): each is
// refused with a status that names the field and the rule, and writes nothing.
var badInput = []struct {
	path   string
	data   map[string]any
	status int
	says   []string
}{
	{"keys/new", dataOf("type", "aes512"), 400, []string{"type", `"aes512"`, "aes256-gcm96"}},
	{"keys/new", dataOf("type", ""), 400, []string{"type", "unknown key type"}},
	{"keys/new", dataOf("key_size", 32), 400, []string{"key_size", "32"}},
	{"keys/new", dataOf("convergent_encryption", true), 400, []string{"convergent_encryption", "derived"}},
	{"keys/new", dataOf("derived", "perhaps"), 400, []string{"derived", "perhaps"}},
	{"keys/new", dataOf("derived", 2.0), 400, []string{"derived", "2", "true or false"}},
	{"keys/new", dataOf("auto_rotate_period", "59m"), 400, []string{"auto_rotate_period", "59m", "an hour"}},
	{"keys/new", dataOf("auto_rotate_period", 3153600001.0), 400, []string{"auto_rotate_period", "3153600001", "100 years"}},
	{"keys/new", dataOf("auto_rotate_period", "2555000h"), 400, []string{"auto_rotate_period", "2555000h", "100 years"}},
	{"keys/k/config", dataOf("auto_rotate_period", "9223372036"), 400, []string{"auto_rotate_period", "9223372036", "100 years"}},
	{"keys/k/config", dataOf("auto_rotate_period", 1e300), 400, []string{"auto_rotate_period", "100 years"}},
	{"keys/k/versions/2/compromise", dataOf("occurred_at", "0000-01-01T00:00:00+23:59", "reason", "because of a test"), 400, []string{"occurred_at", "0000-01-01T00:00:00+23:59", "RFC 3339", "1970"}},
	{"keys/k/versions/2/compromise", dataOf("occurred_at", "0001-01-01T00:00:00Z", "reason", "because of a test"), 400, []string{"occurred_at", "0001-01-01T00:00:00Z", "1970"}},
	{"keys/k/versions/2/compromise", dataOf("occurred_at", "9999-12-31T23:59:59-23:59", "reason", "because of a test"), 400, []string{"occurred_at", "9999-12-31T23:59:59-23:59", "9999"}},
	{"keys/k/versions/1/recover", dataOf("time_limit", "36501d", "reason", "because of a test"), 400, []string{"time_limit", "36501d", "100 years"}},
	{"keys/new", dataOf("auto_rotate_period", 3600.5), 400, []string{"auto_rotate_period", "3600.5", "whole number"}},
	{"keys/new", dataOf("auto_rotate_period", -1), 400, []string{"auto_rotate_period"}},
	{"keys/new", dataOf("policy", "none"), 400, []string{"policy", `"none"`}},
	{"keys/new", dataOf("policy", "p", "type", "aes128-gcm96"), 400, []string{"type", "aes128-gcm96", "min_strength_bits", "256"}},
	{"keys/new", dataOf("policy", "p", "auto_rotate_period", "24h"), 400, []string{"auto_rotate_period", "policy"}},
	{"keys/new", dataOf("owner", strings.Repeat("x", 257)), 400, []string{"owner", "256"}},
	{"keys/new", dataOf("reason", strings.Repeat("x", 513)), 400, []string{"reason", "512"}},
	{"keys/new", dataOf("labels", map[string]any{"": "x"}), 400, []string{"labels"}},
	{"keys/new", dataOf("labels", map[string]any{"a": strings.Repeat("x", 257)}), 400, []string{"labels", "256"}},
	{"keys/new", dataOf("cas", 1), 409, []string{"cas", "1", "0"}},
	{"keys/k", dataOf("cas", 0), 409, []string{"cas", "0", "2"}},
	{"keys/new", dataOf("cas", -1), 400, []string{"cas", "-1"}},
	{"keys/new", dataOf("cas", ""), 400, []string{"cas", `""`, "integer"}},
	{"keys/k/config", dataOf("cas", true), 400, []string{"cas", "true", "integer"}},
	{"keys/k/rotate", dataOf("cas", false), 400, []string{"cas", "false", "integer"}},
	{"keys/k/suspend", dataOf("cas", true), 400, []string{"cas", "true", "integer"}},
	{"keys/k/rotate", dataOf("cas", []any{1.0}), 400, []string{"cas", "integer"}},
	{"keys/k/rotate", dataOf("cas", "two"), 400, []string{"cas", "two", "integer"}},
	{"keys/new", dataOf("labels", map[string]any{"a": 12345678901234567890.0}), 400, []string{"labels", "2^53"}},
	{"keys/new", dataOf("labels", map[string]any{"a": 1.5}), 400, []string{"labels", "2^53"}},
	{"keys/new", dataOf("owner", 12345678901234567890.0), 400, []string{"owner", "12345678901234567000", "2^53"}},
	{"keys/new", dataOf("owner", map[string]any{"a": 1.0}), 400, []string{"owner", "text"}},
	{"keys/new", dataOf("policy", strings.Repeat("p", 1025)), 400, []string{"policy", "1024"}},
	{"keys/" + strings.Repeat("n", 1025), dataOf(), 400, []string{"name", "1024", "nnn..."}},
	{"encrypt/" + strings.Repeat("n", 10_000), dataOf("plaintext", ""), 400, []string{"name", "1024", "nnn..."}},
	{"policies/" + strings.Repeat("n", 1025), dataOf("owner", "o"), 400, []string{"name", "1024", "nnn..."}},
	{"keys/k/versions/99999999999999999999/suspend", dataOf(), 400, []string{"version", "99999999999999999999", "integer"}},
	{"keys/a..b", dataOf(), 400, []string{"name", "a..b"}},
	{"keys/none/config", dataOf("owner", "x"), 400, []string{"not found", "none"}},
	{"keys/k/config", dataOf("min_decryption_version", 3), 400, []string{"min_decryption_version", "3", "2"}},
	{"keys/k/config", dataOf("min_decryption_version", -1), 400, []string{"min_decryption_version", "-1"}},
	{"keys/k/config", dataOf("min_decryption_version", 1.5), 400, []string{"min_decryption_version", "1.5"}},
	{"keys/k/config", dataOf("min_decryption_version", "x"), 400, []string{"min_decryption_version", "x"}},
	{"keys/k/config", dataOf("min_encryption_version", 3), 400, []string{"min_encryption_version", "3"}},
	{"keys/k/config", dataOf("min_decryption_version", 2, "min_encryption_version", 1), 400, []string{"min_encryption_version", "1", "2"}},
	{"keys/k/config", dataOf("policy", "none"), 400, []string{"none"}},
	{"keys/k/config", dataOf("owner", "x", "cas", 7), 409, []string{"cas", "7", "2"}},
	{"keys/none/rotate", dataOf(), 400, []string{"not found"}},
	{"keys/k/rotate", dataOf("cas", 1), 409, []string{"cas"}},
	{"policies/new", dataOf(), 400, []string{"owner"}},
	{"policies/new", dataOf("owner", "o", "rotation_periods", "1h"), 400, []string{"rotation_periods", "no such field"}},
	{"policies/new", dataOf("owner", "o", "rotation_period", "59s"), 400, []string{"rotation_period", "59s", "1m"}},
	{"policies/new", dataOf("owner", "o", "rotation_period", "soon"), 400, []string{"rotation_period", "soon"}},
	{"policies/new", dataOf("owner", "o", "rotation_period", "-1h"), 400, []string{"rotation_period", "-1h"}},
	{"policies/new", dataOf("owner", "o", "rotation_period", "200000d"), 400, []string{"rotation_period"}},
	{"policies/new", dataOf("owner", "o", "rotation_period", []any{"1h"}), 400, []string{"rotation_period"}},
	{"policies/new", dataOf("owner", "o", "rotation_jitter", "26%"), 400, []string{"rotation_jitter", "26%", "25%"}},
	{"policies/new", dataOf("owner", "o", "rotation_period", "1h", "rotation_jitter", "16m"), 400, []string{"rotation_jitter", "16m"}},
	{"policies/new", dataOf("owner", "o", "rotation_mode", "never"), 400, []string{"rotation_mode", "never", "manual"}},
	{"policies/new", dataOf("owner", "o", "allowed_types", []any{"des"}), 400, []string{"allowed_types", "des"}},
	{"policies/new", dataOf("owner", "o", "min_strength_bits", 257), 400, []string{"min_strength_bits", "257"}},
	{"policies/new", dataOf("owner", "o", "min_strength_bits", 256, "allowed_types", "aes128-gcm96"), 400, []string{"allowed_types", "aes128-gcm96", "128"}},
	{"policies/p", dataOf("owner", "x", "cas", 0), 409, []string{"cas", "0", "1"}},
	{"policies/p", dataOf("revision", 3), 400, []string{"revision"}},
	{"policies/p", dataOf("owner", "o", "cas", true), 400, []string{"cas", "true", "integer"}},
	{"policies/p", dataOf("owner", "o", "min_versions_kept", true), 400, []string{"min_versions_kept", "true", "integer"}},
	{"policies/p", dataOf("owner", "o", "max_encryptions", ""), 400, []string{"max_encryptions", `""`, "integer"}},
	{"policies/a..b", dataOf("owner", "o"), 400, []string{"name", "a..b"}},
	{"encrypt/k", dataOf(), 400, []string{"plaintext"}},
	{"encrypt/k", dataOf("plaintext", "!"), 400, []string{"plaintext: illegal base64"}},
	{"encrypt/d", dataOf("plaintext", "!", "context", "AAAA"), 400, []string{"plaintext: illegal base64"}},
	{"encrypt/d", dataOf("plaintext", "", "context", "!"), 400, []string{"context: illegal base64"}},
	{"encrypt/k", dataOf("plaintext", "", "nonce", "!"), 400, []string{"nonce: illegal base64"}},
	{"encrypt/k", dataOf("plaintext", "", "iv", "!"), 400, []string{"iv: illegal base64"}},
	{"encrypt/k", dataOf("plaintext", "", "associated_data", "!"), 500, []string{"associated_data: illegal base64"}},
	{"encrypt/d", dataOf("plaintext", "", "associated_data", "!", "context", "AAAA"), 500, []string{"associated_data: illegal base64"}},
	{"encrypt/k", dataOf("plaintext", "!", "associated_data", "!"), 400, []string{"plaintext: illegal base64"}},
	{"encrypt/k", dataOf("plaintext", "!", "padding_scheme", "oaep"), 400, []string{"plaintext: illegal base64"}},
	{"encrypt/d", dataOf("plaintext", "", "associated_data", "!"), 400, []string{"context"}},
	{"encrypt/k", dataOf("plaintext", "", "key_version", 3), 400, []string{"key_version", "3"}},
	{"encrypt/k", dataOf("plaintext", "", "key_version", -1), 400, []string{"negative"}},
	{"encrypt/k", dataOf("plaintext", "", "key_version", "one"), 400, []string{"key_version"}},
	{"encrypt/k", dataOf("plaintext", "", "nonce", "AAAA"), 400, []string{"nonce"}},
	{"encrypt/k", dataOf("plaintext", "", "padding_scheme", "oaep"), 400, []string{"padding_scheme"}},
	{"encrypt/d", dataOf("plaintext", ""), 400, []string{"context"}},
	{"encrypt/k", dataOf("batch_input", []any{}), 400, []string{"batch input"}},
	{"encrypt/k", dataOf("batch_input", []any{map[string]any{"plaintext": "!"}}), 400, nil},
	{"encrypt/k", dataOf("plaintext", 12345678901234567890.0), 400, []string{"plaintext", "text", "2^53"}},
	{"encrypt/k", dataOf("batch_input", oneBad, "partial_failure_response_code", 99), 400, []string{"partial_failure_response_code", "99", "200 to 599"}},
	{"encrypt/k", dataOf("batch_input", oneBad, "partial_failure_response_code", 600.0), 400, []string{"partial_failure_response_code", "600", "200 to 599"}},
	{"encrypt/k", dataOf("batch_input", []any{dataOf("plaintext", "")}, "partial_failure_response_code", 0), 400, []string{"partial_failure_response_code", "0", "200 to 599"}},
	{"encrypt/new", dataOf("batch_input", oneBad, "partial_failure_response_code", "199"), 400, []string{"partial_failure_response_code", "199", "200 to 599"}},
	{"decrypt/k", dataOf("batch_input", []any{dataOf("ciphertext", "")}, "partial_failure_response_code", -1), 400, []string{"partial_failure_response_code", "-1", "200 to 599"}},
	{"encrypt/k", dataOf("plaintext", 1.5), 400, []string{"plaintext", "text"}},
	{"encrypt/d", dataOf("plaintext", "", "context", 12345678901234567890.0), 400, []string{"context", "text"}},
	{"rewrap/k", dataOf("batch_input", []any{map[string]any{"ciphertext": "", "reference": 12345678901234567890.0}}), 400, []string{"[0].reference", "text", "2^53"}},
	{"rewrap/k", dataOf("batch_input", []any{map[string]any{"ciphertext": "", "reference": 1.5}}), 400, []string{"[0].reference", "text"}},
	{"encrypt/new", dataOf("plaintext", "!"), 400, []string{"plaintext: illegal base64"}},
	{"encrypt/new", dataOf("plaintext", "", "context", "!"), 400, []string{"context: illegal base64"}},
	{"encrypt/new", dataOf("plaintext", "", "padding_scheme", "oaep"), 400, []string{"padding_scheme"}},
	{"encrypt/new", dataOf("plaintext", "", "associated_data", "!"), 500, []string{"associated_data: illegal base64"}},
	{"encrypt/new", dataOf("plaintext", "", "associated_data", "!", "key_version", 2), 400, []string{"key_version", "2"}},
	{"encrypt/new", dataOf("batch_input", []any{map[string]any{"plaintext": "", "padding_scheme": "oaep"}}), 200, nil},
	{"encrypt/new", dataOf("plaintext", "", "key_version", 2), 400, []string{"key_version", "2"}},
	{"encrypt/new", dataOf("plaintext", "", "type", "rsa-2048"), 400, []string{"type", "rsa-2048"}},
	{"encrypt/new", dataOf("plaintext", "", "convergent_encryption", true), 400, []string{"context"}},
	{"decrypt/k", dataOf(), 400, []string{"ciphertext"}},
	{"decrypt/k", dataOf("ciphertext", "vault:v3:AAAA"), 400, []string{"too new"}},
	{"decrypt/k", dataOf("ciphertext", "vault:v-1:AAAA"), 400, []string{"-1"}},
	{"decrypt/k", dataOf("ciphertext", "vault:vx:AAAA"), 400, []string{"version"}},
	{"decrypt/k", dataOf("ciphertext", "v1:AAAA"), 400, []string{"prefix"}},
	{"decrypt/k", dataOf("ciphertext", "vault:v1:!"), 400, []string{"invalid ciphertext: could not decode base64"}},
	{"decrypt/d", dataOf("ciphertext", "vault:v1:!", "context", "!"), 400, []string{"context: illegal base64"}},
	{"decrypt/k", dataOf("ciphertext", "vault:v1:!", "associated_data", "!"), 400, []string{"invalid ciphertext: could not decode base64"}},
	{"decrypt/k", dataOf("ciphertext", "vault:v3:AAAA", "associated_data", "!"), 400, []string{"too new"}},
	{"decrypt/d", dataOf("ciphertext", "vault:v1:AAAA", "associated_data", "!"), 400, []string{"context"}},
	{"decrypt/k", dataOf("ciphertext", "vault:v1:AAAA", "associated_data", "!"), 500, []string{"associated_data: illegal base64"}},
	{"decrypt/d", dataOf("ciphertext", "vault:v1:AAAA", "associated_data", "!", "context", "AAAA"), 500, []string{"associated_data: illegal base64"}},
	{"decrypt/k", dataOf("ciphertext", "vault:v1:AAAA"), 400, []string{"length"}},
	{"decrypt/none", dataOf("ciphertext", "vault:v1:AAAA"), 400, []string{"not found"}},
	{"rewrap/k", dataOf("ciphertext", "vault:v1:AAAA", "associated_data", "!"), 400, []string{"associated_data"}},
	{"datakey/plain/k", dataOf(), 400, []string{"plaintext", "wrapped"}},
	{"datakey/wrapped/k", dataOf("bits", 100), 400, []string{"bits", "100", "256"}},
	{"datakey/wrapped/k", dataOf("associated_data", "!"), 400, []string{"associated_data"}},
	{"datakey/wrapped/k", dataOf("context", "!"), 400, []string{"context"}},
	{"keys/k/versions", dataOf(), 405, nil},
	{"keys/-k", dataOf(), 404, nil},
	{"keys/k!", dataOf(), 404, nil},
}

func TestBadInputIsRefusedByNameAndWritesNothing(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o", "min_strength_bits", 256))
	m.must(m.write("keys/k"))
	m.must(m.write("keys/k/rotate"))
	m.must(m.write("keys/d", "derived", true))
	m.storage.Reset()
	for _, c := range badInput {
		t.Run(fmt.Sprintf("%s %v", c.path, shown(c.data)), func(t *testing.T) {
			got := m.do(logical.UpdateOperation, c.path, c.data)
			require.Equal(t, c.status, got.status, got.err)
			for _, word := range c.says {
				require.Contains(t, got.err, word)
			}
			require.Zero(t, m.storage.Reset().Writes(), "writes")
		})
	}
}

func shown(data map[string]any) string {
	text, _ := json.Marshal(data)
	return string(text[:min(len(text), 60)])
}

func TestReadingWhatIsNotThereIs404(t *testing.T) {
	m := newMount(t)
	for _, path := range []string{"keys/none", "keys/none/rotation", "policies/none"} {
		require.Equal(t, http.StatusNotFound, m.read(path).status, path)
	}
	require.Equal(t, http.StatusNotFound, m.list("keys/").status)
	require.Equal(t, http.StatusNotFound, m.list("policies/").status)
}

func TestAWrongMethodIs405(t *testing.T) {
	m := newMount(t)
	require.Equal(t, http.StatusMethodNotAllowed, m.read("keys/k/rotate").status)
	require.Equal(t, http.StatusMethodNotAllowed, m.write("keys/k/rotation").status)
	require.Equal(t, http.StatusMethodNotAllowed, m.delete("encrypt/k").status)
}

func TestListsComeInPages(t *testing.T) {
	m := newMount(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		m.must(m.write("keys/" + name))
	}
	require.Equal(t, []string{"a", "b", "c", "d"}, m.list("keys/").data["keys"])
	require.Equal(t, []string{"a", "b"}, m.list("keys/", "limit", 2).data["keys"])
	require.Equal(t, []string{"c", "d"}, m.list("keys/", "after", "b", "limit", "2").data["keys"])
	require.Equal(t, []string{"c", "d"}, m.list("keys/", "after", "bb").data["keys"], "after need not exist")
	require.Equal(t, http.StatusNotFound, m.list("keys/", "after", "d").status)
	require.Equal(t, http.StatusBadRequest, m.list("keys/", "limit", -1).status)
}

func TestListsThatTransitDoesNotHaveTakeNoOtherFields(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	m.must(m.write("keys/k"))
	for _, path := range []string{"policies/", "policies/p/revisions/", "keys/k/versions/"} {
		m.must(m.list(path, "limit", "1"))
		got := m.list(path, "nonsense", 1)
		require.Equal(t, http.StatusBadRequest, got.status, path)
		require.Contains(t, got.err, "nonsense", path)
	}
	require.Len(t, m.must(m.list("keys/", "nonsense", 1)).warnings, 1, "Transit's list ignores them")
}
