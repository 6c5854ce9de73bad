// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package imports_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// made is what a key makes of a text, and the request that tells that it is of the key.
type made struct{ path, field, check string }

// makes lists it for the keys of a type.
func makes(kind keytype.Type) (all []made) {
	if kind.SupportsEncryption() {
		all = append(all, made{"encrypt", "ciphertext", "decrypt"})
	}
	if kind.SupportsSigning() {
		all = append(all, made{"sign", "signature", "verify"})
	}
	if kind.SupportsCMAC() {
		return append(all, made{"cmac", "cmac", "verify"})
	}
	return append(all, made{"hmac", "hmac", "verify"})
}

// TestAKeyOfEveryTypeComesBackFromItsBackup: in another mount it opens and verifies what it made, and makes more.
func TestAKeyOfEveryTypeComesBackFromItsBackup(t *testing.T) {
	for i, name := range keytype.Names() {
		kind := keytype.Type(name)
		if racetest.Spared(t, i) {
			continue
		}
		for _, derived := range []bool{false, true} {
			if derived && !kind.SupportsDerivation() {
				continue
			}
			for _, convergent := range []bool{false, true} {
				if convergent && (!derived || !kind.SupportsConvergent()) {
					continue
				}
				t.Run(fmt.Sprint(kind, derived, convergent), func(t *testing.T) { comesBack(t, kind, derived, convergent) })
			}
		}
	}
}

func comesBack(t *testing.T, kind keytype.Type, derived, convergent bool) {
	m, text := mounttest.New(t), mounttest.B64("x")
	spec := []any{"type", string(kind), "exportable", true, "allow_plaintext_backup", true, "derived", derived, "convergent_encryption", convergent}
	if kind == keytype.HMAC {
		spec = append(spec, "key_size", 64)
	}
	m.Must(m.Write("keys/k", spec...))
	m.Must(m.Write("keys/k/rotate"))
	send := func(m *mounttest.Mount, path string, body ...any) mounttest.Answer {
		if derived {
			body = append(body, "context", mounttest.B64("c"))
		}
		return m.Must(m.Write(path+"/k", body...))
	}
	was := map[made]any{}
	for _, one := range makes(kind) {
		was[one] = send(m, one.path, "plaintext", text, "input", text).Data[one.field]
	}
	there := mounttest.New(t)
	there.Must(there.Write("restore", "backup", m.Must(m.Read("backup/k")).Data["backup"]))
	again := map[made]any{}
	for _, one := range makes(kind) {
		again[one] = send(there, one.path, "plaintext", text, "input", text).Data[one.field]
	}
	for _, one := range makes(kind) {
		for from, answer := range map[string]mounttest.Answer{
			"restored": send(there, one.check, one.field, was[one], "input", text), "first": send(m, one.check, one.field, again[one], "input", text),
		} {
			if one.check == "decrypt" {
				require.Equal(t, text, answer.Data["plaintext"], "%s: %s", from, one.field)
			} else {
				require.Equal(t, true, answer.Data["valid"], "%s: %s", from, one.field)
			}
		}
	}
	there.Must(there.Write("keys/k/rotate"))
	mounttest.RequireCustodyWhole(t, there)
}

// TestAnImportedKeyIsRestoredAsOne: with the version of which the mount has the public half alone, and its certificate.
func TestAnImportedKeyIsRestoredAsOne(t *testing.T) {
	m := mounttest.NewForImports(t)
	private, public := mounttest.OutsideRSA(t)
	second, _ := mounttest.OutsideRSA(t)
	chain := mounttest.Certified(t, public)
	m.Must(m.Write("keys/k/import", "type", "rsa-2048", "public_key", public, "exportable", true, "allow_plaintext_backup", true))
	m.Must(m.Write("keys/k/set-certificate", "certificate_chain", chain))
	m.Must(m.Write("keys/k/import_version", "ciphertext", m.Wrapped(second)))
	m.Must(m.Write("keys/k/config", "allowed_uses", "encrypt,decrypt,export"))
	backup := m.Must(m.Read("backup/k")).Data["backup"]
	there := mounttest.NewForImports(t)
	there.Must(there.Write("restore/k", "backup", backup))
	want, got := m.Must(m.Read("keys/k")).Data, there.Must(there.Read("keys/k")).Data
	for _, field := range []string{"imported_key", "imported_key_allow_rotation", "allowed_uses", "keys", "type", "latest_version"} {
		require.Equal(t, want[field], got[field], field)
	}
	require.Equal(t, chain, mounttest.CertificateChain(there, "k", 1))
	require.Equal(t, 500, there.Write("keys/k/rotate").Status, "its owner did not let it rotate")
	ciphertext := there.Must(there.Write("encrypt/k", "plaintext", mounttest.B64("x"), "key_version", 1)).Data["ciphertext"]
	there.Refused(there.Write("decrypt/k", "ciphertext", ciphertext), "private part")
	there.Must(there.Write("keys/k/import_version", "ciphertext", there.Wrapped(private), "version", 1))
	require.Equal(t, mounttest.B64("x"), there.Must(there.Write("decrypt/k", "ciphertext", ciphertext)).Data["plaintext"])
	there.Restart()
	require.Equal(t, chain, mounttest.CertificateChain(there, "k", 1))
	mounttest.RequireCustodyWhole(t, there)
}
