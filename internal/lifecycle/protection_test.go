// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

func TestAKeyAsksForTheTokenOrForNothing(t *testing.T) {
	for text, want := range map[string]lifecycle.Protection{"": "", "hsm": lifecycle.Resident} {
		got, err := lifecycle.ParseProtection(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"software", "hsm_wrapped", "HSM", " hsm", "none"} {
		_, err := lifecycle.ParseProtection(text)
		require.ErrorIs(t, err, refusal.ErrInvalid)
		require.ErrorContains(t, err, `protection: "`+text+`": must be hsm`)
	}
}

func resident() lifecycle.Key {
	return lifecycle.Key{ID: "1", Name: "k", Type: keytype.AES256GCM96, Protection: lifecycle.Resident}
}

func TestAKeyOnTheTokenIsMadeAsOneOrNotAtAll(t *testing.T) {
	k, err := lifecycle.New(resident(), start)
	require.NoError(t, err)
	require.Equal(t, lifecycle.Resident, k.Protection)
	for says, edit := range map[string]func(k *lifecycle.Key){
		`type: "aes128-gcm96"`:         func(k *lifecycle.Key) { k.Type = keytype.AES128GCM96 },
		`type: "chacha20-poly1305"`:    func(k *lifecycle.Key) { k.Type = keytype.ChaCha20Poly1305 },
		"derived: true":                func(k *lifecycle.Key) { k.Derived = true },
		"exportable: true":             func(k *lifecycle.Key) { k.Exportable = true },
		"allow_plaintext_backup: true": func(k *lifecycle.Key) { k.AllowPlaintextBackup = true },
	} {
		spec := resident()
		edit(&spec)
		_, err := lifecycle.New(spec, start)
		require.ErrorIs(t, err, refusal.ErrInvalid, says)
		require.ErrorContains(t, err, says)
		spec.Protection = ""
		_, err = lifecycle.New(spec, start)
		require.NoError(t, err, says)
	}
}

func TestMaterialOfAKeyOnTheTokenLeavesInNoForm(t *testing.T) {
	k, err := lifecycle.New(resident(), start)
	require.NoError(t, err)
	yes, no := true, false
	for field, c := range map[string]lifecycle.ConfigChange{"exportable": {Exportable: &yes}, "allow_plaintext_backup": {AllowPlaintextBackup: &yes}} {
		same, _, err := k.Configure(c)
		require.ErrorIs(t, err, refusal.ErrInvalid)
		require.ErrorContains(t, err, field+": true: "+k.WhyNoMaterialLeaves())
		require.Equal(t, k, same)
	}
	_, _, err = k.Configure(lifecycle.ConfigChange{Exportable: &no, AllowPlaintextBackup: &no})
	require.NoError(t, err)
	next, err := k.Rotate(lifecycle.ByOperator, "", start, start)
	require.NoError(t, err)
	require.Equal(t, lifecycle.Resident, next.Protection)
	k.Protection = ""
	require.Empty(t, k.WhyNoMaterialLeaves())
	_, _, err = k.Configure(lifecycle.ConfigChange{Exportable: &yes})
	require.NoError(t, err)
}
