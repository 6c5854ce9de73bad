// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

func TestHMACNeedsAHash(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	m.Refused(m.Write("hmac/k/none", "input", mounttest.B64("x")), `algorithm: "none"`, "sha2-256")
	m.Refused(m.Write("hmac/k", "input", mounttest.B64("x"), "algorithm", "none"), `algorithm: "none"`)
	mac := m.Must(m.Write("hmac/k", "input", mounttest.B64("x"))).Data["hmac"]
	m.Refused(m.Write("verify/k/none", "input", mounttest.B64("x"), "hmac", mac), `algorithm: "none"`)
	m.Refused(m.Write("verify/k", "input", mounttest.B64("x"), "hmac", mac, "algorithm", "none"), `algorithm: "none"`)
}

func TestCMACsOfABatchHaveTheirOwnLengths(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "aes128-cmac"))
	input := mounttest.B64("x")
	full := m.Must(m.Write("cmac/k", "input", input)).Data["cmac"].(string)
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(full, "vault:v1:"))
	require.NoError(t, err)
	cut := func(length int) string { return "vault:v1:" + base64.StdEncoding.EncodeToString(raw[:length]) }
	require.Equal(t, cut(16), full)
	require.Equal(t, cut(8), m.Must(m.Write("cmac/k/8", "input", input)).Data["cmac"])
	require.Equal(t, cut(8), m.Must(m.Write("cmac/k/8", "input", input, "mac_length", 5)).Data["cmac"], "the path counts")
	require.Equal(t, cut(5), m.Must(m.Write("cmac/k", "input", input, "mac_length", 5)).Data["cmac"])
	for _, wrong := range []string{"3", "17", "-1", "x", "4.5"} {
		m.Refused(m.Write("cmac/k/"+wrong, "input", input), "mac_length")
		m.Refused(m.Write("cmac/k", "input", input, "mac_length", wrong), "mac_length")
	}

	items := []any{
		map[string]any{"input": input}, map[string]any{"input": input, "mac_length": 4.0, "reference": "r"}, map[string]any{"input": input, "mac_length": 3.0}, map[string]any{},
	}
	rows := asRows(t, m.Must(m.Write("cmac/k/12", "batch_input", items)))
	require.Equal(t, map[string]any{"cmac": cut(12), "reference": ""}, rows[0])
	require.Equal(t, map[string]any{"cmac": cut(4), "reference": "r"}, rows[1])
	require.Contains(t, rows[2]["error"], "mac_length: 3")
	require.Equal(t, map[string]any{"error": "missing input for CMAC", "reference": ""}, rows[3])

	for i := range items {
		items[i].(map[string]any)["cmac"] = cut(4)
	}
	rows = asRows(t, m.Must(m.Write("verify/k", "batch_input", items, "mac_length", 4)))
	require.Equal(t, map[string]any{"valid": true, "reference": ""}, rows[0])
	require.Equal(t, map[string]any{"valid": true, "reference": "r"}, rows[1])
	require.Equal(t, false, rows[2]["valid"])
	require.Contains(t, rows[2]["error"], "mac_length: 3")
}

// asRows returns the results of a batch as a client has them.
func asRows(t *testing.T, a mounttest.Answer) (rows []map[string]any) {
	t.Helper()
	raw, err := json.Marshal(a.Data["batch_results"])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &rows))
	return rows
}

func TestMACsAndUtilitiesOfAWarmMountCostNoStorageCall(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	input := mounttest.B64("x")
	mac := m.Must(m.Write("hmac/k", "input", input)).Data["hmac"]
	many := make([]any, 100)
	for i := range many {
		many[i] = map[string]any{"input": input, "hmac": mac}
	}
	m.Storage.Reset()
	m.Must(m.Write("hmac/k", "input", input))
	m.Must(m.Write("hmac/k", "batch_input", many))
	m.Must(m.Write("verify/k", "batch_input", many))
	m.Must(m.Write("hash", "input", input))
	m.Must(m.Write("random"))
	m.Must(m.Write("random/all/64"))
	require.Equal(t, storagetest.Counts{}, m.Storage.Reset())
	m.Restart()
	m.Storage.Reset()
	m.Must(m.Write("hmac/k", "batch_input", many))
	require.Equal(t, storagetest.Counts{Gets: 5}, m.Storage.Reset(), "the key, its version, the key encryption keys and the HSM: whatever the number of items")
}

func TestRandomBytesOfAMountWithoutKeys(t *testing.T) {
	m := mounttest.New(t)
	m.Storage.Reset()
	require.Empty(t, m.Must(m.Write("random/all")).Warnings)
	require.Len(t, m.Must(m.Write("random/seal")).Warnings, 1)
	require.Zero(t, m.Storage.Reset().Writes(), "who draws bytes makes no keys of the mount")
	seen := map[any]bool{}
	for n := range 64 {
		text := m.Must(m.Write(fmt.Sprintf("random/%d", n+16), "format", "hex")).Data["random_bytes"].(string)
		require.Len(t, text, 2*(n+16))
		seen[text[:32]] = true
	}
	require.Len(t, seen, 64)
	require.Equal(t, http.StatusBadRequest, m.Write("random/131073").Status)
}
