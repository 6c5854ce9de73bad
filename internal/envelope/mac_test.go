// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

var cmacAlgorithms = []envelope.Algorithm{envelope.AES128CMAC, envelope.AES192CMAC, envelope.AES256CMAC}

// TestCMACsAreThoseOfTheStandard has the examples of NIST SP 800-38B, appendix D; those of AES-128 are RFC 4493's, too.
func TestCMACsAreThoseOfTheStandard(t *testing.T) {
	const message = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
	for _, example := range []struct {
		algorithm envelope.Algorithm
		key       string
		macs      map[int]string // by the length of the message
	}{
		{envelope.AES128CMAC, "2b7e151628aed2a6abf7158809cf4f3c", map[int]string{
			0: "bb1d6929e95937287fa37d129b756746", 16: "070a16b46b4d4144f79bdd9dd04a287c",
			40: "dfa66747de9ae63030ca32611497c827", 64: "51f0bebf7e3b9d92fc49741779363cfe",
		}},
		{envelope.AES192CMAC, "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", map[int]string{
			0: "d17ddf46adaacde531cac483de7a9367", 16: "9e99a7bf31e710900662f65e617c5184",
			40: "8a1de5be2eb31aad089a82e6ee908b0e", 64: "a1d5df0eed790f794d77589659f39a11",
		}},
		{envelope.AES256CMAC, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", map[int]string{
			0: "028962f61b7bf89efc6b551f4667d983", 16: "28a7023f452e8f82bd4bf28d8c37c35c",
			40: "aaf3d8f1de5640c232f5b169b9c911e6", 64: "e1992190549f6ed5696a2c056c315410",
		}},
	} {
		c := newCipher(t, envelope.Spec{Algorithm: example.algorithm}, 1, envelope.NewMaterial(unhex(t, example.key), nil))
		require.NoError(t, c.SelfTest(t.Context()))
		for length, want := range example.macs {
			got, err := c.CMAC(unhex(t, message)[:length], 0)
			require.NoError(t, err)
			require.Equal(t, want, hex.EncodeToString(got), "%s of %d bytes", example.algorithm, length)
			got, err = c.CMAC(unhex(t, message)[:length], 7)
			require.NoError(t, err)
			require.Equal(t, want[:14], hex.EncodeToString(got), "cut off")
		}
	}
}

func TestACMACHasALengthThatIsWorthSomething(t *testing.T) {
	c := someCipher(t, envelope.Spec{Algorithm: envelope.AES256CMAC})
	for _, length := range []int{-1, 1, 3, 17, 1 << 30} {
		_, err := c.CMAC([]byte("text"), length)
		require.ErrorIs(t, err, envelope.ErrInput, "%d", length)
		require.ErrorContains(t, err, "mac_length: ")
	}
	for _, length := range []int{4, 16} {
		mac, err := c.CMAC([]byte("text"), length)
		require.NoError(t, err)
		require.Len(t, mac, length)
	}
}

// TestHMACsAreThoseOfTheStandard has test cases 6 and 7 of RFC 4231, whose key is one that keys of type hmac may have.
func TestHMACsAreThoseOfTheStandard(t *testing.T) {
	key := bytes.Repeat([]byte{0xaa}, 131)
	c := newCipher(t, envelope.Spec{Algorithm: envelope.HMAC, Size: 131}, 1, envelope.NewMaterial(key, key))
	for _, example := range []struct{ hash, text, want string }{
		{"sha2-224", "Test Using Larger Than Block-Size Key - Hash Key First", "95e9a0db962095adaebe9b2d6f0dbce2d499f112f2d2b7273fa6870e"},
		{"sha2-256", "Test Using Larger Than Block-Size Key - Hash Key First", "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
		{
			"sha2-256", "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
			"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
		},
	} {
		got, err := c.HMAC(t.Context(), example.hash, []byte(example.text))
		require.NoError(t, err)
		require.Equal(t, example.want, hex.EncodeToString(got), example.hash)
	}
	for _, hash := range []string{"none", "", "md5", "SHA2-256"} {
		require.False(t, envelope.MakesHMAC(hash), hash)
		_, err := c.HMAC(t.Context(), hash, nil)
		require.ErrorIs(t, err, envelope.ErrInput, hash)
	}
	require.True(t, envelope.MakesHMAC("sha1"))
}

// TestAKeyForCMACsDoesNothingElse: one key for two algorithms is a weakness.
func TestAKeyForCMACsDoesNothingElse(t *testing.T) {
	for _, algorithm := range cmacAlgorithms {
		spec := envelope.Spec{Algorithm: algorithm}
		m, err := envelope.Generate(spec, rand.Reader)
		require.NoError(t, err)
		key, hmacKey := m.Reveal()
		require.Len(t, key, algorithm.KeySize())
		require.Empty(t, hmacKey, "as in Transit")
		c := newCipher(t, spec, 1, m)
		_, err = c.HMAC(t.Context(), "sha2-256", nil)
		require.ErrorIs(t, err, envelope.ErrInput)
		_, err = c.Encrypt(t.Context(), "", envelope.Params{})
		require.ErrorIs(t, err, envelope.ErrInput)
		_, err = c.Decrypt(t.Context(), "AAAA", envelope.Params{})
		require.ErrorIs(t, err, envelope.ErrInput)
		_, err = c.Sign(t.Context(), nil, pss)
		require.ErrorIs(t, err, envelope.ErrInput)
		for _, wrong := range []int{0, algorithm.KeySize() - 1, algorithm.KeySize() + 8} {
			_, err = envelope.NewCipher(spec, 1, envelope.NewMaterial(make([]byte, wrong), nil), rand.Reader)
			require.ErrorIs(t, err, envelope.ErrInternal)
		}
		_, err = envelope.NewCipher(spec, 1, envelope.NewMaterial(key, make([]byte, 32)), rand.Reader)
		require.ErrorIs(t, err, envelope.ErrInternal, "there is no key for HMACs")
	}
	_, err := someCipher(t, envelope.Spec{Algorithm: envelope.AES256GCM96}).CMAC(nil, 0)
	require.ErrorIs(t, err, envelope.ErrInput)
}

func TestMaterialForCMACsSurvivesSealing(t *testing.T) {
	spec := envelope.Spec{Algorithm: envelope.AES192CMAC}
	m, err := envelope.Generate(spec, rand.Reader)
	require.NoError(t, err)
	binding := envelope.Binding{Instance: "i", KeyID: "k", Version: 1, Algorithm: spec.Algorithm, Purpose: envelope.PurposeOnline}
	sealed, err := envelope.Seal(t.Context(), fixedWrapper{t}, m, binding, rand.Reader)
	require.NoError(t, err)
	opened, err := envelope.Open(t.Context(), fixedWrapper{t}, sealed, binding)
	require.NoError(t, err)
	require.True(t, opened.Equal(m))
	require.NoError(t, newCipher(t, spec, 1, opened).SelfTest(t.Context()))
}

func TestParseMACNamesWhatIsWrong(t *testing.T) {
	version, payload, err := envelope.ParseMAC("HMAC", "vault:v3:AA:B")
	require.NoError(t, err)
	require.Equal(t, 3, version)
	require.Equal(t, "AA:B", payload)
	version, _, err = envelope.ParseMAC("HMAC", "vault:v0:AA")
	require.NoError(t, err)
	require.Zero(t, version, "no other name for version 1")
	for mac, want := range map[string]string{
		"": "invalid HMAC to verify: no prefix", "vault:v1": "invalid HMAC: wrong number of fields", "vault:vx:AA": "invalid HMAC: version number could not be decoded",
	} {
		_, _, err := envelope.ParseMAC("HMAC", mac)
		require.ErrorIs(t, err, envelope.ErrInput)
		require.EqualError(t, err, want)
	}
}
