// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

func goldenHSM() tokens.Settings {
	return tokens.Settings{
		Enabled: true, Library: "softhsm", Label: "prod", Serial: "0042", PIN: "s3cr3t", PINEnv: "KEYLIFE_HSM_PIN_PROD", PINFile: "prod",
		PINUpdated: start, Mechanism: hsm.AESCBC, IVMode: hsm.IVToken, OAEPHash: tokens.SHA1, MaxSessions: 4, CallTimeout: time.Second,
		AcquireTimeout: 2 * time.Second, AllowGenerate: true, RotationPeriod: 720 * time.Hour, MinAge: 24 * time.Hour,
		CacheTTL: time.Minute, DegradedMode: tokens.ServeCached, DegradedMaxAge: 2 * time.Hour, HealthInterval: 10 * time.Second,
		RandomSource: hsm.RandomMixed, RandomPolicy: hsm.RandomPrefer,
		PINRejected: start.Add(time.Hour),
	}
}

func goldenKEK() keyring.TokenKEK {
	return keyring.TokenKEK{
		KEK: hsm.KEK{
			ID: [16]byte{1, 2, 3}, CKAID: []byte{4, 5}, Label: "keylife-8f14-1", Serial: "0042", Suite: hsm.SuiteOAEP, OAEPHash: cryptoki.SHA1,
			RSABits: 3072, MACID: []byte{6, 7}, MACLabel: "keylife-8f14-1-mac", Canary: []byte("wrapped"), CanarySum: []byte("sum"),
			Created: start, Warnings: []string{"CKA_WRAP"},
		},
		Purpose: "use", State: keyring.Retired, Adopted: true, Activated: start.Add(time.Minute), Deactivated: start.Add(2 * time.Minute),
		Retired: start.Add(3 * time.Minute), Destroyed: start.Add(4 * time.Minute), Gone: true, Wraps: 48213,
	}
}

func TestGoldenTokenDecodes(t *testing.T) {
	w := load(t, map[string]string{"config/hsm": golden(t, "hsm"), "config/keks": golden(t, "keks")})
	got, err := w.Tokens.HSM(ctx)
	require.NoError(t, err)
	require.Equal(t, keyring.HSM{Configured: true, Settings: goldenHSM(), KEKs: []keyring.TokenKEK{goldenKEK()}}, got)
	got, err = load(t, map[string]string{"config/keks": golden(t, "keks-uncounted")}).Tokens.HSM(ctx)
	require.NoError(t, err)
	uncounted := goldenKEK()
	uncounted.Wraps = 0
	require.Equal(t, []keyring.TokenKEK{uncounted}, got.KEKs)
}

// later versions know more settings than the first record had: what it lacks is as it is for a mount that never said.
func TestSettingsThatARecordLacksHaveTheirDefaults(t *testing.T) {
	var rec map[string]any
	require.NoError(t, json.Unmarshal([]byte(golden(t, "hsm")), &rec))
	want, defaults := goldenHSM(), tokens.Defaults()
	for _, field := range []string{"cache_ttl", "degraded_mode", "degraded_max_age", "health_interval", "random_source", "random_policy"} {
		delete(rec, field)
	}
	want.CacheTTL, want.DegradedMode, want.DegradedMaxAge = defaults.CacheTTL, defaults.DegradedMode, defaults.DegradedMaxAge
	want.HealthInterval, want.RandomSource, want.RandomPolicy = defaults.HealthInterval, defaults.RandomSource, defaults.RandomPolicy
	old, err := json.Marshal(rec)
	require.NoError(t, err)
	got, err := load(t, map[string]string{"config/hsm": string(old)}).Tokens.HSM(ctx)
	require.NoError(t, err)
	require.Equal(t, want, got.Settings)
}

func TestAMountWithoutATokenHasNone(t *testing.T) {
	got, err := newWorld().Tokens.HSM(ctx)
	require.NoError(t, err)
	require.Zero(t, got)
}

func TestKEKsThatCannotBeReadAreNotTakenForNone(t *testing.T) {
	for _, damaged := range []string{`{"schema":1,"keks":[{"id":"AAAA","purpose":"use","state":"active"}]}`, `{"schema":1,"keks":[{}]}`, `{`} {
		_, err := load(t, map[string]string{"config/keks": damaged}).Tokens.HSM(ctx)
		require.ErrorIs(t, err, store.ErrCorrupt)
		require.ErrorContains(t, err, "config/keks")
	}
}

func TestActsOnTheTokenAreInCustodyOfTheMount(t *testing.T) {
	w := newWorld()
	require.NoError(t, configureHSM(w, true))
	require.NoError(t, configureHSM(w, true), "setting what is set writes nothing")
	require.NoError(t, addKEK(w, 1, ""))
	require.NoError(t, addKEK(w, 1, "create-kek"))
	require.NoError(t, addKEK(w, 2, "rotate-kek"))
	require.NoError(t, configureHSM(w, false))
	require.Equal(t, "configure-hsm done; create-kek done; rotate-kek done; delete-hsm done", w.story(t, custody.MountChain))
	checkCustody(t, w)
	got, err := w.Tokens.HSM(ctx)
	require.NoError(t, err)
	require.False(t, got.Configured)
	require.Zero(t, got.Settings, "the PIN too")
	require.Len(t, got.KEKs, 2)
}

func TestUnknownFieldsOfTokenRecordsSurviveAChange(t *testing.T) {
	w := load(t, map[string]string{"config/kek": golden(t, "kek"), "config/hsm": later(golden(t, "hsm")), "config/keks": later(golden(t, "keks"))})
	note := func(h keyring.HSM) (tokens.Settings, bool, error) {
		h.Settings.PINRejected = time.Time{}
		return h.Settings, true, nil
	}
	require.NoError(t, w.SetHSM(ctx, lifecycle.Event{}, note))
	require.NoError(t, w.SetKEKs(ctx, func(h keyring.HSM) ([]keyring.TokenKEK, lifecycle.Event, error) {
		return h.KEKs, lifecycle.Event{}, nil
	}))
	for _, path := range []string{"config/hsm", "config/keks"} {
		requireLater(t, w.entries(t)[path])
	}
}

func TestAChangeThatIsRefusedWritesNothing(t *testing.T) {
	w := newWorld()
	require.NoError(t, configureHSM(w, true))
	before, refusal := w.entries(t), errors.New("not now")
	require.ErrorIs(t, w.SetHSM(ctx, lifecycle.Event{Act: "configure-hsm"}, func(keyring.HSM) (tokens.Settings, bool, error) {
		return tokens.Settings{}, true, refusal
	}), refusal)
	require.ErrorIs(t, w.SetKEKs(ctx, func(keyring.HSM) ([]keyring.TokenKEK, lifecycle.Event, error) {
		return nil, lifecycle.Event{Act: "rotate-kek"}, refusal
	}), refusal)
	require.Equal(t, before, w.entries(t))
}

func TestARequestKnowsThatItHasDoneItsAct(t *testing.T) {
	w := newWorld()
	for _, want := range []bool{false, true} {
		repeated, err := w.by("r1").Repeated(ctx)
		require.NoError(t, err)
		require.Equal(t, want, repeated)
		require.NoError(t, configureHSM(w, true))
	}
	repeated, err := w.by("r2").Repeated(ctx)
	require.NoError(t, err)
	require.False(t, repeated)
}
