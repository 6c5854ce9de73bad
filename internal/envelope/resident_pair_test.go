// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// pairOnToken is a private key on a token: it counts what it is asked for, and may be away.
type pairOnToken struct {
	crypto.Signer
	calls    int
	err      error
	paddings []string
}

func (p *pairOnToken) Sign(_ context.Context, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	if p.calls++; p.err != nil {
		return nil, p.err
	}
	return p.Signer.Sign(rand.Reader, digest, options)
}

func (p *pairOnToken) Decrypt(_ context.Context, ciphertext []byte, padding string) ([]byte, error) {
	if p.calls++; p.err != nil {
		return nil, p.err
	}
	var options crypto.DecrypterOpts = &rsa.PKCS1v15DecryptOptions{}
	if padding == "oaep" {
		options = &rsa.OAEPOptions{Hash: crypto.SHA256}
	}
	text, err := p.Signer.(crypto.Decrypter).Decrypt(rand.Reader, ciphertext, options)
	if err != nil {
		return nil, errDamaged
	}
	return text, nil
}

func (p *pairOnToken) Decrypts(padding string) bool {
	for _, one := range p.paddings {
		if one == padding {
			return true
		}
	}
	return false
}

// MAC is of the digest of the public half.
func (p *pairOnToken) MAC(_ context.Context, hash crypto.Hash, input []byte) ([]byte, error) {
	if p.calls++; p.err != nil {
		return nil, p.err
	}
	mac := hmac.New(hash.New, []byte("a key of HMACs on a token"))
	mac.Write(input)
	return mac.Sum(nil), nil
}

// onBoth returns the ciphers of one key, on a token and in software.
func onBoth(t *testing.T, a envelope.Algorithm) (token *pairOnToken, hard, soft *envelope.Cipher) {
	t.Helper()
	spec := envelope.Spec{Algorithm: a}
	m, err := envelope.Generate(spec, rand.Reader)
	require.NoError(t, err)
	private, _, err := a.KeyPair(m)
	require.NoError(t, err)
	token = &pairOnToken{Signer: private, paddings: []string{"oaep", "pkcs1v15"}}
	hard, err = envelope.NewResidentPairCipher(spec, 3, m.Public(), token)
	require.NoError(t, err)
	require.True(t, hard.OnToken())
	return token, hard, newCipher(t, spec, 3, m)
}

func TestSignaturesOfAPairOnATokenAreThoseOfOneInSoftware(t *testing.T) {
	for _, a := range []envelope.Algorithm{envelope.RSA2048, envelope.ECDSAP256, envelope.ECDSAP521, envelope.Ed25519} {
		token, hard, soft := onBoth(t, a)
		require.NoError(t, hard.SelfTest(t.Context()))
		digest := sha256.Sum256([]byte("text"))
		for _, p := range []envelope.SignParams{
			{}, {Marshaling: "jws"}, {Scheme: "pkcs1v15"}, {Scheme: "pss", SaltLength: rsa.PSSSaltLengthEqualsHash}, {Scheme: "pss", SaltLength: 11},
		} {
			token.calls = 0
			signature, err := hard.Sign(t.Context(), digest[:], p)
			require.NoError(t, err)
			require.Equal(t, 1, token.calls)
			for _, verifier := range []*envelope.Cipher{hard, soft} {
				valid, err := verifier.Verify(t.Context(), digest[:], payloadOf(t, signature.Text), p)
				require.NoError(t, err)
				require.True(t, valid, "%s %v", a, p)
			}
			require.Equal(t, 1, token.calls, "the public half is enough")
		}
		_, err := hard.HMAC(t.Context(), "sha2-256", nil)
		require.ErrorContains(t, err, "no HMAC key exists")
		require.Equal(t, soft.SignsDigests(), hard.SignsDigests())
		text, err := hard.Request(t.Context(), &x509.CertificateRequest{})
		require.NoError(t, err)
		require.Contains(t, text, "BEGIN CERTIFICATE REQUEST")
	}
}

func TestAPairOnATokenIsRefusedWhatOneInSoftwareIsAndAsksNothing(t *testing.T) {
	token, hard, soft := onBoth(t, envelope.RSA2048)
	digest := sha256.Sum256([]byte("text"))
	for _, c := range []struct {
		input []byte
		p     envelope.SignParams
	}{
		{digest[1:], envelope.SignParams{}},
		{digest[1:], envelope.SignParams{Scheme: "pkcs1v15"}},
		{digest[:], envelope.SignParams{Hash: "sha2-512"}},
		{digest[:], envelope.SignParams{Scheme: "x"}},
		{digest[:], envelope.SignParams{SaltLength: 223}},
		{digest[:], envelope.SignParams{SaltLength: -2}},
		{make([]byte, 246), envelope.SignParams{Hash: "none", Scheme: "pkcs1v15"}},
	} {
		_, want := soft.Sign(t.Context(), c.input, c.p)
		_, err := hard.Sign(t.Context(), c.input, c.p)
		require.EqualError(t, err, want.Error())
		require.Equal(t, errors.Is(want, envelope.ErrInput), errors.Is(err, envelope.ErrInput))
	}
	for _, payload := range []string{"!", "AAAA"} {
		_, want := soft.Decrypt(t.Context(), payload, envelope.Params{})
		_, err := hard.Decrypt(t.Context(), payload, envelope.Params{})
		require.EqualError(t, err, want.Error())
	}
	require.Zero(t, token.calls)
	damaged := b64(make([]byte, 256))
	_, want := soft.Decrypt(t.Context(), damaged, envelope.Params{})
	_, err := hard.Decrypt(t.Context(), damaged, envelope.Params{})
	require.EqualError(t, err, want.Error())
	token, hard, soft = onBoth(t, envelope.ECDSAP256)
	_, want = soft.Decrypt(t.Context(), "AAAA", envelope.Params{})
	_, err = hard.Decrypt(t.Context(), "AAAA", envelope.Params{})
	require.EqualError(t, err, want.Error())
	require.Zero(t, token.calls)
}

func TestARSAKeyOnATokenEncryptsNothingThatItDoesNotDecrypt(t *testing.T) {
	token, hard, soft := onBoth(t, envelope.RSA2048)
	token.paddings = []string{"pkcs1v15"}
	for _, p := range []envelope.Params{{}, {Padding: "oaep"}} {
		_, err := hard.Encrypt(t.Context(), "AAAA", p)
		require.ErrorIs(t, err, envelope.ErrInput)
		require.ErrorContains(t, err, `padding_scheme: "oaep"`)
		_, err = hard.Decrypt(t.Context(), b64(make([]byte, 256)), p)
		require.ErrorContains(t, err, `padding_scheme: "oaep"`)
	}
	require.Zero(t, token.calls)
	ciphertext, err := soft.Encrypt(t.Context(), "AAAA", envelope.Params{Padding: "pkcs1v15"})
	require.NoError(t, err)
	text, err := hard.Decrypt(t.Context(), payloadOf(t, ciphertext), envelope.Params{Padding: "pkcs1v15"})
	require.NoError(t, err)
	require.Equal(t, "AAAA", text)
	require.Equal(t, 1, token.calls)
}

func TestATokenThatIsAwaySignsAndAuthenticatesNothing(t *testing.T) {
	token, hard, _ := onBoth(t, envelope.ECDSAP256)
	mac, err := envelope.NewResidentMACCipher(1, token)
	require.NoError(t, err)
	require.NoError(t, mac.SelfTest(t.Context()))
	require.True(t, mac.OnToken())
	for _, fault := range []struct{ err, is, isNot error }{
		{fmt.Errorf("%w: unplugged", envelope.ErrUnavailable), envelope.ErrUnavailable, envelope.ErrInput},
		{fmt.Errorf("%w: no such mechanism", envelope.ErrUnsupported), envelope.ErrInput, envelope.ErrUnavailable},
	} {
		token.err = fault.err
		_, signed := hard.Sign(t.Context(), make([]byte, 32), envelope.SignParams{})
		_, made := mac.HMAC(t.Context(), "sha2-256", nil)
		_, requested := hard.Request(t.Context(), &x509.CertificateRequest{})
		for _, err := range []error{signed, made, requested, mac.SelfTest(t.Context())} {
			require.Error(t, err)
			require.NotErrorIs(t, err, fault.isNot)
		}
		for _, err := range []error{signed, made, requested} {
			require.ErrorIs(t, err, fault.is)
		}
	}
	token.err = nil
	token.calls = 0
	for _, use := range []func(text []byte) error{
		func(text []byte) error { _, err := mac.HMAC(t.Context(), "sha2-256", text); return err },
		func(text []byte) error { _, err := hard.Sign(t.Context(), text, envelope.SignParams{}); return err },
	} {
		err := use(make([]byte, envelope.MaxResidentText+1))
		require.ErrorIs(t, err, envelope.ErrInput)
		require.ErrorContains(t, err, "input: 65537 bytes")
	}
	require.Zero(t, token.calls)
}

func TestAPairOnATokenNeedsItsPublicHalf(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	token := &pairOnToken{Signer: key}
	p384, p256 := envelope.Spec{Algorithm: envelope.ECDSAP384}, envelope.Spec{Algorithm: envelope.ECDSAP256}
	_, err = envelope.NewResidentPairCipher(p384, 1, public, token)
	require.NoError(t, err)
	for _, c := range []struct {
		spec    envelope.Spec
		version int
		public  []byte
		key     envelope.ResidentPair
	}{{p256, 1, public, token}, {p384, 0, public, token}, {p384, 1, nil, token}, {p384, 1, public, nil}} {
		_, err := envelope.NewResidentPairCipher(c.spec, c.version, c.public, c.key)
		require.ErrorIs(t, err, envelope.ErrInternal)
	}
	_, err = envelope.NewResidentMACCipher(1, nil)
	require.ErrorIs(t, err, envelope.ErrInternal)
}

func TestAReferenceToAPairIsSealedWithItsPublicHalf(t *testing.T) {
	m := envelope.NewReference([]byte(`{"id":"1"}`), []byte("public"))
	w := fixedWrapper{t}
	sealed, err := envelope.Seal(t.Context(), w, m, testBinding, rand.Reader)
	require.NoError(t, err)
	opened, err := envelope.Open(t.Context(), w, sealed, testBinding)
	require.NoError(t, err)
	require.True(t, m.Equal(opened))
	require.Equal(t, "public", string(opened.Public()))
	require.Equal(t, m.Reference(), opened.Reference())
	require.False(t, m.Equal(envelope.NewReference([]byte(`{"id":"1"}`), []byte("other"))))
	require.False(t, m.Equal(envelope.NewReference([]byte(`{"id":"1"}`), nil)))
	require.Equal(t, envelope.NewReference([]byte("x"), []byte("public")).Fingerprint(), m.Fingerprint(), "it is that of the public half")
	require.NotEqual(t, envelope.NewReference([]byte(`{"id":"1"}`), nil).Fingerprint(), m.Fingerprint())
}
