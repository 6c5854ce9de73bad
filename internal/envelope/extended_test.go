// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

var (
	extended        = envelope.Spec{Algorithm: envelope.XChaCha20Poly1305}
	extendedDerived = envelope.Spec{Algorithm: envelope.XChaCha20Poly1305, Derived: true}
)

// extendedKey is the material of a key, which has nothing to do with the HMAC key beside it.
func extendedKey(key []byte) envelope.Material { return envelope.NewMaterial(key, make([]byte, 32)) }

// The key of a context is HKDF-SHA-256 of it, as for all derived keys of Transit, and the nonce of 24 bytes stands before the rest.
func TestXChaChaKeysOfContextsAreDerivedAsTransitsAre(t *testing.T) {
	key, context, aad := bytes.Repeat([]byte{9}, 32), []byte("tenant-17"), []byte("data")
	c := newCipher(t, extendedDerived, 2, extendedKey(key))
	out, err := c.Encrypt(t.Context(), b64([]byte("text")), envelope.Params{Context: context, AssociatedData: aad})
	require.NoError(t, err)

	derived, err := hkdf.Key(sha256.New, key, nil, string(context), chacha20poly1305.KeySize)
	require.NoError(t, err)
	aead, err := chacha20poly1305.NewX(derived)
	require.NoError(t, err)
	_, payload, err := envelope.Parse(out)
	require.NoError(t, err)
	raw := unb64(t, payload)
	text, err := aead.Open(nil, raw[:24], raw[24:], aad)
	require.NoError(t, err)
	require.Equal(t, "text", string(text))

	foreign := envelope.Format(2, aead.Seal(raw[:24:24], raw[:24], []byte("theirs"), aad))
	got, err := open(c, foreign, envelope.Params{Context: context, AssociatedData: aad})
	require.NoError(t, err)
	require.Equal(t, b64([]byte("theirs")), got)
	for _, in := range []envelope.Params{{Context: []byte("tenant-18"), AssociatedData: aad}, {Context: context}} {
		_, err = open(c, out, in)
		require.EqualError(t, err, "cipher: message authentication failed")
	}
}

func TestXChaChaKeysPassTheSelfTest(t *testing.T) {
	for _, spec := range []envelope.Spec{extended, extendedDerived} {
		require.NoError(t, someCipher(t, spec).SelfTest(t.Context()))
		m, err := envelope.Generate(spec, rand.Reader)
		require.NoError(t, err)
		broken, err := envelope.NewCipher(spec, 1, m, zeroes{})
		require.NoError(t, err)
		require.ErrorIs(t, broken.SelfTest(t.Context()), envelope.ErrInternal, "a nonce that repeats")
	}
}

func TestXChaChaHasNoConvergentEncryption(t *testing.T) {
	_, err := envelope.NewCipher(envelope.Spec{Algorithm: envelope.XChaCha20Poly1305, Derived: true, Convergent: true}, 1, extendedKey(make([]byte, 32)), rand.Reader)
	require.ErrorIs(t, err, envelope.ErrInternal)
}

// What is wrong with a request is told as by ChaCha20-Poly1305, of which keysutil says it.
func TestXChaChaRefusesInTheWordsOfChaCha(t *testing.T) {
	context := []byte("context")
	for _, derived := range []bool{false, true} {
		like := someCipher(t, envelope.Spec{Algorithm: envelope.ChaCha20Poly1305, Derived: derived})
		c := someCipher(t, envelope.Spec{Algorithm: envelope.XChaCha20Poly1305, Derived: derived})
		for _, in := range []envelope.Params{{}, {Context: context}, {Context: context, Nonce: []byte{1}}, {AssociatedDataErr: errAway}, {Context: context, AssociatedDataErr: errAway}} {
			for _, text := range []string{"!", "aGVsbG8="} {
				_, want := like.Encrypt(t.Context(), text, in)
				_, got := c.Encrypt(t.Context(), text, in)
				requireSameError(t, want, got)
			}
			for _, payload := range []string{"", "!", "AAAA", b64(make([]byte, 60))} {
				_, want := like.Decrypt(t.Context(), payload, in)
				_, got := c.Decrypt(t.Context(), payload, in)
				requireSameError(t, want, got)
			}
		}
	}
}

func requireSameError(t *testing.T, want, got error) {
	t.Helper()
	if want == nil {
		require.NoError(t, got)
		return
	}
	require.ErrorContains(t, want, got.Error())
	require.Equal(t, errors.Is(want, envelope.ErrInput), errors.Is(got, envelope.ErrInput))
}
