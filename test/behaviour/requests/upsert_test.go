// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// TestEncryptMakesKeysThatEncrypt: and none of another type.
func TestEncryptMakesKeysThatEncrypt(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/first"))
	for _, name := range keytype.Names() {
		kind := keytype.Type(name)
		if kind == keytype.RSA3072 || kind == keytype.RSA4096 {
			continue // as rsa-2048, and slow to make
		}
		m.Storage.Reset()
		answer := m.Write("encrypt/"+name, "plaintext", mounttest.B64("x"), "type", name)
		if !kind.SupportsEncryption() {
			m.Refused(answer, `type: "`+name+`": key type not supported for this operation`)
			require.Zero(t, m.Storage.Reset().Writes())
			require.Equal(t, 404, m.Read("keys/"+name).Status)
			continue
		}
		opened := m.Must(m.Write("decrypt/"+name, "ciphertext", m.Must(answer).Data["ciphertext"]))
		require.Equal(t, mounttest.B64("x"), opened.Data["plaintext"], name)
		require.Equal(t, name, m.Must(m.Read("keys/" + name)).Data["type"])
	}
	answer := m.Write("encrypt/derived", "plaintext", mounttest.B64("x"), "type", "rsa-2048", "context", mounttest.B64("c"))
	require.Equal(t, 500, answer.Status, "as in Transit")
	require.Equal(t, 404, m.Read("keys/derived").Status)
}
