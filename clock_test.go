// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// to ticks every minute until so long after the start.
func (m *mount) to(sinceStart time.Duration) {
	m.t.Helper()
	m.advance(start.Add(sinceStart).Sub(m.clock.Now()))
}

// clockwork is a key whose versions live by the clock: rotated after 1h, archived 2h later, retired 6h later,
// destroyed 24h later.
func clockwork(t *testing.T, settings ...any) *mount {
	t.Helper()
	m := newMount(t)
	m.must(m.write("policies/p", append([]any{
		"owner", "o", "rotation_period", "1h", "rotation_jitter", "0s", "archive_after", "2h", "retire_after", "6h", "quiet_period", "6h",
		"destroy_delay", "24h", "min_versions_kept", 1,
	}, settings...)...))
	m.must(m.write("keys/k", "policy", "p"))
	return m
}

func TestAVersionLivesByTheClockAndNothingIsEarly(t *testing.T) {
	t.Parallel()
	m := clockwork(t)
	first := m.encrypt("k", "secret")
	before := "active"
	for _, step := range []struct {
		at    time.Duration
		state string
	}{{1 * time.Hour, "deactivated"}, {3 * time.Hour, "archived"}, {9 * time.Hour, "retired"}, {33 * time.Hour, "destroyed"}} {
		m.to(step.at - time.Minute)
		require.Equal(t, before, m.state(1), "a minute before %s", step.at)
		if before == "active" || before == "deactivated" {
			require.Equal(t, "secret", m.decrypt("k", first))
		}
		m.restart()
		m.to(step.at)
		require.Equal(t, step.state, m.state(1), "at %s", step.at)
		before = step.state
	}
	m.refused(m.write("decrypt/k", "ciphertext", first), "version 1 is destroyed")
	states := m.states()
	require.Len(t, states, 34)
	require.Equal(t, []string{"deactivated", "deactivated", "active"}, states[31:])
	require.Equal(t, "archived", states[30])
	for i, state := range states[1:] {
		rank := map[string]int{"destroyed": 0, "retired": 1, "archived": 2, "deactivated": 3, "active": 4}
		require.LessOrEqual(t, rank[states[i]], rank[state], "the older, the further")
	}
	m.to(34 * time.Hour)
	require.Equal(t, []string{"destroyed", "destroyed", "retired"}, m.states()[:3])
	require.Equal(t, "x", m.decrypt("k", m.encrypt("k", "x")))
}

func TestOneTickAfterAnOutageDoesNothingEarlyAndTheNextOnesCatchUp(t *testing.T) {
	t.Parallel()
	m := clockwork(t)
	m.clock.add(11 * time.Hour)
	m.advance(time.Minute)
	require.Equal(t, []string{"deactivated", "active"}, m.states(), "superseded only now")
	m.pass(20 * time.Hour)
	m.advance(2 * time.Minute)
	require.Equal(t, []string{"archived", "deactivated", "active"}, m.states())
}

func TestTheClockLeavesTheLeastNumberOfReadableVersions(t *testing.T) {
	t.Parallel()
	m := clockwork(t, "min_versions_kept", 4)
	m.to(7 * time.Hour)
	require.Equal(t, []string{"archived", "archived", "archived", "archived", "deactivated", "deactivated", "deactivated", "active"}, m.states())
	m.refused(m.op("versions/5/archive"), "min_versions_kept is 4")
}

func TestADeniedUsePutsTheRetirementOffByTheQuietPeriod(t *testing.T) {
	t.Parallel()
	for _, crash := range []bool{false, true} {
		m := clockwork(t)
		first := m.encrypt("k", "secret")
		m.to(8 * time.Hour)
		m.refused(m.write("decrypt/k", "ciphertext", first), "archived")
		if crash {
			m.advance(time.Minute)
			m.restart()
		}
		m.to(14*time.Hour - time.Minute)
		require.Equal(t, "archived", m.state(1))
		require.Equal(t, "retired", m.state(2), "another version is not put off")
		m.to(14 * time.Hour)
		require.Equal(t, "retired", m.state(1))
		require.Equal(t, start.Add(38*time.Hour).Format(time.RFC3339), m.read("keys/k/versions/1").data["destroy_time"])
	}
}

func TestDeniedUsesAreCountedAndDated(t *testing.T) {
	t.Parallel()
	m, c := keyOf3(t)
	m.ops("versions/2/archive")
	m.refused(m.write("decrypt/k", "ciphertext", c[2]))
	m.clock.add(time.Hour)
	m.refused(m.write("rewrap/k", "ciphertext", c[2]))
	m.must(m.write("decrypt/k", "batch_input", []any{map[string]any{"ciphertext": c[1]}}))
	m.advance(time.Minute)
	m.restart()
	v := m.must(m.read("keys/k/versions/2")).data
	require.Equal(t, 2, v["denied_uses"])
	require.Equal(t, start.Format(time.RFC3339), v["first_denied_time"])
	require.Equal(t, start.Add(time.Hour).Format(time.RFC3339), v["last_denied_time"])
	require.Equal(t, 0, m.must(m.read("keys/k/versions/1")).data["denied_uses"])
}

func TestANewKeyOfTheNameInheritsNoDeniedUses(t *testing.T) {
	t.Parallel()
	m, c := keyOf3(t)
	m.must(m.write("keys/k/config", "deletion_allowed", true))
	m.ops("versions/2/archive")
	m.refused(m.write("decrypt/k", "ciphertext", c[2]))
	m.must(m.delete("keys/k"))
	m.advance(time.Minute)
	requireNothingLeft(t, m)
	m.must(m.write("keys/k"))
	m.ops("rotate", "versions/1/archive")
	require.Equal(t, 0, m.must(m.read("keys/k/versions/2")).data["denied_uses"])
}

func TestARecoveredVersionIsArchivedAgainWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	m, c := keyOf3(t)
	m.ops("versions/2/archive")
	m.must(m.op("versions/2/recover", "time_limit", "90m"))
	require.Equal(t, start.Add(90*time.Minute).Format(time.RFC3339), m.read("keys/k/versions/2").data["archive_time"])
	m.to(89 * time.Minute)
	require.Equal(t, "secret", m.decrypt("k", c[2]))
	m.restart()
	m.to(90 * time.Minute)
	m.refused(m.write("decrypt/k", "ciphertext", c[2]), "archived")
	m.ops("versions/2/recover")
	m.to(48 * time.Hour)
	require.Equal(t, "deactivated", m.state(2), "no limit")
}

func TestASuspensionDoesNotLiftTheTimeLimitOfARecovery(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	m.ops("versions/2/archive")
	m.must(m.op("versions/2/recover", "time_limit", "1h"))
	m.ops("versions/2/suspend", "versions/2/resume")
	m.to(61 * time.Minute)
	require.Equal(t, "archived", m.state(2))
}

func TestWhatTheClockMayNotDoHoldsNothingElseUp(t *testing.T) {
	t.Parallel()
	for name, hinder := range map[string]func(m *mount){
		"the floor":         func(m *mount) { m.must(m.write("keys/k/config", "min_decryption_version", 3)) },
		"min_versions_kept": func(m *mount) { m.must(m.write("policies/p", "min_versions_kept", 3)) },
	} {
		m, _ := underPolicy(t)
		m.ops("versions/1/archive", "versions/1/retire", "versions/2/archive")
		m.must(m.op("versions/2/recover", "time_limit", "1h"))
		hinder(m)
		m.to(24 * time.Hour)
		require.Equal(t, "destroyed", m.state(1), name)
		require.NotContains(t, m.log.String(), "rotation failed", name)
	}
}

func TestAStagedVersionIsPromotedWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	m := clockwork(t, "rotation_period", "4h", "staging_time", "30m", "archive_after", 0)
	m.to(4 * time.Hour)
	require.Equal(t, []string{"active", "pre_active"}, m.states())
	m.to(4*time.Hour + 29*time.Minute)
	require.Equal(t, "vault:v1:", m.encrypt("k", "x")[:9])
	m.restart()
	m.to(4*time.Hour + 30*time.Minute)
	require.Equal(t, []string{"deactivated", "active"}, m.states())
	require.Equal(t, "vault:v2:", m.encrypt("k", "x")[:9])
	m.to(8 * time.Hour)
	require.Equal(t, []string{"deactivated", "active", "pre_active"}, m.states(), "staging does not delay the schedule")
}

func TestWithoutARotationAVersionStopsToEncryptAtTheEndOfItsOriginatorPeriod(t *testing.T) {
	t.Parallel()
	m := clockwork(t, "rotation_mode", "manual", "originator_period", "2h", "archive_after", 0)
	old := m.encrypt("k", "secret")
	m.to(2*time.Hour - time.Minute)
	m.encrypt("k", "x")
	m.to(2 * time.Hour)
	m.refused(m.write("encrypt/k", "plaintext", ""), "cannot encrypt")
	require.Equal(t, []string{"deactivated"}, m.states())
	require.Equal(t, "secret", m.decrypt("k", old))
	m.ops("rotate")
	require.Equal(t, "vault:v2:", m.encrypt("k", "x")[:9])

	auto := clockwork(t, "rotation_period", "1h", "originator_period", "1h")
	auto.clock.add(3 * time.Hour)
	auto.encrypt("k", "an automatic rotation that is late does not stop the clients")
}

func TestARetiredKeyIsDestroyedWhenItsTimeHasComeAndNotUnderHold(t *testing.T) {
	t.Parallel()
	m, c := underPolicy(t)
	m.ops("archive", "retire", "hold")
	require.Equal(t, start.Add(24*time.Hour).Format(time.RFC3339), m.read("keys/k").data["destroy_time"])
	m.leap(60 * time.Hour)
	require.Equal(t, "retired", m.read("keys/k").data["state"])
	m.must(m.op("hold", "hold", false))
	m.advance(2 * time.Minute)
	require.Equal(t, "destroyed", m.read("keys/k").data["state"])
	require.Equal(t, []string{"destroyed", "destroyed", "destroyed"}, m.states())
	for _, text := range c {
		m.refused(m.write("decrypt/k", "ciphertext", text), "destroyed")
	}
	m.refused(m.op("restore"), "destroyed")
}

func TestLoweringTheDestroyDelayShortensNoDelayThatRuns(t *testing.T) {
	t.Parallel()
	m, _ := underPolicy(t, "destroy_delay", "10d")
	m.ops("versions/1/archive", "versions/1/retire")
	m.must(m.write("policies/p", "destroy_delay", "24h"))
	m.leap(10*24*time.Hour - time.Minute)
	require.Equal(t, "retired", m.state(1))
	m.advance(time.Minute)
	require.Equal(t, "destroyed", m.state(1))
}

// guarded has version 1 of key k due to be destroyed, which a hold has put off, and a mount that ticked until now.
func guarded(t *testing.T) *mount {
	t.Helper()
	m, _ := underPolicy(t)
	m.ops("versions/1/archive", "versions/1/retire", "hold")
	m.leap(30 * time.Hour)
	m.must(m.write("policies/hourly", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	m.setStored("policies/hourly", "pre_checks", []string{"hsm_healthy", "storage_writable"})
	return m
}

func (m *mount) frozen() bool {
	m.t.Helper()
	guard := m.must(m.read("config/clock")).data
	require.Equal(m.t, guard["frozen"], guard["why"] != "")
	return guard["frozen"].(bool)
}

func TestAClockThatWentBackFreezesUntilItIsAcknowledged(t *testing.T) {
	t.Parallel()
	m := guarded(t)
	require.False(t, m.frozen())
	m.clock.add(-4 * time.Minute)
	require.False(t, m.frozen(), "a small correction")
	m.clock.add(4*time.Minute - 2*time.Hour)
	m.must(m.op("hold", "hold", false))
	m.must(m.write("keys/r", "policy", "hourly"))
	m.advance(70 * time.Minute)
	require.True(t, m.frozen())
	require.Equal(t, "retired", m.state(1))
	require.Equal(t, 2, m.latest("r"), "rotation goes on where the policy does not ask for clock_sane")
	require.Contains(t, m.log.String(), "clock guard")
	m.refused(m.write("config/clock"), "acknowledge")
	m.refused(m.write("config/clock", "acknowledge", true, "x", 1), "no such field")
	require.Equal(t, false, m.must(m.write("config/clock", "acknowledge", true)).data["frozen"])
	m.advance(11 * time.Minute)
	require.Equal(t, "destroyed", m.state(1))
}

func TestAClockTenMinutesBehindFreezesUntilItHasCaughtUp(t *testing.T) {
	t.Parallel()
	m := guarded(t)
	m.clock.add(-10 * time.Minute)
	m.must(m.op("hold", "hold", false))
	m.restart()
	m.advance(2 * time.Minute)
	require.True(t, m.frozen())
	require.Equal(t, "retired", m.state(1))
	m.advance(20 * time.Minute)
	require.False(t, m.frozen())
	require.Equal(t, "destroyed", m.state(1))
}

func TestAGapOfMoreThanADayFreezesForADayOfGoodRunning(t *testing.T) {
	t.Parallel()
	for _, acknowledge := range []bool{true, false} {
		m := clockwork(t, "rotation_period", "6h", "archive_after", "2h")
		m.must(m.write("keys/k/rotate", "reason", why))
		m.advance(time.Minute)
		m.clock.add(25 * time.Hour)
		require.True(t, m.frozen(), "also before a tick has seen it")
		m.advance(5 * time.Minute)
		require.True(t, m.frozen())
		require.Equal(t, []string{"deactivated", "deactivated", "active"}, m.states(), "rotated, and nothing archived")
		m.restart()
		if acknowledge {
			m.must(m.write("config/clock", "acknowledge", true))
			m.advance(11 * time.Minute)
			require.Equal(t, "archived", m.state(1))
			continue
		}
		m.advance(24*time.Hour - 6*time.Minute)
		require.True(t, m.frozen())
		require.Equal(t, "deactivated", m.state(1))
		m.advance(17 * time.Minute)
		require.False(t, m.frozen())
		require.Equal(t, "archived", m.state(1))
	}
}

func TestDatesOfAClockThatWasAheadRotateWhenTheClockIsBelieved(t *testing.T) {
	t.Parallel()
	m := governed(t, "auto")
	m.must(m.write("policies/p", "pre_checks", []any{})) // without clock_sane
	m.clock.add(40 * 24 * time.Hour)
	require.NoError(t, m.tickNow())
	require.Equal(t, 2, m.latest("k"), "rotation goes on")
	m.clock.add(-40 * 24 * time.Hour)
	m.advance(30 * time.Minute)
	require.True(t, m.frozen())
	require.Equal(t, 2, m.latest("k"), "it may be this clock that is wrong")
	m.must(m.write("config/clock", "acknowledge", true))
	m.advance(12 * time.Minute)
	require.Equal(t, 3, m.latest("k"))
	require.Equal(t, "clock", m.rotation("k")["last_rotation_trigger"])
}

func TestWhatAnOperatorDoesIsNotFrozen(t *testing.T) {
	t.Parallel()
	m := guarded(t)
	m.clock.add(30 * time.Hour)
	m.advance(time.Minute)
	require.True(t, m.frozen())
	m.ops("versions/2/archive", "versions/2/recover", "versions/3/compromise")
	require.Equal(t, []string{"retired", "deactivated", "compromised", "active"}, m.states())
}

func TestAMinuteInWhichNothingIsDueWritesNothing(t *testing.T) {
	t.Parallel()
	m := clockwork(t, "rotation_period", "6h")
	m.advance(5 * time.Minute)
	m.storage.Reset()
	for range 60 {
		m.advance(time.Minute)
	}
	require.LessOrEqual(t, m.storage.Reset().Writes(), 15, "the high-water mark of the clock, every few minutes")
	require.Less(t, strings.Count(m.log.String(), "[INFO]"), 5)
}
