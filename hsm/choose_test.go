// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
)

// choose chooses among the suites, and holds that nothing of the test stays on the token.
func choose(t *testing.T, c faketoken.Config, o hsm.Options) (hsm.Choice, error) {
	t.Helper()
	c.PIN = testPIN
	d := faketoken.NewDevice(c)
	o.RSABits = 2048
	choice, err := hsm.Choose(t.Context(), newToken(t, d), o, created, rand.Reader)
	require.Zero(t, d.Objects())
	return choice, err
}

func TestAutoTakesTheFirstSuiteThatTheTokenPassesAndSaysWhyNotTheOthers(t *testing.T) {
	gcm, hmac, oaep := cryptoki.AESGCM, cryptoki.SHA256HMAC, cryptoki.RSAPKCSOAEP
	list := func(m ...cryptoki.MechanismType) []cryptoki.MechanismType { return m }
	for name, test := range map[string]struct {
		config faketoken.Config
		mode   hsm.IVMode
		want   hsm.Suite
		why    map[hsm.Suite]string
	}{
		"all there is": {
			want: hsm.SuiteGCM,
			why: map[hsm.Suite]string{
				hsm.SuiteGCMTokenIV: "gcm_iv_mode is caller", hsm.SuiteGCMAppended: "gcm_iv_mode is caller",
				hsm.SuiteCBC: "aes-gcm was taken", hsm.SuiteOAEP: "aes-gcm was taken",
			},
		},
		"a token that writes the IV": {
			config: faketoken.Config{GCM: faketoken.WritesIV}, mode: hsm.IVToken, want: hsm.SuiteGCMTokenIV,
			why: map[hsm.Suite]string{hsm.SuiteGCM: "gcm_iv_mode is hsm"},
		},
		"a token that appends the IV": {
			config: faketoken.Config{GCM: faketoken.AppendsIV}, mode: hsm.IVAppended, want: hsm.SuiteGCMAppended,
			why: map[hsm.Suite]string{hsm.SuiteGCM: "gcm_iv_mode is hsm_appended"},
		},
		"a token that writes the IV though it was said to be the caller's": {
			config: faketoken.Config{GCM: faketoken.WritesIV}, want: hsm.SuiteCBC,
			why: map[hsm.Suite]string{hsm.SuiteGCM: "does not take the caller's IV"},
		},
		"a token that appends the IV though it was said to be the caller's": {
			config: faketoken.Config{GCM: faketoken.AppendsIV}, want: hsm.SuiteCBC,
			why: map[hsm.Suite]string{hsm.SuiteGCM: "does not take the caller's IV"},
		},
		"a token that takes the caller's IV though it was said to write one": {
			mode: hsm.IVToken, want: hsm.SuiteCBC,
			why: map[hsm.Suite]string{hsm.SuiteGCMTokenIV: "does not write an IV of its own"},
		},
		"a token that takes the caller's IV though it was said to append one": {
			mode: hsm.IVAppended, want: hsm.SuiteCBC,
			why: map[hsm.Suite]string{hsm.SuiteGCMAppended: "does not append an IV"},
		},
		"a token whose IV is always the same": {
			config: faketoken.Config{GCM: faketoken.ConstantIV}, mode: hsm.IVToken, want: hsm.SuiteCBC,
			why: map[hsm.Suite]string{hsm.SuiteGCMTokenIV: "IV of zeros"},
		},
		"AES-GCM is not listed": {
			config: faketoken.Config{Missing: list(gcm)}, want: hsm.SuiteCBC,
			why: map[hsm.Suite]string{hsm.SuiteGCM: "does not list [CKM_AES_GCM]"},
		},
		"AES-GCM is listed and not performed": { // row 13
			config: faketoken.Config{Hidden: list(gcm)}, want: hsm.SuiteCBC,
			why: map[hsm.Suite]string{hsm.SuiteGCM: "CKR_MECHANISM_INVALID"},
		},
		"RSA alone": {
			config: faketoken.Config{Missing: list(gcm), Hidden: list(cryptoki.AESCBCPad)}, want: hsm.SuiteOAEP,
			why: map[hsm.Suite]string{hsm.SuiteCBC: "CKR_MECHANISM_INVALID"},
		},
		"AES-GCM alone": {
			config: faketoken.Config{Missing: list(hmac, oaep)}, want: hsm.SuiteGCM,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, mechanism := range []hsm.Mechanism{"", hsm.Auto} {
				choice, err := choose(t, test.config, hsm.Options{Mechanism: mechanism, IVMode: test.mode})
				require.NoError(t, err)
				require.Equal(t, test.want, choice.Suite)
				require.Len(t, choice.Rejected, 4)
				for _, r := range choice.Rejected {
					require.Contains(t, r.Reason, test.why[r.Suite], r.Suite)
					require.NotEmpty(t, r.Reason)
				}
			}
		})
	}
}

func TestAMechanismThatIsAskedForIsTakenOrNone(t *testing.T) {
	for mechanism, want := range map[hsm.Mechanism]hsm.Suite{hsm.AESGCM: hsm.SuiteGCM, hsm.AESCBC: hsm.SuiteCBC, hsm.RSAOAEP: hsm.SuiteOAEP} {
		choice, err := choose(t, faketoken.Config{}, hsm.Options{Mechanism: mechanism})
		require.NoError(t, err)
		require.Equal(t, want, choice.Suite)
	}
	_, err := choose(t, faketoken.Config{Missing: []cryptoki.MechanismType{cryptoki.AESGCM}}, hsm.Options{Mechanism: hsm.AESGCM})
	require.ErrorIs(t, err, hsm.ErrUnsupported)
	require.ErrorContains(t, err, "aes-gcm: the token does not list [CKM_AES_GCM]")
	require.ErrorContains(t, err, "aes-cbc-hmac: mechanism is aes-gcm")
	for _, o := range []hsm.Options{{Mechanism: "aes-ecb"}, {IVMode: "auto"}} {
		_, err := choose(t, faketoken.Config{}, o)
		require.ErrorIs(t, err, hsm.ErrUnsupported)
	}
}

// A token that is away must not push a mount to a lesser suite.
func TestATokenThatIsAwayEndsTheChoice(t *testing.T) {
	for _, f := range []faketoken.Func{faketoken.GenerateKey, faketoken.Encrypt} {
		d := device(hsm.SuiteGCM, faketoken.Config{})
		tok := newToken(t, d)
		_, err := hsm.Choose(t.Context(), awayToken{tok, f}, hsm.Options{}, created, rand.Reader)
		require.ErrorIs(t, err, hsm.ErrUnavailable)
		require.Zero(t, d.Objects())
	}
}

// awayToken is unavailable for one function.
type awayToken struct {
	*plainToken
	f faketoken.Func
}

func (a awayToken) Run(ctx context.Context, f func(cryptoki.Session, uint64) error) error {
	return a.fail(a.plainToken.Run, ctx, f)
}

func (a awayToken) RunOnce(ctx context.Context, f func(cryptoki.Session, uint64) error) error {
	return a.fail(a.plainToken.RunOnce, ctx, f)
}

func (a awayToken) fail(run func(context.Context, func(cryptoki.Session, uint64) error) error, ctx context.Context, f func(cryptoki.Session, uint64) error) error {
	a.library.Fail(a.f, cryptoki.ErrDeviceError, 1)
	err := run(ctx, f)
	a.library.Heal()
	if errors.Is(err, cryptoki.ErrDeviceError) {
		return errors.Join(hsm.ErrUnavailable, err)
	}
	return err
}

// badToken is a token that does what a self-test is there to find.
type badToken struct {
	*plainToken
	do doFunc
}

func (b badToken) Run(ctx context.Context, f func(cryptoki.Session, uint64) error) error {
	return b.plainToken.Run(ctx, func(s cryptoki.Session, epoch uint64) error { return f(badSession{s, b}, epoch) })
}

type badSession struct {
	cryptoki.Session
	token badToken
}

func (b badSession) Do(op cryptoki.Operation, o cryptoki.Object, m cryptoki.Mechanism, in []byte) ([]byte, error) {
	return b.token.do(b.Session, op, o, m, in)
}

func TestTheSelfTestFindsWhatATokenDoesWrong(t *testing.T) {
	constantIV := func(s cryptoki.Session, op cryptoki.Operation, o cryptoki.Object, m cryptoki.Mechanism, in []byte) ([]byte, error) {
		out, err := s.Do(op, o, m, in)
		if op == cryptoki.Encrypt {
			copy(m.GCM.IV, "twelve bytes")
		}
		return out, err
	}
	for name, test := range map[string]struct {
		says string
		do   doFunc
	}{
		"associated data is ignored": {
			"opened under other associated data",
			func(s cryptoki.Session, op cryptoki.Operation, o cryptoki.Object, m cryptoki.Mechanism, in []byte) ([]byte, error) {
				m.GCM.AAD = nil
				return s.Do(op, o, m, in)
			},
		},
		"the tag is not checked": {
			"opened under",
			func(s cryptoki.Session, op cryptoki.Operation, o cryptoki.Object, m cryptoki.Mechanism, in []byte) ([]byte, error) {
				out, err := s.Do(op, o, m, in)
				if op == cryptoki.Decrypt && err != nil {
					return []byte("whatever"), nil
				}
				return out, err
			},
		},
		"nothing is encrypted": {
			"does not take the caller's IV",
			func(_ cryptoki.Session, _ cryptoki.Operation, _ cryptoki.Object, _ cryptoki.Mechanism, in []byte) ([]byte, error) {
				return in, nil
			},
		},
		"what was encrypted does not open": {
			"does not open what it encrypted",
			func(s cryptoki.Session, op cryptoki.Operation, o cryptoki.Object, m cryptoki.Mechanism, in []byte) ([]byte, error) {
				if op == cryptoki.Decrypt {
					return nil, cryptoki.ErrEncryptedDataInvalid
				}
				return s.Do(op, o, m, in)
			},
		},
		"another text comes back": {
			"does not give back what it encrypted",
			func(s cryptoki.Session, op cryptoki.Operation, o cryptoki.Object, m cryptoki.Mechanism, in []byte) ([]byte, error) {
				out, err := s.Do(op, o, m, in)
				if op == cryptoki.Decrypt && len(out) > 0 {
					out[0] ^= 1
				}
				return out, err
			},
		},
	} {
		t.Run(name, func(t *testing.T) { requireFailsSelfTest(t, hsm.SuiteGCM, test.do, test.says) })
	}
	requireFailsSelfTest(t, hsm.SuiteGCMTokenIV, constantIV, "does not open what it encrypted")
	for name, says := range map[string]string{"padding": "does not pad", "length of the MAC": "MAC of 31 bytes"} {
		requireFailsSelfTest(t, hsm.SuiteCBC, func(s cryptoki.Session, op cryptoki.Operation, o cryptoki.Object, m cryptoki.Mechanism, in []byte) ([]byte, error) {
			out, err := s.Do(op, o, m, in)
			if op == cryptoki.Encrypt && name == "padding" || op == cryptoki.Sign && name != "padding" {
				out = out[:len(out)-1]
			}
			return out, err
		}, says)
	}
	requireFailsSelfTest(t, hsm.SuiteCBC, func(s cryptoki.Session, op cryptoki.Operation, o cryptoki.Object, m cryptoki.Mechanism, in []byte) ([]byte, error) {
		m.IV = make([]byte, 16) // whatever the caller says
		return s.Do(op, o, m, in)
	}, "are alike")
}

type doFunc = func(s cryptoki.Session, op cryptoki.Operation, o cryptoki.Object, m cryptoki.Mechanism, in []byte) ([]byte, error)

func requireFailsSelfTest(t *testing.T, s hsm.Suite, do doFunc, says string) {
	t.Helper()
	tok := badToken{newToken(t, device(s, faketoken.Config{})), do}
	_, err := hsm.Create(t.Context(), tok, draw(t, s), rand.Reader)
	require.ErrorIs(t, err, hsm.ErrUnsupported)
	require.ErrorContains(t, err, says)
}
