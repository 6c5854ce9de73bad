// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package signing_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// stored opens what is stored of a version of key k, wherever it is.
func stored(m *mounttest.Mount, v int) envelope.Material {
	m.T.Helper()
	ctx, k := context.Background(), m.Storage.Key("k")
	ring, found, err := m.Storage.Store().KEKs().Keyring(ctx)
	require.NoError(m.T, err)
	require.True(m.T, found)
	blob, purpose, kek := m.Storage.Sealed(fmt.Sprintf("versions/k/%d", v)), envelope.PurposeOnline, ring.Use
	if len(blob) == 0 {
		blob, purpose, kek = m.Storage.Sealed(fmt.Sprintf("archive/k/%d", v)), envelope.PurposeArchive, ring.Archive
	}
	wrapper, err := hsm.NewSoftware(kek.ID, kek.Key, rand.Reader)
	require.NoError(m.T, err)
	material, err := envelope.Open(ctx, wrapper, blob, envelope.Binding{
		Instance: ring.Instance, KeyID: k.ID, Version: v, Algorithm: envelope.Algorithm(k.Type), Purpose: purpose,
	})
	require.NoError(m.T, err)
	return material
}

// signs reports whether what is stored of a version has a private half.
func signs(m *mounttest.Mount, v int) bool {
	m.T.Helper()
	private, hmacKey := stored(m, v).Reveal()
	require.Len(m.T, hmacKey, 32, "what checks HMACs stays")
	erased := m.Must(m.Read(fmt.Sprintf("keys/k/versions/%d", v))).Data
	require.Equal(m.T, len(private) == 0, erased["private_key_erased"])
	require.Equal(m.T, false, erased["material_pending"])
	return len(private) > 0
}

// eraser is a mount with key k of the type under a policy that has private halves erased a day after they are superseded.
func eraser(t *testing.T, of string, settings ...any) *mounttest.Mount {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", append([]any{"owner", "tests", "erase_private_key", true, "rollback_window", "24h", "min_versions_kept", 1, "quiet_period", "0s"}, settings...)...))
	m.Must(m.Write("keys/k", "type", of, "policy", "p"))
	require.NoError(t, m.Tick())
	return m
}

func TestAPrivateKeyIsErasedWhenItSignsNeverAgain(t *testing.T) {
	for _, of := range []string{"ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521"} {
		m := eraser(t, of)
		before := stored(m, 1)
		m.K.Ops("rotate", "rotate")
		m.Pass(24*time.Hour - 2*time.Minute)
		m.Advance(time.Minute)
		require.True(t, signs(m, 1) && signs(m, 2) && signs(m, 3), of)

		m.Advance(2 * time.Minute)
		require.Equal(t, []bool{false, false, true}, []bool{signs(m, 1), signs(m, 2), signs(m, 3)}, of)
		require.Equal(t, "OOA", m.K.Letters(), "the state does not change")
		require.Equal(t, before.Public(), stored(m, 1).Public())
		require.Equal(t, before.Fingerprint(), stored(m, 1).Fingerprint())
		act := m.Storage.Journal()[len(m.Storage.Journal())-2]
		require.Equal(t, "erase-private", act.Act)
		require.Equal(t, "0 -> 3", act.Details["private_from"])
		require.True(t, act.Actor.System)
		versions, _ := readSet(m)
		require.Equal(t, []int{3, 2, 1}, versions, "it verifies as before")
		require.Contains(t, m.K.Op("rollback").Err, "no deactivated version before version 3")
		m.K.Ops("rotate")
		m.Restart()
		m.Pass(25 * time.Hour)
		m.Advance(2 * time.Minute)
		require.Equal(t, []bool{false, true}, []bool{signs(m, 3), signs(m, 4)}, of)
		m.Pass(25 * time.Hour)
		require.True(t, signs(m, 4), "the active one never loses it")
	}
}

func TestAPrivateKeyStaysWhere(t *testing.T) {
	for name, m := range map[string]*mounttest.Mount{
		"the policy does not say so":   eraser(t, "ed25519", "erase_private_key", false),
		"the key decrypts with it":     eraser(t, "rsa-2048"),
		"a rollback is still possible": eraser(t, "ed25519", "rollback_window", "49h"),
		"the key is under legal hold":  func() *mounttest.Mount { m := eraser(t, "ed25519"); m.K.Ops("hold"); return m }(),
		"no policy governs the key": func() *mounttest.Mount {
			m := eraser(t, "ed25519")
			m.Must(m.Write("keys/k/config", "policy", ""))
			return m
		}(),
		"a version staged before is left": func() *mounttest.Mount { m := eraser(t, "ed25519"); m.Must(m.K.Op("rotate", "stage", true)); return m }(),
	} {
		if m.Storage.Key("k").Staged == 0 {
			m.K.Ops("rotate")
		}
		m.Pass(48 * time.Hour)
		m.Advance(2 * time.Minute)
		require.True(t, signs(m, 1), name)
	}
}

func TestNoPrivateKeyIsErasedWhileTheClockIsNotBelieved(t *testing.T) {
	m := eraser(t, "ed25519")
	m.K.Ops("rotate")
	m.Clock.Add(20 * 24 * time.Hour)
	require.NoError(t, m.Tick())
	require.True(t, m.Frozen())
	require.True(t, signs(m, 1))
	m.Must(m.Write("config/clock", "acknowledge", true))
	m.Advance(11 * time.Minute)
	require.False(t, signs(m, 1))
}

func TestAnArchivedVersionLosesItsPrivateKeyInTheArchive(t *testing.T) {
	m := eraser(t, "ecdsa-p256")
	m.K.Ops("rotate", "rotate", "versions/1/archive")
	m.Pass(25 * time.Hour)
	m.Advance(2 * time.Minute)
	require.Equal(t, "ROA", m.K.Letters())
	require.Empty(t, m.Storage.Sealed("versions/k/1"))
	require.False(t, signs(m, 1) || signs(m, 2))
	m.K.Ops("versions/1/recover", "versions/2/archive")
	require.NotEmpty(t, m.Storage.Sealed("versions/k/1"))
	require.False(t, signs(m, 1) || signs(m, 2), "no way leads back")
}

func TestTheEndOfTheOriginatorPeriodEndsTheRollbackToo(t *testing.T) {
	m := eraser(t, "ed25519", "rotation_period", "48h", "rotation_jitter", 0, "rotation_mode", "manual", "originator_period", "72h")
	m.Pass(71 * time.Hour)
	m.K.Ops("rotate")
	m.Pass(55 * time.Minute)
	m.Advance(2 * time.Minute)
	require.True(t, signs(m, 1))
	m.Advance(4 * time.Minute)
	require.False(t, signs(m, 1))
	m.Pass(72 * time.Hour)
	m.Advance(2 * time.Minute)
	require.Equal(t, "OO", m.K.Letters(), "the active one lapsed")
	require.False(t, signs(m, 2), "it is the end of the period that NIST means")
	m.K.Ops("rotate")
	require.True(t, signs(m, 3))
}

func TestErasingPrivateKeysSurvivesTheFailureOfEachWrite(t *testing.T) {
	for _, fate := range storagetest.Fates() {
		for at, fired := 1, true; fired; at++ {
			m := eraser(t, "ed25519")
			m.K.Ops("rotate", "rotate", "versions/1/archive")
			m.Pass(24*time.Hour + time.Minute)
			require.True(t, signs(m, 1) && signs(m, 2))
			m.Storage.FailWriteAs(at, fate)
			_ = m.Tick()
			fired = m.Storage.Fired()
			m.Storage.Heal()
			require.NoError(t, m.Storage.Land())
			m.Restart()
			if !fired {
				require.Greater(t, at, 6, "journal, intent, record, journal, two versions")
			}
			for range 15 {
				m.Advance(time.Minute)
			}
			require.Equal(t, []bool{false, false, true}, []bool{signs(m, 1), signs(m, 2), signs(m, 3)}, "%s %d", fate, at)
			require.Equal(t, true, m.Must(m.Write("custody/verify")).Data["valid"])
		}
	}
}
