// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// This file is about what operators do while the clock is behind, and known to be, or was put on unnoticed.

// leap lets time go by, with a tick now and then.
func (m *mount) leap(d time.Duration) {
	m.t.Helper()
	for end := m.clock.Now().Add(d); m.clock.Now().Before(end); {
		m.pass(min(12*time.Hour, end.Sub(m.clock.Now())))
		require.NoError(m.t, m.tickNow())
	}
}

// pass lets time go by without a tick, and tells the clock guard that it is right.
func (m *mount) pass(d time.Duration) {
	m.t.Helper()
	m.clock.add(d)
	m.must(m.write("config/clock", "acknowledge", true))
}

// behind31Days is keyOf3 on a clock that is a month behind what it has shown.
func behind31Days(t *testing.T, policy ...any) (m *mount, right time.Time) {
	t.Helper()
	if len(policy) > 0 {
		m, _ = underPolicy(t, policy...)
	} else {
		m, _ = keyOf3(t)
	}
	m.leap(32 * 24 * time.Hour)
	right = m.clock.Now()
	m.clock.add(-31 * 24 * time.Hour)
	require.True(t, m.frozen())
	return m, right
}

func TestNothingIsRetiredWhileTheClockIsBehind(t *testing.T) {
	for _, policy := range [][]any{nil, {"quiet_period", 0}} {
		m, right := behind31Days(t, policy...)
		m.must(m.op("rotate", "stage", true))
		m.ops("versions/1/archive", "versions/2/compromise")
		for _, op := range []string{"versions/1/retire", "versions/2/retire", "versions/4/retire"} {
			m.refused(m.op(op), "the clock is behind", "config/clock")
		}
		m.ops("archive")
		m.refused(m.op("retire"), "the clock is behind")
		m.clock.add(right.Sub(m.clock.Now()) + 10*time.Minute)
		m.advance(5 * time.Minute)
		require.Equal(t, "archived", m.must(m.read("keys/k")).data["state"])
		m.ops("retire")
		m.advance(5 * time.Minute)
		require.Equal(t, "retired", m.must(m.read("keys/k")).data["state"], "destroy_delay counts from now")
	}
}

func TestAQuietPeriodDoesNotBeginInThePastOfAClockThatIsBehind(t *testing.T) {
	m, right := behind31Days(t, "quiet_period", "14d")
	m.ops("versions/1/archive", "versions/2/compromise")
	m.clock.add(right.Sub(m.clock.Now()) + 10*time.Minute)
	for _, v := range []string{"1", "2"} {
		m.refused(m.op("versions/"+v+"/retire"), "quiet_period is 336h0m0s")
	}
	m.leap(14 * 24 * time.Hour)
	m.ops("versions/1/retire", "versions/2/retire")

	m, right = behind31Days(t, "quiet_period", "14d")
	m.ops("archive")
	m.clock.add(right.Sub(m.clock.Now()) + 10*time.Minute)
	m.refused(m.op("retire"), "quiet_period is 336h0m0s")
}

func TestWhatHappenedTodayCanBeReportedWhileTheClockIsBehind(t *testing.T) {
	m, right := behind31Days(t)
	occurred := right.Add(-time.Hour).Format(time.RFC3339)
	m.must(m.op("versions/3/compromise", "occurred_at", occurred))
	require.Equal(t, occurred, m.must(m.read("keys/k/versions/3")).data["compromise_occurred_time"])
	m.refused(m.op("versions/2/compromise", "occurred_at", right.Add(time.Hour).Format(time.RFC3339)), "occurred_at", "future")
}

func TestPeriodsThatEndedStayEndedWhenTheClockIsPutBack(t *testing.T) {
	m, _ := underPolicy(t, "rollback_window", "1d")
	m.ops("versions/1/archive", "versions/1/retire", "hold")
	m.leap(48 * time.Hour)
	m.must(m.op("hold", "hold", false))
	m.clock.add(-40 * time.Hour)
	m.refused(m.op("rollback"), "rollback_window of 24h0m0s ended at")
	m.refused(m.op("versions/1/restore"), "destroy_time was")
}

func TestADamagedClockGuardStopsNoReport(t *testing.T) {
	m, _ := keyOf3(t)
	require.NoError(t, m.tickNow())
	m.ops("versions/2/archive")
	m.corrupt("config/clock")
	m.ops("suspend", "resume", "versions/3/compromise", "versions/2/compromise")
	require.NotEqual(t, 200, m.op("versions/2/retire").status, "nobody knows whether the clock is right")
}

func TestJumpsOfTheClockDestroyNothingBeforeAQuarterOfItsDelay(t *testing.T) {
	for _, jump := range []time.Duration{24*time.Hour - 5*time.Minute, 12 * time.Hour, 6 * time.Hour, time.Hour} {
		m, _ := underPolicy(t)
		m.ops("versions/1/archive", "versions/1/retire")
		require.NoError(t, m.tickNow())
		for range racetest.Size(t, 300) {
			m.clock.add(jump)
			_ = m.tickNow()
			require.Equal(t, "retired", m.state(1), "%s", jump)
			m.advance(time.Minute)
			require.Equal(t, "retired", m.state(1), "%s", jump)
		}
		require.True(t, m.frozen())
	}
}

func TestNothingProtectsBelowTheFloorOfEncryption(t *testing.T) {
	m, _ := keyOf3(t)
	m.must(m.write("keys/k/config", "min_encryption_version", 3))
	m.refused(m.op("rollback"), "min_encryption_version", "3")
	require.Equal(t, "vault:v3:", m.encrypt("k", "x")[:9])
	m.must(m.write("keys/k/config", "min_encryption_version", 2))
	m.ops("rollback")
	require.Equal(t, "vault:v2:", m.encrypt("k", "x")[:9])
	m.refused(m.write("keys/k/config", "min_encryption_version", 3), "min_encryption_version: 3", "of which one is 2")
	m.refused(m.op("rollback"), "min_encryption_version", "2")
}

func TestADeniedUseCountsAlsoWhileTheClockIsBehind(t *testing.T) {
	m, c := underPolicy(t, "quiet_period", "14d")
	m.ops("versions/1/archive")
	m.leap(32 * 24 * time.Hour)
	right := m.clock.Now()
	m.clock.add(-31 * 24 * time.Hour)
	require.Equal(t, 400, m.write("decrypt/k", "ciphertext", c[1]).status)
	m.clock.add(right.Sub(m.clock.Now()) + 10*time.Minute)
	m.advance(5 * time.Minute)
	m.refused(m.op("versions/1/retire"), "quiet_period is 336h0m0s")
}

func TestALooserRevisionThatIsWrittenWhileTheClockIsBehindShortensNothing(t *testing.T) {
	m, c := underPolicy(t, "quiet_period", "14d")
	m.ops("versions/1/archive")
	m.leap(32 * 24 * time.Hour)
	require.Equal(t, 400, m.write("decrypt/k", "ciphertext", c[1]).status)
	m.advance(time.Minute)
	right := m.clock.Now()
	m.clock.add(-31 * 24 * time.Hour)
	m.must(m.write("policies/p", "quiet_period", "1d"))
	m.clock.add(right.Sub(m.clock.Now()) + 10*time.Minute)
	m.leap(2 * 24 * time.Hour)
	m.refused(m.op("versions/1/retire"), "quiet_period is 24h0m0s")
}
