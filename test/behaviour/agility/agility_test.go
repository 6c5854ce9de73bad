// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package agility_test is about keys whose versions differ in type.
package agility_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// purpose is what the versions of a key have in common: how one is used, and how what it made is.
type purpose struct {
	types []string
	make  func(m *mounttest.Mount) string
	holds func(m *mounttest.Mount, made string) bool
}

var purposes = map[string]purpose{
	"encryption": {
		types: []string{"aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305", "rsa-2048"},
		make:  func(m *mounttest.Mount) string { return m.Encrypt("k", "text") },
		holds: func(m *mounttest.Mount, made string) bool { return m.Decrypt("k", made) == "text" },
	},
	"signatures": {
		types: []string{"ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "mldsa-44", "mldsa-65", "mldsa-87"},
		make: func(m *mounttest.Mount) string {
			return m.Must(m.Write("sign/k", "input", mounttest.B64("text"))).Data["signature"].(string)
		},
		holds: func(m *mounttest.Mount, made string) bool {
			return m.Must(m.Write("verify/k", "input", mounttest.B64("text"), "signature", made)).Data["valid"].(bool)
		},
	},
	"CMACs": {
		types: []string{"aes128-cmac", "aes192-cmac", "aes256-cmac"},
		make: func(m *mounttest.Mount) string {
			return m.Must(m.Write("cmac/k", "input", mounttest.B64("text"))).Data["cmac"].(string)
		},
		holds: func(m *mounttest.Mount, made string) bool {
			return m.Must(m.Write("verify/k", "input", mounttest.B64("text"), "cmac", made)).Data["valid"].(bool)
		},
	},
}

// everyType lists all of them, each once.
func everyType() []string {
	all := []string{"hmac"}
	for _, p := range purposes {
		all = append(all, p.types...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestWhatEveryTypeMadeIsOfUseAfterEveryOther(t *testing.T) {
	for name, p := range purposes {
		for i, from := range p.types {
			m := mounttest.New(t)
			m.Must(m.Write("keys/k", "type", from))
			made := []string{p.make(m)}
			for _, to := range p.types[i+1:] { // and back: each pair, in both directions
				m.Must(m.Write("keys/k/rotate", "type", to))
				made = append(made, p.make(m))
				require.Equal(t, len(made), mounttest.VersionOf(made[len(made)-1]), "%s: %s to %s", name, from, to)
				m.Must(m.Write("keys/k/rotate", "type", from))
				made = append(made, p.make(m))
			}
			for round := range 2 {
				for n, text := range made {
					require.True(t, p.holds(m, text), "%s from %s: version %d, round %d", name, from, n+1, round)
					require.Equal(t, n+1, mounttest.VersionOf(text))
				}
				m.Restart() // from storage alone
			}
		}
	}
}

func TestATypeForSomethingElseIsRefused(t *testing.T) {
	for _, p := range purposes {
		of := p.types[0]
		for _, to := range everyType() {
			m := mounttest.New(t)
			if slices.Contains(p.types, to) || strings.HasPrefix(to, "rsa-") && p.types[0] != "aes128-cmac" {
				continue
			}
			m.Must(m.Write("keys/k", "type", of))
			m.Refused(m.Write("keys/k/rotate", "type", to), fmt.Sprintf("type: %q: must be for what all versions of the key are for", to), "they are of type "+of)
			require.Equal(t, 1, m.Latest("k"))
		}
	}
}

// TestAllVersionsShareAPurpose: RSA keys are for two, of which the other versions leave one.
func TestAllVersionsShareAPurpose(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "aes256-gcm96"))
	m.Must(m.Write("keys/k/rotate", "type", "rsa-2048"))
	m.Refused(m.Write("keys/k/rotate", "type", "ed25519"), `type: "ed25519": must be for what all versions of the key are for`, "aes256-gcm96, rsa-2048")
}

func TestARefusedTypeWritesNothing(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "aes256-gcm96"))
	m.Must(m.Write("keys/derived", "derived", true))
	m.Must(m.Write("keys/convergent", "derived", true, "convergent_encryption", true))
	m.Must(m.Write("keys/narrow", "type", "rsa-2048", "allowed_uses", "encrypt,decrypt"))
	before := m.Storage.All()
	for _, row := range []struct {
		key    string
		given  []any
		refuse string
	}{
		{"k", []any{"type", "des"}, `type: "des": unknown key type`},
		{"k", []any{"key_size", 64}, "key_size: 64: is not valid for key type aes256-gcm96"},
		{"k", []any{"type", "chacha20-poly1305", "parameter_set", "44"}, `parameter_set: "44"`},
		{"convergent", []any{"type", "xchacha20-poly1305"}, "convergent_encryption: true: key type xchacha20-poly1305"},
		{"narrow", []any{"type", "ed25519"}, "restricted to by allowed_uses: encrypt"},
	} {
		m.Refused(m.Write("keys/"+row.key+"/rotate", row.given...), row.refuse)
	}
	answer := m.Write("keys/derived/rotate", "type", "rsa-2048") // which is a fault for Transit when a key is made, too
	require.Equal(t, 500, answer.Status)
	require.Equal(t, before, m.Storage.All())
}

func TestAKeyOfTypeHMACGetsAnotherSize(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "hmac", "key_size", 32))
	mac := func() any { return m.Must(m.Write("hmac/k", "input", mounttest.B64("x"))).Data["hmac"] }
	first := mac()
	require.EqualValues(t, 512, m.Must(m.Write("keys/k/rotate", "key_size", 512)).Data["key_size"])
	second := mac()
	m.Restart()
	for _, made := range []any{first, second} {
		require.Equal(t, true, m.Must(m.Write("verify/k", "input", mounttest.B64("x"), "hmac", made)).Data["valid"])
	}
	require.EqualValues(t, 512, m.Must(m.Write("keys/k/rotate")).Data["key_size"], "it stays")
	m.Refused(m.Write("keys/k/rotate", "key_size", 31), "key_size: 31: must be from 32 to 512 bytes")
}

func TestTheViewShowsWhichVersionIsOfWhichType(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "aes128-gcm96"))
	plain := m.Must(m.Write("keys/k/rotate"))
	require.IsType(t, map[string]int64{}, plain.Data["keys"], "as ever where no type has changed")
	require.NotContains(t, string(m.Storage.All()["keys/k"]), `"types"`)

	m.Must(m.Write("keys/k/rotate", "type", "chacha20-poly1305", "stage", true))
	staged := m.Must(m.Read("keys/k")).Data
	require.Equal(t, "aes128-gcm96", staged["type"], "that of the version which encrypts")
	require.Contains(t, string(m.Storage.All()["keys/k"]), `"types":[{"u":2,"t":"aes128-gcm96"}]`)
	m.Must(m.Write("keys/k/versions/3/promote"))
	shown := m.Must(m.Read("keys/k")).Data
	require.Equal(t, "chacha20-poly1305", shown["type"])
	require.Equal(t, map[int]string{1: "aes128-gcm96", 2: "aes128-gcm96", 3: "chacha20-poly1305"}, typesOf(t, shown))
	require.Equal(t, "aes128-gcm96", m.Must(m.Read("keys/k/versions/2")).Data["type"])

	m.Must(m.Write("keys/k/rollback"))
	require.Equal(t, "aes128-gcm96", m.Must(m.Read("keys/k")).Data["type"])
	require.Equal(t, "aes128-gcm96", m.Must(m.Write("keys/k/rotate")).Data["type"], "that of the version which it takes over from")
}

func typesOf(t *testing.T, view map[string]any) map[int]string {
	t.Helper()
	text, err := json.Marshal(view["keys"])
	require.NoError(t, err)
	var versions map[int]struct{ Type string }
	require.NoError(t, json.Unmarshal(text, &versions))
	types := map[int]string{}
	for n, v := range versions {
		types[n] = v.Type
	}
	return types
}

func TestCustodySaysWhichTypeFollowsWhich(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "ecdsa-p256"))
	m.Must(m.Write("keys/k/rotate"))
	require.NotContains(t, m.Storage.LastAct()["details"], "type")
	m.Must(m.Write("keys/k/rotate", "type", "ml-dsa", "parameter_set", "65"))
	require.Equal(t, "ecdsa-p256 -> mldsa-65", m.Storage.LastAct()["details"].(map[string]any)["type"])
	mounttest.RequireCustodyWhole(t, m)
}

// TestAParameterIsForTheVersionThatIsUsed: what one type takes another does not.
func TestAParameterIsForTheVersionThatIsUsed(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "ecdsa-p256"))
	digest := mounttest.B64("32 bytes which pass for a digest")
	signed := m.Must(m.Write("sign/k", "input", digest, "prehashed", true)).Data["signature"]
	m.Must(m.Write("keys/k/rotate", "type", "ed25519"))
	require.Equal(t, true, m.Must(m.Write("verify/k", "input", digest, "prehashed", true, "signature", signed)).Data["valid"])
	m.Refused(m.Write("sign/k", "input", digest, "prehashed", true), "prehashed: true: must be false: Ed25519")

	m.Must(m.Write("keys/e", "type", "aes256-gcm96"))
	sealed := m.Must(m.Write("encrypt/e", "plaintext", mounttest.B64("x"), "associated_data", mounttest.B64("about"))).Data["ciphertext"]
	m.Must(m.Write("keys/e/rotate", "type", "rsa-2048"))
	opened := m.Must(m.Write("decrypt/e", "ciphertext", sealed, "associated_data", mounttest.B64("about"))).Data["plaintext"]
	require.Equal(t, mounttest.B64("x"), opened)
	m.Refused(m.Write("encrypt/e", "plaintext", mounttest.B64("x"), "associated_data", mounttest.B64("about")), "keys of type rsa-2048 authenticate none")
	m.Refused(m.Write("decrypt/e", "ciphertext", sealed, "padding_scheme", "oaep"), "padding_scheme", "aes256-gcm96")
	m.Refused(m.Write("sign/e", "input", digest, "key_version", 1), "aes256-gcm96, which does not support signing")
}

// TestAHashIsForTheVersionThatOpensOrProtects: a rewrap may lead from a type that has one to a type that has none, and back.
func TestAHashIsForTheVersionThatOpensOrProtects(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "aes256-gcm96"))
	first := m.Encrypt("k", "x")
	m.Must(m.Write("keys/k/rotate", "type", "rsa-2048"))
	m.Refused(m.Write("rewrap/k", "ciphertext", first, "decrypt_hash_algorithm", "sha1"), "decrypt_hash_algorithm", "aes256-gcm96")
	second := m.Must(m.Write("rewrap/k", "ciphertext", first, "encrypt_hash_algorithm", "sha1")).Data["ciphertext"]
	m.Must(m.Write("keys/k/rotate", "type", "aes256-gcm96"))
	m.Refused(m.Write("rewrap/k", "ciphertext", second, "encrypt_hash_algorithm", "sha1"), "encrypt_hash_algorithm", "aes256-gcm96")
	third := m.Must(m.Write("rewrap/k", "ciphertext", second, "decrypt_hash_algorithm", "sha1")).Data["ciphertext"]
	require.Equal(t, mounttest.B64("x"), m.Must(m.Write("decrypt/k", "ciphertext", third)).Data["plaintext"])
}

func TestAnExportHasOfEachVersionWhatItsTypeHas(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "aes256-gcm96", "exportable", true))
	m.Must(m.Write("keys/k/rotate", "type", "rsa-2048"))
	exported := func(kind string) (versions []string) {
		for n := range m.Must(m.Read("export/" + kind + "/k")).Data["keys"].(map[string]any) {
			versions = append(versions, n)
		}
		slices.Sort(versions)
		return versions
	}
	require.Equal(t, []string{"1", "2"}, exported("encryption-key"))
	require.Equal(t, []string{"2"}, exported("signing-key"))
	require.Equal(t, []string{"2"}, exported("public-key"))
	require.Equal(t, []string{"1", "2"}, exported("hmac-key"))
	m.Refused(m.Read("export/signing-key/k/1"), "version 1", "signing not supported")
	require.Len(t, m.Must(m.Read("keys/k/jwks")).Data["keys"], 1)
}

func TestABackupHasTheTypes(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "aes128-gcm96", "exportable", true, "allow_plaintext_backup", true))
	first := m.Encrypt("k", "text")
	m.Must(m.Write("keys/k/rotate", "type", "chacha20-poly1305"))
	second := m.Encrypt("k", "text")
	backup := m.Must(m.Read("backup/k")).Data["backup"]
	other := mounttest.New(t)
	other.Must(other.Write("restore/k", "backup", backup))
	for _, made := range []string{first, second} {
		require.Equal(t, "text", other.Decrypt("k", made))
	}
	require.Equal(t, map[int]string{1: "aes128-gcm96", 2: "chacha20-poly1305"}, typesOf(t, other.Must(other.Read("keys/k")).Data))
}
