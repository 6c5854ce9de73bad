// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package crash_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// checkCrash is a promotion whose every storage write is made to fail once; the version it makes may be a bad one.
type checkCrash struct {
	name    string
	bad     bool
	prepare func(m *mounttest.Mount)
	run     func(m *mounttest.Mount)
	least   int // writes that it takes
}

var checkCrashes = []checkCrash{
	{name: "rotate by hand", run: func(m *mounttest.Mount) { m.K.Op("rotate") }, least: 9},
	{name: "rotate by hand and roll back", bad: true, run: func(m *mounttest.Mount) { m.K.Op("rotate") }, least: 11},
	{name: "rotate by the clock", prepare: func(m *mounttest.Mount) { m.Clock.Add(time.Hour) }, run: tickOnce, least: 7},
	{name: "rotate by the clock and roll back", bad: true, prepare: func(m *mounttest.Mount) { m.Clock.Add(time.Hour) }, run: tickOnce, least: 9},
	{name: "promote and roll back", bad: true, prepare: func(m *mounttest.Mount) { m.Must(m.K.Op("rotate", "stage", true)) }, run: func(m *mounttest.Mount) { m.K.Op("versions/2/promote") }, least: 9},
}

func tickOnce(m *mounttest.Mount) { _ = m.Tick() }

func TestChecksAndTheirRollbackSurviveTheFailureOfEachWrite(t *testing.T) {
	for i, x := range checkCrashes {
		for f, fate := range storagetest.Fates() {
			if racetest.Spared(t, i+f) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", x.name, fate), func(t *testing.T) {
				t.Parallel()
				at := 1
				for x.crash(t, at, fate) {
					at++
				}
				require.Greater(t, at, x.least)
			})
		}
	}
}

// crash makes the at-th write fail and returns whether there was one.
func (x checkCrash) crash(t *testing.T, at int, fate storagetest.Fate) bool {
	t.Helper()
	m, _ := mounttest.Checkless(t, mounttest.Fault{})
	held := []string{m.Encrypt("k", "secret")}
	require.NoError(t, m.Tick())
	if x.prepare != nil {
		x.prepare(m)
	}
	spoil := func() {
		if x.bad {
			m.Storage.AlterGets(mounttest.Spoiled("versions/k/2"))
		}
	}
	spoil()
	m.Storage.FailWriteAs(at, fate)
	x.run(m)
	fired := m.Storage.Fired()
	m.Storage.Heal()
	spoil()
	oneActive(t, m, held)
	if at%2 == 0 {
		m.Restart()
	}
	for range 40 {
		m.Advance(time.Minute)
		held = append(held, oneActive(t, m, held)...)
	}
	require.False(t, m.Storage.Unchecked())
	if strings.HasSuffix(m.K.Letters(), "P") {
		x.run(m) // it was lost before it began
	}
	if states := m.K.Letters(); x.bad && len(states) > 1 && states == m.K.Kept() { // else its number was given up
		require.Equal(t, "O", states[1:2], "version 2 is not kept")
		m.K.Ops("rotate")
	}
	require.True(t, strings.HasSuffix(m.K.Letters(), "A"), m.K.Letters())
	mounttest.RequireNothingOpen(t, m)
	mounttest.RequireIndexed(t, m.Storage.All())
	for path := range m.Storage.All() {
		require.NotRegexp(t, "^alerts/", path)
	}
	return fired
}

// oneActive holds at any time: one version is active, and all that was ever encrypted can be read. Of the bad version
// that holds while it is in memory; nothing is encrypted with it here, as this asks only between requests.
func oneActive(t *testing.T, m *mounttest.Mount, held []string) []string {
	t.Helper()
	require.Equal(t, 1, strings.Count(m.K.Letters(), "A"), m.K.Letters())
	for _, ciphertext := range held {
		require.Equal(t, "secret", m.Decrypt("k", ciphertext))
	}
	if m.Storage.Unchecked() {
		return nil
	}
	return []string{m.Encrypt("k", "secret")}
}
