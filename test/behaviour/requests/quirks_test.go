// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// A quirk is a request that Transit answers oddly. The reason says what Transit does.
type quirk struct {
	reason string
	path   string
	in     []any
	status int
	words  string // of the error, or of the warning
}

// TestWhatTransitPanicsOfIsRefused: in a plugin a panic would end every mount of the process.
func TestWhatTransitPanicsOfIsRefused(t *testing.T) {
	m, public := quirky(t)
	input, item := mounttest.B64("x"), []any{mounttest.Data("input", mounttest.B64("x"))}
	const hashes = `algorithm: "none": unsupported algorithm; must be sha1, `
	const panics = "panics, and closes the connection"
	answersAs(t, m, []quirk{
		{panics, "hmac/aes/none", []any{"input", input}, 400, hashes},
		{panics, "hmac/hm/none", []any{"input", input}, 400, hashes},
		{panics, "hmac/aes", []any{"input", input, "algorithm", "none"}, 400, hashes},
		{panics, "hmac/aes", []any{"batch_input", item, "algorithm", "none"}, 400, hashes},
		{panics, "verify/aes/none", []any{"input", input, "hmac", "vault:v1:AAAA"}, 400, hashes},
		{panics, "verify/aes", []any{"input", input, "hmac", "vault:v1:AAAA", "hash_algorithm", "none"}, 400, hashes},
		{panics, "restore", []any{"backup", mounttest.B64("{}")}, 400, "backup: backup data does not contain a valid policy"},
		{panics, "restore/new", []any{"backup", mounttest.B64("{}")}, 400, "backup: backup data does not contain a valid policy"},
		{panics, "restore/new", []any{"backup", mounttest.B64("null")}, 400, "backup: backup data does not contain a valid policy"},
		{panics, "restore/new", []any{"backup", mounttest.B64(`{"policy":null}`)}, 400, "backup: backup data does not contain a valid policy"},
		{panics, "keys/pub/set-certificate", []any{"certificate_chain", mounttest.Certified(t, public)}, 200, ""},
	})
}

// TestWhatTransitIsSilentAboutIsSaid is the rest of what is not copied.
func TestWhatTransitIsSilentAboutIsSaid(t *testing.T) {
	m, public := quirky(t)
	input, key := mounttest.B64("x"), m.Wrapped(make([]byte, 32))
	with := []any{"plaintext", input, "associated_data", input}
	sealed := m.Must(m.Write("encrypt/aes", with...)).Data["ciphertext"]
	answersAs(t, m, []quirk{
		{"ignores what it was asked for, without a warning", "keys/aes", []any{"type", "aes128-gcm96"}, 200, "key aes already existed"},
		{"has no associated_data there", "rewrap/aes", []any{"ciphertext", sealed, "associated_data", input}, 200, ""},
		{"has no associated_data there", "rewrap/aes", []any{"ciphertext", sealed}, 400, "message authentication failed"},
		{"has no associated_data there", "datakey/plaintext/aes", []any{"associated_data", input}, 200, ""},
		{"takes the first of two", "keys/new/import", []any{"ciphertext", key, "public_key", public}, 400, "only one of ciphertext and public_key can be imported"},
		{"takes less than an hour", "keys/new/import", []any{"ciphertext", key, "allow_rotation", true, "auto_rotate_period", "1m"}, 400, "auto_rotate_period"},
		{"500", "keys/hm2", []any{"type", "hmac"}, 200, ""},
		{"500", "keys/new", []any{"type", "managed_key"}, 400, `type: "managed_key": unknown key type; known are `},
	})
	require.Equal(t, 404, m.Read("keys/new").Status)

	// Neither reads algorithm where it signs; it is the hash of HMACs.
	signed := m.Must(m.Write("sign/ec", "input", input, "algorithm", "foo")).Data["signature"]
	require.Equal(t, true, m.Must(m.Write("verify/ec", "input", input, "signature", signed, "hash_algorithm", "sha2-256")).Data["valid"])
}

// TestStatusesThatClientsMatchAreTransits: hvac, Terraform and SDKs branch on 500 where 400 or 404 would be right.
func TestStatusesThatClientsMatchAreTransits(t *testing.T) {
	m, _ := quirky(t)
	input := mounttest.B64("x")
	m.Must(m.Write("keys/b", "exportable", true, "allow_plaintext_backup", true))
	backup := m.Must(m.Read("backup/b")).Data["backup"]
	sealed := m.Must(m.Write("encrypt/aes", "plaintext", input)).Data["ciphertext"]
	answersAs(t, m, []quirk{
		{"500", "restore", []any{"backup", backup}, 500, "already exists"},
		{"500", "restore", []any{"backup", "!"}, 500, "backup: illegal base64 data"},
		{"500", "restore", []any{"backup", mounttest.B64("[]")}, 500, "wrong type"},
		{"500", "restore", []any{"backup", mounttest.B64(`{"policy":{}}`)}, 500, "minimum decryption version of 0 is less than 1"},
		{"500", "keys/none/import_version", []any{"ciphertext", "AAAA"}, 500, "none"},
		{"500", "keys/aes/import", []any{"ciphertext", m.Wrapped(make([]byte, 32))}, 500, "exist"},
		{"500", "keys/new/import", []any{"ciphertext", "AAAA"}, 500, "ciphertext"},
		{"500", "keys/new/import", []any{"type", "rsa-2048"}, 500, "public key"},
		{"500", "sign/ec", []any{"input", input, "key_version", 9}, 500, "higher than the latest key version"},
		{"500", "sign/ec", []any{"input", input, "key_version", -1}, 500, "negative"},
		{"500", "sign/rsa", []any{"input", input, "salt_length", "500"}, 500, "requested salt length 500 is invalid"},
		{"500", "sign/rsa", []any{"input", input, "signature_algorithm", "other"}, 500, "other"},
		{"500", "decrypt/rsa", []any{"ciphertext", "vault:v1:AAAA"}, 500, "failed to RSA decrypt the ciphertext"},
		{"500", "decrypt/aes", []any{"ciphertext", sealed, "associated_data", "!"}, 500, "associated_data: illegal base64 data"},
		{"500", "datakey/plaintext/aes", []any{"nonce", input}, 500, "provided nonce not allowed"},
		{"500", "encrypt/aes", []any{"batch_input", []any{"x"}}, 500, "failed to parse batch input"},
		{"500", "keys/new", []any{"type", "rsa-2048", "derived", true}, 500, "derived: true: key derivation and convergent encryption not supported"},
		{"500", "keys/new", []any{"type", "ecdsa-p256", "derived", true}, 500, "derived: true: "},
		{"400, not 404", "encrypt/none", []any{"plaintext", "!"}, 400, "illegal base64"},
		{"400, not 404", "decrypt/none", []any{"ciphertext", sealed}, 400, "not found"},
		{"400, not 404", "rewrap/none", []any{"ciphertext", sealed}, 400, "not found"},
		{"400, not 404", "sign/none", []any{"input", input}, 400, "not found"},
		{"400, not 404", "verify/none", []any{"input", input, "signature", "vault:v1:AAAA"}, 400, "not found"},
		{"400, not 404", "hmac/none", []any{"input", input}, 400, "not found"},
		{"400, not 404", "datakey/wrapped/none", nil, 400, "not found"},
		{"400, not 404", "keys/none/rotate", nil, 400, "not found"},
		{"400, not 404", "keys/none/config", []any{"deletion_allowed", true}, 400, "none"},
		{"400, not 404", "keys/none/trim", []any{"min_available_version", 1}, 400, "none"},
		{"400, not 404", "keys/none/csr", nil, 400, "not found"},
	})
	for path, status := range map[string]int{
		"backup/aes": 500, "backup/none": 500, "export/public-key/aes": 500, "byok-export/none/none": 500, "export/encryption-key/none": 404, "keys/none": 404,
	} {
		require.Equal(t, status, m.Read(path).Status, path)
	}
	require.Contains(t, m.Read("backup/aes").Err, "disallowed on the policy")
	require.Equal(t, 400, m.Delete("keys/none").Status)
	require.Equal(t, 400, m.Delete("keys/aes").Status)
}

// quirky is a mount with a key of each kind, and the public half of key pub.
func quirky(t *testing.T) (m *mounttest.Mount, public string) {
	t.Helper()
	m = mounttest.NewForImports(t)
	for name, kind := range map[string]string{"aes": "aes256-gcm96", "hm": "hmac", "ec": "ecdsa-p256", "rsa": "rsa-2048"} {
		m.Must(m.Write("keys/"+name, "type", kind))
	}
	_, public = mounttest.OutsideRSA(t)
	m.Must(m.Write("keys/pub/import", "type", "rsa-2048", "public_key", public))
	return m, public
}

// answersAs sends the requests. What is refused has written nothing, and none of them made a handler panic.
func answersAs(t *testing.T, m *mounttest.Mount, quirks []quirk) {
	t.Helper()
	for _, q := range quirks {
		m.Storage.Reset()
		answer := m.Write(q.path, q.in...)
		require.Equal(t, q.status, answer.Status, "%s %v: %s (Transit: %s)", q.path, q.in, answer.Err, q.reason)
		if q.status >= 400 {
			require.Contains(t, answer.Err, q.words, "%s %v", q.path, q.in)
			require.Zero(t, m.Storage.Reset().Writes(), "%s %v", q.path, q.in)
		} else if q.words != "" {
			require.Contains(t, answer.Warnings[0], q.words)
		}
	}
	require.NotContains(t, m.Log.String(), "panic")
}
