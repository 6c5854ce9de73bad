// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package states_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func TestAKeyDoesWhatItIsAllowedToAlone(t *testing.T) {
	m := mounttest.New(t)
	require.Equal(t, []string{}, m.Must(m.Write("keys/k")).Data["allowed_uses"])
	sealed := m.Encrypt("k", "x")
	text := mounttest.B64("x")
	send := map[string]func() mounttest.Answer{
		"encrypt": func() mounttest.Answer { return m.Write("encrypt/k", "plaintext", text) },
		"decrypt": func() mounttest.Answer { return m.Write("decrypt/k", "ciphertext", sealed) },
		"rewrap":  func() mounttest.Answer { return m.Write("rewrap/k", "ciphertext", sealed) },
		"datakey": func() mounttest.Answer { return m.Write("datakey/wrapped/k") },
	}
	require.Equal(t, []string{"decrypt", "datakey"}, m.Must(m.Write("keys/k/config", "allowed_uses", "datakey,decrypt")).Data["allowed_uses"])
	for _, restarted := range []bool{false, true} {
		if restarted {
			m.Restart()
		}
		m.Must(send["decrypt"]())
		m.Must(send["datakey"]())
		m.Must(m.Write("datakeys/wrapped/k", "count", 2))
		m.Refused(send["encrypt"](), `key "k" is not for encrypt: its allowed_uses are decrypt, datakey [use_not_allowed]`)
		m.Refused(send["rewrap"](), "[use_not_allowed]")
	}
	m.Refused(m.Write("rewrap/k", "batch_input", []any{mounttest.Data("ciphertext", sealed)}), "[use_not_allowed]")
	m.Refused(m.Write("encrypt/k", "batch_input", []any{mounttest.Data("plaintext", text)}), "[use_not_allowed]")

	m.Must(m.Write("keys/k/config", "allowed_uses", []string{"datakey"}))
	m.Refused(send["decrypt"](), "[use_not_allowed]")
	require.NoError(t, m.Tick())
	require.EqualValues(t, 0, m.Must(m.Read("keys/k/versions/1")).Data["denied_uses"], "it does not tell that the version is needed")
}

func TestAKeyThatSignsMayBeOneThatOnlyVerifies(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "ed25519"))
	text := mounttest.B64("x")
	signature := m.Must(m.Write("sign/k", "input", text)).Data["signature"]
	m.Must(m.Write("keys/k/config", "allowed_uses", "verify"))
	require.Equal(t, true, m.Must(m.Write("verify/k", "input", text, "signature", signature)).Data["valid"])
	m.Refused(m.Write("sign/k", "input", text), `key "k" is not for sign: its allowed_uses are verify [use_not_allowed]`)
	m.Refused(m.Write("sign/k", "batch_input", []any{mounttest.Data("input", text)}), "[use_not_allowed]")
}

// TestMACsAndWhatLeavesAreUses: each key is for one of the operations, and refuses the others.
func TestMACsAndWhatLeavesAreUses(t *testing.T) {
	text := mounttest.B64("x")
	for kind, makes := range map[string]string{"ed25519": "hmac", "aes128-cmac": "cmac"} {
		m := mounttest.New(t)
		for _, name := range []string{"all", "hmac", "verify", "export"} {
			m.Must(m.Write("keys/"+name, "type", kind, "exportable", true, "allow_plaintext_backup", true))
		}
		m.Must(m.Write("keys/rsa", "type", "rsa-2048"))
		macs := map[string]any{}
		for _, name := range []string{"hmac", "verify", "export"} {
			macs[name] = m.Must(m.Write(makes+"/"+name, "input", text)).Data[makes]
			m.Must(m.Write("keys/"+name+"/config", "allowed_uses", name))
		}
		for _, name := range []string{"hmac", "verify", "export"} {
			for use, send := range map[string][]func() mounttest.Answer{
				"hmac": {
					func() mounttest.Answer { return m.Write(makes+"/"+name, "input", text) },
					func() mounttest.Answer {
						return m.Write(makes+"/"+name, "batch_input", []any{mounttest.Data("input", text)})
					},
				},
				"verify": {
					func() mounttest.Answer { return m.Write("verify/"+name, "input", text, makes, macs[name]) },
					func() mounttest.Answer {
						return m.Write("verify/"+name, "batch_input", []any{mounttest.Data("input", text, makes, macs[name])})
					},
				},
				"export": {
					func() mounttest.Answer { return m.Read("export/" + makes + "-key/" + name) },
					func() mounttest.Answer { return m.Read("backup/" + name) },
					func() mounttest.Answer { return m.Read("byok-export/rsa/" + name) },
				},
			} {
				for i, do := range send {
					if use == name {
						m.Must(do())
						continue
					}
					answer := do()
					m.Refused(answer, "[use_not_allowed]")
					require.Equal(t, 400, answer.Status, "%s of a key for %s, request %d", use, name, i)
				}
			}
		}
		require.NoError(t, m.Tick())
		require.EqualValues(t, 0, m.Must(m.Read("keys/hmac/versions/1")).Data["denied_uses"])
		mounttest.RequireCustodyWhole(t, m)
	}
}

func TestACertificateRequestIsASignature(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "ecdsa-p256", "allowed_uses", "verify"))
	m.Refused(m.Write("keys/k/csr"), `key "k" is not for sign: its allowed_uses are verify [use_not_allowed]`)
}

func TestARestrictionOfUsesIsRecordedAndStays(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "allowed_uses", "encrypt,decrypt,rewrap"))
	m.Must(m.Write("keys/k/config", "allowed_uses", "decrypt"))
	require.Equal(t, "encrypt, decrypt, rewrap -> decrypt", m.Storage.LastAct()["details"].(map[string]any)["allowed_uses"])
	m.Must(m.Write("keys/free"))
	m.Storage.Reset()
	m.Refused(m.Write("keys/k/config", "allowed_uses", "decrypt,encrypt"), `allowed_uses: "encrypt": can only be narrowed`)
	m.Refused(m.Write("keys/k/config", "allowed_uses", ""), "allowed_uses", "cannot be lifted")
	m.Refused(m.Write("keys/k/config", "allowed_uses", "sing"), `allowed_uses: "sing": unknown use`)
	m.Refused(m.Write("keys/free/config", "allowed_uses", "sign"), `allowed_uses: "sign": not a use of keys of type aes256-gcm96`)
	m.Refused(m.Write("keys/new", "allowed_uses", "sign"), `allowed_uses: "sign"`)
	m.Refused(m.Write("keys/k", "allowed_uses", "encrypt"), "can only be narrowed")
	require.Zero(t, m.Storage.Reset().Writes())
	require.Equal(t, []string{"decrypt"}, m.Must(m.Write("keys/k")).Data["allowed_uses"], "what is not given stays")
	require.Equal(t, []string{"decrypt"}, m.Must(m.Write("keys/k", "allowed_uses", "decrypt")).Data["allowed_uses"])
	mounttest.RequireCustodyWhole(t, m)
}
