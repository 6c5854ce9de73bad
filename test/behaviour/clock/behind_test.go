// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package clock_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// This file is about what operators do while the clock is behind, and known to be, or was put on unnoticed.

// behind31Days is KeyOf3 on a clock that is a month behind what it has shown.
func behind31Days(t *testing.T, policy ...any) (m *mounttest.Mount, right time.Time) {
	t.Helper()
	if len(policy) > 0 {
		m, _ = mounttest.UnderPolicy(t, policy...)
	} else {
		m, _ = mounttest.KeyOf3(t)
	}
	m.Leap(32 * 24 * time.Hour)
	right = m.Clock.Now()
	m.Clock.Add(-31 * 24 * time.Hour)
	require.True(t, m.Frozen())
	return m, right
}

func TestNothingIsRetiredWhileTheClockIsBehind(t *testing.T) {
	for _, policy := range [][]any{nil, {"quiet_period", 0}} {
		m, right := behind31Days(t, policy...)
		m.Must(m.K.Op("rotate", "stage", true))
		m.K.Ops("versions/1/archive", "versions/2/compromise")
		for _, op := range []string{"versions/1/retire", "versions/2/retire", "versions/4/retire"} {
			m.Refused(m.K.Op(op), "the clock is behind", "config/clock")
		}
		m.K.Ops("archive")
		m.Refused(m.K.Op("retire"), "the clock is behind")
		m.Clock.Add(right.Sub(m.Clock.Now()) + 10*time.Minute)
		m.Advance(5 * time.Minute)
		require.Equal(t, "archived", m.Must(m.Read("keys/k")).Data["state"])
		m.K.Ops("retire")
		m.Advance(5 * time.Minute)
		require.Equal(t, "retired", m.Must(m.Read("keys/k")).Data["state"], "destroy_delay counts from now")
	}
}

func TestAQuietPeriodDoesNotBeginInThePastOfAClockThatIsBehind(t *testing.T) {
	m, right := behind31Days(t, "quiet_period", "14d")
	m.K.Ops("versions/1/archive", "versions/2/compromise")
	m.Clock.Add(right.Sub(m.Clock.Now()) + 10*time.Minute)
	for _, v := range []string{"1", "2"} {
		m.Refused(m.K.Op("versions/"+v+"/retire"), "quiet_period is 14d")
	}
	m.Leap(14 * 24 * time.Hour)
	m.K.Ops("versions/1/retire", "versions/2/retire")

	m, right = behind31Days(t, "quiet_period", "14d")
	m.K.Ops("archive")
	m.Clock.Add(right.Sub(m.Clock.Now()) + 10*time.Minute)
	m.Refused(m.K.Op("retire"), "quiet_period is 14d")
}

func TestWhatHappenedTodayCanBeReportedWhileTheClockIsBehind(t *testing.T) {
	m, right := behind31Days(t)
	occurred := right.Add(-time.Hour).Format(time.RFC3339)
	m.Must(m.K.Op("versions/3/compromise", "occurred_at", occurred))
	require.Equal(t, occurred, m.Must(m.Read("keys/k/versions/3")).Data["compromise_occurred_time"])
	m.Refused(m.K.Op("versions/2/compromise", "occurred_at", right.Add(time.Hour).Format(time.RFC3339)), "occurred_at", "future")
}

func TestPeriodsThatEndedStayEndedWhenTheClockIsPutBack(t *testing.T) {
	m, _ := mounttest.UnderPolicy(t, "rollback_window", "1d")
	m.K.Ops("versions/1/archive", "versions/1/retire", "hold")
	m.Leap(48 * time.Hour)
	m.Must(m.K.Op("hold", "hold", false))
	m.Clock.Add(-40 * time.Hour)
	m.Refused(m.K.Op("rollback"), "rollback_window of 1d ended at")
	m.Refused(m.K.Op("versions/1/restore"), "destroy_time was")
}

func TestADamagedClockGuardStopsNoReport(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	require.NoError(t, m.Tick())
	m.K.Ops("versions/2/archive")
	m.Corrupt("config/clock")
	m.K.Ops("suspend", "resume", "versions/3/compromise", "versions/2/compromise")
	require.NotEqual(t, 200, m.K.Op("versions/2/retire").Status, "nobody knows whether the clock is right")
}

func TestJumpsOfTheClockDestroyNothingBeforeAQuarterOfItsDelay(t *testing.T) {
	for _, jump := range []time.Duration{24*time.Hour - 5*time.Minute, 12 * time.Hour, 6 * time.Hour, time.Hour} {
		m, _ := mounttest.UnderPolicy(t)
		m.K.Ops("versions/1/archive", "versions/1/retire")
		require.NoError(t, m.Tick())
		for range racetest.Size(t, 300) {
			m.Clock.Add(jump)
			_ = m.Tick()
			require.Equal(t, "retired", m.K.State(1), "%s", jump)
			m.Advance(time.Minute)
			require.Equal(t, "retired", m.K.State(1), "%s", jump)
		}
		require.True(t, m.Frozen())
	}
}

func TestNothingProtectsBelowTheFloorOfEncryption(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	m.Must(m.Write("keys/k/config", "min_encryption_version", 3))
	m.Refused(m.K.Op("rollback"), "min_encryption_version", "3")
	require.Equal(t, "vault:v3:", m.Encrypt("k", "x")[:9])
	m.Must(m.Write("keys/k/config", "min_encryption_version", 2))
	m.K.Ops("rollback")
	require.Equal(t, "vault:v2:", m.Encrypt("k", "x")[:9])
	m.Refused(m.Write("keys/k/config", "min_encryption_version", 3), "min_encryption_version: 3", "of which one is 2")
	m.Refused(m.K.Op("rollback"), "min_encryption_version", "2")
}

func TestADeniedUseCountsAlsoWhileTheClockIsBehind(t *testing.T) {
	m, c := mounttest.UnderPolicy(t, "quiet_period", "14d")
	m.K.Ops("versions/1/archive")
	m.Leap(32 * 24 * time.Hour)
	right := m.Clock.Now()
	m.Clock.Add(-31 * 24 * time.Hour)
	require.Equal(t, 400, m.Write("decrypt/k", "ciphertext", c[1]).Status)
	m.Clock.Add(right.Sub(m.Clock.Now()) + 10*time.Minute)
	m.Advance(5 * time.Minute)
	m.Refused(m.K.Op("versions/1/retire"), "quiet_period is 14d")
}

func TestALooserRevisionThatIsWrittenWhileTheClockIsBehindShortensNothing(t *testing.T) {
	m, c := mounttest.UnderPolicy(t, "quiet_period", "14d")
	m.K.Ops("versions/1/archive")
	m.Leap(32 * 24 * time.Hour)
	require.Equal(t, 400, m.Write("decrypt/k", "ciphertext", c[1]).Status)
	m.Advance(time.Minute)
	right := m.Clock.Now()
	m.Clock.Add(-31 * 24 * time.Hour)
	m.Must(m.Write("policies/p", "quiet_period", "1d"))
	m.Clock.Add(right.Sub(m.Clock.Now()) + 10*time.Minute)
	m.Leap(2 * 24 * time.Hour)
	m.Refused(m.K.Op("versions/1/retire"), "quiet_period is 1d")
}
