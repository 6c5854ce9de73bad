// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
)

// vectorToken is a token with keys and IVs that are always the same. It does what the specification says with the standard
// library, and shares no code with what it tests.
type vectorToken struct {
	cryptoki.Session
	suite hsm.Suite
	rsa   *rsa.PrivateKey
}

const (
	vectorKey cryptoki.Object = 1
	vectorMAC cryptoki.Object = 2
)

var tokenIV = []byte("an IV of a token")

func (v vectorToken) Run(_ context.Context, f func(cryptoki.Session, uint64) error) error {
	return f(v, 1)
}

func (v vectorToken) RunOnce(context.Context, func(cryptoki.Session, uint64) error) error {
	return errors.New("nothing is made here")
}

func (v vectorToken) Mechanisms(context.Context) ([]cryptoki.MechanismType, error) { return nil, nil }

func (v vectorToken) MechanismInfo(context.Context, cryptoki.MechanismType) (cryptoki.MechanismInfo, error) {
	return cryptoki.MechanismInfo{}, nil
}

func (v vectorToken) Find(t cryptoki.Template) ([]cryptoki.Object, error) {
	for _, a := range t {
		if a.Type == cryptoki.AttrLabel && a.Value == "vector-mac" {
			return []cryptoki.Object{vectorMAC}, nil
		}
	}
	return []cryptoki.Object{vectorKey}, nil
}

func (v vectorToken) Attributes(cryptoki.Object, ...cryptoki.AttributeType) ([][]byte, error) {
	return [][]byte{v.rsa.N.Bytes(), big.NewInt(int64(v.rsa.E)).Bytes()}, nil
}

func (v vectorToken) Do(op cryptoki.Operation, o cryptoki.Object, m cryptoki.Mechanism, in []byte) ([]byte, error) {
	if op == cryptoki.Sign && o == vectorMAC && m.Type == 0x251 {
		mac := hmac.New(sha256.New, []byte("the key of the MAC of the vector"))
		mac.Write(in)
		return mac.Sum(nil), nil
	}
	block, err := aes.NewCipher(testKEK)
	if err != nil || o != vectorKey {
		return nil, cryptoki.ErrKeyHandleInvalid
	}
	switch m.Type {
	case 0x1087:
		return v.gcm(op, block, m.GCM, in)
	case 0x1085:
		return cbc(op, block, m.IV, in)
	case 0x0009:
		return rsa.DecryptOAEP(sha256.New(), nil, v.rsa, in, nil)
	}
	return nil, cryptoki.ErrMechanismInvalid
}

func (v vectorToken) gcm(op cryptoki.Operation, block cipher.Block, p *cryptoki.GCM, in []byte) ([]byte, error) {
	iv := p.IV
	if op == cryptoki.Encrypt && v.suite == hsm.SuiteGCMAppended {
		iv = tokenIV
	}
	if op == cryptoki.Encrypt && v.suite == hsm.SuiteGCMTokenIV {
		copy(p.IV, tokenIV)
	}
	aead, err := cipher.NewGCMWithNonceSize(block, len(iv))
	switch {
	case err != nil:
		return nil, err
	case op == cryptoki.Decrypt:
		return aead.Open(nil, iv, in, p.AAD)
	case v.suite == hsm.SuiteGCMAppended:
		return append(aead.Seal(nil, iv, in, p.AAD), iv...), nil
	}
	return aead.Seal(nil, iv, in, p.AAD), nil
}

func cbc(op cryptoki.Operation, block cipher.Block, iv, in []byte) ([]byte, error) {
	if op == cryptoki.Encrypt {
		pad := 16 - len(in)%16
		out := append(bytes.Clone(in), bytes.Repeat([]byte{byte(pad)}, pad)...)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, out)
		return out, nil
	}
	out := make([]byte, len(in))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, in)
	return out[:len(out)-int(out[len(out)-1])], nil
}

func vectorWrapper(t *testing.T, s hsm.Suite) *hsm.Wrapper {
	t.Helper()
	k := hsm.KEK{ID: testID, Label: "vector", Suite: s}
	if s == hsm.SuiteCBC || s == hsm.SuiteOAEP {
		k.MACLabel = "vector-mac"
	}
	chance := make([]byte, 64)
	for i := range chance {
		chance[i] = byte(i)
	}
	return hsm.NewUncheckedWrapper(vectorToken{suite: s, rsa: vectorRSA(t)}, k, bytes.NewReader(chance))
}

func vectorRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	text, err := os.ReadFile("testdata/rsa2048.pem")
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	require.NoError(t, err)
	return key
}

func vector(t testing.TB, s hsm.Suite) []byte {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("testdata/suite%d.hex", s))
	require.NoError(t, err)
	out, err := hex.DecodeString(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	return out
}

// The vectors are what is stored: they must open for ever, and be written the same way.
func TestEachSuiteKeepsItsFormat(t *testing.T) {
	dek := bytes.Repeat([]byte{0x42}, 32)
	for _, s := range hsm.Suites() {
		t.Run(s.String(), func(t *testing.T) {
			stored := vector(t, s)
			got, err := vectorWrapper(t, s).Unwrap(t.Context(), stored, []byte("aad"))
			require.NoError(t, err)
			require.Equal(t, dek, got)

			written, err := vectorWrapper(t, s).Wrap(t.Context(), dek, []byte("aad"))
			require.NoError(t, err)
			require.Equal(t, hex.EncodeToString(stored), hex.EncodeToString(written))
		})
	}
}

// The parts of a vector are taken apart by hand here, and opened with the standard library alone.
func TestTheSuitesAuthenticateWhatTheFormatSays(t *testing.T) {
	outer := slicesOf("keylife/outer/v1", "\x00\x00\x00\x03", "aad", string(testID[:]))
	for s, rest := range map[hsm.Suite]struct{ iv, text int }{hsm.SuiteCBC: {16, 48}, hsm.SuiteOAEP: {0, 256}} {
		stored := vector(t, s)
		iv := stored[22 : 22+rest.iv]
		text := stored[24+rest.iv : 24+rest.iv+rest.text]
		mac := hmac.New(sha256.New, []byte("the key of the MAC of the vector"))
		mac.Write(append(outer, byte(s)))
		mac.Write(iv)
		mac.Write(text)
		require.Equal(t, mac.Sum(nil), stored[24+rest.iv+rest.text:], s)
	}
	text := vector(t, hsm.SuiteOAEP)[24 : 24+256]
	dek, err := vectorRSA(t).Decrypt(nil, text, &rsa.OAEPOptions{Hash: crypto.SHA256})
	require.NoError(t, err)
	require.Equal(t, bytes.Repeat([]byte{0x42}, 32), dek)

	stored := vector(t, hsm.SuiteGCMAppended)
	block, err := aes.NewCipher(testKEK)
	require.NoError(t, err)
	aead, err := cipher.NewGCMWithNonceSize(block, 16)
	require.NoError(t, err)
	dek, err = aead.Open(nil, tokenIV, stored[40:], append(outer, 3))
	require.NoError(t, err)
	require.Equal(t, bytes.Repeat([]byte{0x42}, 32), dek)
}

func slicesOf(parts ...string) []byte { return []byte(strings.Join(parts, "")) }

func TestTheKEKOfAWrappingIsReadWithoutItsWrapper(t *testing.T) {
	for _, s := range hsm.Suites() {
		stored := vector(t, s)
		id, err := hsm.KEKIDOf(stored)
		require.NoError(t, err)
		require.Equal(t, testID, id)
		for i := range stored {
			_, err = hsm.KEKIDOf(stored[:i])
			require.ErrorIs(t, err, hsm.ErrCorrupt)
		}
	}
}

func TestEachSuiteHasItsSizes(t *testing.T) {
	// wrapping returns one of a suite whose text and MAC have these sizes.
	wrapping := func(s hsm.Suite, iv, text, mac int) []byte {
		out := bytes.Clone(vector(t, s)[:21])
		out = append(append(out, byte(iv)), make([]byte, iv)...)
		out = append(out, byte(text>>8), byte(text))
		return append(out, make([]byte, text+mac)...)
	}
	for s, sizes := range map[hsm.Suite]struct {
		iv, mac int
		yes, no []int
	}{
		hsm.SuiteGCM:         {12, 0, []int{17, 48, 4112}, []int{0, 16, 4113}},
		hsm.SuiteGCMTokenIV:  {12, 0, []int{17, 48, 4112}, []int{0, 16, 4113}},
		hsm.SuiteGCMAppended: {16, 0, []int{17, 48, 4112}, []int{0, 16, 4113}},
		hsm.SuiteCBC:         {16, 32, []int{16, 48, 4112}, []int{0, 15, 17, 4128}},
		hsm.SuiteOAEP:        {0, 32, []int{256, 384, 512, 1024}, []int{0, 255, 1025}},
	} {
		for _, n := range sizes.yes {
			id, err := hsm.KEKIDOf(wrapping(s, sizes.iv, n, sizes.mac))
			require.NoError(t, err, "%v %d", s, n)
			require.Equal(t, testID, id)
			for _, wrong := range [][]byte{wrapping(s, sizes.iv+1, n, sizes.mac), wrapping(s, sizes.iv, n, sizes.mac+1), wrapping(s, sizes.iv, n+1, sizes.mac)[:22+sizes.iv+2+n+sizes.mac]} {
				_, err := hsm.KEKIDOf(wrong)
				require.ErrorIs(t, err, hsm.ErrCorrupt)
			}
		}
		for _, n := range sizes.no {
			_, err := hsm.KEKIDOf(wrapping(s, sizes.iv, n, sizes.mac))
			require.ErrorIs(t, err, hsm.ErrCorrupt, "%v %d", s, n)
		}
	}
}

// A wrapping of another suite by the same KEK is no question to the token.
func TestAWrapperOpensNoOtherSuite(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	w := wrapper(t, tok, create(t, tok, hsm.SuiteGCM))
	id := w.KEKID()
	for _, s := range hsm.Suites()[1:] {
		foreign := vector(t, s)
		copy(foreign[1:], id[:])
		require.Empty(t, tok.calls(func() {
			_, err := w.Unwrap(t.Context(), foreign, []byte("aad"))
			require.ErrorIs(t, err, hsm.ErrCorrupt)
		}))
	}
}

// Software and a token know each other's first suite, and only that.
func TestSoftwareOpensNoOtherSuite(t *testing.T) {
	for _, s := range hsm.Suites() {
		_, err := software(t, nil).Unwrap(t.Context(), vector(t, s), []byte("aad"))
		if s == hsm.SuiteGCM {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, hsm.ErrCorrupt)
		}
	}
}

func FuzzWireFormat(f *testing.F) {
	for _, s := range hsm.Suites() {
		stored := vector(f, s)
		f.Add(stored)
		f.Add(stored[:len(stored)-1])
		f.Add(append(bytes.Clone(stored), 0))
		stored[0] = 1 + stored[0]%5 // another suite's number
		f.Add(stored)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := hsm.Reencode(in)
		id, errID := hsm.KEKIDOf(in)
		if err != nil {
			require.ErrorIs(t, err, hsm.ErrCorrupt)
			require.ErrorIs(t, errID, hsm.ErrCorrupt)
			return
		}
		require.Equal(t, in, out, "two encodings of one wrapping")
		require.Equal(t, in[1:17], id[:])
	})
}
