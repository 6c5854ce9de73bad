// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

const redacted = "[redacted key material]"

var (
	testKey     = []byte("a key of thirty-two bytes, a key")
	testHMACKey = []byte("an HMAC key of 32 bytes, indeed!")
)

func testMaterial() envelope.Material { return envelope.NewMaterial(testKey, testHMACKey) }

var verbs = []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "% x", "%q", "%d", "%c", "%U", "%t"}

func TestMaterialPrintsRedactedUnderEveryVerb(t *testing.T) {
	m := testMaterial()
	for _, verb := range verbs {
		require.Equal(t, redacted, fmt.Sprintf(verb, m), verb)
		require.Equal(t, redacted, fmt.Sprintf(verb, &m), verb)
	}
	require.Equal(t, redacted, m.String())
	require.Equal(t, redacted, m.GoString())
}

func TestMaterialMarshalsRedacted(t *testing.T) {
	m := testMaterial()
	got, err := json.Marshal(map[string]any{"key": m, "pointer": &m})
	require.NoError(t, err)
	require.JSONEq(t, `{"key":"`+redacted+`","pointer":"`+redacted+`"}`, string(got))

	text, err := m.MarshalText()
	require.NoError(t, err)
	require.Equal(t, redacted, string(text))
}

// fmt cannot call methods there, and some verbs look through pointers.
func TestMaterialInAnUnexportedFieldDoesNotPrint(t *testing.T) {
	m := testMaterial()
	value, pointer := struct{ m envelope.Material }{m}, struct{ m *envelope.Material }{&m}
	for _, verb := range append(verbs, "%p") {
		for _, in := range []any{value, &value, pointer, &pointer, []any{value}} {
			requireNoKey(t, fmt.Sprintf(verb, in))
		}
	}
}

func TestCipherDoesNotPrintItsKey(t *testing.T) {
	for _, spec := range specs() {
		c := newCipher(t, spec, 1, envelope.NewMaterial(testKey[:spec.Algorithm.KeySize()], testHMACKey))
		value, pointer := struct{ c envelope.Cipher }{*c}, struct{ c *envelope.Cipher }{c}
		for _, verb := range append(verbs, "%p") {
			for _, in := range []any{c, *c, value, &value, pointer, &pointer} {
				requireNoKey(t, fmt.Sprintf(verb, in))
			}
		}
	}
}

// requireNoKey looks for the start of either key as text, hexadecimal, decimal bytes, and the words
// of a key schedule.
func requireNoKey(t *testing.T, text string) {
	t.Helper()
	for _, key := range [][]byte{testKey[:4], testHMACKey[:4]} {
		little := uint32(key[0]) | uint32(key[1])<<8 | uint32(key[2])<<16 | uint32(key[3])<<24
		big := uint32(key[3]) | uint32(key[2])<<8 | uint32(key[1])<<16 | uint32(key[0])<<24
		for _, leak := range []string{
			string(key), hex.EncodeToString(key), fmt.Sprintf("% x", key), strings.Trim(fmt.Sprintf("%d", key), "[]"),
			fmt.Sprint(little), fmt.Sprint(big), fmt.Sprintf("%x", little), fmt.Sprintf("%x", big), "0x61, 0x20", "0x61, 0x6e",
		} {
			require.NotContains(t, strings.ToLower(text), leak)
		}
	}
}

func TestMaterialCopiesItsBytes(t *testing.T) {
	key, hmacKey := bytes.Clone(testKey), bytes.Clone(testHMACKey)
	m := envelope.NewMaterial(key, hmacKey)
	clear(key)
	clear(hmacKey)
	require.True(t, m.Equal(testMaterial()))
}

func TestMaterialEqualComparesBothKeys(t *testing.T) {
	m := testMaterial()
	require.True(t, m.Equal(testMaterial()))
	for _, other := range []envelope.Material{
		{},
		envelope.NewMaterial(testKey, nil), envelope.NewMaterial(nil, testHMACKey),
		envelope.NewMaterial(testHMACKey, testKey), envelope.NewMaterial(testKey[1:], testHMACKey),
	} {
		require.False(t, m.Equal(other))
		require.False(t, other.Equal(m))
	}
}

func TestZeroMaterialHoldsNothing(t *testing.T) {
	var m envelope.Material
	key, hmacKey := m.Reveal()
	require.Empty(t, key)
	require.Empty(t, hmacKey)
	require.Equal(t, redacted, fmt.Sprint(m))
	require.NotPanics(t, m.Wipe)
}

func TestWipeZeroesAllCopies(t *testing.T) {
	m := testMaterial()
	other := m
	m.Wipe()
	key, hmacKey := other.Reveal()
	require.Equal(t, make([]byte, 32), key)
	require.Equal(t, make([]byte, 32), hmacKey)
}

func TestCipherOutlivesTheWipeOfItsMaterial(t *testing.T) {
	for _, spec := range specs() {
		m, err := envelope.Generate(spec, rand.Reader)
		require.NoError(t, err)
		in := envelope.Params{Context: []byte("context")}
		c, reference := newCipher(t, spec, 1, m), newCipher(t, spec, 1, m)
		ciphertext, err := reference.Encrypt(context.Background(), b64([]byte("text")), in)
		require.NoError(t, err)

		m.Wipe()
		got, err := open(c, ciphertext, in)
		require.NoError(t, err)
		require.Equal(t, b64([]byte("text")), got)
	}
}

// Fingerprints are stored: they must never change. The value is that of
// printf 'keylife/fingerprint/v1' | openssl dgst -sha256 -hmac 'a key of thirty-two bytes, a key'.
func TestFingerprintIsStable(t *testing.T) {
	require.Equal(t, "ac0923164f1f6ce4d2d9bb01309955e6", testMaterial().Fingerprint())
}

func TestFingerprintTellsKeysApart(t *testing.T) {
	other := envelope.NewMaterial(testKey[:16], testHMACKey)
	require.NotEqual(t, testMaterial().Fingerprint(), other.Fingerprint())
}

func TestFingerprintRecognizesAKeyImportedTwice(t *testing.T) {
	again := envelope.NewMaterial(testKey, testKey)
	require.Equal(t, testMaterial().Fingerprint(), again.Fingerprint())
}

func TestGenerateMakesKeysOfTheAlgorithmsSize(t *testing.T) {
	for algorithm, size := range map[envelope.Algorithm]int{
		envelope.AES128GCM96: 16, envelope.AES256GCM96: 32, envelope.ChaCha20Poly1305: 32,
	} {
		m, err := envelope.Generate(envelope.Spec{Algorithm: algorithm}, rand.Reader)
		require.NoError(t, err)
		key, hmacKey := m.Reveal()
		require.Len(t, key, size)
		require.Len(t, hmacKey, 32)
		require.NotEqual(t, key, hmacKey[:size])

		other, err := envelope.Generate(envelope.Spec{Algorithm: algorithm}, rand.Reader)
		require.NoError(t, err)
		require.False(t, m.Equal(other))
	}
}

func TestGenerateRefusesUnknownAlgorithms(t *testing.T) {
	_, err := envelope.Generate(envelope.Spec{Algorithm: "aes192-gcm96"}, rand.Reader)
	require.ErrorIs(t, err, envelope.ErrInternal)
}

func TestGenerateNeedsAllItsRandomness(t *testing.T) {
	for _, source := range []io.Reader{strings.NewReader(""), strings.NewReader(strings.Repeat("x", 63)), iotest.ErrReader(errAway)} {
		m, err := envelope.Generate(envelope.Spec{Algorithm: envelope.AES256GCM96}, source)
		require.ErrorIs(t, err, envelope.ErrInternal)
		require.True(t, m.Equal(envelope.Material{}))
	}
}

func TestGenerateReadsOnWhenReadsAreShort(t *testing.T) {
	m, err := envelope.Generate(envelope.Spec{Algorithm: envelope.AES256GCM96}, iotest.OneByteReader(rand.Reader))
	require.NoError(t, err)
	key, _ := m.Reveal()
	require.NotEqual(t, make([]byte, 16), key[16:])
}
