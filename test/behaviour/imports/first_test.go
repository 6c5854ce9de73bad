// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package imports_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// TestAnythingMayBeTheFirstThatAMountIsAsked: it has no key encryption keys then, and makes them where something is stored.
func TestAnythingMayBeTheFirstThatAMountIsAsked(t *testing.T) {
	_, public := mounttest.OutsideRSA(t)
	other := mounttest.New(t)
	other.Must(other.Write("keys/k", "exportable", true, "allow_plaintext_backup", true))
	backup := other.Must(other.Read("backup/k")).Data["backup"]
	stores := map[string]func(m *mounttest.Mount) mounttest.Answer{
		"an import of a public half": func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("keys/k/import", "type", "rsa-2048", "public_key", public)
		},
		"a restoration":    func(m *mounttest.Mount) mounttest.Answer { return m.Write("restore/k", "backup", backup) },
		"the wrapping key": func(m *mounttest.Mount) mounttest.Answer { return m.Read("wrapping_key") },
		"a key": func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("encrypt/k", "plaintext", mounttest.B64("x"))
		},
	}
	for name, ask := range stores {
		t.Run(name, func(t *testing.T) {
			m := mounttest.New(t)
			m.Must(ask(m))
			m.Restart()
			m.Must(m.Write("keys/other"))
			mounttest.RequireCustodyWhole(t, m)
		})
	}
	for _, source := range []string{"platform", "seal", "all"} {
		m := mounttest.New(t)
		require.NotEmpty(t, m.Must(m.Write("random/" + source)).Data["random_bytes"])
		require.Zero(t, m.Storage.Reset().Writes(), "%s: bytes for others need no key", source)
	}
	m := mounttest.New(t)
	require.Equal(t, 500, m.Write("keys/k/import", "ciphertext", "AAAA").Status, "nothing can be wrapped for it yet")
	require.Equal(t, 404, m.Read("keys/k").Status)
}
