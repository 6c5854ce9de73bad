// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// onToken is a key on a token: it counts what it is asked for, and may be away.
type onToken struct {
	aead  cipher.AEAD
	calls int
	err   error
}

func (k *onToken) Encrypt(_ context.Context, text, associatedData []byte) ([]byte, error) {
	if k.calls++; k.err != nil {
		return nil, k.err
	}
	nonce := make([]byte, 12)
	_, err := rand.Read(nonce)
	return k.aead.Seal(nonce, nonce, text, associatedData), err
}

func (k *onToken) Decrypt(_ context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	if k.calls++; k.err != nil {
		return nil, k.err
	}
	text, err := k.aead.Open(nil, ciphertext[:12], ciphertext[12:], associatedData)
	if err != nil {
		return nil, errDamaged
	}
	return text, nil
}

// residentCipher returns the cipher of version 3 with the secret of testMaterial on a token, and one in software.
func residentCipher(t *testing.T) (*onToken, *envelope.Cipher, *envelope.Cipher) {
	t.Helper()
	m := testMaterial()
	key, _ := m.Reveal()
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(t, err)
	token := &onToken{aead: aead}
	c, err := envelope.NewResidentCipher(3, token)
	require.NoError(t, err)
	require.True(t, c.OnToken())
	software := newCipher(t, envelope.Spec{Algorithm: envelope.AES256GCM96}, 3, m)
	require.False(t, software.OnToken())
	return token, c, software
}

func payloadOf(t *testing.T, ciphertext string) string {
	t.Helper()
	version, payload, err := envelope.Parse(ciphertext)
	require.NoError(t, err)
	require.Equal(t, 3, version)
	return payload
}

func TestCiphertextsOfAKeyOnATokenAreThoseOfOneInSoftware(t *testing.T) {
	token, c, software := residentCipher(t)
	ctx := context.Background()
	for _, size := range []int{0, 1, 1000, envelope.MaxResidentText} {
		for _, data := range [][]byte{nil, []byte("data")} {
			text, p := b64(make([]byte, size)), envelope.Params{AssociatedData: data, Nonce: nil}
			token.calls = 0
			ciphertext, err := c.Encrypt(ctx, text, p)
			require.NoError(t, err)
			require.Equal(t, 1, token.calls)
			for _, opener := range []*envelope.Cipher{software, c} {
				got, err := opener.Decrypt(ctx, payloadOf(t, ciphertext), p)
				require.NoError(t, err)
				require.Equal(t, text, got)
			}
			require.Equal(t, 2, token.calls)
			ciphertext, err = software.Encrypt(ctx, text, p)
			require.NoError(t, err)
			got, err := c.Decrypt(ctx, payloadOf(t, ciphertext), p)
			require.NoError(t, err)
			require.Equal(t, text, got)
		}
	}
	require.NoError(t, c.SelfTest(ctx))
}

func TestAKeyOnATokenRefusesWhatOneInSoftwareDoesAndAsksNothing(t *testing.T) {
	token, c, software := residentCipher(t)
	ctx := context.Background()
	noData := envelope.Params{AssociatedDataErr: errors.New("broken")}
	for _, text := range []string{"!", "AA"} {
		_, want := software.Encrypt(ctx, text, noData)
		_, err := c.Encrypt(ctx, text, noData)
		require.EqualError(t, err, want.Error())
	}
	for _, p := range []envelope.Params{noData, {Nonce: make([]byte, 12)}} {
		_, want := software.Encrypt(ctx, "AAAA", p)
		_, err := c.Encrypt(ctx, "AAAA", p)
		require.EqualError(t, err, want.Error())
	}
	for _, payload := range []string{"!", "AAAA", ""} {
		_, want := software.Decrypt(ctx, payload, envelope.Params{})
		_, err := c.Decrypt(ctx, payload, envelope.Params{})
		require.EqualError(t, err, want.Error())
		require.ErrorIs(t, err, envelope.ErrInput)
	}
	for _, long := range []struct {
		says    string
		text, p int
	}{{"plaintext: 65537 bytes", envelope.MaxResidentText + 1, 0}, {"associated_data: 65537 bytes", 1, envelope.MaxResidentText + 1}} {
		_, err := c.Encrypt(ctx, b64(make([]byte, long.text)), envelope.Params{AssociatedData: make([]byte, long.p)})
		require.ErrorIs(t, err, envelope.ErrInput)
		require.ErrorContains(t, err, long.says)
		require.ErrorContains(t, err, "at most 65536")
	}
	_, err := c.Decrypt(ctx, b64(make([]byte, envelope.MaxResidentText+33)), envelope.Params{})
	require.ErrorIs(t, err, envelope.ErrInput)
	require.ErrorContains(t, err, "ciphertext: 65569 bytes")
	require.Zero(t, token.calls)

	_, want := software.Decrypt(ctx, b64(make([]byte, 40)), envelope.Params{})
	_, err = c.Decrypt(ctx, b64(make([]byte, 40)), envelope.Params{})
	require.EqualError(t, err, want.Error())
	require.ErrorIs(t, err, envelope.ErrInput)
}

func TestATokenThatIsAwayIsToldFromAFault(t *testing.T) {
	token, c, _ := residentCipher(t)
	ctx := context.Background()
	for _, fault := range []struct {
		err, is, isNot error
	}{
		{fmt.Errorf("%w: unplugged", envelope.ErrUnavailable), envelope.ErrUnavailable, envelope.ErrInput},
		{fmt.Errorf("%w: too long", envelope.ErrUnsupported), envelope.ErrInput, envelope.ErrUnavailable},
		{errors.New("lost"), nil, envelope.ErrInput},
	} {
		token.err = fault.err
		_, encrypted := c.Encrypt(ctx, "AAAA", envelope.Params{})
		_, decrypted := c.Decrypt(ctx, b64(make([]byte, 40)), envelope.Params{})
		for _, err := range []error{encrypted, decrypted} {
			require.Error(t, err)
			require.NotErrorIs(t, err, fault.isNot)
			if fault.is != nil {
				require.ErrorIs(t, err, fault.is)
			}
		}
		err := c.SelfTest(ctx)
		require.Error(t, err)
		require.Equal(t, errors.Is(fault.err, envelope.ErrUnavailable), errors.Is(err, envelope.ErrUnavailable))
	}
}

func TestACipherOnATokenNeedsAKey(t *testing.T) {
	for _, err := range []error{
		func() error { _, err := envelope.NewResidentCipher(0, &onToken{}); return err }(),
		func() error { _, err := envelope.NewResidentCipher(1, nil); return err }(),
	} {
		require.ErrorIs(t, err, envelope.ErrInternal)
	}
}

func TestAReferenceIsSealedAsMaterialIs(t *testing.T) {
	m := envelope.NewReference([]byte(`{"id":"1"}`), nil)
	w := fixedWrapper{t}
	sealed, err := envelope.Seal(t.Context(), w, m, testBinding, rand.Reader)
	require.NoError(t, err)
	require.NotContains(t, string(sealed), `"id"`)
	opened, err := envelope.Open(t.Context(), w, sealed, testBinding)
	require.NoError(t, err)
	require.Equal(t, m.Reference(), opened.Reference())
	require.True(t, m.Equal(opened))
	require.Equal(t, m.Fingerprint(), opened.Fingerprint())
	require.Len(t, m.Fingerprint(), 32)
	key, hmacKey := opened.Reveal()
	require.Empty(t, key)
	require.Empty(t, hmacKey)
	other := envelope.NewReference([]byte(`{"id":"2"}`), nil)
	require.False(t, m.Equal(other))
	require.False(t, testMaterial().Equal(other))
	require.NotEqual(t, m.Fingerprint(), other.Fingerprint())
	another := testBinding
	another.Version++
	_, err = envelope.Open(t.Context(), w, sealed, another)
	require.ErrorIs(t, err, envelope.ErrCorrupt)
	_, err = envelope.NewCipher(envelope.Spec{Algorithm: envelope.AES256GCM96}, 1, m, rand.Reader)
	require.ErrorIs(t, err, envelope.ErrInternal, "a reference is no secret")
	require.Nil(t, testMaterial().Reference())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		require.Contains(t, fmt.Sprintf(verb, m), "redacted")
	}
}
