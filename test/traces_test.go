// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// findTraces returns the storage entries that hold the bytes: as they are, in hex, or in base64 wherever they begin in it.
func findTraces(entries map[string][]byte, secret []byte) []string {
	forms := [][]byte{secret, []byte(hex.EncodeToString(secret)), []byte(base64.RawURLEncoding.EncodeToString(secret))}
	for shift := range 3 { // three bytes make four characters: what stands before moves the text
		padded := append(make([]byte, shift), secret...)
		inside := base64.RawStdEncoding.EncodeToString(padded)
		forms = append(forms, []byte(inside[(shift*8+5)/6:len(inside)-1])) // the first and last characters are shared
	}
	var found []string
	for name, value := range entries {
		for _, form := range forms {
			if bytes.Contains(value, form) {
				found = append(found, name)
				break
			}
		}
	}
	return found
}

func requireNoTrace(t testing.TB, entries map[string][]byte, secret []byte) {
	t.Helper()
	require.Empty(t, findTraces(entries, secret), "storage entries that still hold it")
}

// A search that finds nothing proves something only if it would find it.
func TestTracesAreFoundInEveryForm(t *testing.T) {
	secret := []byte("\x00\xffsecret material\xfb\xef\xbe 0123456789")
	for shift := range 4 {
		before, after := bytes.Repeat([]byte{0xa5}, shift), []byte{0x5a, 0x5a}
		inside := slices.Concat(before, secret, after)
		for name, value := range map[string][]byte{
			"raw": inside, "hex": []byte(hex.EncodeToString(inside)), "base64": []byte(base64.StdEncoding.EncodeToString(inside)),
		} {
			require.Len(t, findTraces(map[string][]byte{"entry": value}, secret), 1, "%s behind %d bytes", name, shift)
			value[len(value)/2]++
			require.Empty(t, findTraces(map[string][]byte{"entry": value}, secret), "%s that is another", name)
		}
	}
	require.Len(t, findTraces(map[string][]byte{"entry": []byte(base64.URLEncoding.EncodeToString(secret))}, secret), 1)
}

// TestASecretOfTheWrongTypeGetsIntoNoLog sends secrets as objects and lists, where texts belong. Vault writes errors of
// existence checks into the server log, and those and what comes with a 500 into the audit log, as they are.
func TestASecretOfTheWrongTypeGetsIntoNoLog(t *testing.T) {
	const secret = "the-secret"
	s := harness.Start(t, harness.Options{LogLevel: "trace", Mounts: map[string]string{"keylife": harness.PluginName}})
	audit := filepath.Join(t.TempDir(), "audit.log")
	s.Must(t, http.MethodPut, "sys/audit/file", map[string]any{"type": "file", "options": map[string]any{"file_path": audit}})
	s.Must(t, http.MethodPost, "keylife/keys/k", nil)
	send := func(path string, body map[string]any) harness.Reply {
		reply := s.Do(t, http.MethodPost, "keylife/"+path, body)
		require.NotContains(t, fmt.Sprint(reply.Body), secret, "%s %v", path, body)
		return reply
	}
	for _, value := range []any{map[string]any{"ssn": secret}, []any{secret}, []any{map[string]any{"a": []any{secret}}}} {
		for _, field := range []string{"plaintext", "ciphertext", "context", "nonce", "associated_data", "iv", "batch_input"} {
			for _, path := range []string{"encrypt/k", "encrypt/new", "decrypt/k", "rewrap/k", "datakey/wrapped/k", "keys/k2"} {
				send(path, map[string]any{field: value})
			}
			send("encrypt/k", map[string]any{"batch_input": []any{map[string]any{field: value}}})
		}
	}
	reply := send("encrypt/k", map[string]any{"plaintext": map[string]any{"ssn": secret}})
	require.Equal(t, http.StatusBadRequest, reply.Status)
	require.Contains(t, fmt.Sprint(reply.Body["errors"]), "plaintext: must be a text")

	require.NotContains(t, s.Log(t), secret)
	require.NotContains(t, s.Log(t), "failed to run existence check")
	audited, err := os.ReadFile(audit)
	require.NoError(t, err)
	require.Contains(t, string(audited), "failed to parse batch input: [0].plaintext: must be a string", "the audit log has errors in it")
	require.NotContains(t, string(audited), secret)
}
