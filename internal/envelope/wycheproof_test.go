// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/test/wycheproof"
)

func TestAEADsAreThoseOfWycheproof(t *testing.T) {
	algorithms := map[string]map[int]envelope.Algorithm{
		"aes_gcm":            {128: envelope.AES128GCM96, 256: envelope.AES256GCM96},
		"chacha20_poly1305":  {256: envelope.ChaCha20Poly1305},
		"xchacha20_poly1305": {256: envelope.XChaCha20Poly1305},
	}
	nonces := map[envelope.Algorithm]int{envelope.AES128GCM96: 96, envelope.AES256GCM96: 96, envelope.ChaCha20Poly1305: 96, envelope.XChaCha20Poly1305: 192}
	count := wycheproof.Count{}
	for _, g := range wycheproof.Groups(t, "aead") {
		algorithm := algorithms[g.File][g.KeySize]
		if algorithm == "" || g.NonceSize != nonces[algorithm] {
			continue
		}
		for _, v := range g.Vectors {
			count.Add(v)
			in := envelope.Params{AssociatedData: v.AAD}
			c, err := envelope.NewCipher(envelope.Spec{Algorithm: algorithm}, 3, envelope.NewMaterial(v.Key, make([]byte, 32)), bytes.NewReader(v.Nonce))
			require.NoError(t, err)
			ciphertext := envelope.Format(3, bytes.Join([][]byte{v.Nonce, v.Ciphertext, v.Tag}, nil))
			got, err := open(c, ciphertext, in)
			if v.Result == "invalid" {
				require.ErrorIs(t, err, envelope.ErrInput, "%s %d %s", g.File, v.ID, v.Comment)
				continue
			}
			require.NoError(t, err, "%s %d %s", g.File, v.ID, v.Comment)
			require.Equal(t, b64(v.Message), got)
			made, err := c.Encrypt(t.Context(), got, in)
			require.NoError(t, err)
			require.Equal(t, ciphertext, made, "%s %d %s", g.File, v.ID, v.Comment)
		}
	}
	require.Equal(t, wycheproof.Count{"valid": 581, "invalid": 174}, count)
}

// verifying returns what verifies the signatures of a group; false: there are no such keys.
func verifying(t *testing.T, g wycheproof.Group) (*envelope.Cipher, bool) {
	t.Helper()
	public, err := x509.ParsePKIXPublicKey(g.Public)
	require.NoError(t, err)
	for _, algorithm := range []envelope.Algorithm{
		envelope.ECDSAP256, envelope.ECDSAP384, envelope.ECDSAP521, envelope.Ed25519, envelope.RSA2048, envelope.RSA3072, envelope.RSA4096,
	} {
		if algorithm.Fits(public) {
			c, err := envelope.NewVerifier(envelope.Spec{Algorithm: algorithm}, 1, g.Public)
			require.NoError(t, err)
			return c, true
		}
	}
	return nil, false
}

func TestSignaturesVerifyAsWycheproofSays(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	for family, c := range map[string]struct {
		params envelope.SignParams
		want   wycheproof.Count
	}{
		"ecdsa":         {want: wycheproof.Count{"valid": 1005, "invalid": 1521}},
		"ecdsa_p1363":   {params: envelope.SignParams{Marshaling: "jws"}, want: wycheproof.Count{"valid": 585, "invalid": 245}},
		"ed25519":       {want: wycheproof.Count{"valid": 88, "invalid": 62}},
		"rsa_signature": {params: envelope.SignParams{Scheme: "pkcs1v15"}, want: wycheproof.Count{"valid": 30, "acceptable": 4, "invalid": 1000}},
		"rsa_pss":       {params: envelope.SignParams{Scheme: "pss"}, want: wycheproof.Count{"valid": 395, "invalid": 229}},
	} {
		t.Run(family, func(t *testing.T) {
			count := wycheproof.Count{}
			for _, g := range wycheproof.Groups(t, family) {
				key, ok := verifying(t, g)
				if !ok || g.MaskHash != "" && g.MaskHash != g.Hash {
					continue
				}
				p := c.params
				p.Hash, p.SaltLength = g.TransitHash(), g.SaltLength
				for _, v := range g.Vectors {
					count.Add(v)
					input := v.Message
					if key.SignsDigests() {
						input = envelope.Digest(p.Hash, v.Message)
					}
					payload := b64(v.Signature)
					if p.Marshaling == "jws" {
						payload = base64.RawURLEncoding.EncodeToString(v.Signature)
					}
					valid, err := key.Verify(t.Context(), input, payload, p)
					if err != nil {
						require.ErrorIs(t, err, envelope.ErrInput, "%s %d %s", g.File, v.ID, v.Comment)
					}
					if v.Result != "acceptable" {
						require.Equal(t, v.Result == "valid", valid, "%s %d %s", g.File, v.ID, v.Comment)
					}
				}
			}
			require.Equal(t, c.want, count)
		})
	}
}

func TestRSADecryptsAsWycheproofSays(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	count := wycheproof.Count{}
	sizes := map[int]envelope.Algorithm{2048: envelope.RSA2048, 3072: envelope.RSA3072, 4096: envelope.RSA4096}
	for family, padding := range map[string]string{"rsa_oaep": "oaep", "rsa_pkcs1": "pkcs1v15"} {
		for _, g := range wycheproof.Groups(t, family) {
			parsed, err := x509.ParsePKCS8PrivateKey(g.Private)
			require.NoError(t, err)
			private := parsed.(*rsa.PrivateKey)
			c := newCipher(t, envelope.Spec{Algorithm: sizes[private.N.BitLen()]}, 1, pairOf(t, private))
			for _, v := range g.Vectors {
				p := envelope.Params{Padding: padding, Hash: g.TransitHash()}
				got, err := c.Decrypt(t.Context(), b64(v.Ciphertext), p)
				if v.Result == "invalid" || len(v.Label) > 0 || g.MaskHash != g.Hash { // no key here has a label, or two hashes
					require.Error(t, err, "%s %d %s", g.File, v.ID, v.Comment)
					count["refused"]++
					continue
				}
				require.NoError(t, err, "%s %d %s", g.File, v.ID, v.Comment)
				require.Equal(t, b64(v.Message), got)
				count["opened"]++
			}
		}
	}
	require.Equal(t, wycheproof.Count{"opened": 112, "refused": 234}, count)
}

func TestMACsAreThoseOfWycheproof(t *testing.T) {
	count := wycheproof.Count{}
	for _, g := range wycheproof.Groups(t, "hmac") {
		for _, v := range g.Vectors {
			if len(v.Key) < 32 { // there are no such keys
				continue
			}
			count.Add(v)
			c := newCipher(t, envelope.Spec{Algorithm: envelope.HMAC, Size: len(v.Key)}, 1, envelope.NewMaterial(v.Key, v.Key))
			got, err := c.HMAC(t.Context(), g.TransitHash(), v.Message)
			require.NoError(t, err)
			require.Equal(t, v.Result == "valid", bytes.Equal(v.Tag, got[:g.TagSize/8]), "%s %d %s", g.File, v.ID, v.Comment)
		}
	}
	algorithms := map[int]envelope.Algorithm{128: envelope.AES128CMAC, 192: envelope.AES192CMAC, 256: envelope.AES256CMAC}
	for _, g := range wycheproof.Groups(t, "cmac") {
		for _, v := range g.Vectors {
			count.Add(v)
			c, err := envelope.NewCipher(envelope.Spec{Algorithm: algorithms[g.KeySize]}, 1, envelope.NewMaterial(v.Key, nil), rand.Reader)
			if err != nil {
				require.Equal(t, "invalid", v.Result)
				require.Empty(t, algorithms[g.KeySize])
				continue
			}
			got, err := c.CMAC(v.Message, g.TagSize/8)
			require.NoError(t, err)
			require.Equal(t, v.Result == "valid", bytes.Equal(v.Tag, got), "%s %d %s", g.File, v.ID, v.Comment)
		}
	}
	require.Equal(t, wycheproof.Count{"valid": 453, "invalid": 896}, count)
}

func TestWrappedKeysOpenAsWycheproofSays(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	wrapping := keyPair(t, envelope.RSA4096)
	public, err := x509.ParsePKIXPublicKey(wrapping.Public())
	require.NoError(t, err)
	count := wycheproof.Count{}
	for _, g := range wycheproof.Groups(t, "kwp") {
		if g.KeySize != 256 { // keys are wrapped with AES-256
			continue
		}
		for _, v := range g.Vectors {
			first, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), v.Key, nil)
			require.NoError(t, err)
			got, err := envelope.UnwrapKey(wrapping, sha256.New, b64(append(first, v.Ciphertext...)))
			if v.Result == "invalid" || len(v.Message) <= 8 { // what fits into half a block of AES is no key
				require.ErrorIs(t, err, envelope.ErrInput, "%d %s", v.ID, v.Comment)
				require.NotContains(t, strings.ToLower(err.Error()), "integrity", "which half it was is not said")
				count["refused"]++
				continue
			}
			require.NoError(t, err, "%d %s", v.ID, v.Comment)
			require.Equal(t, []byte(v.Message), got)
			count["opened"]++
		}
	}
	require.Equal(t, wycheproof.Count{"opened": 17, "refused": 77}, count)
}
