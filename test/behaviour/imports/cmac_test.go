// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package imports_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// TestAKeyOfCMACsIsImportedAndRestored: such a key has no HMAC key beside it.
func TestAKeyOfCMACsIsImportedAndRestored(t *testing.T) {
	m := mounttest.NewForImports(t)
	m.Must(m.Write("keys/k/import", "type", "aes256-cmac", "ciphertext", m.Wrapped(outside(7)), "exportable", true, "allow_plaintext_backup", true))
	input := mounttest.B64("text")
	mac := m.Must(m.Write("cmac/k", "input", input)).Data["cmac"]
	require.Equal(t, true, m.Must(m.Write("verify/k", "input", input, "cmac", mac)).Data["valid"])
	m.Must(m.Write("restore/again", "backup", m.Must(m.Read("backup/k")).Data["backup"]))
	require.Equal(t, mac, m.Must(m.Write("cmac/again", "input", input)).Data["cmac"])
}
