// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// TestWhatAnotherEncryptedWithSHA1OpensAndIsRewrapped: payment terminals and smart cards know no other hash of OAEP.
func TestWhatAnotherEncryptedWithSHA1OpensAndIsRewrapped(t *testing.T) {
	m := mounttest.NewForImports(t)
	der, _ := mounttest.OutsideRSA(t)
	m.Must(m.Write("keys/k/import", "type", "rsa-2048", "ciphertext", m.Wrapped(der), "allow_rotation", true))
	private, err := x509.ParsePKCS8PrivateKey(der)
	require.NoError(t, err)
	raw, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, &private.(*rsa.PrivateKey).PublicKey, []byte("text"), nil)
	require.NoError(t, err)
	theirs := "vault:v1:" + base64.StdEncoding.EncodeToString(raw)

	opens := func(ciphertext any, hash string) {
		t.Helper()
		require.Equal(t, mounttest.B64("text"), m.Must(m.Write("decrypt/k", "ciphertext", ciphertext, "hash_algorithm", hash)).Data["plaintext"])
	}
	require.Equal(t, 500, m.Write("decrypt/k", "ciphertext", theirs).Status, "Transit's status")
	require.Equal(t, 500, m.Write("rewrap/k", "ciphertext", theirs).Status)
	opens(theirs, "sha1")

	m.Must(m.Write("keys/k/rotate"))
	rewrapped := m.Must(m.Write("rewrap/k", "ciphertext", theirs, "decrypt_hash_algorithm", "sha1")).Data
	require.Equal(t, 2, rewrapped["key_version"])
	opens(rewrapped["ciphertext"], "")
	opens(rewrapped["ciphertext"], "sha2-256")
	back := m.Must(m.Write("rewrap/k", "ciphertext", rewrapped["ciphertext"], "encrypt_hash_algorithm", "sha1")).Data
	opens(back["ciphertext"], "sha1")
}

func TestDataKeysAndItemsHaveAHashOfOAEP(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "rsa-2048"))
	made := m.Must(m.Write("datakey/plaintext/k", "hash_algorithm", "sha2-384")).Data
	require.Equal(t, made["plaintext"], m.Must(m.Write("decrypt/k", "ciphertext", made["ciphertext"], "hash_algorithm", "sha2-384")).Data["plaintext"])

	// An item has a hash of its own, or that of its batch.
	text := mounttest.B64("text")
	items := []any{mounttest.Data("plaintext", text), mounttest.Data("plaintext", text, "hash_algorithm", "sha3-256"), mounttest.Data("plaintext", text, "hash_algorithm", nil)}
	rows := mounttest.Rows(t, m.Must(m.Write("encrypt/k", "hash_algorithm", "sha1", "batch_input", items)))
	for i, hash := range []string{"sha1", "sha3-256", "sha1"} {
		require.Empty(t, rows[i].Error)
		item := []any{mounttest.Data("ciphertext", rows[i].Ciphertext)}
		for _, opened := range [][]mounttest.Row{
			mounttest.Rows(t, m.Must(m.Write("decrypt/k", "hash_algorithm", hash, "batch_input", item))),
			mounttest.Rows(t, m.Must(m.Write("decrypt/k", "batch_input", []any{mounttest.Data("ciphertext", rows[i].Ciphertext, "hash_algorithm", hash)}))),
		} {
			require.Equal(t, text, opened[0].Plaintext)
		}
		again := mounttest.Rows(t, m.Must(m.Write("rewrap/k", "decrypt_hash_algorithm", hash, "encrypt_hash_algorithm", "sha2-512", "batch_input", item)))[0]
		require.Empty(t, again.Error)
		require.Equal(t, text, m.Must(m.Write("decrypt/k", "ciphertext", again.Ciphertext, "hash_algorithm", "sha2-512")).Data["plaintext"])
	}
}

func TestAHashOfOAEPIsForOAEPAlone(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "rsa-2048"))
	m.Must(m.Write("keys/aes"))
	m.Must(m.Write("keys/signs", "type", "ed25519"))
	const hashes = "must be sha1, sha2-224, sha2-256, sha2-384, sha2-512, sha3-224, sha3-256, sha3-384 or sha3-512"
	plain, sealed := mounttest.B64("x"), "vault:v1:AAAA"
	for _, c := range []struct {
		path string
		in   []any
		want string
	}{
		{"encrypt/k", []any{"plaintext", plain, "hash_algorithm", "sha256"}, `hash_algorithm: "sha256": ` + hashes},
		{"encrypt/k", []any{"plaintext", plain, "hash_algorithm", "none"}, `hash_algorithm: "none": ` + hashes},
		{"decrypt/k", []any{"ciphertext", sealed, "hash_algorithm", "md5"}, `hash_algorithm: "md5": ` + hashes},
		{"rewrap/k", []any{"ciphertext", sealed, "decrypt_hash_algorithm", "md5"}, `decrypt_hash_algorithm: "md5": ` + hashes},
		{"rewrap/k", []any{"ciphertext", sealed, "encrypt_hash_algorithm", "md5"}, `encrypt_hash_algorithm: "md5": ` + hashes},
		{"datakey/wrapped/k", []any{"hash_algorithm", "md5"}, `hash_algorithm: "md5": ` + hashes},
		{"datakeys/wrapped/k", []any{"count", 2, "hash_algorithm", "md5"}, `hash_algorithm: "md5": ` + hashes},
		{"encrypt/k", []any{"plaintext", plain, "hash_algorithm", "sha1", "padding_scheme", "pkcs1v15"}, `hash_algorithm: "sha1": is of oaep, and the padding scheme is pkcs1v15`},
		{"decrypt/k", []any{"ciphertext", sealed, "hash_algorithm", "sha1", "padding_scheme", "pkcs1v15"}, `hash_algorithm: "sha1": is of oaep`},
		{"rewrap/k", []any{"ciphertext", sealed, "encrypt_hash_algorithm", "sha1", "encrypt_padding_scheme", "pkcs1v15"}, `encrypt_hash_algorithm: "sha1": is of oaep`},
		{"encrypt/aes", []any{"plaintext", plain, "hash_algorithm", "sha2-256"}, `hash_algorithm: "sha2-256": is for RSA keys, and the key is of type aes256-gcm96`},
		{"decrypt/aes", []any{"ciphertext", sealed, "hash_algorithm", "sha1"}, `hash_algorithm: "sha1": is for RSA keys`},
		{"rewrap/aes", []any{"ciphertext", sealed, "encrypt_hash_algorithm", "sha1"}, `encrypt_hash_algorithm: "sha1": is for RSA keys`},
		{"datakey/wrapped/aes", []any{"hash_algorithm", "sha1"}, `hash_algorithm: "sha1": is for RSA keys`},
		{"encrypt/signs", []any{"plaintext", plain, "hash_algorithm", "sha1"}, `ed25519`},
		{"encrypt/new", []any{"plaintext", plain, "hash_algorithm", "sha1"}, `hash_algorithm: "sha1": is for RSA keys`},
	} {
		m.Storage.Reset()
		m.Refused(m.Write(c.path, c.in...), c.want)
		require.Zero(t, m.Storage.Reset().Writes(), c.path)
	}
	rows := m.Write("encrypt/k", "batch_input", []any{mounttest.Data("plaintext", plain, "hash_algorithm", "md5"), mounttest.Data("plaintext", plain)})
	require.Equal(t, 400, rows.Status)
	require.Contains(t, mounttest.Rows(t, rows)[0].Error, `hash_algorithm: "md5"`)
	require.Empty(t, mounttest.Rows(t, rows)[1].Error)
	m.Must(m.Write("encrypt/new", "plaintext", plain, "hash_algorithm", "sha1", "type", "rsa-2048"))
}
