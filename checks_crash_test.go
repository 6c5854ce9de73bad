// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// checkCrash is a promotion whose every storage write is made to fail once; the version it makes may be a bad one.
type checkCrash struct {
	name    string
	bad     bool
	prepare func(m *mount)
	run     func(m *mount)
	least   int // writes that it takes
}

var checkCrashes = []checkCrash{
	{name: "rotate by hand", run: func(m *mount) { m.op("rotate") }, least: 9},
	{name: "rotate by hand and roll back", bad: true, run: func(m *mount) { m.op("rotate") }, least: 11},
	{name: "rotate by the clock", prepare: func(m *mount) { m.clock.add(time.Hour) }, run: tickOnce, least: 7},
	{name: "rotate by the clock and roll back", bad: true, prepare: func(m *mount) { m.clock.add(time.Hour) }, run: tickOnce, least: 9},
	{name: "promote and roll back", bad: true, prepare: func(m *mount) { m.must(m.op("rotate", "stage", true)) }, run: func(m *mount) { m.op("versions/2/promote") }, least: 9},
}

func tickOnce(m *mount) { _ = m.tickNow() }

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
	m, _ := checkless(t, fault{})
	held := []string{m.encrypt("k", "secret")}
	require.NoError(t, m.tickNow())
	if x.prepare != nil {
		x.prepare(m)
	}
	spoil := func() {
		if x.bad {
			m.storage.AlterGets(spoiled("versions/k/2"))
		}
	}
	spoil()
	m.storage.FailWriteAs(at, fate)
	x.run(m)
	fired := m.storage.Fired()
	m.storage.Heal()
	spoil()
	oneActive(t, m, held)
	if at%2 == 0 {
		m.restart()
	}
	for range 40 {
		m.advance(time.Minute)
		held = append(held, oneActive(t, m, held)...)
	}
	require.False(t, m.unchecked())
	if strings.HasSuffix(m.shorthand(), "P") {
		x.run(m) // it was lost before it began
	}
	if states := m.shorthand(); x.bad && len(states) > 1 && states == m.kept() { // else its number was given up
		require.Equal(t, "O", states[1:2], "version 2 is not kept")
		m.ops("rotate")
	}
	require.True(t, strings.HasSuffix(m.shorthand(), "A"), m.shorthand())
	requireNothingOpen(t, m)
	checkSchedule(t, m.dump())
	for path := range m.dump() {
		require.NotRegexp(t, "^alerts/", path)
	}
	return fired
}

// oneActive holds at any time: one version is active, and all that was ever encrypted can be read. Of the bad version
// that holds while it is in memory; nothing is encrypted with it here, as this asks only between requests.
func oneActive(t *testing.T, m *mount, held []string) []string {
	t.Helper()
	require.Equal(t, 1, strings.Count(m.shorthand(), "A"), m.shorthand())
	for _, ciphertext := range held {
		require.Equal(t, "secret", m.decrypt("k", ciphertext))
	}
	if m.unchecked() {
		return nil
	}
	return []string{m.encrypt("k", "secret")}
}
