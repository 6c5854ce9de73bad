// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

func hmacOf(text, mac string) dataplane.MACItem {
	input := enginetest.Text(text)
	return dataplane.MACItem{Kind: dataplane.HMAC, Hash: "sha2-256", Input: &input, MAC: mac}
}

func cmacOf(text, mac string, length int) dataplane.MACItem {
	item := hmacOf(text, mac)
	item.Kind, item.Hash, item.Length = dataplane.CMAC, "", length
	return item
}

func macs(w *enginetest.World) dataplane.MACs { return dataplane.MACs{Session: w.Data()} }

func makeMAC(t testing.TB, w *enginetest.World, item dataplane.MACItem) string {
	t.Helper()
	made, err := macs(w).Make(context.Background(), "k", 0, []dataplane.MACItem{item})
	require.NoError(t, err)
	require.NoError(t, made[0].Err)
	return made[0].Text
}

func verifyMAC(t testing.TB, w *enginetest.World, item dataplane.MACItem) dataplane.Verdict {
	t.Helper()
	verdicts, err := macs(w).Verify(context.Background(), "k", []dataplane.MACItem{item})
	require.NoError(t, err)
	return verdicts[0]
}

// keyOf is a world with key k of a type.
func keyOf(t testing.TB, kind keytype.Type) *enginetest.World {
	t.Helper()
	w := enginetest.New(t)
	spec := lifecycle.Key{Name: "k", Type: kind}
	if kind == keytype.HMAC {
		spec.Size = 64
	}
	_, _, err := w.Session().Keys().Create(context.Background(), engine.Creation{Spec: spec})
	require.NoError(t, err)
	return w
}

func TestAMACIsOneOfItsTextAndOfNoOther(t *testing.T) {
	for _, name := range keytype.Names() {
		kind := keytype.Type(name)
		if kind == keytype.RSA3072 || kind == keytype.RSA4096 {
			continue // as rsa-2048, and slow to make
		}
		w, of := keyOf(t, kind), hmacOf
		if kind.SupportsCMAC() {
			of = func(text, mac string) dataplane.MACItem { return cmacOf(text, mac, 0) }
		}
		mac := makeMAC(t, w, of("x", ""))
		require.True(t, strings.HasPrefix(mac, "vault:v1:"), mac)
		require.Equal(t, dataplane.Verdict{Valid: true}, verifyMAC(t, w, of("x", mac)), name)
		require.Equal(t, dataplane.Verdict{}, verifyMAC(t, w, of("y", mac)), name)
		require.Equal(t, dataplane.Verdict{}, verifyMAC(t, w, of("x", mac[:len("vault:v1:")+12])), "%s: the beginning of one is none", name)
		require.Equal(t, dataplane.Verdict{}, verifyMAC(t, w, of("x", "vault:v1:")), name)
	}
}

func TestAKeyMakesMACsOfOneKind(t *testing.T) {
	for kind, item := range map[keytype.Type]dataplane.MACItem{
		keytype.AES128CMAC: hmacOf("x", "vault:v1:AAAA"), keytype.AES256GCM96: cmacOf("x", "vault:v1:AAAA", 0), keytype.HMAC: cmacOf("x", "vault:v1:AAAA", 0),
	} {
		w := keyOf(t, kind)
		_, err := macs(w).Make(t.Context(), "k", 0, []dataplane.MACItem{item})
		require.ErrorIs(t, err, refusal.ErrRefused)
		require.ErrorContains(t, err, "key type "+string(kind)+" does not support "+string(item.Kind)+" operations")
		_, err = macs(w).Verify(t.Context(), "k", []dataplane.MACItem{item})
		require.ErrorIs(t, err, refusal.ErrRefused)
	}
}

func TestAShortCMACIsVerifiedByItsLength(t *testing.T) {
	w := keyOf(t, keytype.AES256CMAC)
	mac := makeMAC(t, w, cmacOf("x", "", 8))
	require.True(t, verifyMAC(t, w, cmacOf("x", mac, 8)).Valid)
	for _, length := range []int{0, 4, 7, 9, 16} {
		require.False(t, verifyMAC(t, w, cmacOf("x", mac, length)).Valid, "%d", length)
	}
	require.ErrorContains(t, verifyMAC(t, w, cmacOf("x", mac, 3)).Err, "mac_length: 3")
}

func TestMACsOfAKeyInUseCostNoStorageCall(t *testing.T) {
	w := limited(t, 1<<30, policy.OnLimitRotate)
	mac := makeMAC(t, w, hmacOf("x", ""))
	w.Calls()
	for range 10 {
		makeMAC(t, w, hmacOf("x", ""))
		require.True(t, verifyMAC(t, w, hmacOf("x", mac)).Valid)
	}
	require.Empty(t, w.Calls())
}

func TestAMACCountsAsAnEncryption(t *testing.T) {
	w := limited(t, 3, policy.OnLimitRotate)
	w.Encrypt("k", "x")
	var versions []int
	made, err := macs(w).Make(t.Context(), "k", 0, []dataplane.MACItem{hmacOf("x", ""), hmacOf("x", ""), hmacOf("x", ""), hmacOf("x", "")})
	require.NoError(t, err)
	for _, o := range made {
		require.NoError(t, o.Err)
		versions = append(versions, o.Version)
		require.True(t, strings.HasPrefix(o.Text, fmt.Sprintf("vault:v%d:", o.Version)), "the successor made it, and not the one before")
		require.True(t, verifyMAC(t, w, hmacOf("x", o.Text)).Valid)
	}
	require.Equal(t, []int{1, 1, 2, 2}, versions)

	w = limited(t, 1, policy.OnLimitBlock)
	broken := "no*base64"
	made, err = macs(w).Make(t.Context(), "k", 0, []dataplane.MACItem{{Kind: dataplane.HMAC, Hash: "sha2-256", Input: &broken}, {Kind: dataplane.HMAC, Hash: "sha2-256"}, hmacOf("x", ""), hmacOf("x", "")})
	require.NoError(t, err)
	require.ErrorIs(t, made[0].Err, refusal.ErrInvalid)
	require.ErrorContains(t, made[1].Err, "missing input for HMAC")
	require.NoError(t, made[2].Err, "what is no text is not counted")
	require.ErrorIs(t, made[3].Err, refusal.ErrRefused)
}

func TestTheStateOfAVersionIsTheStateOfItsMACs(t *testing.T) {
	w := keyOf(t, keytype.AES256GCM96)
	mac := makeMAC(t, w, hmacOf("x", ""))
	suspend(t, w)
	_, err := macs(w).Make(t.Context(), "k", 0, []dataplane.MACItem{hmacOf("x", "")})
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.ErrorContains(t, err, "cannot authenticate")
	require.ErrorContains(t, err, "[key_suspended]")
	verdict := verifyMAC(t, w, hmacOf("x", mac))
	require.False(t, verdict.Valid)
	require.ErrorIs(t, verdict.Err, refusal.ErrDenied)
}

func TestADeniedMACCountsIfItIsOneOfTheVersion(t *testing.T) {
	w := keyOf(t, keytype.AES256GCM96)
	mac := makeMAC(t, w, hmacOf("x", ""))
	suspend(t, w)
	denied := func() int {
		k, err := w.Data().Key(t.Context(), "k")
		require.NoError(t, err)
		uses, err := w.Data().DeniedUses(t.Context(), *k, 1)
		require.NoError(t, err)
		return uses[1].Count
	}
	for _, item := range []dataplane.MACItem{hmacOf("y", mac), hmacOf("x", "vault:v1:AAAA"), hmacOf("x", "vault:v1:no*b"), hmacOf("x", "x")} {
		require.Error(t, verifyMAC(t, w, item).Err)
		require.Zero(t, denied(), "anybody can make it up")
	}
	require.Error(t, verifyMAC(t, w, hmacOf("x", mac)).Err)
	require.Equal(t, 1, denied())
}

func TestARequestForMACsIsRefusedAsAWhole(t *testing.T) {
	w := keyOf(t, keytype.HMAC)
	s, ctx := macs(w), t.Context()
	for _, hash := range []string{"none", "", "md5"} {
		item := hmacOf("x", "vault:v1:AAAA")
		item.Hash = hash
		_, err := s.Make(ctx, "k", 0, []dataplane.MACItem{hmacOf("x", ""), item})
		require.ErrorIs(t, err, refusal.ErrInvalid, hash)
		require.ErrorContains(t, err, "algorithm: ")
		_, err = s.Verify(ctx, "k", []dataplane.MACItem{item})
		require.ErrorIs(t, err, refusal.ErrInvalid, hash)
	}
	for _, version := range []int{-1, 2} {
		_, err := s.Make(ctx, "k", version, []dataplane.MACItem{hmacOf("x", "")})
		require.ErrorIs(t, err, refusal.ErrInvalid)
		require.ErrorContains(t, err, "key_version")
	}
	_, err := s.Make(ctx, "k", 0, nil)
	require.ErrorIs(t, err, refusal.ErrInvalid)
	_, err = s.Make(ctx, "other", 0, []dataplane.MACItem{hmacOf("x", "")})
	require.ErrorIs(t, err, refusal.ErrNotFound)
}
