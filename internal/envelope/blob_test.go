// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

func TestABlobOfTheWrongFormNeverReachesTheWrapper(t *testing.T) {
	nonce, tag := strings.Repeat("n", 12), strings.Repeat("t", 16)
	for name, blob := range map[string]string{
		"another format":        "KLW2\x00\x01w" + nonce + "c" + tag,
		"no wrapped key":        "KLW1\x00\x00" + nonce + "c" + tag,
		"wrapped key cut short": "KLW1\x00\xff" + nonce + "c" + tag,
		"nonce cut short":       "KLW1\x00\x01w" + nonce[1:],
		"nothing but a tag":     "KLW1\x00\x01w" + nonce + tag,
		"above 64 KiB":          "KLW1\x00\x01w" + nonce + strings.Repeat("c", 64<<10-35+1) + tag,
	} {
		_, err := envelope.Open(t.Context(), unreachable{t}, []byte(blob), testBinding)
		require.Equal(t, envelope.ErrCorrupt, err, name)
	}
}

type unreachable struct{ t *testing.T }

func (u unreachable) Wrap(context.Context, []byte, []byte) ([]byte, error) {
	u.t.Error("Wrap was called")
	return nil, errAway
}

func (u unreachable) Unwrap(context.Context, []byte, []byte) ([]byte, error) {
	u.t.Error("Unwrap was called")
	return nil, errAway
}

// Blobs that authenticate and yet hold no material could only come from a version of ours to come.
func TestMaterialOfTheWrongFormIsCorrupt(t *testing.T) {
	for name, text := range map[string]string{
		"another format":         "KLM2\x00\x01k\x00\x01h",
		"nothing":                "",
		"no key":                 "KLM1\x00\x00\x00\x01h",
		"no HMAC key length":     "KLM1\x00\x01k",
		"HMAC key cut short":     "KLM1\x00\x01k\x00\x02h",
		"data behind":            "KLM1\x00\x01k\x00\x01h!",
		"key length out of line": "KLM1\xff\xffk\x00\x01h",
		"no reference":           "KLR1",
		"a pair of no reference": "KLR2\x00\x00\x00\x01p",
		"no public half":         "KLR2\x00\x01r\x00\x00",
		"half cut short":         "KLR2\x00\x01r\x00\x02p",
		"data behind a half":     "KLR2\x00\x01r\x00\x01p!",
	} {
		_, err := envelope.Open(t.Context(), carelessWrapper{}, sealText(t, text), testBinding)
		require.Equal(t, envelope.ErrCorrupt, err, name)
	}
	m, err := envelope.Open(t.Context(), carelessWrapper{}, sealText(t, "KLM1\x00\x01k\x00\x01h"), testBinding)
	require.NoError(t, err)
	require.True(t, m.Equal(envelope.NewMaterial([]byte("k"), []byte("h"))))
	m, err = envelope.Open(t.Context(), carelessWrapper{}, sealText(t, "KLR2\x00\x01r\x00\x01p"), testBinding)
	require.NoError(t, err)
	require.True(t, m.Equal(envelope.NewReference([]byte("r"), []byte("p"))))
}

// sealText seals text itself, in place of encoded material, for a wrapper that does not wrap.
func sealText(t *testing.T, text string) []byte {
	t.Helper()
	var spy bindingSpy
	_, err := envelope.Seal(t.Context(), &spy, testMaterial(), testBinding, rand.Reader)
	require.NoError(t, err)

	dek := "a data encryption key for a test"
	block, err := aes.NewCipher([]byte(dek))
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	nonce := "twelve bytes"
	return gcm.Seal([]byte("KLW1\x00\x20"+dek+nonce), []byte(nonce), []byte(text), spy.aad)
}

// bindingSpy keeps the associated data that Seal gives to wrappers, which is that of the blob.
type bindingSpy struct {
	carelessWrapper
	aad []byte
}

func (s *bindingSpy) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	s.aad = aad
	return s.carelessWrapper.Wrap(ctx, dek, aad)
}
