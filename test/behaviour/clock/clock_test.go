// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package clock_test is about what happens by the clock and what holds it back: the clock guard, periods, denied uses
// and the quiet period.
package clock_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

func TestAVersionLivesByTheClockAndNothingIsEarly(t *testing.T) {
	t.Parallel()
	m := mounttest.Clockwork(t)
	first := m.Encrypt("k", "secret")
	before := "active"
	for _, step := range []struct {
		at    time.Duration
		state string
	}{{1 * time.Hour, "deactivated"}, {3 * time.Hour, "archived"}, {9 * time.Hour, "retired"}, {33 * time.Hour, "destroyed"}} {
		m.AdvanceTo(step.at - time.Minute)
		require.Equal(t, before, m.K.State(1), "a minute before %s", step.at)
		if before == "active" || before == "deactivated" {
			require.Equal(t, "secret", m.Decrypt("k", first))
		}
		m.Restart()
		m.AdvanceTo(step.at)
		require.Equal(t, step.state, m.K.State(1), "at %s", step.at)
		before = step.state
	}
	m.Refused(m.Write("decrypt/k", "ciphertext", first), "version 1 is destroyed")
	states := m.K.States()
	require.Len(t, states, 34)
	require.Equal(t, []string{"deactivated", "deactivated", "active"}, states[31:])
	require.Equal(t, "archived", states[30])
	for i, state := range states[1:] {
		rank := map[string]int{"destroyed": 0, "retired": 1, "archived": 2, "deactivated": 3, "active": 4}
		require.LessOrEqual(t, rank[states[i]], rank[state], "the older, the further")
	}
	m.AdvanceTo(34 * time.Hour)
	require.Equal(t, []string{"destroyed", "destroyed", "retired"}, m.K.States()[:3])
	require.Equal(t, "x", m.Decrypt("k", m.Encrypt("k", "x")))
}

func TestOneTickAfterAnOutageDoesNothingEarlyAndTheNextOnesCatchUp(t *testing.T) {
	t.Parallel()
	m := mounttest.Clockwork(t)
	m.Clock.Add(11 * time.Hour)
	m.Advance(time.Minute)
	require.Equal(t, []string{"deactivated", "active"}, m.K.States(), "superseded only now")
	m.Pass(20 * time.Hour)
	m.Advance(2 * time.Minute)
	require.Equal(t, []string{"archived", "deactivated", "active"}, m.K.States())
}

func TestTheClockLeavesTheLeastNumberOfReadableVersions(t *testing.T) {
	t.Parallel()
	m := mounttest.Clockwork(t, "min_versions_kept", 4)
	m.AdvanceTo(7 * time.Hour)
	require.Equal(t, []string{"archived", "archived", "archived", "archived", "deactivated", "deactivated", "deactivated", "active"}, m.K.States())
	m.Refused(m.K.Op("versions/5/archive"), "min_versions_kept is 4")
}

func TestADeniedUsePutsTheRetirementOffByTheQuietPeriod(t *testing.T) {
	t.Parallel()
	racetest.Skip(t, "one goroutine works alone")
	for _, crash := range []bool{false, true} {
		m := mounttest.Clockwork(t)
		first := m.Encrypt("k", "secret")
		m.AdvanceTo(8 * time.Hour)
		m.Refused(m.Write("decrypt/k", "ciphertext", first), "archived")
		if crash {
			m.Advance(time.Minute)
			m.Restart()
		}
		m.AdvanceTo(14*time.Hour - time.Minute)
		require.Equal(t, "archived", m.K.State(1))
		require.Equal(t, "retired", m.K.State(2), "another version is not put off")
		m.AdvanceTo(14 * time.Hour)
		require.Equal(t, "retired", m.K.State(1))
		require.Equal(t, mounttest.Start.Add(38*time.Hour).Format(time.RFC3339), m.Read("keys/k/versions/1").Data["destroy_time"])
	}
}

func TestDeniedUsesAreCountedAndDated(t *testing.T) {
	t.Parallel()
	m, c := mounttest.KeyOf3(t)
	m.K.Ops("versions/2/archive")
	m.Refused(m.Write("decrypt/k", "ciphertext", c[2]))
	m.Clock.Add(time.Hour)
	m.Refused(m.Write("rewrap/k", "ciphertext", c[2]))
	m.Must(m.Write("decrypt/k", "batch_input", []any{map[string]any{"ciphertext": c[1]}}))
	m.Advance(time.Minute)
	m.Restart()
	v := m.Must(m.Read("keys/k/versions/2")).Data
	require.Equal(t, 2, v["denied_uses"])
	require.Equal(t, mounttest.Start.Format(time.RFC3339), v["first_denied_time"])
	require.Equal(t, mounttest.Start.Add(time.Hour).Format(time.RFC3339), v["last_denied_time"])
	require.Equal(t, 0, m.Must(m.Read("keys/k/versions/1")).Data["denied_uses"])
}

func TestANewKeyOfTheNameInheritsNoDeniedUses(t *testing.T) {
	t.Parallel()
	m, c := mounttest.KeyOf3(t)
	m.Must(m.Write("keys/k/config", "deletion_allowed", true))
	m.K.Ops("versions/2/archive")
	m.Refused(m.Write("decrypt/k", "ciphertext", c[2]))
	m.Must(m.Delete("keys/k"))
	m.Advance(time.Minute)
	mounttest.RequireNothingLeft(t, m)
	m.Must(m.Write("keys/k"))
	m.K.Ops("rotate", "versions/1/archive")
	require.Equal(t, 0, m.Must(m.Read("keys/k/versions/2")).Data["denied_uses"])
}

func TestARecoveredVersionIsArchivedAgainWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	racetest.Skip(t, "one goroutine works alone")
	m, c := mounttest.KeyOf3(t)
	m.K.Ops("versions/2/archive")
	m.Must(m.K.Op("versions/2/recover", "time_limit", "90m"))
	require.Equal(t, mounttest.Start.Add(90*time.Minute).Format(time.RFC3339), m.Read("keys/k/versions/2").Data["archive_time"])
	m.AdvanceTo(89 * time.Minute)
	require.Equal(t, "secret", m.Decrypt("k", c[2]))
	m.Restart()
	m.AdvanceTo(90 * time.Minute)
	m.Refused(m.Write("decrypt/k", "ciphertext", c[2]), "archived")
	m.K.Ops("versions/2/recover")
	m.AdvanceTo(48 * time.Hour)
	require.Equal(t, "deactivated", m.K.State(2), "no limit")
}

func TestASuspensionDoesNotLiftTheTimeLimitOfARecovery(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	m.K.Ops("versions/2/archive")
	m.Must(m.K.Op("versions/2/recover", "time_limit", "1h"))
	m.K.Ops("versions/2/suspend", "versions/2/resume")
	m.AdvanceTo(61 * time.Minute)
	require.Equal(t, "archived", m.K.State(2))
}

func TestWhatTheClockMayNotDoHoldsNothingElseUp(t *testing.T) {
	t.Parallel()
	racetest.Skip(t, "one goroutine works alone")
	for name, hinder := range map[string]func(m *mounttest.Mount){
		"the floor":         func(m *mounttest.Mount) { m.Must(m.Write("keys/k/config", "min_decryption_version", 3)) },
		"min_versions_kept": func(m *mounttest.Mount) { m.Must(m.Write("policies/p", "min_versions_kept", 3)) },
	} {
		m, _ := mounttest.UnderPolicy(t)
		m.K.Ops("versions/1/archive", "versions/1/retire", "versions/2/archive")
		m.Must(m.K.Op("versions/2/recover", "time_limit", "1h"))
		hinder(m)
		m.AdvanceTo(24 * time.Hour)
		require.Equal(t, "destroyed", m.K.State(1), name)
		require.NotContains(t, m.Log.String(), "rotation failed", name)
	}
}

func TestAStagedVersionIsPromotedWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	m := mounttest.Clockwork(t, "rotation_period", "4h", "staging_time", "30m", "archive_after", 0)
	m.AdvanceTo(4 * time.Hour)
	require.Equal(t, []string{"active", "pre_active"}, m.K.States())
	m.AdvanceTo(4*time.Hour + 29*time.Minute)
	require.Equal(t, "vault:v1:", m.Encrypt("k", "x")[:9])
	m.Restart()
	m.AdvanceTo(4*time.Hour + 30*time.Minute)
	require.Equal(t, []string{"deactivated", "active"}, m.K.States())
	require.Equal(t, "vault:v2:", m.Encrypt("k", "x")[:9])
	m.AdvanceTo(8 * time.Hour)
	require.Equal(t, []string{"deactivated", "active", "pre_active"}, m.K.States(), "staging does not delay the schedule")
}

func TestWithoutARotationAVersionStopsToEncryptAtTheEndOfItsOriginatorPeriod(t *testing.T) {
	t.Parallel()
	m := mounttest.Clockwork(t, "rotation_mode", "manual", "originator_period", "2h", "archive_after", 0)
	old := m.Encrypt("k", "secret")
	m.AdvanceTo(2*time.Hour - time.Minute)
	m.Encrypt("k", "x")
	m.AdvanceTo(2 * time.Hour)
	m.Refused(m.Write("encrypt/k", "plaintext", ""), "cannot encrypt")
	require.Equal(t, []string{"deactivated"}, m.K.States())
	require.Equal(t, "secret", m.Decrypt("k", old))
	m.K.Ops("rotate")
	require.Equal(t, "vault:v2:", m.Encrypt("k", "x")[:9])

	auto := mounttest.Clockwork(t, "rotation_period", "1h", "originator_period", "1h")
	auto.Clock.Add(3 * time.Hour)
	auto.Encrypt("k", "an automatic rotation that is late does not stop the clients")
}

func TestARetiredKeyIsDestroyedWhenItsTimeHasComeAndNotUnderHold(t *testing.T) {
	t.Parallel()
	m, c := mounttest.UnderPolicy(t)
	m.K.Ops("archive", "retire", "hold")
	require.Equal(t, mounttest.Start.Add(24*time.Hour).Format(time.RFC3339), m.Read("keys/k").Data["destroy_time"])
	m.Leap(60 * time.Hour)
	require.Equal(t, "retired", m.Read("keys/k").Data["state"])
	m.Must(m.K.Op("hold", "hold", false))
	m.Advance(2 * time.Minute)
	require.Equal(t, "destroyed", m.Read("keys/k").Data["state"])
	require.Equal(t, []string{"destroyed", "destroyed", "destroyed"}, m.K.States())
	for _, text := range c {
		m.Refused(m.Write("decrypt/k", "ciphertext", text), "destroyed")
	}
	m.Refused(m.K.Op("restore"), "destroyed")
}

func TestLoweringTheDestroyDelayShortensNoDelayThatRuns(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.UnderPolicy(t, "destroy_delay", "10d")
	m.K.Ops("versions/1/archive", "versions/1/retire")
	m.Must(m.Write("policies/p", "destroy_delay", "24h"))
	m.Leap(10*24*time.Hour - time.Minute)
	require.Equal(t, "retired", m.K.State(1))
	m.Advance(time.Minute)
	require.Equal(t, "destroyed", m.K.State(1))
}

// guarded has version 1 of key k due to be destroyed, which a hold has put off, and a mount that ticked until now.
func guarded(t *testing.T) *mounttest.Mount {
	t.Helper()
	m, _ := mounttest.UnderPolicy(t)
	m.K.Ops("versions/1/archive", "versions/1/retire", "hold")
	m.Leap(30 * time.Hour)
	m.Must(m.Write("policies/hourly", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	m.SetStored("policies/hourly", "pre_checks", []string{"hsm_healthy", "storage_writable"})
	return m
}

func TestAClockThatWentBackFreezesUntilItIsAcknowledged(t *testing.T) {
	t.Parallel()
	m := guarded(t)
	require.False(t, m.Frozen())
	m.Clock.Add(-4 * time.Minute)
	require.False(t, m.Frozen(), "a small correction")
	m.Clock.Add(4*time.Minute - 2*time.Hour)
	m.Must(m.K.Op("hold", "hold", false))
	m.Must(m.Write("keys/r", "policy", "hourly"))
	m.Advance(70 * time.Minute)
	require.True(t, m.Frozen())
	require.Equal(t, "retired", m.K.State(1))
	require.Equal(t, 2, m.Latest("r"), "rotation goes on where the policy does not ask for clock_sane")
	require.Contains(t, m.Log.String(), "clock guard")
	m.Refused(m.Write("config/clock"), "acknowledge")
	m.Refused(m.Write("config/clock", "acknowledge", true, "x", 1), "no such field")
	require.Equal(t, false, m.Must(m.Write("config/clock", "acknowledge", true)).Data["frozen"])
	m.Advance(11 * time.Minute)
	require.Equal(t, "destroyed", m.K.State(1))
}

func TestAClockTenMinutesBehindFreezesUntilItHasCaughtUp(t *testing.T) {
	t.Parallel()
	m := guarded(t)
	m.Clock.Add(-10 * time.Minute)
	m.Must(m.K.Op("hold", "hold", false))
	m.Restart()
	m.Advance(2 * time.Minute)
	require.True(t, m.Frozen())
	require.Equal(t, "retired", m.K.State(1))
	m.Advance(20 * time.Minute)
	require.False(t, m.Frozen())
	require.Equal(t, "destroyed", m.K.State(1))
}

func TestAGapOfMoreThanADayFreezesForADayOfGoodRunning(t *testing.T) {
	t.Parallel()
	racetest.Skip(t, "one goroutine works alone")
	for _, acknowledge := range []bool{true, false} {
		m := mounttest.Clockwork(t, "rotation_period", "6h", "archive_after", "2h")
		m.Must(m.Write("keys/k/rotate", "reason", mounttest.Reason))
		m.Advance(time.Minute)
		m.Clock.Add(25 * time.Hour)
		require.True(t, m.Frozen(), "also before a tick has seen it")
		m.Advance(5 * time.Minute)
		require.True(t, m.Frozen())
		require.Equal(t, []string{"deactivated", "deactivated", "active"}, m.K.States(), "rotated, and nothing archived")
		m.Restart()
		if acknowledge {
			m.Must(m.Write("config/clock", "acknowledge", true))
			m.Advance(11 * time.Minute)
			require.Equal(t, "archived", m.K.State(1))
			continue
		}
		m.Advance(24*time.Hour - 6*time.Minute)
		require.True(t, m.Frozen())
		require.Equal(t, "deactivated", m.K.State(1))
		m.Advance(17 * time.Minute)
		require.False(t, m.Frozen())
		require.Equal(t, "archived", m.K.State(1))
	}
}

func TestDatesOfAClockThatWasAheadRotateWhenTheClockIsBelieved(t *testing.T) {
	t.Parallel()
	m := mounttest.Governed(t, "auto")
	m.Must(m.Write("policies/p", "pre_checks", []any{})) // without clock_sane
	m.Clock.Add(40 * 24 * time.Hour)
	require.NoError(t, m.Tick())
	require.Equal(t, 2, m.Latest("k"), "rotation goes on")
	m.Clock.Add(-40 * 24 * time.Hour)
	m.Advance(30 * time.Minute)
	require.True(t, m.Frozen())
	require.Equal(t, 2, m.Latest("k"), "it may be this clock that is wrong")
	m.Must(m.Write("config/clock", "acknowledge", true))
	m.Advance(12 * time.Minute)
	require.Equal(t, 3, m.Latest("k"))
	require.Equal(t, "clock", m.Rotation("k")["last_rotation_trigger"])
}

func TestWhatAnOperatorDoesIsNotFrozen(t *testing.T) {
	t.Parallel()
	m := guarded(t)
	m.Clock.Add(30 * time.Hour)
	m.Advance(time.Minute)
	require.True(t, m.Frozen())
	m.K.Ops("versions/2/archive", "versions/2/recover", "versions/3/compromise")
	require.Equal(t, []string{"retired", "deactivated", "compromised", "active"}, m.K.States())
}

func TestAMinuteInWhichNothingIsDueWritesNothing(t *testing.T) {
	t.Parallel()
	m := mounttest.Clockwork(t, "rotation_period", "6h")
	m.Advance(5 * time.Minute)
	m.Storage.Reset()
	for range 60 {
		m.Advance(time.Minute)
	}
	require.LessOrEqual(t, m.Storage.Reset().Writes(), 16, "the high-water mark of the clock, every few minutes, and the census, once an hour")
	require.Less(t, strings.Count(m.Log.String(), "[INFO]"), 5)
}
