// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/hashicorp/vault/sdk/helper/keysutil"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

var algorithms = []envelope.Algorithm{envelope.AES128GCM96, envelope.AES256GCM96, envelope.ChaCha20Poly1305}

// specs is every way to make ciphertexts.
func specs() []envelope.Spec {
	var out []envelope.Spec
	for _, a := range algorithms {
		out = append(out, envelope.Spec{Algorithm: a}, envelope.Spec{Algorithm: a, Derived: true},
			envelope.Spec{Algorithm: a, Derived: true, Convergent: true})
	}
	return out
}

func specName(s envelope.Spec) string {
	return fmt.Sprintf("%s derived=%t convergent=%t", s.Algorithm, s.Derived, s.Convergent)
}

// transit returns a policy that keysutil rotated to version, and the material of that version. It
// shares no code with this package.
func transit(t testing.TB, spec envelope.Spec, version int) (*keysutil.Policy, envelope.Material) {
	t.Helper()
	p := keysutil.NewPolicy(policyConfig(t, spec))
	p.LatestVersion = version - 1 // the versions before it are not needed, and take long
	require.NoError(t, p.RotateInMemory(rand.Reader))
	entry := p.Keys[strconv.Itoa(version)]
	return p, envelope.NewMaterial(entry.Key, entry.HMACKey)
}

func policyConfig(t testing.TB, spec envelope.Spec) keysutil.PolicyConfig {
	t.Helper()
	types := map[envelope.Algorithm]keysutil.KeyType{
		envelope.AES128GCM96:      keysutil.KeyType_AES128_GCM96,
		envelope.AES256GCM96:      keysutil.KeyType_AES256_GCM96,
		envelope.ChaCha20Poly1305: keysutil.KeyType_ChaCha20_Poly1305,
	}
	require.Contains(t, types, spec.Algorithm)
	config := keysutil.PolicyConfig{
		Name: "test", Type: types[spec.Algorithm], Derived: spec.Derived, ConvergentEncryption: spec.Convergent,
	}
	if spec.Derived {
		config.KDF = keysutil.Kdf_hkdf_sha256
	}
	return config
}

// aad is associated data as keysutil takes it.
type aad struct{ in envelope.Params }

func (a aad) GetAssociatedData() ([]byte, error) { return a.in.AssociatedData, a.in.AssociatedDataErr }

func transitEncrypt(p *keysutil.Policy, version int, plaintext string, in envelope.Params) (string, error) {
	o := keysutil.EncryptionOptions{KeyVersion: version, Context: in.Context, Nonce: in.Nonce}
	return p.EncryptWithOptions(o, plaintext, aad{in})
}

func transitDecrypt(p *keysutil.Policy, ciphertext string, in envelope.Params) (string, error) {
	o := keysutil.EncryptionOptions{Context: in.Context, Nonce: in.Nonce}
	return p.DecryptWithOptions(o, ciphertext, aad{in})
}

func newCipher(t testing.TB, spec envelope.Spec, version int, m envelope.Material) *envelope.Cipher {
	t.Helper()
	c, err := envelope.NewCipher(spec, version, m, rand.Reader)
	require.NoError(t, err)
	return c
}

// someCipher is a cipher of new material, for tests that do not care which.
func someCipher(t testing.TB, spec envelope.Spec) *envelope.Cipher {
	t.Helper()
	m, err := envelope.Generate(spec, rand.Reader)
	require.NoError(t, err)
	return newCipher(t, spec, 1, m)
}

// open decrypts a whole ciphertext, as the engine does.
func open(c *envelope.Cipher, ciphertext string, in envelope.Params) (string, error) {
	_, payload, err := envelope.Parse(ciphertext)
	if err != nil {
		return "", err
	}
	return c.Decrypt(context.Background(), payload, in)
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// fixedWrapper wraps deterministically with a key of the test's, and complains when misused.
type fixedWrapper struct{ t testing.TB }

func (w fixedWrapper) aead() cipher.AEAD {
	block, err := aes.NewCipher([]byte("the wrapping key of these tests!"))
	require.NoError(w.t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(w.t, err)
	return gcm
}

func (w fixedWrapper) Wrap(_ context.Context, dek, aad []byte) ([]byte, error) {
	require.Len(w.t, dek, 32)
	require.NotEqual(w.t, make([]byte, 32), dek, "the key was never drawn")
	require.True(w.t, bytes.HasPrefix(aad, []byte("keylife/inner/v1")))
	nonce := sha256.Sum256(dek)
	return w.aead().Seal(bytes.Clone(nonce[:12]), nonce[:12], dek, aad), nil
}

func (w fixedWrapper) Unwrap(_ context.Context, wrapped, aad []byte) ([]byte, error) {
	if len(wrapped) < 12 {
		return nil, errDamaged
	}
	dek, err := w.aead().Open(nil, wrapped[:12], wrapped[12:], aad)
	if err != nil {
		return nil, fmt.Errorf("unwrap: %w", errDamaged)
	}
	return dek, nil
}

// errDamaged is what a wrapper reports of damaged data; errAway is what it reports of itself.
var (
	errDamaged error = damaged{}
	errAway          = errors.New("token is away")
)

type damaged struct{}

func (damaged) Error() string { return "damaged" }
func (damaged) Corrupt() bool { return true }
