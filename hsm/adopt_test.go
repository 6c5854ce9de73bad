// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
)

func TestAnExistingKeyIsAdoptedByItsLabelOrItsID(t *testing.T) {
	eachSuite(t, faketoken.Config{}, func(t *testing.T, s hsm.Suite, tok *plainToken, d *faketoken.Device) {
		theirs := create(t, tok, s)
		before := d.Objects()
		mode := map[hsm.Suite]hsm.IVMode{hsm.SuiteGCMTokenIV: hsm.IVToken, hsm.SuiteGCMAppended: hsm.IVAppended}[s]
		for _, e := range []hsm.Existing{
			{Label: theirs.Label, MACLabel: theirs.MACLabel, Serial: "7"},
			{CKAID: theirs.CKAID, MACID: theirs.MACID, Serial: "7"},
			{Label: theirs.Label, CKAID: theirs.CKAID, MACLabel: theirs.MACLabel, MACID: theirs.MACID, Serial: "7"},
		} {
			adopted, choice, err := hsm.Adopt(t.Context(), tok, e, hsm.Options{IVMode: mode}, created, rand.Reader)
			require.NoError(t, err)
			require.Equal(t, s, choice.Suite)
			require.Len(t, choice.Rejected, 4)
			require.Equal(t, s, adopted.Suite)
			require.Equal(t, []any{theirs.Label, theirs.CKAID, "7"}, []any{adopted.Label, adopted.CKAID, adopted.Serial})
			require.NotEqual(t, theirs.ID, adopted.ID, "two mounts that adopt one key are told apart")
			wrap(t, wrapper(t, tok, adopted))
		}
		require.Equal(t, before, d.Objects(), "nothing is made")
	})
}

func TestAKeyThatCannotBeAdoptedIsRefused(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	adopt := func(e hsm.Existing, o hsm.Options) error {
		_, _, err := hsm.Adopt(t.Context(), tok, e, o, created, rand.Reader)
		require.Error(t, err)
		return err
	}
	require.ErrorContains(t, adopt(hsm.Existing{}, hsm.Options{}), "needs a label or an id")
	require.ErrorIs(t, adopt(hsm.Existing{Label: "none"}, hsm.Options{}), hsm.ErrKEKMissing)
	require.Zero(t, tok.library.Calls(faketoken.GenerateKey), "none is made in its place")

	made := create(t, tok, hsm.SuiteGCM)
	named := hsm.Existing{Label: made.Label}
	require.ErrorContains(t, adopt(named, hsm.Options{Mechanism: hsm.AESCBC}), "second key, for HMAC")
	require.ErrorContains(t, adopt(named, hsm.Options{Mechanism: hsm.RSAOAEP}), "another type")
	same := hsm.Existing{Label: made.Label, MACLabel: made.Label}
	require.ErrorIs(t, adopt(same, hsm.Options{}), hsm.ErrKEKMismatch)
	missing := hsm.Existing{Label: made.Label, MACLabel: "none"}
	require.ErrorIs(t, adopt(missing, hsm.Options{}), hsm.ErrKEKMissing)

	double(t, tok, made)
	require.ErrorIs(t, adopt(named, hsm.Options{}), hsm.ErrKEKMismatch, "two keys of one label")

	open := hsm.KEK{Label: "open", CKAID: []byte("open")}
	double(t, tok, open, cryptoki.Attribute{Type: cryptoki.AttrExtractable, Value: true}, cryptoki.Attribute{Type: cryptoki.AttrSensitive, Value: true})
	require.ErrorContains(t, adopt(hsm.Existing{Label: "open"}, hsm.Options{}), "CKA_EXTRACTABLE")
}

func TestAnAESKeyOf128BitsIsNotAdopted(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{Forced: cryptoki.Template{{Type: cryptoki.AttrValueLen, Value: uint(16)}}}))
	_, err := hsm.Create(t.Context(), tok, draw(t, hsm.SuiteGCM), rand.Reader)
	require.ErrorIs(t, err, hsm.ErrKEKMismatch)
	require.ErrorContains(t, err, "16 bytes")
}

// silentToken does not tell whether a key may leave it.
type silentToken struct{ *plainToken }

func (q silentToken) Run(ctx context.Context, f func(cryptoki.Session, uint64) error) error {
	return q.plainToken.Run(ctx, func(s cryptoki.Session, epoch uint64) error { return f(silentSession{s}, epoch) })
}

type silentSession struct{ cryptoki.Session }

func (q silentSession) Attributes(o cryptoki.Object, types ...cryptoki.AttributeType) ([][]byte, error) {
	values, err := q.Session.Attributes(o, types...)
	for i, a := range types {
		if err == nil && a == cryptoki.AttrExtractable {
			values[i] = nil
		}
	}
	return values, err
}

func TestAKeyOfWhichTheTokenDoesNotSayThatItStaysIsRefused(t *testing.T) {
	tok := silentToken{newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))}
	_, err := hsm.Create(t.Context(), tok, draw(t, hsm.SuiteGCM), rand.Reader)
	require.ErrorIs(t, err, hsm.ErrKEKMismatch)
	require.ErrorContains(t, err, "CKA_EXTRACTABLE")
}
