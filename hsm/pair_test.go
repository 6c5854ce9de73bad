// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
)

// pairs are the types that sign; long RSA keys are left to one test.
var pairs = []hsm.KeyType{hsm.RSA2048, hsm.ECDSAP256, hsm.ECDSAP384, hsm.ECDSAP521, hsm.Ed25519}

func specOf(k hsm.KeyType) hsm.KeySpec {
	spec := hsm.KeySpec{Type: k, Label: "keylife-k-v1"}
	if k == hsm.HMAC {
		spec.Size = 64
	}
	return spec
}

// made makes a key on a token.
func made(t *testing.T, tok hsm.Token, kind hsm.KeyType) hsm.ResidentKey {
	t.Helper()
	require.NoError(t, hsm.CheckKey(t.Context(), tok, specOf(kind)))
	drawn, err := hsm.DrawKey(specOf(kind), created, rand.Reader)
	require.NoError(t, err)
	k, err := hsm.GenerateKey(t.Context(), tok, drawn, rand.Reader)
	require.NoError(t, err)
	require.Empty(t, k.Warnings)
	return k
}

func pairOf(t *testing.T, tok hsm.Token, k hsm.ResidentKey) (*hsm.ResidentPair, crypto.PublicKey) {
	t.Helper()
	pair, err := hsm.NewResidentPair(tok, k)
	require.NoError(t, err)
	public, err := x509.ParsePKIXPublicKey(k.Public)
	require.NoError(t, err)
	return pair, public
}

// requireVerifies has the standard library verify a signature.
func requireVerifies(t *testing.T, public crypto.PublicKey, digest, signature []byte, options crypto.SignerOpts) {
	t.Helper()
	switch public := public.(type) {
	case ed25519.PublicKey:
		require.True(t, ed25519.Verify(public, digest, signature))
	case *ecdsa.PublicKey:
		require.True(t, ecdsa.VerifyASN1(public, digest, signature))
	case *rsa.PublicKey:
		if pss, is := options.(*rsa.PSSOptions); is {
			require.NoError(t, rsa.VerifyPSS(public, pss.Hash, digest, signature, pss))
			return
		}
		require.NoError(t, rsa.VerifyPKCS1v15(public, options.HashFunc(), digest, signature))
	default:
		require.Fail(t, "no public key")
	}
}

func digestOf(h crypto.Hash, text string) []byte {
	d := h.New()
	d.Write([]byte(text))
	return d.Sum(nil)
}

var hashesOfTokens = []crypto.Hash{crypto.SHA1, crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512}

// signatures are what a type signs, and how.
func signatures(k hsm.KeyType) map[string]crypto.SignerOpts {
	switch k {
	case hsm.Ed25519:
		return map[string]crypto.SignerOpts{"text": crypto.Hash(0), string(make([]byte, 5000)): crypto.Hash(0)}
	case hsm.ECDSAP256, hsm.ECDSAP384, hsm.ECDSAP521:
		all := map[string]crypto.SignerOpts{}
		for _, h := range append(hashesOfTokens, crypto.SHA3_256) {
			all[string(digestOf(h, "text"))] = h
		}
		return all
	}
	all := map[string]crypto.SignerOpts{"a digest by no hash": crypto.Hash(0)}
	for _, h := range append(hashesOfTokens, crypto.SHA3_224, crypto.SHA3_256, crypto.SHA3_384, crypto.SHA3_512) {
		all[string(digestOf(h, "text"))] = h
	}
	for _, h := range hashesOfTokens {
		for i, salt := range []int{rsa.PSSSaltLengthAuto, rsa.PSSSaltLengthEqualsHash, 20} {
			all[string(digestOf(h, fmt.Sprint("pss ", i)))] = &rsa.PSSOptions{Hash: h, SaltLength: salt}
		}
	}
	return all
}

func TestWhatATokenSignsVerifiesWithoutIt(t *testing.T) {
	for _, kind := range append(pairs, hsm.RSA3072) {
		tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
		k := made(t, tok, kind)
		pair, public := pairOf(t, tok, k)
		for digest, options := range signatures(kind) {
			warm, err := pair.Sign(t.Context(), []byte(digest), options)
			require.NoError(t, err, "%s %v", kind, options)
			requireVerifies(t, public, []byte(digest), warm, options)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
			require.Equal(t, fmt.Sprintf("resident key %x", k.ID[:]), fmt.Sprintf(verb, pair))
		}
	}
}

func TestASignatureIsOneCallAndAKeyProvesItselfOnceAnEpoch(t *testing.T) {
	for _, kind := range append(pairs, hsm.HMAC) {
		tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{ReuseHandles: true}))
		one, other := useOf(t, tok, made(t, tok, kind)), useOf(t, tok, made(t, tok, kind))
		for range 3 {
			for _, use := range []func(context.Context) error{one, other} {
				require.NoError(t, use(t.Context()))
				var err error
				warm := tok.calls(func() { err = use(t.Context()) })
				require.NoError(t, err)
				require.Equal(t, map[faketoken.Func]int{faketoken.Sign: 1}, warm, kind)
			}
			tok.lose()
			require.NoError(t, tok.library.Reinitialize())
		}
	}
}

// useOf returns a use of a key.
func useOf(t *testing.T, tok hsm.Token, k hsm.ResidentKey) func(context.Context) error {
	t.Helper()
	if k.Type == hsm.HMAC {
		m, err := hsm.NewResidentMAC(tok, k)
		require.NoError(t, err)
		return func(ctx context.Context) error {
			_, err := m.MAC(ctx, crypto.SHA256, []byte("text"))
			return err
		}
	}
	pair, _ := pairOf(t, tok, k)
	return func(ctx context.Context) error {
		_, err := pair.Sign(ctx, digestOf(crypto.SHA256, "text"), crypto.SHA256)
		return err
	}
}

// TestAnotherKeyOfTheNameSignsNothing: the public half that is stored tells it.
func TestAnotherKeyOfTheNameSignsNothing(t *testing.T) {
	for _, kind := range append(pairs, hsm.HMAC) {
		d := device(hsm.SuiteGCM, faketoken.Config{})
		tok := newToken(t, d)
		first := made(t, tok, kind)
		use := useOf(t, tok, first)
		require.NoError(t, use(t.Context()))
		d.Wipe()
		require.ErrorIs(t, use(t.Context()), hsm.ErrKEKMissing, kind)
		drawn, err := hsm.DrawKey(specOf(kind), created, bytes.NewReader(first.ID[:]))
		require.NoError(t, err)
		second, err := hsm.GenerateKey(t.Context(), tok, drawn, rand.Reader)
		require.NoError(t, err)
		require.Equal(t, first.CKAID, second.CKAID)
		require.ErrorIs(t, use(t.Context()), hsm.ErrKEKMismatch, kind)
		require.ErrorIs(t, hsm.DestroyKey(t.Context(), tok, first), hsm.ErrKEKMismatch)
		require.NoError(t, useOf(t, tok, second)(t.Context()))
		require.NoError(t, hsm.DestroyKey(t.Context(), tok, second))
	}
}

func TestATokenDecryptsWhatThePublicHalfEncrypts(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	k := made(t, tok, hsm.RSA2048)
	require.Equal(t, []hsm.Padding{hsm.OAEP, hsm.PKCS1v15}, k.Paddings)
	pair, public := pairOf(t, tok, k)
	oaep, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), []byte("text"), nil)
	require.NoError(t, err)
	pkcs, err := rsa.EncryptPKCS1v15(rand.Reader, public.(*rsa.PublicKey), []byte("text"))
	require.NoError(t, err)
	for padding, ciphertext := range map[hsm.Padding][]byte{hsm.OAEP: oaep, hsm.PKCS1v15: pkcs} {
		var text []byte
		warm := tok.calls(func() { text, err = pair.Decrypt(t.Context(), ciphertext, padding) })
		require.NoError(t, err)
		require.Equal(t, "text", string(text))
		require.LessOrEqual(t, warm[faketoken.Decrypt], 1)
		ciphertext[7] ^= 1
		_, err = pair.Decrypt(t.Context(), ciphertext, padding)
		require.ErrorIs(t, err, hsm.ErrCorrupt)
		_, err = pair.Decrypt(t.Context(), ciphertext[1:], padding)
		require.ErrorIs(t, err, hsm.ErrCorrupt)
	}
	for _, kind := range []hsm.KeyType{hsm.ECDSAP256, hsm.Ed25519} {
		pair, _ := pairOf(t, tok, made(t, tok, kind))
		_, err := pair.Decrypt(t.Context(), oaep, hsm.OAEP)
		require.ErrorIs(t, err, hsm.ErrUnsupported)
	}
}

// TestAPaddingThatTheTokenDoesNotKnowIsNoted: what it encrypts is never read again.
func TestAPaddingThatTheTokenDoesNotKnowIsNoted(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{NoSHA2OAEP: true}))
	k := made(t, tok, hsm.RSA2048)
	require.Equal(t, []hsm.Padding{hsm.PKCS1v15}, k.Paddings)
	require.False(t, k.Decrypts(hsm.OAEP))
	pair, _ := pairOf(t, tok, k)
	calls := tok.calls(func() {
		_, err := pair.Decrypt(t.Context(), make([]byte, 256), hsm.OAEP)
		require.ErrorIs(t, err, hsm.ErrUnsupported)
		require.ErrorContains(t, err, "CKM_RSA_PKCS_OAEP")
	})
	require.Empty(t, calls)
}

func TestATokenMakesHMACs(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{Random: func(p []byte) { copy(p, bytes.Repeat([]byte{7}, len(p))) }}))
	k := made(t, tok, hsm.HMAC)
	m, err := hsm.NewResidentMAC(tok, k)
	require.NoError(t, err)
	for _, h := range hashesOfTokens {
		got, err := m.MAC(t.Context(), h, []byte("text"))
		require.NoError(t, err)
		want := hmac.New(h.New, bytes.Repeat([]byte{7}, 64))
		want.Write([]byte("text"))
		require.Equal(t, want.Sum(nil), got)
	}
	for _, h := range []crypto.Hash{crypto.SHA3_256, crypto.MD5} {
		_, err = m.MAC(t.Context(), h, []byte("text"))
		require.ErrorIs(t, err, hsm.ErrUnsupported)
	}
	_, err = m.MAC(t.Context(), crypto.SHA256, make([]byte, 64<<10+1))
	require.ErrorIs(t, err, hsm.ErrUnsupported)
	for _, size := range []int{0, 31, 513} {
		_, err := hsm.DrawKey(hsm.KeySpec{Type: hsm.HMAC, Label: "x", Size: size}, created, rand.Reader)
		require.ErrorIs(t, err, hsm.ErrUnsupported)
	}
	require.Equal(t, fmt.Sprintf("resident key %x", k.ID[:]), fmt.Sprintf("%#v", m))
}

func TestWhatTheTokenLacksIsRefusedByTypeAndMechanism(t *testing.T) {
	for kind, lacks := range map[hsm.KeyType][]cryptoki.MechanismType{
		hsm.RSA2048:   {cryptoki.RSAPKCSKeyPairGen, cryptoki.RSAPKCS, cryptoki.RSAPKCSPSS, cryptoki.RSAPKCSOAEP},
		hsm.ECDSAP384: {cryptoki.ECKeyPairGen, cryptoki.ECDSA},
		hsm.Ed25519:   {cryptoki.ECEdwardsKeyPairGen, cryptoki.EDDSA},
		hsm.HMAC:      {cryptoki.GenericSecretGen, cryptoki.SHA256HMAC},
	} {
		for _, m := range lacks {
			d := device(hsm.SuiteGCM, faketoken.Config{Missing: []cryptoki.MechanismType{m}})
			err := hsm.CheckKey(t.Context(), newToken(t, d), specOf(kind))
			require.ErrorIs(t, err, hsm.ErrUnsupported)
			require.ErrorContains(t, err, fmt.Sprintf("keys of type %s need %v", kind, m))
			require.Zero(t, d.Objects())
		}
	}
	sizes := map[cryptoki.MechanismType]cryptoki.MechanismInfo{
		cryptoki.RSAPKCSKeyPairGen: {MinKeySize: 1024, MaxKeySize: 3072}, cryptoki.ECDSA: {MinKeySize: 256, MaxKeySize: 384},
	}
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{Sizes: sizes}))
	for _, fits := range []hsm.KeyType{hsm.RSA3072, hsm.ECDSAP384, hsm.Ed25519} {
		require.NoError(t, hsm.CheckKey(t.Context(), tok, specOf(fits)))
	}
	require.ErrorContains(t, hsm.CheckKey(t.Context(), tok, specOf(hsm.RSA4096)), "need CKM_RSA_PKCS_KEY_PAIR_GEN with 4096 bits")
	require.ErrorContains(t, hsm.CheckKey(t.Context(), tok, specOf(hsm.ECDSAP521)), "need CKM_ECDSA with 521 bits")
	tok.library.Fail(faketoken.GetMechanism, cryptoki.ErrDeviceError, 1)
	require.ErrorIs(t, hsm.CheckKey(t.Context(), tok, specOf(hsm.Ed25519)), cryptoki.ErrDeviceError)
}

// attributesOf reads attributes of the objects of a key, by class.
func attributesOf(t *testing.T, tok *plainToken, k hsm.ResidentKey, types ...cryptoki.AttributeType) map[uint][][]byte {
	t.Helper()
	all := map[uint][][]byte{}
	for _, class := range []uint{cryptoki.ClassSecretKey, cryptoki.ClassPrivateKey, cryptoki.ClassPublicKey} {
		require.NoError(t, tok.Run(t.Context(), func(s cryptoki.Session, _ uint64) error {
			found, err := s.Find(cryptoki.Template{
				{Type: cryptoki.AttrClass, Value: class}, {Type: cryptoki.AttrLabel, Value: k.Label}, {Type: cryptoki.AttrID, Value: k.CKAID},
			})
			if err != nil || len(found) == 0 {
				return err
			}
			require.Len(t, found, 1)
			all[class], err = s.Attributes(found[0], types...)
			return err
		}))
	}
	return all
}

func TestKeysOnATokenMayDoWhatTheyAreForAndNothingElse(t *testing.T) {
	yes, no := []byte{1}, []byte{0}
	for _, kind := range append(pairs, hsm.HMAC) {
		tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
		k := made(t, tok, kind)
		got := attributesOf(t, tok, k, cryptoki.AttrToken, cryptoki.AttrPrivate, cryptoki.AttrSensitive, cryptoki.AttrExtractable, cryptoki.AttrModifiable,
			cryptoki.AttrWrap, cryptoki.AttrUnwrap, cryptoki.AttrDerive, cryptoki.AttrSign, cryptoki.AttrDecrypt)
		decrypts := no
		if kind == hsm.RSA2048 {
			decrypts = yes
		}
		want := [][]byte{yes, yes, yes, no, no, no, no, no, yes, decrypts}
		if kind == hsm.HMAC {
			require.Equal(t, map[uint][][]byte{cryptoki.ClassSecretKey: want}, got)
			continue
		}
		require.Equal(t, want, got[cryptoki.ClassPrivateKey], kind)
		require.Len(t, got[cryptoki.ClassPublicKey], len(want))
		require.Len(t, got, 2)
		require.NotEmpty(t, attributesOf(t, tok, k, cryptoki.AttrAllowedMechanisms)[cryptoki.ClassPrivateKey][0])
	}
	for _, forced := range []cryptoki.Attribute{{Type: cryptoki.AttrExtractable, Value: true}, {Type: cryptoki.AttrSensitive, Value: false}} {
		tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{Forced: cryptoki.Template{forced}}))
		drawn, err := hsm.DrawKey(specOf(hsm.ECDSAP256), created, rand.Reader)
		require.NoError(t, err)
		_, err = hsm.GenerateKey(t.Context(), tok, drawn, rand.Reader)
		require.ErrorIs(t, err, hsm.ErrKEKMismatch)
	}
}

func TestBothHalvesOfAPairAreDestroyed(t *testing.T) {
	for _, kind := range append(pairs, hsm.HMAC) {
		d := device(hsm.SuiteGCM, faketoken.Config{})
		tok := newToken(t, d)
		k := made(t, tok, kind)
		require.Equal(t, map[bool]int{true: 1, false: 2}[kind == hsm.HMAC], d.Objects())
		stranger := hsm.ResidentKey{CKAID: k.CKAID, Label: k.Label + "1"}
		require.ErrorIs(t, hsm.DestroyKey(t.Context(), tok, stranger), hsm.ErrKEKMissing)
		tok.library.Fail(faketoken.DestroyObject, cryptoki.ErrDeviceError, 1)
		byName := hsm.ResidentKey{CKAID: k.CKAID, Label: k.Label}
		require.Error(t, hsm.DestroyKey(t.Context(), tok, byName))
		require.NoError(t, hsm.DestroyKey(t.Context(), tok, byName))
		require.Zero(t, d.Objects())
		require.ErrorIs(t, hsm.DestroyKey(t.Context(), tok, byName), hsm.ErrKEKMissing)
	}
}

func TestAMakingThatIsCutShortIsTakenUp(t *testing.T) {
	for _, f := range []faketoken.Func{faketoken.GenerateKeyPair, faketoken.GetAttributes, faketoken.Sign, faketoken.FindObjects} {
		d := device(hsm.SuiteGCM, faketoken.Config{})
		tok := newToken(t, d)
		drawn, err := hsm.DrawKey(specOf(hsm.ECDSAP256), created, rand.Reader)
		require.NoError(t, err)
		_, err = hsm.NewResidentPair(tok, drawn)
		require.ErrorIs(t, err, hsm.ErrKEKMissing)
		tok.library.FailLate(f, cryptoki.ErrDeviceMemory, 1)
		_, err = hsm.GenerateKey(t.Context(), tok, drawn, rand.Reader)
		require.Error(t, err, f)
		k, err := hsm.GenerateKey(t.Context(), tok, drawn, rand.Reader)
		require.NoError(t, err, f)
		require.Equal(t, 2, d.Objects())
		_, err = hsm.GenerateKey(t.Context(), tok, k, rand.Reader)
		require.ErrorContains(t, err, "made before")
	}
}

func TestAnswersOfATokenThatSayItCannotAreNoTroubleOfIts(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	pair, _ := pairOf(t, tok, made(t, tok, hsm.RSA2048))
	digest := digestOf(crypto.SHA256, "text")
	_, err := pair.Sign(t.Context(), digest, crypto.SHA256) // the key has proved itself
	require.NoError(t, err)
	for rv, unsupported := range map[cryptoki.Error]bool{
		cryptoki.ErrMechanismInvalid: true, cryptoki.ErrMechanismParamInvalid: true, cryptoki.ErrArgumentsBad: true,
		cryptoki.ErrKeyFunctionNotPermitted: true, cryptoki.ErrDeviceError: false, cryptoki.ErrGeneralError: false,
	} {
		tok.library.Fail(faketoken.Sign, rv, 1)
		_, err := pair.Sign(t.Context(), digest, &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: 32})
		require.ErrorIs(t, err, rv)
		if unsupported {
			require.ErrorIs(t, err, hsm.ErrUnsupported)
			require.ErrorContains(t, err, "CKM_RSA_PKCS_PSS")
		} else {
			require.NotErrorIs(t, err, hsm.ErrUnsupported)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = pair.Sign(gone, digest, crypto.SHA256)
	require.ErrorIs(t, err, context.Canceled)
	for _, options := range []crypto.SignerOpts{crypto.SHA512, &rsa.PSSOptions{Hash: crypto.SHA512}} {
		_, err = pair.Sign(t.Context(), digest, options)
		require.ErrorContains(t, err, "no digest")
	}
}
