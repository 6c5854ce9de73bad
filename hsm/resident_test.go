// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
)

var gcmSuites = []hsm.Suite{hsm.SuiteGCM, hsm.SuiteGCMTokenIV, hsm.SuiteGCMAppended}

func residentKey(t *testing.T, tok hsm.Token, s hsm.Suite) (hsm.ResidentKey, *hsm.Resident) {
	t.Helper()
	drawn, err := hsm.DrawKey(hsm.KeySpec{Type: hsm.AES256GCM96, Label: "keylife-k-v1", Suite: s}, created, rand.Reader)
	require.NoError(t, err)
	_, err = hsm.NewResident(tok, drawn, rand.Reader)
	require.ErrorIs(t, err, hsm.ErrKEKMissing)
	made, err := hsm.GenerateKey(t.Context(), tok, drawn, rand.Reader)
	require.NoError(t, err)
	r, err := hsm.NewResident(tok, made, rand.Reader)
	require.NoError(t, err)
	return made, r
}

func TestAResidentKeyEncryptsAndDecrypts(t *testing.T) {
	for _, s := range gcmSuites {
		tok := newToken(t, device(s, faketoken.Config{}))
		made, r := residentKey(t, tok, s)
		for _, size := range []int{0, 1, 32, 1000, 64 << 10} {
			for _, aad := range [][]byte{nil, []byte("data")} {
				text := bytes.Repeat([]byte{7}, size)
				ciphertext, err := r.Encrypt(t.Context(), hsm.Text{Bytes: text, AssociatedData: aad})
				require.NoError(t, err)
				require.Len(t, ciphertext, map[hsm.Suite]int{1: 12, 2: 12, 3: 16}[s]+size+16)
				got, err := r.Decrypt(t.Context(), hsm.Text{Bytes: ciphertext, AssociatedData: aad})
				require.NoError(t, err)
				require.True(t, bytes.Equal(text, got))

				_, err = r.Decrypt(t.Context(), hsm.Text{Bytes: ciphertext, AssociatedData: []byte("other")})
				require.ErrorIs(t, err, hsm.ErrCorrupt)
				for _, at := range []int{0, len(ciphertext) / 2, len(ciphertext) - 1} {
					ciphertext[at] ^= 1
					_, err = r.Decrypt(t.Context(), hsm.Text{Bytes: ciphertext, AssociatedData: aad})
					require.ErrorIs(t, err, hsm.ErrCorrupt)
					ciphertext[at] ^= 1
				}
			}
		}
		for size := range 28 {
			_, err := r.Decrypt(t.Context(), hsm.Text{Bytes: make([]byte, size)})
			require.ErrorIs(t, err, hsm.ErrCorrupt)
		}
		text, err := json.Marshal(made)
		require.NoError(t, err)
		var stored hsm.ResidentKey
		require.NoError(t, json.Unmarshal(text, &stored))
		require.Equal(t, made, stored)
		require.NoError(t, hsm.DestroyKey(t.Context(), tok, stored))
		_, err = r.Encrypt(t.Context(), hsm.Text{Bytes: []byte("text")})
		require.ErrorIs(t, err, hsm.ErrKEKMissing)
	}
}

// Clients of Transit get nonce, ciphertext and tag in a row; the standard library opens them.
func TestACiphertextOfAResidentKeyHasTransitsLayout(t *testing.T) {
	tok := vectorToken{suite: hsm.SuiteGCM}
	r := hsm.NewUncheckedResident(tok, hsm.ResidentKey{Type: hsm.AES256GCM96, Label: "vector", Suite: hsm.SuiteGCM}, rand.Reader)
	ciphertext, err := r.Encrypt(t.Context(), hsm.Text{Bytes: []byte("text"), AssociatedData: []byte("data")})
	require.NoError(t, err)
	block, err := aes.NewCipher(testKEK)
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(t, err)
	got, err := aead.Open(nil, ciphertext[:12], ciphertext[12:], []byte("data"))
	require.NoError(t, err)
	require.Equal(t, "text", string(got))
}

func TestNoncesOfAResidentKeyAreNeverTheCallers(t *testing.T) {
	for _, s := range gcmSuites {
		tok := newToken(t, device(s, faketoken.Config{}))
		_, r := residentKey(t, tok, s)
		calls := tok.calls(func() {
			_, err := r.Encrypt(t.Context(), hsm.Text{Bytes: []byte("text"), Nonce: make([]byte, 12)})
			require.ErrorIs(t, err, hsm.ErrUnsupported)
			require.ErrorContains(t, err, "nonce")
		})
		require.Empty(t, calls)
		seen := map[string]bool{}
		for range 50 {
			ciphertext, err := r.Encrypt(t.Context(), hsm.Text{Bytes: []byte("text")})
			require.NoError(t, err)
			seen[string(ciphertext[:12])] = true
		}
		require.Len(t, seen, 50)
	}
}

func TestAResidentKeyIsVerifiedOnceAnEpochAndThenOneCallDoes(t *testing.T) {
	d := device(hsm.SuiteGCM, faketoken.Config{ReuseHandles: true})
	tok := newToken(t, d)
	_, a := residentKey(t, tok, hsm.SuiteGCM)
	_, b := residentKey(t, tok, hsm.SuiteGCM)
	for range 3 {
		for _, r := range []*hsm.Resident{a, b} {
			ciphertext, err := r.Encrypt(t.Context(), hsm.Text{Bytes: []byte("text")})
			require.NoError(t, err)
			warm := tok.calls(func() { _, err = r.Decrypt(t.Context(), hsm.Text{Bytes: ciphertext}) })
			require.NoError(t, err)
			require.Equal(t, map[faketoken.Func]int{faketoken.Decrypt: 1}, warm)
		}
		tok.lose()
		require.NoError(t, tok.library.Reinitialize())
	}
}

func TestTypesThatNoTokenHoldsAreRefusedInWords(t *testing.T) {
	for _, keyType := range []hsm.KeyType{"rsa-1024", "ecdsa-p224", "mldsa-44", "aes128-gcm96", ""} {
		_, err := hsm.DrawKey(hsm.KeySpec{Type: keyType, Label: "x", Suite: hsm.SuiteGCM}, created, rand.Reader)
		require.ErrorIs(t, err, hsm.ErrUnsupported)
		require.ErrorContains(t, err, fmt.Sprintf("keys of type %q", keyType))
		require.ErrorIs(t, hsm.CheckKey(t.Context(), nil, hsm.KeySpec{Type: keyType, Label: "x"}), hsm.ErrUnsupported)
		_, err = hsm.NewResident(nil, hsm.ResidentKey{Type: keyType, Suite: hsm.SuiteGCM}, rand.Reader)
		require.ErrorIs(t, err, hsm.ErrUnsupported)
	}
	for _, s := range []hsm.Suite{hsm.SuiteCBC, hsm.SuiteOAEP, 0} {
		_, err := hsm.DrawKey(hsm.KeySpec{Type: hsm.AES256GCM96, Label: "x", Suite: s}, created, rand.Reader)
		require.ErrorIs(t, err, hsm.ErrUnsupported)
	}
}

func TestTextsThatNoTokenTakesAreRefused(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	_, r := residentKey(t, tok, hsm.SuiteGCM)
	calls := tok.calls(func() {
		for _, text := range []hsm.Text{
			{Bytes: make([]byte, 64<<10+1)},
			{AssociatedData: make([]byte, 64<<10+1)},
			{AssociatedData: []byte("keylife/outer/v1 and more")},
		} {
			_, err := r.Encrypt(t.Context(), text)
			require.ErrorIs(t, err, hsm.ErrUnsupported)
		}
	})
	require.Empty(t, calls)
	tok.library.Fail(faketoken.Encrypt, cryptoki.ErrDataLenRange, 1)
	_, err := r.Encrypt(t.Context(), hsm.Text{Bytes: []byte("text")})
	require.ErrorIs(t, err, hsm.ErrUnsupported)
	require.ErrorContains(t, err, "too many for this token")

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.Encrypt(gone, hsm.Text{Bytes: []byte("text")})
	require.ErrorIs(t, err, context.Canceled)
}

// What a resident key encrypts for a client must never pass for what a key encryption key has wrapped.
func TestAResidentKeyPrintsItsNameOnlyAndMakesNoCanaries(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	made, r := residentKey(t, tok, hsm.SuiteGCM)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		require.Equal(t, fmt.Sprintf("resident key %x", made.ID[:]), fmt.Sprintf(verb, r))
	}
	for _, use := range []func(context.Context, hsm.Text) ([]byte, error){r.Encrypt, r.Decrypt} {
		_, err := use(t.Context(), hsm.Text{Bytes: made.Canary, AssociatedData: []byte("keylife/outer/v1")})
		require.ErrorIs(t, err, hsm.ErrUnsupported)
	}
}
