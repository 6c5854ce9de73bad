//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/hsm/p11"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
)

// fixtures are the tokens in C that wrappers are held against.
var fixtures = map[string]func(t testing.TB) hsmtest.Fixture{
	"SoftHSM":             hsmtest.SoftHSM,
	"SoftHSM without GCM": hsmtest.SoftHSMWithoutGCM,
	"NSS":                 hsmtest.NSS,
}

func open(t *testing.T, f hsmtest.Fixture) *token.Token {
	t.Helper()
	opened, err := token.NewRegistry(bubbleClock{}, func() float64 { return 0 }).Open(token.Config{
		Library: f.Library, Label: f.Label, PIN: []byte(f.PIN), CallTimeout: time.Minute, AcquireTimeout: time.Minute,
		Load: func() (cryptoki.Library, error) { return p11.Open(p11.Options{Path: f.Library, Reserved: f.Reserved}) },
	})
	require.NoError(t, err)
	t.Cleanup(opened.Close)
	return opened
}

// suitesOf returns a suite of each kind that the token can have.
func suitesOf(f hsmtest.Fixture) []hsm.Suite {
	if f.NoGCM {
		return []hsm.Suite{hsm.SuiteCBC, hsm.SuiteOAEP}
	}
	return []hsm.Suite{hsm.SuiteGCM, hsm.SuiteCBC, hsm.SuiteOAEP}
}

func createOn(t *testing.T, tok *token.Token, f hsmtest.Fixture, s hsm.Suite) hsm.KEK {
	t.Helper()
	drawn, err := hsm.DrawKEK(hsm.Spec{Label: "keylife-test", Suite: s, RSABits: 2048, OAEPHash: f.OAEP}, created, rand.Reader)
	require.NoError(t, err)
	k, err := hsm.Create(t.Context(), tok, drawn, rand.Reader)
	require.NoError(t, err)
	require.Empty(t, k.Warnings)
	return k
}

func TestWrappersConformOnLibrariesInC(t *testing.T) {
	for name, fixture := range fixtures {
		t.Run(name, func(t *testing.T) {
			f := fixture(t)
			tok := open(t, f)
			for _, s := range suitesOf(f) {
				t.Run(s.String(), func(t *testing.T) {
					hsmtest.RunSampled(t, func(t *testing.T) hsmtest.Wrapper {
						w := wrapper(t, tok, createOn(t, tok, f, s))
						tok.SetProbe(w.Probe)
						return w
					})
				})
			}
		})
	}
}

func TestAKEKIsChosenAdoptedAndDestroyedOnLibrariesInC(t *testing.T) {
	for name, fixture := range fixtures {
		t.Run(name, func(t *testing.T) {
			f := fixture(t)
			tok := open(t, f)
			choice, err := hsm.Choose(t.Context(), tok, hsm.Options{OAEPHash: f.OAEP}, created, rand.Reader)
			require.NoError(t, err)
			require.Equal(t, suitesOf(f)[0], choice.Suite)

			k := createOn(t, tok, f, choice.Suite)
			adopted, _, err := hsm.Adopt(t.Context(), tok, hsm.Existing{Label: k.Label, MACLabel: k.MACLabel}, hsm.Options{OAEPHash: f.OAEP}, created, rand.Reader)
			require.NoError(t, err)
			w := wrapper(t, tok, adopted)
			wrapped := wrap(t, w)
			requireOpens(t, w, wrapped)
			require.NoError(t, hsm.Destroy(t.Context(), tok, k))
			_, err = w.Unwrap(t.Context(), wrapped, []byte("aad"))
			require.ErrorIs(t, err, hsm.ErrKEKMissing)
		})
	}
}

func TestAKeyThatLivesOnATokenEncryptsInLibrariesInC(t *testing.T) {
	for _, fixture := range []func(t testing.TB) hsmtest.Fixture{hsmtest.SoftHSM, hsmtest.NSS} {
		f := fixture(t)
		t.Run(f.Label, func(t *testing.T) {
			tok := open(t, f)
			_, r := residentKey(t, tok, hsm.SuiteGCM)
			for _, size := range []int{0, 1, 1000, 64 << 10} {
				ciphertext, err := r.Encrypt(t.Context(), hsm.Text{Bytes: make([]byte, size)})
				require.NoError(t, err, size)
				text, err := r.Decrypt(t.Context(), hsm.Text{Bytes: ciphertext})
				require.NoError(t, err, size)
				require.Len(t, text, size)
			}
			mixed, err := hsm.NewRandom(hsm.RandomMixed, hsm.RandomRequire, rand.Reader, tok)
			require.NoError(t, err)
			read(t, mixed.Reader(t.Context(), "dek"), 5000)
			tok.Close()
		})
	}
}

// TestKeysThatSignOnATokenDoInLibrariesInC: what the token signs and encrypts is verified and opened by the standard library.
func TestKeysThatSignOnATokenDoInLibrariesInC(t *testing.T) {
	for name, fixture := range map[string]func(t testing.TB) hsmtest.Fixture{"SoftHSM": hsmtest.SoftHSM, "NSS": hsmtest.NSS} {
		t.Run(name, func(t *testing.T) {
			f := fixture(t)
			tok := open(t, f)
			for _, kind := range append(pairs, hsm.HMAC) {
				err := hsm.CheckKey(t.Context(), tok, specOf(kind))
				if kind == hsm.Ed25519 && name == "NSS" {
					require.ErrorContains(t, err, "keys of type ed25519 need CKM_EC_EDWARDS_KEY_PAIR_GEN")
					continue
				}
				k := made(t, tok, kind)
				if kind == hsm.HMAC {
					requireMACs(t, tok, k)
				} else {
					requireSigns(t, tok, k)
				}
				require.Equal(t, kind == hsm.RSA2048 && name == "NSS", k.Decrypts(hsm.OAEP), "SoftHSM knows SHA-1 only")
				require.Equal(t, kind == hsm.RSA2048, k.Decrypts(hsm.PKCS1v15))
				require.NoError(t, hsm.DestroyKey(t.Context(), tok, k))
				require.ErrorIs(t, hsm.DestroyKey(t.Context(), tok, hsm.ResidentKey{CKAID: k.CKAID, Label: k.Label}), hsm.ErrKEKMissing)
			}
		})
	}
}

// sha3 are hashes that neither library knows; RSA by PKCS #1 v1.5 and ECDSA need none of the token.
func requireSigns(t *testing.T, tok hsm.Token, k hsm.ResidentKey) {
	t.Helper()
	pair, public := pairOf(t, tok, k)
	for digest, options := range signatures(k.Type) {
		signature, err := pair.Sign(t.Context(), []byte(digest), options)
		require.NoError(t, err, "%s %v", k.Type, options)
		requireVerifies(t, public, []byte(digest), signature, options)
	}
	if k.Type == hsm.RSA2048 {
		_, err := pair.Sign(t.Context(), digestOf(crypto.SHA3_256, "text"), &rsa.PSSOptions{Hash: crypto.SHA3_256, SaltLength: 32})
		require.ErrorIs(t, err, hsm.ErrUnsupported)
		pkcs, err := rsa.EncryptPKCS1v15(rand.Reader, public.(*rsa.PublicKey), []byte("text"))
		require.NoError(t, err)
		text, err := pair.Decrypt(t.Context(), pkcs, hsm.PKCS1v15)
		require.NoError(t, err)
		require.Equal(t, "text", string(text))
	}
}

func requireMACs(t *testing.T, tok hsm.Token, k hsm.ResidentKey) {
	t.Helper()
	m, err := hsm.NewResidentMAC(tok, k)
	require.NoError(t, err)
	for _, h := range hashesOfTokens {
		one, err := m.MAC(t.Context(), h, []byte("text"))
		require.NoError(t, err)
		require.Len(t, one, h.Size())
		again, err := m.MAC(t.Context(), h, []byte("text"))
		require.NoError(t, err)
		require.Equal(t, one, again)
	}
	_, err = m.MAC(t.Context(), crypto.SHA3_512, []byte("text"))
	require.ErrorIs(t, err, hsm.ErrUnsupported)
}

// TestASignatureIsOneCallOfTheLibrary, and comes although the token fails for a moment.
func TestASignatureIsOneCallOfTheLibrary(t *testing.T) {
	f, faults := hsmtest.Faulty(t, hsmtest.SoftHSM(t))
	tok := open(t, f)
	for _, kind := range []hsm.KeyType{hsm.ECDSAP256, hsm.RSA2048, hsm.HMAC} {
		k := made(t, tok, kind)
		use := useOf(t, tok, k)
		tok.SetProbe(func(s cryptoki.Session, _ uint64) error {
			_, err := s.Find(cryptoki.Template{{Type: cryptoki.AttrID, Value: k.CKAID}})
			return err
		})
		require.NoError(t, use(t.Context()))
		signs, finds := faults.Calls("C_Sign"), faults.Calls("C_FindObjects")
		require.NoError(t, use(t.Context()))
		require.Equal(t, signs+1, faults.Calls("C_Sign"))
		require.Equal(t, finds, faults.Calls("C_FindObjects"))
		for _, rv := range []cryptoki.Error{cryptoki.ErrDeviceError, cryptoki.ErrHostMemory, cryptoki.ErrSessionClosed} {
			faults.Set("C_Sign", hsmtest.Rule{Return: rv, Calls: 1})
			require.NoError(t, use(t.Context()), "%s %v", kind, rv)
			faults.Clear("C_Sign")
		}
		faults.Restart()
		require.NoError(t, use(t.Context()), "sessions and login were lost")
		faults.Set("C_SignInit", hsmtest.Rule{Return: cryptoki.ErrMechanismInvalid})
		require.ErrorIs(t, use(t.Context()), hsm.ErrUnsupported)
		faults.Clear("C_SignInit")
		require.NoError(t, hsm.DestroyKey(t.Context(), tok, k))
	}
}
