// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/stretchr/testify/require"
)

// machineZones names, for the process that a test starts of itself, the zones that only its machine has.
const machineZones = "KEYLIFE_TEST_MACHINE_ZONES"

// TestAZoneIsTheSameWhateverTheMachineHas runs in a process whose time zone database has more names than the one of IANA,
// and in which Berlin keeps the time of Tokyo.
func TestAZoneIsTheSameWhateverTheMachineHas(t *testing.T) {
	if os.Getenv(machineZones) == "" {
		onAnotherMachine(t)
		return
	}
	_, err := time.LoadLocation("posix/Europe/Berlin")
	require.NoError(t, err, "the machine knows it")
	for _, name := range []string{
		"posix/Europe/Berlin", "right/Europe/Berlin", "localtime", "posixrules", "Factory", "Local", "Company/Berlin", "europe/berlin",
		"Europe", "Europe/", "/Europe/Berlin", "Europe//Berlin", "./UTC", "../UTC", "Europe/../UTC", "Europe\\Berlin", "Europe/Berlin\x00", ".", "/",
	} {
		_, err := schedule.ParseZone(name)
		require.ErrorContains(t, err, "IANA", name)
	}
	berlin := zone(t, "Europe/Berlin")
	require.Equal(t, "Europe/Berlin", berlin.String())
	_, offset := time.Date(2026, 7, 1, 0, 0, 0, 0, berlin).Zone()
	require.Equal(t, 2*3600, offset, "of Berlin, not of Tokyo")
	require.Equal(t, time.UTC, zone(t, ""))
	require.Equal(t, time.UTC, zone(t, "UTC"))
}

func onAnotherMachine(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{
		"Europe/Berlin", "posix/Europe/Berlin", "right/Europe/Berlin", "localtime", "posixrules", "Factory", "Company/Berlin", "europe/berlin",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(nineHoursEast), 0o600))
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), "ZONEINFO="+dir, machineZones+"=1")
	out, err := again.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "PASS: "+t.Name())
}

// nineHoursEast is a zone file (RFC 9636) of one local time type, "JST", without transitions.
const nineHoursEast = "TZif2\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x04" +
	"\x00\x00\x7e\x90\x00\x00JST\x00" +
	"TZif2\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x04" +
	"\x00\x00\x7e\x90\x00\x00JST\x00\nJST-9\n"

// Until 2101 a zone's clock comes out of a table, as the database has it before a rule takes over; the rule goes on after.
func TestTheTableOfAZoneIsItsRule(t *testing.T) {
	racetest.Skip(t, "one goroutine, and nothing but arithmetic")
	files := schedule.ZoneFiles()
	require.Greater(t, len(files), 500)
	for name, data := range files {
		want, err := time.LoadLocationFromTZData(name, data)
		require.NoError(t, err, name)
		got := zone(t, name)
		require.Equal(t, want.String(), got.String())
		for at := time.Date(1800, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2130; {
			_, next := at.In(want).ZoneBounds()
			if next.IsZero() {
				next = time.Date(2130, 1, 1, 0, 0, 0, 0, time.UTC)
			}
			if !next.After(at) { // the last day of a leap year, as package time has it
				next = at.Add(day)
			}
			for _, at := range []time.Time{at, at.Add(next.Sub(at) / 2), next.Add(-time.Second)} {
				requireSameClock(t, at, want, got)
			}
			at = next.UTC()
		}
	}
}

func requireSameClock(t *testing.T, at time.Time, want, got *time.Location) {
	t.Helper()
	wantName, wantOffset := at.In(want).Zone()
	gotName, gotOffset := at.In(got).Zone()
	if wantName != gotName || wantOffset != gotOffset || at.In(want).IsDST() != at.In(got).IsDST() {
		require.Equal(t, at.In(want).String(), at.In(got).String(), want.String())
		require.Equal(t, at.In(want).IsDST(), at.In(got).IsDST(), "summer time of %s at %s", want, at)
	}
}
