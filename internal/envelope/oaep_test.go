// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

func TestOAEPIsThatOfGoWithEveryHash(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	c := newCipher(t, envelope.Spec{Algorithm: envelope.RSA2048}, 3, pairOf(t, private))
	text := []byte("a key of a payment terminal")
	for name, hash := range goHashes {
		in := envelope.Params{Padding: "oaep", Hash: name}
		ours, err := c.Encrypt(t.Context(), b64(text), in)
		require.NoError(t, err, name)
		version, payload, err := envelope.Parse(ours)
		require.NoError(t, err)
		require.Equal(t, 3, version)
		raw, err := rsa.DecryptOAEP(hash.New(), nil, private, unb64(t, payload), nil)
		require.NoError(t, err, name)
		require.Equal(t, text, raw)

		theirs, err := rsa.EncryptOAEP(hash.New(), rand.Reader, &private.PublicKey, text, nil)
		require.NoError(t, err)
		opened, err := c.Decrypt(t.Context(), b64(theirs), in)
		require.NoError(t, err, name)
		require.Equal(t, b64(text), opened)
		for other := range goHashes {
			if other != name {
				_, err = c.Decrypt(t.Context(), payload, envelope.Params{Hash: other})
				require.EqualError(t, err, "failed to RSA decrypt the ciphertext: crypto/rsa: decryption error", "%s by %s", name, other)
			}
		}
		labelled, err := rsa.EncryptOAEP(hash.New(), rand.Reader, &private.PublicKey, text, []byte("label"))
		require.NoError(t, err)
		_, err = c.Decrypt(t.Context(), b64(labelled), in)
		require.Error(t, err)
	}
}

// Where keysutil has the hash, too, nothing tells which of the two has done it.
func TestOAEPWithItsUsualHashIsKeysutils(t *testing.T) {
	spec := envelope.Spec{Algorithm: envelope.RSA2048}
	m := keyPair(t, envelope.RSA2048)
	alone, err := envelope.NewVerifier(spec, 1, m.Public())
	require.NoError(t, err)
	usual, named := envelope.Params{}, envelope.Params{Hash: "sha2-256"}
	for _, c := range []*envelope.Cipher{newCipher(t, spec, 1, m), alone} {
		for _, text := range []string{"", "dGV4dA==", "!", b64(make([]byte, 190)), b64(make([]byte, 191))} {
			_, want := c.Encrypt(t.Context(), text, usual)
			sealed, got := c.Encrypt(t.Context(), text, named)
			requireSameError(t, want, got)
			if got == nil && c != alone {
				back, err := open(c, sealed, usual)
				require.NoError(t, err)
				require.Equal(t, text, back)
			}
		}
		for _, payload := range []string{"", "!", "AAAA", b64(make([]byte, 256)), b64(make([]byte, 257))} {
			_, want := c.Decrypt(t.Context(), payload, usual)
			_, got := c.Decrypt(t.Context(), payload, named)
			requireSameError(t, want, got)
			require.Error(t, got)
		}
	}
}

func TestOAEPNeedsAHashAndAKeyOfRSA(t *testing.T) {
	c := newCipher(t, envelope.Spec{Algorithm: envelope.RSA2048}, 1, keyPair(t, envelope.RSA2048))
	for _, name := range []string{"none", "sha256", "SHA1"} {
		_, err := c.Encrypt(t.Context(), "dGV4dA==", envelope.Params{Hash: name})
		require.ErrorIs(t, err, envelope.ErrInput)
		_, err = c.Decrypt(t.Context(), "AAAA", envelope.Params{Hash: name})
		require.ErrorIs(t, err, envelope.ErrInput)
	}
	signs := newCipher(t, envelope.Spec{Algorithm: envelope.Ed25519}, 1, keyPair(t, envelope.Ed25519))
	_, err := signs.Encrypt(t.Context(), "dGV4dA==", envelope.Params{Hash: "sha1"})
	require.EqualError(t, err, "message encryption not supported for key type ed25519")
	_, err = signs.Decrypt(t.Context(), "AAAA", envelope.Params{Hash: "sha1"})
	require.ErrorIs(t, err, envelope.ErrInput)
}
