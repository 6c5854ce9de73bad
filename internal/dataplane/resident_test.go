// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// onToken is a world with key k on the token, and a text that it encrypted.
func onToken(t *testing.T) (w *enginetest.World, ciphertext string) {
	t.Helper()
	w = enginetest.New(t)
	_, _, err := w.Session().Keys().Create(t.Context(), engine.Creation{
		Spec: lifecycle.Key{Name: "k", Type: keytype.Default, Protection: lifecycle.Resident},
	})
	require.NoError(t, err)
	return w, w.Encrypt("k", "x").Text
}

var errAway = fmt.Errorf("%w: unplugged", envelope.ErrUnavailable)

func TestEachTextOfAKeyOnTheTokenIsOneCallAndReadsNothing(t *testing.T) {
	w, ciphertext := onToken(t)
	w.Calls()
	_, unwraps := w.Token.Calls()
	before := w.Residents.Calls()
	for range 10 {
		require.NoError(t, w.Decrypt("k", ciphertext).Err)
		require.NoError(t, w.Encrypt("k", "x").Err)
	}
	require.Equal(t, before+20, w.Residents.Calls())
	require.Empty(t, w.Calls())
	_, after := w.Token.Calls()
	require.Equal(t, unwraps, after)
}

func TestABatchEndsItemByItemWhenTheTokenGoesAway(t *testing.T) {
	w, ciphertext := onToken(t)
	damaged := "vault:v1:" + enginetest.Text("a ciphertext that nobody has ever made")
	outcomes, err := w.Data().Decrypt(t.Context(), "k", []dataplane.Item{{Text: ciphertext}, {Text: damaged}, {Text: "vault:v1:!"}})
	require.NoError(t, err)
	require.NoError(t, outcomes[0].Err)
	for _, o := range outcomes[1:] {
		require.ErrorIs(t, o.Err, envelope.ErrInput)
		require.NotErrorIs(t, o.Err, dataplane.ErrFault)
	}
	w.Token.Away(errAway)
	outcomes, err = w.Data().Decrypt(t.Context(), "k", []dataplane.Item{{Text: ciphertext}, {Text: damaged}, {Text: "vault:v1:!"}})
	require.NoError(t, err)
	for _, o := range outcomes[:2] {
		require.ErrorIs(t, o.Err, dataplane.ErrFault)
		require.ErrorIs(t, o.Err, envelope.ErrUnavailable)
	}
	require.ErrorIs(t, outcomes[2].Err, envelope.ErrInput)
}

func TestARequestThatIsGivenUpAsksTheTokenNothingMore(t *testing.T) {
	w, _ := onToken(t)
	before := w.Residents.Calls()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	outcomes, err := w.Data().Encrypt(ctx, "k", make([]dataplane.Item, 5))
	require.NoError(t, err)
	for _, o := range outcomes {
		require.ErrorIs(t, o.Err, context.Canceled)
	}
	require.Equal(t, before, w.Residents.Calls())
}

// TestADeniedUseIsToldByTheToken counts a use that the token shows to be genuine, none that is made up, and any while the token
// is away: a use that is not counted may end in a destroyed version.
func TestADeniedUseIsToldByTheToken(t *testing.T) {
	damaged := "vault:v1:" + enginetest.Text("a ciphertext that nobody has ever made")
	for name, c := range map[string]struct {
		made, away bool
		count      int
	}{"genuine": {true, false, 1}, "made up": {false, false, 0}, "away": {false, true, 1}} {
		t.Run(name, func(t *testing.T) {
			w, text := onToken(t)
			if !c.made {
				text = damaged
			}
			suspend(t, w)
			if c.away {
				w.Token.Away(errAway)
			}
			require.Error(t, w.Decrypt("k", text).Err)
			w.Token.Away(nil)
			k := w.Stored("k")
			denied, err := w.Data().DeniedUses(t.Context(), k, 1)
			require.NoError(t, err)
			require.Equal(t, c.count, denied[1].Count)
		})
	}
}

// TestAVersionThatWasDestroyedDuringARequestIsLookedAtAgain: the token has nothing left to decrypt with.
func TestAVersionThatWasDestroyedDuringARequestIsLookedAtAgain(t *testing.T) {
	w, ciphertext := onToken(t)
	w.Rotate("k")
	w.Residents.BeforeNext(func() {
		two := 2
		_, _, err := w.Session().Keys().Configure(t.Context(), "k", lifecycle.ConfigChange{MinDecryption: &two, MinEncryption: &two}, engine.Precondition{})
		require.NoError(t, err)
		_, err = w.Session().Versions().Trim(t.Context(), "k", 2, engine.Precondition{})
		require.NoError(t, err)
	})
	err := w.Decrypt("k", ciphertext).Err
	require.Equal(t, 1, w.Residents.Objects())
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.NotErrorIs(t, err, dataplane.ErrFault)
}

func TestMaterialOfAnotherProtectionIsAFault(t *testing.T) {
	w, _ := onToken(t)
	k := w.Stored("k")
	k.Protection = ""
	_, err := w.Data().Materials().Cipher(t.Context(), &k, 1)
	require.ErrorContains(t, err, "another protection")
	w.Create("soft", "")
	soft := w.Stored("soft")
	soft.Protection = lifecycle.Resident
	_, err = w.Data().Materials().Cipher(t.Context(), &soft, 1)
	require.ErrorContains(t, err, "another protection")
}

// typeOnToken is a world with key k of a type on the token.
func typeOnToken(t *testing.T, kind keytype.Type) *enginetest.World {
	t.Helper()
	w := enginetest.New(t)
	_, _, err := w.Session().Keys().Create(t.Context(), engine.Creation{
		Spec: lifecycle.Key{Name: "k", Type: kind, Size: kind.SizeOf(32), Protection: lifecycle.Resident},
	})
	require.NoError(t, err)
	return w
}

// signed signs with k.
func signed(t *testing.T, w *enginetest.World) dataplane.Signed {
	t.Helper()
	s := w.Data()
	text := enginetest.Text("x")
	out, err := (&dataplane.Signing{Hash: "sha2-256", Marshaling: "asn1"}).Sign(t.Context(), s, "k", []dataplane.SignItem{{Input: &text}})
	require.NoError(t, err)
	return out[0]
}

func TestEachSignatureOfAPairOnTheTokenIsOneCallAndReadsNothing(t *testing.T) {
	for _, kind := range []keytype.Type{keytype.ECDSAP256, keytype.RSA2048, keytype.Ed25519} {
		w := typeOnToken(t, kind)
		signature := signed(t, w)
		require.NoError(t, signature.Err)
		s, text := w.Data(), enginetest.Text("x")
		verify := func() dataplane.Verdict {
			items := []dataplane.SignItem{{Input: &text, Signature: signature.Text}}
			out, err := (&dataplane.Signing{Hash: "sha2-256", Marshaling: "asn1"}).Verify(t.Context(), s, "k", items)
			require.NoError(t, err)
			return out[0]
		}
		require.True(t, verify().Valid)
		w.Calls()
		before := w.Residents.Calls()
		for range 10 {
			require.NoError(t, signed(t, w).Err)
			require.True(t, verify().Valid)
		}
		require.Equal(t, before+10, w.Residents.Calls(), kind)
		require.Empty(t, w.Calls())
		w.Token.Away(errAway)
		require.ErrorIs(t, signed(t, w).Err, envelope.ErrUnavailable)
		require.True(t, verify().Valid, "the public half is enough")
	}
}

// TestADeniedMACIsToldByTheToken is TestADeniedUseIsToldByTheToken for MACs.
func TestADeniedMACIsToldByTheToken(t *testing.T) {
	for name, c := range map[string]struct {
		made, away bool
		count      int
	}{"genuine": {true, false, 1}, "made up": {false, false, 0}, "away": {false, true, 1}} {
		t.Run(name, func(t *testing.T) {
			w := typeOnToken(t, keytype.HMAC)
			s, text := w.Data(), enginetest.Text("x")
			macs := dataplane.MACs{Session: s}
			before := w.Residents.Calls()
			out, err := macs.Make(t.Context(), "k", 0, []dataplane.MACItem{{Kind: dataplane.HMAC, Hash: "sha2-256", Input: &text}})
			require.NoError(t, err)
			require.NoError(t, out[0].Err)
			require.Equal(t, before+1, w.Residents.Calls())
			mac := out[0].Text
			if !c.made {
				mac = "vault:v1:" + enginetest.Text("a MAC that nobody has ever made")
			}
			suspend(t, w)
			if c.away {
				w.Token.Away(errAway)
			}
			verdicts, err := macs.Verify(t.Context(), "k", []dataplane.MACItem{{Kind: dataplane.HMAC, Hash: "sha2-256", Input: &text, MAC: mac}})
			require.NoError(t, err)
			require.Error(t, verdicts[0].Err)
			w.Token.Away(nil)
			denied, err := s.DeniedUses(t.Context(), w.Stored("k"), 1)
			require.NoError(t, err)
			require.Equal(t, c.count, denied[1].Count)
		})
	}
}

func TestAVersionThatWasDestroyedDuringASignatureIsLookedAtAgain(t *testing.T) {
	w := typeOnToken(t, keytype.ECDSAP256)
	require.NoError(t, signed(t, w).Err)
	w.Residents.BeforeNext(func() {
		w.Rotate("k")
		two := 2
		_, _, err := w.Session().Keys().Configure(t.Context(), "k", lifecycle.ConfigChange{MinDecryption: &two, MinEncryption: &two}, engine.Precondition{})
		require.NoError(t, err)
		_, err = w.Session().Versions().Trim(t.Context(), "k", 2, engine.Precondition{})
		require.NoError(t, err)
	})
	again := signed(t, w)
	require.NoError(t, again.Err)
	require.Equal(t, 2, again.Version)
}
