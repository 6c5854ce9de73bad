// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package manykeys_test lets many keys be due at once: each rotates once, while clients go on, at a cost that grows with
// the keys that are due and nothing else.
package manykeys_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// crowd is a mount with so many keys under policy p, all of them due an hour after start, put off by the jitter. A tick
// has run.
func crowd(t *testing.T, keys int, jitter string) *mounttest.Mount {
	t.Helper()
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", jitter))
	for i := range keys {
		m.Must(m.Write(fmt.Sprintf("keys/k%05d", i), "policy", "p"))
	}
	require.NoError(t, m.Tick())
	return m
}

func TestTenThousandKeysDueInOneMinuteAreRotatedOnceInAFewTicksWhileClientsEncrypt(t *testing.T) {
	t.Parallel()
	keys := 200 + racetest.Size(t, racetest.Size(t, 9_800))
	m := crowd(t, keys, "0s")
	m.Clock.Add(time.Hour)
	stop := encrypting(t, m, keys)
	ticks := 0
	for ; ticks == 0 || m.Status()["due"] != 0; ticks++ {
		require.Less(t, ticks, 4)
		require.NoError(t, m.Tick())
		require.LessOrEqual(t, rotated(m), 5000, "what one tick does is bounded")
	}
	require.Positive(t, stop())
	require.GreaterOrEqual(t, ticks, keys/5000)
	versions := map[string]int{}
	for path := range m.Storage.All() {
		if parts := strings.Split(path, "/"); parts[0] == "versions" {
			versions[parts[2]]++
		}
	}
	require.Equal(t, map[string]int{"1": keys, "2": keys}, versions, "every key rotated exactly once")
	require.Equal(t, 0, m.Status()["failed"])
	require.NotContains(t, m.Log.String(), "[ERROR]")
}

// rotated is how many keys the last tick rotated.
func rotated(m *mounttest.Mount) int {
	m.T.Helper()
	return m.Status()["progress"].(map[string]any)["rotated"].(int)
}

// encrypting is a client that encrypts with one key after the other until stop, which returns how often it did.
func encrypting(t *testing.T, m *mounttest.Mount, keys int) (stop func() int) {
	t.Helper()
	var client sync.WaitGroup
	done, count := make(chan struct{}), 0
	client.Go(func() {
		for ; ; count++ {
			select {
			case <-done:
				return
			default:
			}
			a := m.Write(fmt.Sprintf("encrypt/k%05d", 7*count%keys), "plaintext", mounttest.B64("x"))
			if a.Status != 200 {
				t.Errorf("encrypt while keys rotate: %d %s", a.Status, a.Err)
				return
			}
		}
	})
	return func() int { close(done); client.Wait(); return count }
}

func TestWhatATickCostsGrowsWithTheKeysThatAreDueAndNothingElse(t *testing.T) {
	t.Parallel()
	cost := func(keys int) storagetest.Counts {
		m := crowd(t, keys, "0s")
		m.Must(m.Write("config/engine", "scrub", 0)) // of which a round begins in one of the ticks that are measured
		m.Advance(59 * time.Minute)
		m.Clock.Add(time.Minute)
		m.Storage.Reset()
		require.NoError(t, m.Tick())
		cost := m.Storage.Reset()
		require.Equal(t, keys, rotated(m))
		return cost
	}
	more := racetest.Size(t, 1000)
	few, many := cost(10), cost(10+more)
	perKey := func(few, many int) int { return (many - few + more/2) / more } // to the nearest: the census of few keys is stored in this tick
	require.Equal(t, storagetest.Counts{Gets: 6, Puts: 6, Deletes: 1}, storagetest.Counts{
		Gets: perKey(few.Gets, many.Gets), Puts: perKey(few.Puts, many.Puts), Deletes: perKey(few.Deletes, many.Deletes),
	}, "the checks are in it")
	require.Equal(t, few.Lists, many.Lists)
}

func TestJitterSpreadsAMassRotationOverItsRange(t *testing.T) {
	t.Parallel()
	keys := 300 + racetest.Size(t, 700) // fewer would not be spread evenly
	m := crowd(t, keys, "15m")
	m.Advance(59 * time.Minute)
	most := 0
	for range 16 {
		m.Clock.Add(time.Minute)
		require.NoError(t, m.Tick())
		most = max(most, rotated(m))
	}
	require.Less(t, most, 2*keys/15, "no minute has much more than its share")
	for i := range keys {
		require.Equal(t, 2, m.Latest(fmt.Sprintf("k%05d", i)))
	}
}
