// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package imports_test is about keys that were made elsewhere: how they come in, and what they can do from then on.
package imports_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// outside is a key that no mount made.
func outside(fill byte) []byte { return bytes.Repeat([]byte{fill}, 32) }

func imported(t *testing.T, more ...any) *mounttest.Mount {
	t.Helper()
	m := mounttest.NewForImports(t)
	m.Must(m.Write("keys/k/import", append([]any{"ciphertext", m.Wrapped(outside(1))}, more...)...))
	return m
}

func TestTheWrappingKeyIsMadeOnceAndListedNowhere(t *testing.T) {
	m := mounttest.NewForImports(t)
	public := m.Must(m.Read("wrapping_key")).Data["public_key"]
	m.Storage.Reset()
	require.Equal(t, public, m.Must(m.Read("wrapping_key")).Data["public_key"])
	require.Equal(t, storagetest.Counts{Gets: 1}, m.Storage.Reset(), "the version; the key is in memory")
	m.Restart()
	require.Equal(t, public, m.Must(m.Read("wrapping_key")).Data["public_key"])
	require.Equal(t, 404, m.List("keys").Status)
	require.NotContains(t, m.Must(m.List("rotation/status")).Data, "keys")
	for _, path := range []string{"keys/import:wrapping-key", "encrypt/import:wrapping-key", "keys/import:wrapping-key/rotate"} {
		require.Equal(t, 404, m.Write(path, "plaintext", "").Status, path)
	}
}

func TestTheWrappingKeyNeedsNoPolicy(t *testing.T) {
	m := mounttest.NewForImports(t)
	m.Must(m.Write("policies/p", "owner", "o", "allowed_types", "aes256-gcm96"))
	m.Must(m.Write("config/engine", "require_policy", true))
	m.Refused(m.Write("keys/k/import", "ciphertext", m.Wrapped(outside(1))), "require_policy")
	m.Must(m.Write("keys/k/import", "ciphertext", m.Wrapped(outside(1)), "policy", "p"))
	require.Equal(t, "p", m.Must(m.Read("keys/k")).Data["policy"])
}

func TestAPolicyAdmitsImportsAsItAdmitsNewKeys(t *testing.T) {
	m := mounttest.NewForImports(t)
	m.Must(m.Write("policies/p", "owner", "o", "allowed_types", "aes256-gcm96", "require_reason", "import"))
	m.Refused(m.Write("keys/k/import", "type", "chacha20-poly1305", "ciphertext", m.Wrapped(outside(1)), "policy", "p", "reason", "moved from elsewhere"), "allowed_types")
	m.Refused(m.Write("keys/k/import", "ciphertext", m.Wrapped(outside(1)), "policy", "p", "exportable", true, "reason", "moved from elsewhere"), "exportable")
	m.Refused(m.Write("keys/k/import", "ciphertext", m.Wrapped(outside(1)), "policy", "p"), "reason")
	require.Equal(t, 404, m.Read("keys/k").Status)
	m.Must(m.Write("keys/k/import", "ciphertext", m.Wrapped(outside(1)), "policy", "p", "reason", "moved from elsewhere"))
	m.Refused(m.Write("keys/k/import_version", "ciphertext", m.Wrapped(outside(2))), "reason")
	m.Must(m.Write("keys/k/import_version", "ciphertext", m.Wrapped(outside(2)), "reason", "moved from elsewhere"))
	require.Equal(t, "OA", m.K.Letters())
}

func TestAnImportIsInCustodyAndItsMaterialIsNowhere(t *testing.T) {
	m := imported(t, "reason", "moved from elsewhere")
	m.Must(m.Write("keys/k/import_version", "ciphertext", m.Wrapped(outside(2))))
	var seen []string
	for _, line := range m.Storage.Journal() {
		if line.Kind == "begin" {
			seen = append(seen, line.Act+" "+line.Details["imported"])
		}
	}
	require.Equal(t, []string{"import key", "import key"}, seen)
	for path, data := range m.Storage.All() {
		require.NotContains(t, string(data), string(outside(1)), path)
		require.NotContains(t, string(data), strings.Repeat("AQEB", 8), path) // base64
	}
	require.NotContains(t, m.Log.String(), strings.Repeat("AQEB", 8))
}

func TestAnImportedKeyRotatesOnlyWhereItsOwnerAllowsIt(t *testing.T) {
	m := imported(t)
	answer := m.Write("keys/k/rotate")
	require.Equal(t, 500, answer.Status)
	require.Contains(t, answer.Err, "imported key k does not allow rotation within Vault")
	require.Equal(t, "A", m.K.Letters())

	m = imported(t, "allow_rotation", true)
	require.Equal(t, true, m.Must(m.Read("keys/k")).Data["imported_key_allow_rotation"])
	m.Must(m.Write("keys/k/rotate"))
	view := m.Must(m.Read("keys/k")).Data
	require.Equal(t, false, view["imported_key"])
	m.Must(m.Write("keys/k/import_version", "ciphertext", m.Wrapped(outside(2))))
	require.Equal(t, true, m.Must(m.Read("keys/k")).Data["imported_key"], "it was imported, so it goes on taking versions")
	require.Equal(t, "OOA", m.K.Letters())
}

func TestTheClockLeavesAnImportedKeyToItsOwner(t *testing.T) {
	m := mounttest.NewForImports(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	m.Must(m.Write("keys/k/import", "ciphertext", m.Wrapped(outside(1)), "policy", "p"))
	m.Must(m.Write("keys/free/import", "ciphertext", m.Wrapped(outside(1)), "policy", "p", "allow_rotation", true))
	m.Advance(2 * time.Hour)
	rotation := m.Must(m.Read("keys/k/rotation")).Data
	require.Equal(t, "overdue", rotation["status"])
	require.Contains(t, rotation["why"], "imported without allow_rotation")
	require.Equal(t, 0, rotation["failures"])
	require.Equal(t, "A", m.K.Letters())
	require.Greater(t, m.Must(m.Read("keys/free")).Data["latest_version"], 1)

	m.Must(m.Write("keys/k/import_version", "ciphertext", m.Wrapped(outside(2))))
	require.Equal(t, "scheduled", m.Must(m.Read("keys/k/rotation")).Data["status"])
	require.Equal(t, "import", m.Must(m.Read("keys/k/rotation")).Data["last_rotation_trigger"])
}

func TestACompromisedImportedKeyWaitsForItsOwner(t *testing.T) {
	m := imported(t)
	held := m.Encrypt("k", "secret")
	m.Must(m.Write("keys/k/versions/1/compromise", "reason_code", "key_compromise", "reason", "seen on a pastebin"))
	require.Equal(t, "stopped", m.Must(m.Read("keys/k/rotation")).Data["status"])
	m.Advance(5 * time.Minute)
	require.Equal(t, "C", m.K.Letters())
	m.Must(m.Write("keys/k/import_version", "ciphertext", m.Wrapped(outside(2))))
	require.Equal(t, "CA", m.K.Letters())
	require.Contains(t, m.Must(m.Write("rewrap/k", "ciphertext", held)).Data["ciphertext"], "vault:v2:")
}

func TestAPrivateHalfJoinsItsPublicOne(t *testing.T) {
	m := mounttest.NewForImports(t)
	private, public := mounttest.OutsideRSA(t)
	other, _ := mounttest.OutsideRSA(t)
	m.Must(m.Write("keys/k/import", "type", "rsa-2048", "public_key", public))
	made := m.Must(m.Read("keys/k/versions/1")).Data
	ciphertext := m.Encrypt("k", "secret")
	m.Refused(m.Write("decrypt/k", "ciphertext", ciphertext), "private part")
	answer := m.Write("keys/k/import_version", "ciphertext", m.Wrapped(other), "version", 1)
	require.Equal(t, 500, answer.Status)
	require.Contains(t, answer.Err, "key pair does not match")

	m.Advance(time.Minute)
	m.Must(m.Write("keys/k/import_version", "ciphertext", m.Wrapped(private)))
	require.Equal(t, "A", m.K.Letters(), "no new version")
	require.Equal(t, "secret", m.Decrypt("k", ciphertext))
	m.Restart()
	require.Equal(t, "secret", m.Decrypt("k", ciphertext))
	now := m.Must(m.Read("keys/k/versions/1")).Data
	for _, field := range []string{"created_time", "fingerprint", "state"} {
		require.Equal(t, made[field], now[field], field)
	}
	answer = m.Write("keys/k/import_version", "ciphertext", m.Wrapped(private), "version", 1)
	require.Equal(t, 500, answer.Status)
	require.Contains(t, answer.Err, "private key imported, key version cannot be updated")
}

func TestTheRecordSaysWhetherAPrivateHalfIsInForce(t *testing.T) {
	m := mounttest.NewForImports(t)
	private, public := mounttest.OutsideRSA(t)
	m.Must(m.Write("keys/k/import", "type", "rsa-2048", "public_key", public))
	ciphertext := m.Encrypt("k", "secret")
	record := m.Storage.All()["keys/k"]
	m.Must(m.Write("keys/k/import_version", "ciphertext", m.Wrapped(private), "version", 1))
	stored := maps.Clone(m.Storage.All())
	stored["keys/k"] = record // as if the act had been cut short just before its commit
	m.Load(stored)
	m.Refused(m.Write("decrypt/k", "ciphertext", ciphertext), "private part")
}

func TestBothHalvesAtOnceAreRefused(t *testing.T) {
	m := mounttest.NewForImports(t)
	_, public := mounttest.OutsideRSA(t)
	m.Refused(m.Write("keys/k/import", "type", "rsa-2048", "public_key", public, "ciphertext", "AAAA"), "only one of ciphertext and public_key")
	m.Refused(m.Write("keys/k/import", "ciphertext", m.Wrapped(outside(1)), "auto_rotate_period", 60, "allow_rotation", true), "auto_rotate_period", "an hour")
	require.Equal(t, 404, m.Read("keys/k").Status)
}

func TestNoErrorShowsWhatWasSent(t *testing.T) {
	m := mounttest.NewForImports(t)
	wrapped := m.Wrapped([]byte("0123456789abcdef01234567")) // no key of 32 bytes
	for _, ciphertext := range []string{wrapped, "no*base64" + wrapped, wrapped[:40]} {
		answer := m.Write("keys/k/import", "ciphertext", ciphertext)
		require.Equal(t, 500, answer.Status)
		require.NotContains(t, answer.Err, ciphertext[:40])
		require.NotContains(t, answer.Err, "0123456789")
	}
	require.Equal(t, 404, m.Read("keys/k").Status)
}

func TestAWrappedExportLeavesOutWhatItsStateDenies(t *testing.T) {
	m := mounttest.NewForImports(t)
	_, public := mounttest.OutsideRSA(t)
	m.Must(m.Write("keys/there/import", "type", "rsa-2048", "public_key", public))
	m.Must(m.Write("keys/k", "exportable", true))
	m.Must(m.Write("keys/k/rotate"))
	m.Must(m.Write("keys/k/rotate"))
	require.Len(t, m.Must(m.Read("byok-export/there/k")).Data["keys"], 3)
	m.Must(m.Write("keys/k/versions/1/archive", "reason", "nobody reads it"))
	m.Must(m.Write("keys/k/versions/2/suspend", "reason", "under suspicion"))
	data, err := json.Marshal(m.Must(m.Read("byok-export/there/k")).Data["keys"])
	require.NoError(t, err)
	require.Contains(t, string(data), `"3":`)
	require.NotContains(t, string(data), `"1":`)
	m.Refused(m.Read("byok-export/there/k/1"), "version_archived")
	m.Must(m.Read("byok-export/there/k/latest"))
	m.Must(m.Write("keys/k/suspend", "reason", "stop all of it"))
	m.Refused(m.Read("byok-export/there/k"), "key_suspended")
}

// TestAWrappedExportIsKeptByCustody: who opens it has the material.
func TestAWrappedExportIsKeptByCustody(t *testing.T) {
	m := mounttest.NewForImports(t)
	private, public := mounttest.OutsideRSA(t)
	m.Must(m.Write("policies/p", "owner", "o", "exportable", true, "require_reason", "export"))
	m.Must(m.Write("keys/there/import", "type", "rsa-2048", "public_key", public))
	m.Must(m.Write("keys/k", "exportable", true, "policy", "p", "reason", "because of a test"))
	m.Must(m.Write("keys/k/rotate", "reason", "because of a test"))
	m.Storage.Reset()
	m.Refused(m.Read("byok-export/there/k"), "demands a reason of at least 10 bytes for export")
	require.Zero(t, m.Storage.Reset().Writes())
	answer := m.Do(logical.ReadOperation, "byok-export/there/k/v2", mounttest.Data("reason", "moved to the other cluster"))
	require.NotNil(t, mounttest.Opened(t, private, m.Must(answer).Data["keys"].(map[string]string)["2"]))
	act := m.Storage.LastAct()
	require.Equal(t, "export-wrapped", act["act"])
	require.Equal(t, []any{2.0}, act["versions"])
	require.Equal(t, "moved to the other cluster", act["reason"])
	details := act["details"].(map[string]any)
	require.Equal(t, "there", details["destination"])
	require.Equal(t, "1", details["destination_version"])
	require.Equal(t, m.Must(m.Read("keys/there/versions/1")).Data["fingerprint"], details["destination_fingerprint"])

	m.Must(m.Write("policies/p", "exportable", false))
	m.Refused(m.Do(logical.ReadOperation, "byok-export/there/k", mounttest.Data("reason", "moved to the other cluster")), "does not allow exportable keys")
	mounttest.RequireCustodyWhole(t, m)
}
