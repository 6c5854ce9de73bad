// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package clock_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// garbageOf are texts that name the version of a ciphertext and are not of its making.
func garbageOf(ciphertext string) map[string]string {
	prefix, payload := ciphertext[:len("vault:v2:")], ciphertext[len("vault:v2:"):]
	changed := []byte(payload)
	changed[0] ^= 1
	return map[string]string{
		"nothing": prefix, "too short": prefix + payload[:36], "no base64": prefix + "!" + payload[1:], "cut": prefix + payload[:len(payload)-4],
		"changed": prefix + string(changed), "made up": prefix + strings.Repeat("A", 80),
	}
}

func denied(m *mounttest.Mount, version string) any {
	m.T.Helper()
	return m.Must(m.Read("keys/k/versions/" + version)).Data["denied_uses"]
}

// What does not authenticate says nothing about whether a version is needed: everybody can make it up.
func TestGarbageIsDeniedLikeACiphertextAndIsNoDeniedUse(t *testing.T) {
	for _, state := range []string{"versions/2/archive", "versions/2/suspend", "suspend", "archive", "config"} {
		t.Run(state, func(t *testing.T) {
			m, c := mounttest.KeyOf3(t)
			if state == "config" {
				m.Must(m.Write("keys/k/config", "min_decryption_version", 3))
			} else {
				m.K.Ops(state)
			}
			genuine := m.Write("decrypt/k", "ciphertext", c[2])
			require.Equal(t, 400, genuine.Status)
			require.Equal(t, 1, denied(m, "2"))
			m.Advance(time.Minute)
			for name, text := range garbageOf(c[2]) {
				for _, path := range []string{"decrypt/k", "rewrap/k"} {
					require.Equal(t, genuine, m.Write(path, "ciphertext", text), "%s of %s: nothing tells it from a ciphertext", path, name)
				}
			}
			require.Equal(t, 1, denied(m, "2"))
			require.Equal(t, genuine, m.Write("rewrap/k", "ciphertext", c[2]))
			require.Equal(t, 2, denied(m, "2"))
		})
	}
}

func TestABatchCountsTheDeniedUsesAmongItsItems(t *testing.T) {
	m, c := mounttest.KeyOf3(t)
	m.K.Ops("versions/2/archive", "versions/1/archive")
	items := []any{map[string]any{"ciphertext": c[3]}, map[string]any{"ciphertext": c[2]}, map[string]any{"ciphertext": c[2]}}
	for _, text := range garbageOf(c[2]) {
		items = append(items, map[string]any{"ciphertext": text})
	}
	for _, text := range garbageOf(c[1]) {
		items = append(items, map[string]any{"ciphertext": text})
	}
	got := m.Write("decrypt/k", "batch_input", items)
	require.Equal(t, 400, got.Status)
	require.Equal(t, 2, denied(m, "2"))
	require.Equal(t, 0, denied(m, "1"))
}

func TestADeniedUseIsOneOnlyWithItsContextAndAssociatedData(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "derived", true))
	with := []any{"context", mounttest.B64("c"), "associated_data", mounttest.B64("row-1")}
	sealed := m.Must(m.Write("encrypt/k", append(with, "plaintext", mounttest.B64("x"))...)).Data["ciphertext"]
	m.K.Ops("rotate", "versions/1/archive")
	for _, wrong := range [][]any{{}, {"context", mounttest.B64("c")}, {"context", mounttest.B64("d"), "associated_data", mounttest.B64("row-1")}, {"context", mounttest.B64("c"), "associated_data", "#"}} {
		require.Equal(t, 400, m.Write("decrypt/k", append(wrong, "ciphertext", sealed)...).Status)
	}
	require.Equal(t, 0, denied(m, "1"))
	m.Refused(m.Write("decrypt/k", append(with, "ciphertext", sealed)...))
	require.Equal(t, 1, denied(m, "1"))
}

func TestGarbageHoldsNoRetirementBack(t *testing.T) {
	m, c := mounttest.UnderPolicy(t, "retire_after", "10d", "quiet_period", "10d")
	m.K.Ops("versions/2/archive")
	for range 9 {
		m.Leap(24 * time.Hour)
		for _, text := range garbageOf(c[2]) {
			m.Write("decrypt/k", "ciphertext", text)
		}
	}
	m.Leap(24*time.Hour + time.Minute)
	require.Equal(t, "retired", m.K.State(2))
}

// A use that cannot be told from garbage counts: one that is not counted may end in a destroyed version.
func TestADeniedUseThatCannotBeLookedIntoCounts(t *testing.T) {
	m, c := mounttest.KeyOf3(t)
	m.K.Ops("versions/2/archive")
	m.Storage.FailGets("archive/")
	m.Refused(m.Write("decrypt/k", "ciphertext", garbageOf(c[2])["made up"]))
	m.Storage.Heal()
	require.Equal(t, 1, denied(m, "2"))
}

// What denied uses cost: the first of a version in a minute what a first use costs, all others nothing. The material that
// was opened is not kept.
func TestDeniedUsesOpenAVersionOnceAMinute(t *testing.T) {
	m, c := mounttest.KeyOf3(t)
	m.K.Ops("versions/2/archive")
	m.Decrypt("k", c[3])
	m.Storage.Reset()
	cost := storagetest.Counts{Gets: 2} // versions/, archive/
	m.Refused(m.Write("decrypt/k", "ciphertext", garbageOf(c[2])["nothing"]))
	require.Zero(t, m.Storage.Reset())
	m.Refused(m.Write("decrypt/k", "ciphertext", garbageOf(c[2])["made up"]))
	require.Equal(t, cost, m.Storage.Reset(), "garbage is looked into each time")
	m.Refused(m.Write("decrypt/k", "ciphertext", c[2]))
	require.Equal(t, cost, m.Storage.Reset())
	for range 100 {
		m.Refused(m.Write("decrypt/k", "ciphertext", c[2]))
	}
	require.Zero(t, m.Storage.Reset())
	m.Advance(time.Minute)
	m.Storage.Reset()
	m.Refused(m.Write("decrypt/k", "ciphertext", c[2]))
	require.Equal(t, cost, m.Storage.Reset())
	require.Equal(t, 102, denied(m, "2"))
}

func TestManyDeniedUsesAtOnceOpenAVersionOnce(t *testing.T) {
	m, c := mounttest.KeyOf3(t)
	m.K.Ops("versions/2/archive")
	m.Decrypt("k", c[3])
	m.Storage.Reset()
	for _, got := range mounttest.AtOnce(m, 8, 20, "decrypt/k", "ciphertext", c[2]) {
		require.Equal(t, 400, got.Status)
	}
	require.Equal(t, storagetest.Counts{Gets: 2}, m.Storage.Reset())
	require.Equal(t, 160, denied(m, "2"))
}

func TestAVersionIsReadWhateverBecomesOfItsDeniedUses(t *testing.T) {
	m, c := mounttest.KeyOf3(t)
	m.K.Ops("versions/2/archive")
	m.Refused(m.Write("decrypt/k", "ciphertext", c[2]))
	m.Advance(time.Minute)
	m.Refused(m.Write("decrypt/k", "ciphertext", c[2]))
	m.Storage.Reset()
	require.Equal(t, 2, denied(m, "2"), "stored or not")
	require.Zero(t, m.Storage.Reset().Puts, "reading writes nothing")
	m.Storage.FailGets("denied/")
	got := m.Must(m.Read("keys/k/versions/2"))
	require.Equal(t, 1, got.Data["denied_uses"])
	require.Contains(t, strings.Join(got.Warnings, ""), "denied uses that are stored cannot be read")
	m.Clock.Add(time.Minute)
	require.Error(t, m.Tick())
	m.Storage.Heal()
	m.Advance(time.Minute)
	require.Equal(t, 2, denied(m, "2"), "nothing is lost")
}

func TestDeniedUsesThatCannotBeReadHoldNothingBackButRetirements(t *testing.T) {
	m, _ := mounttest.UnderPolicy(t, "retire_after", "25h", "quiet_period", "1h", "archive_after", "24h", "rollback_window", "1h")
	m.K.Ops("versions/1/archive")
	m.Leap(24*time.Hour - time.Minute)
	m.Storage.FailGets("denied/")
	for range 62 {
		m.Clock.Add(time.Minute)
		require.NoError(t, m.Tick())
	}
	require.Equal(t, []string{"archived", "archived", "active"}, m.K.States(), "version 2 was archived meanwhile")
	m.Storage.Heal()
	m.Advance(11 * time.Minute)
	require.Equal(t, []string{"retired", "archived", "active"}, m.K.States())
}
