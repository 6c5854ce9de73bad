// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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

func (m *mount) denied(version string) any {
	m.t.Helper()
	return m.must(m.read("keys/k/versions/" + version)).data["denied_uses"]
}

// What does not authenticate says nothing about whether a version is needed: everybody can make it up.
func TestGarbageIsDeniedLikeACiphertextAndIsNoDeniedUse(t *testing.T) {
	for _, state := range []string{"versions/2/archive", "versions/2/suspend", "suspend", "archive", "config"} {
		t.Run(state, func(t *testing.T) {
			m, c := keyOf3(t)
			if state == "config" {
				m.must(m.write("keys/k/config", "min_decryption_version", 3))
			} else {
				m.ops(state)
			}
			genuine := m.write("decrypt/k", "ciphertext", c[2])
			require.Equal(t, 400, genuine.status)
			require.Equal(t, 1, m.denied("2"))
			m.advance(time.Minute)
			for name, text := range garbageOf(c[2]) {
				for _, path := range []string{"decrypt/k", "rewrap/k"} {
					require.Equal(t, genuine, m.write(path, "ciphertext", text), "%s of %s: nothing tells it from a ciphertext", path, name)
				}
			}
			require.Equal(t, 1, m.denied("2"))
			require.Equal(t, genuine, m.write("rewrap/k", "ciphertext", c[2]))
			require.Equal(t, 2, m.denied("2"))
		})
	}
}

func TestABatchCountsTheDeniedUsesAmongItsItems(t *testing.T) {
	m, c := keyOf3(t)
	m.ops("versions/2/archive", "versions/1/archive")
	items := []any{map[string]any{"ciphertext": c[3]}, map[string]any{"ciphertext": c[2]}, map[string]any{"ciphertext": c[2]}}
	for _, text := range garbageOf(c[2]) {
		items = append(items, map[string]any{"ciphertext": text})
	}
	for _, text := range garbageOf(c[1]) {
		items = append(items, map[string]any{"ciphertext": text})
	}
	got := m.write("decrypt/k", "batch_input", items)
	require.Equal(t, 400, got.status)
	require.Equal(t, 2, m.denied("2"))
	require.Equal(t, 0, m.denied("1"))
}

func TestADeniedUseIsOneOnlyWithItsContextAndAssociatedData(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k", "derived", true))
	with := []any{"context", b64("c"), "associated_data", b64("row-1")}
	sealed := m.must(m.write("encrypt/k", append(with, "plaintext", b64("x"))...)).data["ciphertext"]
	m.ops("rotate", "versions/1/archive")
	for _, wrong := range [][]any{{}, {"context", b64("c")}, {"context", b64("d"), "associated_data", b64("row-1")}, {"context", b64("c"), "associated_data", "#"}} {
		require.Equal(t, 400, m.write("decrypt/k", append(wrong, "ciphertext", sealed)...).status)
	}
	require.Equal(t, 0, m.denied("1"))
	m.refused(m.write("decrypt/k", append(with, "ciphertext", sealed)...))
	require.Equal(t, 1, m.denied("1"))
}

func TestGarbageHoldsNoRetirementBack(t *testing.T) {
	m, c := underPolicy(t, "retire_after", "10d", "quiet_period", "10d")
	m.ops("versions/2/archive")
	for range 9 {
		m.leap(24 * time.Hour)
		for _, text := range garbageOf(c[2]) {
			m.write("decrypt/k", "ciphertext", text)
		}
	}
	m.leap(24*time.Hour + time.Minute)
	require.Equal(t, "retired", m.state(2))
}

// A use that cannot be told from garbage counts: one that is not counted may end in a destroyed version.
func TestADeniedUseThatCannotBeLookedIntoCounts(t *testing.T) {
	m, c := keyOf3(t)
	m.ops("versions/2/archive")
	m.storage.FailGets("archive/")
	m.refused(m.write("decrypt/k", "ciphertext", garbageOf(c[2])["made up"]))
	m.storage.Heal()
	require.Equal(t, 1, m.denied("2"))
}

// What denied uses cost: the first of a version in a minute what a first use costs, all others nothing. The material that
// was opened is not kept.
func TestDeniedUsesOpenAVersionOnceAMinute(t *testing.T) {
	m, c := keyOf3(t)
	m.ops("versions/2/archive")
	m.decrypt("k", c[3])
	m.storage.Reset()
	cost := storagetest.Counts{Gets: 2} // versions/, archive/
	m.refused(m.write("decrypt/k", "ciphertext", garbageOf(c[2])["nothing"]))
	require.Zero(t, m.storage.Reset())
	m.refused(m.write("decrypt/k", "ciphertext", garbageOf(c[2])["made up"]))
	require.Equal(t, cost, m.storage.Reset(), "garbage is looked into each time")
	m.refused(m.write("decrypt/k", "ciphertext", c[2]))
	require.Equal(t, cost, m.storage.Reset())
	for range 100 {
		m.refused(m.write("decrypt/k", "ciphertext", c[2]))
	}
	require.Zero(t, m.storage.Reset())
	m.advance(time.Minute)
	m.storage.Reset()
	m.refused(m.write("decrypt/k", "ciphertext", c[2]))
	require.Equal(t, cost, m.storage.Reset())
	require.Equal(t, 102, m.denied("2"))
}

func TestManyDeniedUsesAtOnceOpenAVersionOnce(t *testing.T) {
	m, c := keyOf3(t)
	m.ops("versions/2/archive")
	m.decrypt("k", c[3])
	m.storage.Reset()
	for _, got := range m.atOnce(8, 20, "decrypt/k", "ciphertext", c[2]) {
		require.Equal(t, 400, got.status)
	}
	require.Equal(t, storagetest.Counts{Gets: 2}, m.storage.Reset())
	require.Equal(t, 160, m.denied("2"))
}

func TestAVersionIsReadWhateverBecomesOfItsDeniedUses(t *testing.T) {
	m, c := keyOf3(t)
	m.ops("versions/2/archive")
	m.refused(m.write("decrypt/k", "ciphertext", c[2]))
	m.advance(time.Minute)
	m.refused(m.write("decrypt/k", "ciphertext", c[2]))
	m.storage.Reset()
	require.Equal(t, 2, m.denied("2"), "stored or not")
	require.Zero(t, m.storage.Reset().Puts, "reading writes nothing")
	m.storage.FailGets("denied/")
	got := m.must(m.read("keys/k/versions/2"))
	require.Equal(t, 1, got.data["denied_uses"])
	require.Contains(t, strings.Join(got.warnings, ""), "denied uses that are stored cannot be read")
	m.clock.add(time.Minute)
	require.Error(t, m.tickNow())
	m.storage.Heal()
	m.advance(time.Minute)
	require.Equal(t, 2, m.denied("2"), "nothing is lost")
}

func TestDeniedUsesThatCannotBeReadHoldNothingBackButRetirements(t *testing.T) {
	m, _ := underPolicy(t, "retire_after", "25h", "quiet_period", "1h", "archive_after", "24h", "rollback_window", "1h")
	m.ops("versions/1/archive")
	m.leap(24*time.Hour - time.Minute)
	m.storage.FailGets("denied/")
	for range 62 {
		m.clock.add(time.Minute)
		require.NoError(t, m.tickNow())
	}
	require.Equal(t, []string{"archived", "archived", "active"}, m.states(), "version 2 was archived meanwhile")
	m.storage.Heal()
	m.advance(11 * time.Minute)
	require.Equal(t, []string{"retired", "archived", "active"}, m.states())
}
