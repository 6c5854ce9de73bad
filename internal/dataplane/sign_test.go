// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// createSigner makes a key of a type that signs.
func createSigner(t *testing.T, w *enginetest.World, spec lifecycle.Key) {
	t.Helper()
	spec.Name = "k"
	_, err := w.MakeKey(t.Context(), spec)
	require.NoError(t, err)
}

func item(text string) dataplane.SignItem {
	input := enginetest.Text(text)
	return dataplane.SignItem{Input: &input}
}

func how() *dataplane.Signing { return &dataplane.Signing{Hash: "sha2-256", Marshaling: "asn1"} }

// sign signs a text. Transit knows no context for keys that are not derived, and ignores it.
func sign(t *testing.T, w *enginetest.World, text string) dataplane.Signed {
	t.Helper()
	of := item(text)
	of.Context = enginetest.Text("context")
	signed, err := how().Sign(t.Context(), w.Data(), "k", []dataplane.SignItem{of})
	require.NoError(t, err)
	return signed[0]
}

func verify(t *testing.T, w *enginetest.World, text, signature string) dataplane.Verdict {
	t.Helper()
	of := item(text)
	of.Context, of.Signature = enginetest.Text("context"), signature
	verdicts, err := how().Verify(t.Context(), w.Data(), "k", []dataplane.SignItem{of})
	require.NoError(t, err)
	return verdicts[0]
}

// operate carries out an operation by hand on version 1.
func operate(t *testing.T, w *enginetest.World, op lifecycle.Op) {
	t.Helper()
	_, err := w.Session().Versions().Transition(t.Context(), "k", engine.Operation{Op: op, Version: 1})
	require.NoError(t, err)
}

func TestAVersionSignsWhereItsStatePermits(t *testing.T) {
	for _, spec := range []lifecycle.Key{{Type: keytype.ECDSAP256}, {Type: keytype.Ed25519}, {Type: keytype.Ed25519, Derived: true}} {
		w := enginetest.New(t)
		createSigner(t, w, spec)
		first := sign(t, w, "text")
		require.NoError(t, first.Err)
		require.Equal(t, 1, first.Version)
		require.Equal(t, spec.Derived, first.PublicKey != nil)
		w.Rotate("k")
		require.Equal(t, 2, sign(t, w, "text").Version)
		require.Equal(t, dataplane.Verdict{Valid: true}, verify(t, w, "text", first.Text))
		require.Equal(t, dataplane.Verdict{}, verify(t, w, "another text", first.Text))

		operate(t, w, lifecycle.Archive)
		requireVerifiedByPublicHalf(t, w, spec, first.Text)
		operate(t, w, lifecycle.Retire)
		requireVerifiedByPublicHalf(t, w, spec, first.Text)
		suspend(t, w)
		require.ErrorIs(t, sign(t, w, "text").Err, refusal.ErrRefused)
		require.ErrorContains(t, sign(t, w, "text").Err, "cannot sign")
	}
}

// requireVerifiedByPublicHalf demands it of a version that is out of use: what becomes of the private half takes nothing from verifiers.
// Keys of contexts have no public half of their own.
func requireVerifiedByPublicHalf(t *testing.T, w *enginetest.World, spec lifecycle.Key, signature string) {
	t.Helper()
	if spec.Derived {
		require.ErrorIs(t, verify(t, w, "text", signature).Err, refusal.ErrDenied)
		return
	}
	require.Equal(t, dataplane.Verdict{Valid: true}, verify(t, w, "text", signature))
	require.Equal(t, dataplane.Verdict{}, verify(t, w, "another text", signature))
	require.Empty(t, w.Plane.DeniedKeys())
}

func TestADeniedVerificationCountsWhereTheVersionMadeTheSignature(t *testing.T) {
	for spec, stop := range map[keytype.Type]lifecycle.Op{keytype.ECDSAP256: lifecycle.Suspend, keytype.Ed25519: lifecycle.Archive} {
		w := enginetest.New(t)
		createSigner(t, w, lifecycle.Key{Type: spec, Derived: spec == keytype.Ed25519})
		signature := sign(t, w, "text").Text
		w.Rotate("k")
		operate(t, w, stop)
		require.ErrorIs(t, verify(t, w, "another text", signature).Err, refusal.ErrDenied)
		require.ErrorIs(t, verify(t, w, "text", "vault:v1:AAAA").Err, refusal.ErrDenied)
		require.Empty(t, w.Plane.DeniedKeys(), "no signature of the version")
		require.ErrorIs(t, verify(t, w, "text", signature).Err, refusal.ErrDenied)
		require.Equal(t, []string{"k"}, w.Plane.DeniedKeys())
	}
}

func TestASignatureIsChargedAsAnEncryption(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) { d.MaxEncryptions, d.OnLimit = 100, policy.OnLimitRotate })
	createSigner(t, w, lifecycle.Key{Type: keytype.Ed25519, Policy: "p"})
	for range 3 {
		require.NoError(t, sign(t, w, "text").Err)
	}
	bad := item("text")
	bad.Context = "no base64"
	signed, err := how().Sign(t.Context(), w.Data(), "k", []dataplane.SignItem{bad})
	require.NoError(t, err)
	require.ErrorIs(t, signed[0].Err, refusal.ErrInvalid)
	used, err := w.Data().Used(t.Context(), "k", 0)
	require.NoError(t, err)
	require.Equal(t, policy.Usage{Encryptions: 3, Bytes: 3 * int64(len("text"))}, used.Usage, "what was not signed is not charged")

	var last dataplane.Signed
	for range 98 {
		last = sign(t, w, "text")
		require.NoError(t, last.Err)
	}
	require.Equal(t, 2, last.Version, "the successor signs")
	require.Contains(t, last.Text, "vault:v2:")
	require.True(t, verify(t, w, "text", last.Text).Valid)
}

func TestAVerificationOpensNoMaterial(t *testing.T) {
	w := enginetest.New(t)
	createSigner(t, w, lifecycle.Key{Type: keytype.ECDSAP384})
	signature := sign(t, w, "text").Text
	w.Restart()
	w.Token.Away(envelope.ErrUnavailable)
	w.Calls()
	require.Equal(t, dataplane.Verdict{Valid: true}, verify(t, w, "text", signature))
	require.Equal(t, map[string]int{"Key": 1, "Version": 1}, w.Calls())
	require.Equal(t, dataplane.Verdict{Valid: true}, verify(t, w, "text", signature))
	require.Empty(t, w.Calls())
	require.ErrorIs(t, sign(t, w, "text").Err, envelope.ErrUnavailable)

	w.Token.Away(nil)
	require.NoError(t, sign(t, w, "text").Err)
	w.Calls()
	require.NoError(t, sign(t, w, "text").Err)
	require.Empty(t, w.Calls(), "a warm key signs without storage")
}

func TestAVersionOutOfRangeIsAFaultAsInTransit(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(*policy.Document) {})
	createSigner(t, w, lifecycle.Key{Type: keytype.Ed25519, Policy: "p"})
	w.Rotate("k")
	for version, fault := range map[int]bool{-1: true, 3: true, 1: false} {
		h := how()
		h.Version = version
		signed, err := h.Sign(t.Context(), w.Data(), "k", []dataplane.SignItem{item("text")})
		require.NoError(t, err)
		require.Error(t, signed[0].Err)
		require.Equal(t, fault, errors.Is(signed[0].Err, refusal.ErrAsFault), "version %d: %v", version, signed[0].Err)
	}
}

func TestAKeyThatDoesNotSignRefusesTheRequest(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	_, err := how().Sign(t.Context(), w.Data(), "k", []dataplane.SignItem{item("text")})
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.EqualError(t, err, "key type aes256-gcm96 does not support signing")
	_, err = how().Verify(t.Context(), w.Data(), "k", []dataplane.SignItem{item("text")})
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.EqualError(t, how().Check(t.Context(), w.Data(), "k"), err.Error())
	require.ErrorIs(t, how().Check(t.Context(), w.Data(), "none"), refusal.ErrNotFound)
}
