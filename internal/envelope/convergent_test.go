// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// The vectors of convergent encryption with associated data, in the form of Project Wycheproof. They are made here, from
// the definition in docs/adr/0028 and without the package under test:
//
//	go test ./internal/envelope -run TestConvergentVectors -update-convergent
//
// In a group all tests share key and context. An invalid test does not decrypt. A valid one decrypts and is what we
// encrypt to. An acceptable one decrypts, and is what Transit encrypts to and we do not.
const convergentFile = "testdata/convergent_aad.json"

var updateConvergent = flag.Bool("update-convergent", false, "make the vectors of convergent encryption anew")

type convergentVectors struct {
	Algorithm     string            `json:"algorithm"`
	NumberOfTests int               `json:"numberOfTests"`
	Header        []string          `json:"header"`
	Notes         map[string]string `json:"notes"`
	TestGroups    []aeadGroup       `json:"testGroups"`
}

type aeadGroup struct {
	Type      string             `json:"type"`
	Algorithm envelope.Algorithm `json:"algorithm"`
	KeySize   int                `json:"keySize"`
	IVSize    int                `json:"ivSize"`
	TagSize   int                `json:"tagSize"`
	Tests     []aeadTest         `json:"tests"`
}

type aeadTest struct {
	TCID    int      `json:"tcId"`
	Comment string   `json:"comment"`
	Key     string   `json:"key"`
	Context string   `json:"context"`
	AAD     string   `json:"aad"`
	Msg     string   `json:"msg"`
	Nonce   string   `json:"nonce"`
	CT      string   `json:"ct"`
	Tag     string   `json:"tag"`
	Result  string   `json:"result"`
	Flags   []string `json:"flags"`
}

func TestConvergentVectorsHoldForUsAndOpenInTransit(t *testing.T) {
	if *updateConvergent {
		writeConvergent(t)
	}
	raw, err := os.ReadFile(convergentFile)
	require.NoError(t, err)
	var file convergentVectors
	require.NoError(t, json.Unmarshal(raw, &file))
	require.Equal(t, madeConvergent(), file, "the file is not what its definition makes")
	for _, group := range file.TestGroups {
		for _, test := range group.Tests {
			t.Run(fmt.Sprintf("%d %s", test.TCID, test.Comment), func(t *testing.T) { requireVector(t, group.Algorithm, test) })
		}
	}
}

func requireVector(t *testing.T, a envelope.Algorithm, v aeadTest) {
	t.Helper()
	spec := envelope.Spec{Algorithm: a, Derived: true, Convergent: true}
	in := envelope.Params{Context: unhex(t, v.Context), AssociatedData: unhex(t, v.AAD)}
	policy, c := transitOf(t, spec, unhex(t, v.Key))
	ciphertext := envelope.Format(1, unhex(t, v.Nonce+v.CT+v.Tag))
	made, err := c.Encrypt(context.Background(), b64(unhex(t, v.Msg)), in)
	require.NoError(t, err)
	require.Equal(t, v.Result == "valid", ciphertext == made)

	got, err := open(c, ciphertext, in)
	theirs, transitErr := transitDecrypt(policy, ciphertext, in)
	if v.Result == "invalid" {
		require.ErrorIs(t, err, envelope.ErrInput)
		require.Error(t, transitErr)
		return
	}
	require.NoError(t, err)
	require.NoError(t, transitErr)
	require.Equal(t, v.Msg, hex.EncodeToString(unb64(t, got)))
	require.Equal(t, got, theirs)
	made, err = transitEncrypt(policy, 1, got, in)
	require.NoError(t, err)
	require.Equal(t, v.AAD == "" || v.Result == "acceptable", ciphertext == made, "what Transit encrypts to")
}

// One nonce for two texts gives the authentication key of AES-GCM away, so no two inputs may share one.
func TestConvergentNoncesDifferWhereAnythingTheyAreOfDiffers(t *testing.T) {
	var inputs [][2]string // text and associated data
	for _, all := range []string{"", "a", "ab", "abc", "\x00\x00\x00\x00\x00\x00\x00\x01ab"} {
		for cut := range len(all) + 1 {
			inputs = append(inputs, [2]string{all[:cut], all[cut:]}, [2]string{all[cut:], all[:cut]})
		}
	}
	eachPair(t, func(t *testing.T, p pair) {
		if !p.spec.Convergent {
			return
		}
		seen := map[string][2]string{}
		for _, in := range inputs {
			ciphertext, err := p.encrypt[ours](b64([]byte(in[0])), envelope.Params{Context: []byte("c"), AssociatedData: []byte(in[1])})
			require.NoError(t, err)
			nonce := string(unb64(t, ciphertext[strings.LastIndex(ciphertext, ":")+1:])[:12])
			if before, ok := seen[nonce]; ok {
				require.Equal(t, before, in, "two inputs with one nonce")
			}
			seen[nonce] = in
		}
	})
}

// No text without associated data may have the nonce of one with it, whatever is put into the text.
func TestAConvergentNonceWithAssociatedDataIsUnderAKeyOfItsOwn(t *testing.T) {
	for _, a := range algorithms {
		key := bytes.Repeat([]byte{7}, a.KeySize())
		_, c := transitOf(t, envelope.Spec{Algorithm: a, Derived: true, Convergent: true}, key)
		bound, err := c.Encrypt(context.Background(), b64([]byte("text")), envelope.Params{Context: []byte("c"), AssociatedData: []byte("data")})
		require.NoError(t, err)
		plain, err := c.Encrypt(context.Background(), b64(nonceInput([]byte("text"), []byte("data"))), envelope.Params{Context: []byte("c")})
		require.NoError(t, err)
		require.NotEqual(t, bound[:len("vault:v1:")+16], plain[:len("vault:v1:")+16])
	}
}

// keysOf is HKDF-SHA-256 of the context: encryption key, nonce key of Transit, nonce key for associated data.
func keysOf(a envelope.Algorithm, key, context []byte) (enc, nonceKey, boundKey []byte) {
	out, err := hkdf.Key(sha256.New, key, nil, string(context), a.KeySize()+64)
	if err != nil {
		panic(err)
	}
	return out[:a.KeySize()], out[a.KeySize() : a.KeySize()+32], out[a.KeySize()+32:]
}

// nonceInput is what the nonce is an HMAC of where there is associated data.
func nonceInput(msg, aad []byte) []byte {
	return slices.Concat(binary.BigEndian.AppendUint64(nil, uint64(len(aad))), aad, msg)
}

func mac12(key, data []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	return mac.Sum(nil)[:12]
}

// sealed is nonce, ciphertext and tag by the definition; like Transit's, with a nonce of the message alone.
func sealed(a envelope.Algorithm, key, context, msg, aad []byte, likeTransit bool) aeadTest {
	enc, nonceKey, boundKey := keysOf(a, key, context)
	nonce := mac12(nonceKey, msg)
	if len(aad) > 0 && !likeTransit {
		nonce = mac12(boundKey, nonceInput(msg, aad))
	}
	out := primitive(a, enc).Seal(nil, nonce, msg, aad)
	return aeadTest{
		Key: hex.EncodeToString(key), Context: hex.EncodeToString(context), AAD: hex.EncodeToString(aad), Msg: hex.EncodeToString(msg),
		Nonce: hex.EncodeToString(nonce), CT: hex.EncodeToString(out[:len(msg)]), Tag: hex.EncodeToString(out[len(msg):]), Result: "valid",
	}
}

func primitive(a envelope.Algorithm, key []byte) cipher.AEAD {
	if a == envelope.ChaCha20Poly1305 {
		aead, err := chacha20poly1305.New(key)
		if err != nil {
			panic(err)
		}
		return aead
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func unb64(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	return b
}

func writeConvergent(t *testing.T) {
	t.Helper()
	raw, err := json.MarshalIndent(madeConvergent(), "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(convergentFile, append(raw, '\n'), 0o600))
}
