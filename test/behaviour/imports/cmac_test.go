// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package imports_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// TestAKeyOfCMACsIsImported: such a key has no HMAC key beside it.
func TestAKeyOfCMACsIsImported(t *testing.T) {
	m := mounttest.NewForImports(t)
	m.Must(m.Write("keys/k/import", "type", "aes256-cmac", "ciphertext", m.Wrapped(outside(7))))
	input := mounttest.B64("text")
	mac := m.Must(m.Write("cmac/k", "input", input)).Data["cmac"]
	require.Equal(t, true, m.Must(m.Write("verify/k", "input", input, "cmac", mac)).Data["valid"])
}
