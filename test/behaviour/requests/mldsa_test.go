// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func TestAPostQuantumKeyHasTheNamesOfVaultAndOfOpenBao(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "allowed_types", "mldsa-65"))
	for name, kv := range map[string][]any{
		"vault": {"type", "ml-dsa", "parameter_set", "65", "policy", "p"}, "openbao": {"type", "mldsa-65", "policy", "p"}, "both": {"type", "mldsa-65", "parameter_set", "65"},
	} {
		view := m.Must(m.Write("keys/"+name, kv...)).Data
		require.Equal(t, "ml-dsa", view["type"])
		require.Equal(t, "65", view["parameter_set"])
		require.Equal(t, true, view["supports_signing"])
		require.Equal(t, false, view["supports_encryption"])
		text := mounttest.B64("text")
		m.Must(m.Write("keys/"+name+"/rotate", "reason", "a test of signatures"))
		m.Restart()
		signed := m.Must(m.Write("sign/"+name, "input", text)).Data
		require.Equal(t, 2, signed["key_version"])
		require.Equal(t, true, m.Must(m.Write("verify/"+name, "input", text, "signature", signed["signature"])).Data["valid"])
		require.Equal(t, false, m.Must(m.Write("verify/"+name, "input", mounttest.B64("else"), "signature", signed["signature"])).Data["valid"])
		m.Refused(m.Write("sign/"+name, "input", text, "prehashed", true), "prehashed: true: must be false: ML-DSA signs texts")
		m.Refused(m.Write("encrypt/"+name, "plaintext", text), "not supported")
	}
	raw, err := json.Marshal(m.Must(m.Read("keys/vault")).Data["keys"])
	require.NoError(t, err)
	require.Contains(t, string(raw), "BEGIN PUBLIC KEY")
	require.Contains(t, string(raw), `"name":"mldsa-65"`)

	m.Storage.Reset()
	m.Refused(m.Write("keys/new", "type", "ml-dsa"), `parameter_set: "": must be 44, 65 or 87 for type ml-dsa`)
	m.Refused(m.Write("keys/new", "type", "ml-dsa", "parameter_set", "128"), `parameter_set: "128"`)
	m.Refused(m.Write("keys/new", "type", "mldsa-44", "parameter_set", "65"), `parameter_set: "65": not of type mldsa-44`)
	m.Refused(m.Write("keys/new", "type", "aes256-gcm96", "parameter_set", "44"), `parameter_set: "44": not of type aes256-gcm96`)
	m.Refused(m.Write("keys/new", "type", "mldsa-44", "policy", "p"), "mldsa-44")
	require.Equal(t, 500, m.Write("keys/new", "type", "mldsa-44", "derived", true).Status, "as of ECDSA keys in Transit")
	require.Zero(t, m.Storage.Reset().Writes())
}
