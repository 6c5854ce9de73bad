// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package wycheproof has test vectors of Project Wycheproof (https://github.com/C2SP/wycheproof), of the algorithms of keys: inputs that
// implementations got wrong, each with what becomes of it. They are for tests alone. scripts/wycheproof.sh writes testdata, a selection, from
// a pinned version; it is under the licence beside it, Apache-2.0.
package wycheproof

import (
	"compress/gzip"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

//go:embed testdata/*.jsonl.gz
var files embed.FS

// Hex is a text of the vectors.
type Hex []byte

// UnmarshalText is [encoding.TextUnmarshaler]'s.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// Group is vectors that have a key, or its size, in common. Sizes are in bits; what a family does not have is zero.
type Group struct {
	File       string // of Wycheproof, without _test.json
	Hash       string `json:"sha"`
	MaskHash   string `json:"mgfSha"`
	SaltLength int    `json:"sLen"` // in bytes
	KeySize    int
	NonceSize  int `json:"ivSize"`
	TagSize    int
	Public     Hex      `json:"publicKeyDer"`
	Private    Hex      `json:"privateKeyPkcs8"`
	Vectors    []Vector `json:"tests"`
}

// Vector is one input.
type Vector struct {
	ID         int `json:"tcId"`
	Comment    string
	Result     string // valid, acceptable or invalid
	Key        Hex
	Nonce      Hex `json:"iv"`
	AAD        Hex
	Message    Hex `json:"msg"`
	Ciphertext Hex `json:"ct"`
	Tag        Hex
	Signature  Hex `json:"sig"`
	Label      Hex
}

// Groups returns the groups of a family: aead, ecdsa, ecdsa_p1363, ed25519, rsa_signature, rsa_pss, rsa_oaep, rsa_pkcs1, hmac, cmac or kwp.
func Groups(t testing.TB, family string) (all []Group) {
	t.Helper()
	file, err := files.Open("testdata/" + family + ".jsonl.gz")
	require.NoError(t, err)
	defer file.Close()
	text, err := gzip.NewReader(file)
	require.NoError(t, err)
	for in := json.NewDecoder(text); ; {
		var g Group
		if err := in.Decode(&g); errors.Is(err, io.EOF) {
			return all
		} else {
			require.NoError(t, err)
		}
		all = append(all, g)
	}
}

// hashes are Transit's names of hashes.
var hashes = map[string]string{
	"SHA-1": "sha1", "SHA-224": "sha2-224", "SHA-256": "sha2-256", "SHA-384": "sha2-384", "SHA-512": "sha2-512",
	"SHA3-224": "sha3-224", "SHA3-256": "sha3-256", "SHA3-384": "sha3-384", "SHA3-512": "sha3-512",
}

// TransitHash is the group's hash by its name in Transit. The files of HMACs have it in their names alone.
func (g Group) TransitHash() string {
	if g.Hash != "" {
		return hashes[g.Hash]
	}
	names := map[string]string{
		"hmac_sha1": "sha1", "hmac_sha224": "sha2-224", "hmac_sha256": "sha2-256", "hmac_sha384": "sha2-384", "hmac_sha512": "sha2-512",
		"hmac_sha3_224": "sha3-224", "hmac_sha3_256": "sha3-256", "hmac_sha3_384": "sha3-384", "hmac_sha3_512": "sha3-512",
	}
	return names[g.File]
}

// Count counts results of a test, so that it can say that it tested anything.
type Count map[string]int

// Add counts a vector.
func (c Count) Add(v Vector) { c[v.Result]++ }
