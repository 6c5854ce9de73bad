// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
)

func TestAKeyIsMadeAsItsTemplateSays(t *testing.T) {
	eachSuite(t, faketoken.Config{}, func(t *testing.T, s hsm.Suite, tok *plainToken, d *faketoken.Device) {
		made := create(t, tok, s)
		require.Empty(t, made.Warnings)
		require.Equal(t, map[hsm.Suite]int{1: 1, 2: 1, 3: 1, 4: 2, 5: 3}[s], d.Objects())
		class := cryptoki.ClassSecretKey
		allowed := map[cryptoki.AttributeType]bool{cryptoki.AttrEncrypt: true, cryptoki.AttrDecrypt: true}
		if s == hsm.SuiteOAEP {
			class = cryptoki.ClassPrivateKey
			delete(allowed, cryptoki.AttrEncrypt)
		}
		for _, a := range []cryptoki.AttributeType{cryptoki.AttrToken, cryptoki.AttrPrivate, cryptoki.AttrSensitive} {
			allowed[a] = true
		}
		requireAttributes(t, tok, class, made.Label, made.CKAID, allowed)
		if made.MACLabel != "" {
			delete(allowed, cryptoki.AttrEncrypt)
			delete(allowed, cryptoki.AttrDecrypt)
			allowed[cryptoki.AttrSign] = true
			requireAttributes(t, tok, cryptoki.ClassSecretKey, made.MACLabel, made.MACID, allowed)
		}
		require.Equal(t, made.ID[:], made.CKAID, "what is wrapped names the key on the token")
	})
}

// requireAttributes holds that of all that a key may do or be, it is what is in allowed.
func requireAttributes(t *testing.T, tok *plainToken, class uint, label string, id []byte, allowed map[cryptoki.AttributeType]bool) {
	t.Helper()
	all := []cryptoki.AttributeType{
		cryptoki.AttrToken, cryptoki.AttrPrivate, cryptoki.AttrSensitive, cryptoki.AttrExtractable, cryptoki.AttrModifiable,
		cryptoki.AttrEncrypt, cryptoki.AttrDecrypt, cryptoki.AttrWrap, cryptoki.AttrUnwrap, cryptoki.AttrSign, cryptoki.AttrDerive,
	}
	require.NoError(t, tok.Run(t.Context(), func(s cryptoki.Session, _ uint64) error {
		found, err := s.Find(cryptoki.Template{
			{Type: cryptoki.AttrClass, Value: class}, {Type: cryptoki.AttrLabel, Value: label}, {Type: cryptoki.AttrID, Value: id},
		})
		assert.Len(t, found, 1)
		if err != nil {
			return err
		}
		values, err := s.Attributes(found[0], append(all, cryptoki.AttrAllowedMechanisms)...)
		for i, a := range all {
			set := len(values[i]) == 1 && values[i][0] == 1
			assert.Equal(t, allowed[a], set, "attribute %#x of class %d", a, class)
		}
		assert.Len(t, values[len(all)], 8, "one mechanism")
		return err
	}))
}

func TestATokenThatRefusesAllowedMechanismsGetsNone(t *testing.T) {
	eachSuite(t, faketoken.Config{RefusedInKeys: []cryptoki.AttributeType{cryptoki.AttrAllowedMechanisms}},
		func(t *testing.T, s hsm.Suite, tok *plainToken, _ *faketoken.Device) {
			wrap(t, wrapper(t, tok, create(t, tok, s)))
		})
	for _, rv := range []cryptoki.Error{
		cryptoki.ErrAttributeTypeInvalid, cryptoki.ErrAttributeValueInvalid, cryptoki.ErrTemplateIncomplete, cryptoki.ErrTemplateInconsistent,
		cryptoki.ErrGeneralError, // NSS
	} {
		d := device(hsm.SuiteGCM, faketoken.Config{})
		tok := newToken(t, d)
		tok.library.Fail(faketoken.GenerateKey, rv, 1)
		wrap(t, wrapper(t, tok, create(t, tok, hsm.SuiteGCM)))
		tok.library.FailLate(faketoken.GenerateKey, rv, 1)
		wrap(t, wrapper(t, tok, create(t, tok, hsm.SuiteGCM)))
		require.Equal(t, 2, d.Objects(), "what was made before the error is not made again")
	}
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	tok.library.Fail(faketoken.GenerateKey, cryptoki.ErrDeviceMemory, 1)
	_, err := hsm.Create(t.Context(), tok, draw(t, hsm.SuiteGCM), rand.Reader)
	require.ErrorIs(t, err, cryptoki.ErrDeviceMemory)
	require.Equal(t, 1, tok.library.Calls(faketoken.GenerateKey))
}

// Tokens are known that make keys otherwise than they were asked to.
func TestAKeyThatMayLeaveTheTokenIsRefused(t *testing.T) {
	for attribute, value := range map[cryptoki.AttributeType]bool{cryptoki.AttrExtractable: true, cryptoki.AttrSensitive: false} {
		eachSuite(t, faketoken.Config{Forced: cryptoki.Template{{Type: attribute, Value: value}}},
			func(t *testing.T, s hsm.Suite, tok *plainToken, d *faketoken.Device) {
				drawn := draw(t, s)
				_, err := hsm.Create(t.Context(), tok, drawn, rand.Reader)
				require.ErrorIs(t, err, hsm.ErrKEKMismatch)
				require.NoError(t, hsm.Destroy(t.Context(), tok, drawn))
				require.Zero(t, d.Objects())
			})
	}
}

func TestWhatAKeyMayDoBeyondItsPurposeIsAWarning(t *testing.T) {
	d := device(hsm.SuiteGCM, faketoken.Config{Forced: cryptoki.Template{{Type: cryptoki.AttrWrap, Value: true}}})
	made := create(t, newToken(t, d), hsm.SuiteGCM)
	require.Len(t, made.Warnings, 1)
	require.Contains(t, made.Warnings[0], "CKA_WRAP")
}

// A crash leaves what was made so far; the description was written down before.
func TestACreationThatWasCutShortIsTakenUp(t *testing.T) {
	for _, s := range []hsm.Suite{hsm.SuiteGCM, hsm.SuiteCBC, hsm.SuiteOAEP} {
		cut := 0
		for _, f := range []faketoken.Func{
			faketoken.GenerateKey, faketoken.GenerateKeyPair, faketoken.GetAttributes, faketoken.Encrypt, faketoken.Decrypt, faketoken.Sign,
		} {
			for n := 1; ; n++ {
				d := device(s, faketoken.Config{})
				tok := newToken(t, d)
				drawn := draw(t, s)
				tok.library.Before(f, n-1, func() {})
				tok.library.FailLate(f, cryptoki.ErrDeviceError, 1)
				_, err := hsm.Create(t.Context(), tok, drawn, rand.Reader)
				tok.library.Heal()
				if err == nil {
					break
				}
				cut++
				made, err := hsm.Create(t.Context(), tok, drawn, rand.Reader)
				require.NoError(t, err, "%v %s %d", s, f, n)
				require.Equal(t, map[hsm.Suite]int{1: 1, 4: 2, 5: 3}[s], d.Objects(), "no part is made twice")
				wrap(t, wrapper(t, tok, made))
				require.NoError(t, hsm.Destroy(t.Context(), tok, made))
				require.Zero(t, d.Objects())
				if s == hsm.SuiteOAEP {
					break // RSA keys take long to make
				}
			}
		}
		require.Greater(t, cut, 4, s)
	}
}

func TestAFinishedKeyIsNotMadeAgainAndAnUnfinishedOneDoesNotWrap(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	drawn := draw(t, hsm.SuiteGCM)
	_, err := hsm.NewWrapper(tok, drawn, rand.Reader)
	require.ErrorIs(t, err, hsm.ErrKEKMissing)
	require.Empty(t, drawn.Fingerprint())
	made, err := hsm.Create(t.Context(), tok, drawn, rand.Reader)
	require.NoError(t, err)
	_, err = hsm.Create(t.Context(), tok, made, rand.Reader)
	require.Error(t, err)
}

// Row 16.
func TestTwoNodesThatMakeAKeyAtOnceMakeTwoThatAreToldApart(t *testing.T) {
	d := device(hsm.SuiteCBC, faketoken.Config{})
	var nodes [2]*hsm.Wrapper
	var all sync.WaitGroup
	for i := range nodes {
		tok := newToken(t, d)
		drawn := draw(t, hsm.SuiteCBC) // of one label
		all.Go(func() {
			made, err := hsm.Create(t.Context(), tok, drawn, rand.Reader)
			if assert.NoError(t, err) {
				nodes[i], err = hsm.NewWrapper(tok, made, rand.Reader)
				assert.NoError(t, err)
			}
		})
	}
	all.Wait()
	require.NotEqual(t, nodes[0].KEKID(), nodes[1].KEKID())
	_, err := nodes[1].Unwrap(t.Context(), wrap(t, nodes[0]), []byte("aad"))
	require.ErrorIs(t, err, hsm.ErrKEKMissing)
	wrap(t, nodes[1])
}

func TestADestroyedKeyIsGoneAndItsNeighboursAreNot(t *testing.T) {
	eachSuite(t, faketoken.Config{}, func(t *testing.T, s hsm.Suite, tok *plainToken, d *faketoken.Device) {
		made, other := create(t, tok, s), create(t, tok, s)
		w := wrapper(t, tok, made)
		wrapped := wrap(t, w)
		require.NoError(t, hsm.Destroy(t.Context(), tok, made))
		require.Equal(t, map[hsm.Suite]int{1: 1, 2: 1, 3: 1, 4: 2, 5: 3}[s], d.Objects())
		_, err := w.Unwrap(t.Context(), wrapped, []byte("aad"))
		require.ErrorIs(t, err, hsm.ErrKEKMissing)
		require.ErrorIs(t, hsm.Destroy(t.Context(), tok, made), hsm.ErrKEKMissing)
		wrap(t, wrapper(t, tok, other))
	})
}

func TestADestructionThatWasCutShortIsFinished(t *testing.T) {
	for _, s := range []hsm.Suite{hsm.SuiteCBC, hsm.SuiteOAEP} {
		d := device(s, faketoken.Config{})
		tok := newToken(t, d)
		made := create(t, tok, s)
		for n := d.Objects(); n > 0; n-- {
			tok.library.FailLate(faketoken.DestroyObject, cryptoki.ErrDeviceError, 1)
			require.ErrorIs(t, hsm.Destroy(t.Context(), tok, made), cryptoki.ErrDeviceError)
			require.Equal(t, n-1, d.Objects())
		}
		require.ErrorIs(t, hsm.Destroy(t.Context(), tok, made), hsm.ErrKEKMissing)
	}
}

func TestADescriptionOutlivesStorageAndHoldsNoSecret(t *testing.T) {
	eachSuite(t, faketoken.Config{}, func(t *testing.T, s hsm.Suite, tok *plainToken, _ *faketoken.Device) {
		made := create(t, tok, s)
		wrapped := wrap(t, wrapper(t, tok, made))
		text, err := json.Marshal(made)
		require.NoError(t, err)
		var stored hsm.KEK
		require.NoError(t, json.Unmarshal(text, &stored))
		require.Equal(t, made, stored)
		require.Equal(t, made.Fingerprint(), stored.Fingerprint())
		require.Len(t, made.Fingerprint(), 32)
		require.NotEqual(t, made.Fingerprint(), create(t, tok, s).Fingerprint())
		requireOpens(t, wrapper(t, tok, stored), wrapped)
	})
}

func TestADamagedDescriptionWrapsNothing(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	made := create(t, tok, hsm.SuiteGCM)
	for name, damage := range map[string]func(*hsm.KEK){
		"canary": func(k *hsm.KEK) {
			k.Canary = append(bytes.Clone(k.Canary[:len(k.Canary)-1]), ^k.Canary[len(k.Canary)-1])
		},
		"short canary":   func(k *hsm.KEK) { k.Canary = k.Canary[:8] },
		"sum":            func(k *hsm.KEK) { k.CanarySum = make([]byte, 32) },
		"identifier":     func(k *hsm.KEK) { k.ID[0] ^= 1 },
		"another canary": func(k *hsm.KEK) { k.Canary = create(t, tok, hsm.SuiteGCM).Canary },
	} {
		k := made
		damage(&k)
		_, err := wrapper(t, tok, k).Wrap(t.Context(), []byte("dek"), nil)
		require.ErrorIs(t, err, hsm.ErrKEKMismatch, name)
	}
}

func TestKeysThatCannotBeDrawnAreRefused(t *testing.T) {
	for _, spec := range []hsm.Spec{{Label: "x"}, {Label: "x", Suite: 6}, {Suite: hsm.SuiteGCM}} {
		_, err := hsm.DrawKEK(spec, created, rand.Reader)
		require.Error(t, err)
	}
	_, err := hsm.DrawKEK(hsm.Spec{Label: "x", Suite: hsm.SuiteGCM}, created, bytes.NewReader(make([]byte, 31)))
	require.Error(t, err, "half of a random identifier")
}

func TestAWrapperPrintsItsKeysNameOnly(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	w := wrapper(t, tok, create(t, tok, hsm.SuiteGCM))
	id := w.KEKID()
	want := fmt.Sprintf("token wrapper %x", id[:])
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		require.Equal(t, want, fmt.Sprintf(verb, w))
		require.NotContains(t, fmt.Sprintf(verb, struct{ w hsm.Wrapper }{*w}), testPIN)
	}
	require.True(t, w.Hardware())
}

// lyingToken says that it destroyed what it keeps.
type lyingToken struct{ *plainToken }

func (l lyingToken) Run(ctx context.Context, f func(cryptoki.Session, uint64) error) error {
	return l.plainToken.Run(ctx, func(s cryptoki.Session, epoch uint64) error { return f(lyingSession{s}, epoch) })
}

type lyingSession struct{ cryptoki.Session }

func (lyingSession) Destroy(cryptoki.Object) error { return nil }

func TestAKeyThatTheTokenStillHasIsNotCalledDestroyed(t *testing.T) {
	tok := lyingToken{newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))}
	require.ErrorContains(t, hsm.Destroy(t.Context(), tok, create(t, tok, hsm.SuiteGCM)), "has it still")
}
