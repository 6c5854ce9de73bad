// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// The committed vectors were made once, by keysutil, and stand for data out in the world: a change
// to the file is a breaking change. To add vectors, extend vectorInputs and run
//
//	go test ./internal/envelope -run TestCiphertextVectors -add-vectors
//
// which appends those that are missing and leaves the rest alone.
const vectorFile = "testdata/ciphertexts.json"

var addVectors = flag.Bool("add-vectors", false, "append missing ciphertext vectors, made by keysutil")

type vector struct {
	Name       string             `json:"name"`
	Algorithm  envelope.Algorithm `json:"algorithm"`
	Derived    bool               `json:"derived,omitempty"`
	Convergent bool               `json:"convergent,omitempty"`
	Version    int                `json:"version"`
	Key        string             `json:"test_key_hex"`
	HMACKey    string             `json:"test_hmac_key_hex"`
	Context    []byte             `json:"context,omitempty"`
	AAD        []byte             `json:"associated_data,omitempty"`
	Plaintext  string             `json:"plaintext"`
	Ciphertext string             `json:"ciphertext"`
}

func (v vector) spec() envelope.Spec {
	return envelope.Spec{Algorithm: v.Algorithm, Derived: v.Derived, Convergent: v.Convergent}
}

func (v vector) params() envelope.Params {
	return envelope.Params{Context: v.Context, AssociatedData: v.AAD}
}

func readVectors(t *testing.T) []vector {
	t.Helper()
	raw, err := os.ReadFile(vectorFile)
	require.NoError(t, err)
	var out []vector
	require.NoError(t, json.Unmarshal(raw, &out))
	return out
}

func TestCiphertextVectorsDecryptForEver(t *testing.T) {
	if *addVectors {
		appendVectors(t)
	}
	seen := map[envelope.Spec]int{}
	for _, v := range readVectors(t) {
		seen[v.spec()]++
		c := newCipher(t, v.spec(), v.Version, envelope.NewMaterial(unhex(t, v.Key), unhex(t, v.HMACKey)))

		version, _, err := envelope.Parse(v.Ciphertext)
		require.NoError(t, err, v.Name)
		require.Equal(t, v.Version, version, v.Name)
		got, err := open(c, v.Ciphertext, v.params())
		require.NoError(t, err, v.Name)
		require.Equal(t, v.Plaintext, got, v.Name)

		if v.Convergent {
			again, err := c.Encrypt(context.Background(), v.Plaintext, v.params())
			require.NoError(t, err, v.Name)
			require.Equal(t, len(v.AAD) == 0, v.Ciphertext == again, "%s: with associated data the nonce is another", v.Name)
		}
	}
	for _, spec := range specs() {
		require.Positive(t, seen[spec], specName(spec))
	}
}

// vectorInputs are the vectors without their secrets and results.
func vectorInputs() []vector {
	var out []vector
	for _, spec := range specs() {
		for _, version := range []int{1, 7, 12345} {
			for _, in := range []vector{
				{Name: "plain", Plaintext: b64([]byte("the quick brown fox"))},
				{Name: "empty", Plaintext: ""},
				{Name: "aad", Plaintext: b64([]byte{0, 1, 2, 0xff}), AAD: []byte("associated data")},
				{Name: "blocks", Plaintext: b64(bytes.Repeat([]byte("0123456789abcdef"), 8))},
			} {
				in.Name = specName(spec) + " v" + strconv.Itoa(version) + " " + in.Name
				in.Algorithm, in.Derived, in.Convergent, in.Version = spec.Algorithm, spec.Derived, spec.Convergent, version
				if spec.Derived {
					in.Context = []byte("tenant-17")
				}
				out = append(out, in)
			}
		}
	}
	return out
}

func appendVectors(t *testing.T) {
	t.Helper()
	all, known := []vector{}, map[string]bool{}
	if _, err := os.Stat(vectorFile); err == nil {
		all = readVectors(t)
	}
	for _, v := range all {
		known[v.Name] = true
	}
	for _, v := range vectorInputs() {
		if known[v.Name] {
			continue
		}
		policy, m := transit(t, v.spec(), v.Version)
		key, hmacKey := m.Reveal()
		v.Key, v.HMACKey = hex.EncodeToString(key), hex.EncodeToString(hmacKey)
		var err error
		v.Ciphertext, err = transitEncrypt(policy, v.Version, v.Plaintext, v.params())
		require.NoError(t, err)
		all = append(all, v)
	}
	raw, err := json.MarshalIndent(all, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(vectorFile, append(raw, '\n'), 0o600))
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}
