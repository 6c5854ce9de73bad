// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package vectors_test holds what requests answer against the vectors of Project Wycheproof: their keys are imported, and used.
package vectors_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/test/wycheproof"
)

func b64(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

// importer imports keys under names of their own.
type importer struct {
	*mounttest.Mount
	made int
}

func newImporter(t *testing.T) *importer { return &importer{Mount: mounttest.NewForImports(t)} }

func (i *importer) imported(kv ...any) string {
	i.T.Helper()
	i.made++
	name := fmt.Sprintf("key-%d", i.made)
	i.Must(i.Write("keys/"+name+"/import", kv...))
	return name
}

// verdicts sends a batch to verify/ and returns which items are valid. An item that is refused is not.
func (i *importer) verdicts(path string, items []any, kv ...any) []bool {
	i.T.Helper()
	var rows []struct {
		Valid bool
		Error string
	}
	text, err := json.Marshal(i.Must(i.Write(path, append(kv, "batch_input", items)...)).Data["batch_results"])
	require.NoError(i.T, err)
	require.NoError(i.T, json.Unmarshal(text, &rows))
	require.Len(i.T, rows, len(items))
	valid := make([]bool, len(rows))
	for n, row := range rows {
		require.False(i.T, row.Valid && row.Error != "")
		valid[n] = row.Valid
	}
	return valid
}

func typeOf(t *testing.T, public any) string {
	t.Helper()
	switch key := public.(type) {
	case ed25519.PublicKey:
		return "ed25519"
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ecdsa-p%d", key.Curve.Params().BitSize)
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa-%d", key.N.BitLen())
	}
	t.Fatalf("%T", public)
	return ""
}

func TestTextsOpenAsWycheproofSays(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	types := map[string]string{
		"aes_gcm 128 96": "aes128-gcm96", "aes_gcm 256 96": "aes256-gcm96", "chacha20_poly1305 256 96": "chacha20-poly1305",
		"xchacha20_poly1305 256 192": "xchacha20-poly1305",
	}
	m := newImporter(t)
	names, count := map[string]string{}, wycheproof.Count{}
	for _, g := range wycheproof.Groups(t, "aead") {
		kind := types[fmt.Sprintf("%s %d %d", g.File, g.KeySize, g.NonceSize)]
		for _, v := range g.Vectors {
			if kind == "" || v.Result == "valid" && v.ID%5 != 0 { // most of the others have a key of their own, and an import takes long
				continue
			}
			id := kind + string(v.Key)
			if names[id] == "" {
				names[id] = m.imported("type", kind, "ciphertext", m.Wrapped(v.Key))
			}
			count.Add(v)
			sealed := "vault:v1:" + b64(bytes.Join([][]byte{v.Nonce, v.Ciphertext, v.Tag}, nil))
			answer := m.Write("decrypt/"+names[id], "ciphertext", sealed, "associated_data", b64(v.AAD))
			if v.Result == "invalid" {
				require.Equal(t, 400, answer.Status, "%s %d %s", g.File, v.ID, v.Comment)
				require.Contains(t, answer.Err, "message authentication failed")
				continue
			}
			require.Equal(t, b64(v.Message), m.Must(answer).Data["plaintext"], "%s %d %s", g.File, v.ID, v.Comment)
		}
	}
	require.Equal(t, 174, count["invalid"])
	require.Greater(t, count["valid"], 100)
}

func TestSignaturesOfImportedKeysVerifyAsWycheproofSays(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	m := newImporter(t)
	for family, in := range map[string][]any{
		"ecdsa": nil, "ecdsa_p1363": {"marshaling_algorithm", "jws"}, "ed25519": nil,
		"rsa_signature": {"signature_algorithm", "pkcs1v15"}, "rsa_pss": {"signature_algorithm", "pss"},
	} {
		t.Run(family, func(t *testing.T) {
			count := wycheproof.Count{}
			for _, g := range wycheproof.Groups(t, family) {
				if slices.Contains([]string{"ecdsa_secp256r1_sha3_256", "ecdsa_secp384r1_sha384", "ecdsa_secp521r1_sha512", "ecdsa_secp521r1_sha512_p1363"}, g.File) ||
					g.MaskHash != "" && g.MaskHash != g.Hash { // the first are the same again with other numbers, and take long
					continue
				}
				verifiesAs(t, m, g, in, count)
			}
			require.Positive(t, count["valid"])
			require.Positive(t, count["invalid"])
		})
	}
}

func verifiesAs(t *testing.T, m *importer, g wycheproof.Group, in []any, count wycheproof.Count) {
	t.Helper()
	public, err := x509.ParsePKIXPublicKey(g.Public)
	require.NoError(t, err)
	name := m.imported("type", typeOf(t, public), "public_key", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: g.Public})))
	if hash := g.TransitHash(); hash != "" {
		in = append(slices.Clip(in), "hash_algorithm", hash)
	}
	if g.SaltLength != 0 {
		in = append(slices.Clip(in), "salt_length", fmt.Sprint(g.SaltLength))
	}
	encoding := base64.StdEncoding
	if slices.Contains(in, any("jws")) {
		encoding = base64.RawURLEncoding
	}
	items := make([]any, len(g.Vectors))
	for n, v := range g.Vectors {
		items[n] = mounttest.Data("input", b64(v.Message), "signature", "vault:v1:"+encoding.EncodeToString(v.Signature))
	}
	for n, valid := range m.verdicts("verify/"+name, items, in...) {
		v := g.Vectors[n]
		count.Add(v)
		if v.Result != "acceptable" {
			require.Equal(t, v.Result == "valid", valid, "%s %d %s", g.File, v.ID, v.Comment)
		}
	}
}

func TestImportedRSAKeysDecryptAsWycheproofSays(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	m := newImporter(t)
	opened, refused := 0, 0
	for family, padding := range map[string]string{"rsa_oaep": "oaep", "rsa_pkcs1": "pkcs1v15"} {
		for _, g := range wycheproof.Groups(t, family) {
			private, err := x509.ParsePKCS8PrivateKey(g.Private)
			require.NoError(t, err)
			name := m.imported("type", typeOf(t, &private.(*rsa.PrivateKey).PublicKey), "ciphertext", m.Wrapped(g.Private))
			for _, v := range g.Vectors {
				answer := m.Write("decrypt/"+name, "ciphertext", "vault:v1:"+b64(v.Ciphertext), "padding_scheme", padding, "hash_algorithm", g.TransitHash())
				if v.Result == "invalid" || len(v.Label) > 0 || g.MaskHash != g.Hash {
					require.Contains(t, []int{400, 500}, answer.Status, "%s %d %s", g.File, v.ID, v.Comment)
					require.Empty(t, answer.Data)
					refused++
					continue
				}
				require.Equal(t, b64(v.Message), m.Must(answer).Data["plaintext"], "%s %d %s", g.File, v.ID, v.Comment)
				opened++
			}
		}
	}
	require.Equal(t, []int{112, 234}, []int{opened, refused})
}

func TestMACsOfImportedKeysAreThoseOfWycheproof(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	m := newImporter(t)
	count := wycheproof.Count{}
	macs := func(family, field string, kind func(g wycheproof.Group) string, more func(g wycheproof.Group) []any) {
		for _, g := range wycheproof.Groups(t, family) {
			name, last := "", ""
			for _, v := range g.Vectors {
				if kind(g) == "" {
					continue
				}
				if name == "" || last != string(v.Key) {
					name, last = m.imported("type", kind(g), "ciphertext", m.Wrapped(v.Key)), string(v.Key)
				}
				count.Add(v)
				valid := m.verdicts("verify/"+name, []any{mounttest.Data("input", b64(v.Message), field, "vault:v1:"+b64(v.Tag))}, more(g)...)[0]
				require.Equal(t, v.Result == "valid", valid, "%s %d %s", g.File, v.ID, v.Comment)
			}
		}
	}
	macs("hmac", "hmac", func(g wycheproof.Group) string {
		full := map[string]int{"hmac_sha1": 160, "hmac_sha256": 256, "hmac_sha512": 512, "hmac_sha3_512": 512}[g.File]
		if g.KeySize < 256 || g.TagSize != full { // an HMAC is never cut off
			return ""
		}
		return "hmac"
	}, func(g wycheproof.Group) []any { return []any{"hash_algorithm", g.TransitHash()} })
	macs("cmac", "cmac", func(g wycheproof.Group) string {
		return map[int]string{128: "aes128-cmac", 192: "aes192-cmac", 256: "aes256-cmac"}[g.KeySize]
	}, func(wycheproof.Group) []any { return nil })
	require.Equal(t, wycheproof.Count{"valid": 162, "invalid": 405}, count)
}

// TestWrappedKeysAreImportedAsWycheproofSays imports the wrapped keys as those of HMACs, of which many lengths are right.
func TestWrappedKeysAreImportedAsWycheproofSays(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	m := newImporter(t)
	block, _ := pem.Decode([]byte(m.Must(m.Read("wrapping_key")).Data["public_key"].(string)))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	opened := 0
	for _, g := range wycheproof.Groups(t, "kwp") {
		for n, v := range g.Vectors {
			if g.KeySize != 256 {
				continue
			}
			first, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), v.Key, nil)
			require.NoError(t, err)
			name := fmt.Sprintf("wrapped-%d", n)
			answer := m.Write("keys/"+name+"/import", "type", "hmac", "ciphertext", b64(append(first, v.Ciphertext...)))
			if v.Result == "invalid" || len(v.Message) < 32 {
				require.Contains(t, []int{400, 500}, answer.Status, "%d %s", v.ID, v.Comment)
				require.Equal(t, 404, m.Read("keys/"+name).Status)
				continue
			}
			m.Must(answer)
			opened++
		}
	}
	require.Positive(t, opened)
}
