// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
)

func TestEachSuiteConforms(t *testing.T) {
	eachSuite(t, faketoken.Config{}, func(t *testing.T, s hsm.Suite, tok *plainToken, _ *faketoken.Device) {
		hsmtest.Run(t, func(t *testing.T) hsmtest.Wrapper { return wrapper(t, tok, create(t, tok, s)) })
	})
}

// SoftHSM answers CKR_GENERAL_ERROR to data that does not authenticate. The other suites have a MAC, which is compared here.
func TestEachSuiteConformsOnATokenWithAmbiguousErrors(t *testing.T) {
	for _, s := range gcmSuites {
		tok := newToken(t, device(s, faketoken.Config{Tampered: cryptoki.ErrGeneralError}))
		t.Run(s.String(), func(t *testing.T) {
			hsmtest.Run(t, func(t *testing.T) hsmtest.Wrapper { return wrapper(t, tok, create(t, tok, s)) })
		})
	}
}

func TestAWarmWrapIsOneCallOfTheTokenAndSoIsAnUnwrap(t *testing.T) {
	encrypt, decrypt, sign := faketoken.Encrypt, faketoken.Decrypt, faketoken.Sign
	want := map[hsm.Suite][2]map[faketoken.Func]int{
		hsm.SuiteGCM:         {{encrypt: 1}, {decrypt: 1}},
		hsm.SuiteGCMTokenIV:  {{encrypt: 1}, {decrypt: 1}},
		hsm.SuiteGCMAppended: {{encrypt: 1}, {decrypt: 1}},
		hsm.SuiteCBC:         {{encrypt: 1, sign: 1}, {decrypt: 1, sign: 1}},
		hsm.SuiteOAEP:        {{sign: 1}, {decrypt: 1, sign: 1}},
	}
	eachSuite(t, faketoken.Config{}, func(t *testing.T, s hsm.Suite, tok *plainToken, _ *faketoken.Device) {
		w := wrapper(t, tok, create(t, tok, s))
		_, err := w.Wrap(t.Context(), []byte("dek"), nil)
		require.NoError(t, err)

		var wrapped []byte
		require.Equal(t, want[s][0], tok.calls(func() { wrapped, err = w.Wrap(t.Context(), []byte("dek"), nil) }))
		require.NoError(t, err)
		require.Equal(t, want[s][1], tok.calls(func() { _, err = w.Unwrap(t.Context(), wrapped, nil) }))
		require.NoError(t, err)
	})
}

func TestNothingIsDecryptedWhoseMACIsWrong(t *testing.T) {
	for _, s := range []hsm.Suite{hsm.SuiteCBC, hsm.SuiteOAEP} {
		tok := newToken(t, device(s, faketoken.Config{}))
		made := create(t, tok, s)
		wrapped := wrap(t, wrapper(t, tok, made))
		decrypted := 0
		spy := badToken{tok, func(s cryptoki.Session, op cryptoki.Operation, o cryptoki.Object, m cryptoki.Mechanism, in []byte) ([]byte, error) {
			if op == cryptoki.Decrypt && bytes.Contains(wrapped, in) {
				decrypted++
			}
			return s.Do(op, o, m, in)
		}}
		w := wrapper(t, spy, made)
		requireOpens(t, w, wrapped)
		require.Equal(t, 1, decrypted)
		for _, at := range []int{len(wrapped) - 1, len(wrapped) - 33} { // of the MAC, and of what it is over
			wrapped[at] ^= 1
			_, err := w.Unwrap(t.Context(), wrapped, []byte("aad"))
			require.ErrorIs(t, err, hsm.ErrCorrupt)
			wrapped[at] ^= 1
		}
		_, err := w.Unwrap(t.Context(), wrapped, []byte("other"))
		require.ErrorIs(t, err, hsm.ErrCorrupt)
		require.Equal(t, 1, decrypted)
	}
}
