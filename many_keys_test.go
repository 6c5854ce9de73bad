// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// crowd is a mount with so many keys under policy p, all of them due an hour after start, put off by the jitter. A tick
// has run.
func crowd(t *testing.T, keys int, jitter string) *mount {
	t.Helper()
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", jitter))
	for i := range keys {
		m.must(m.write(fmt.Sprintf("keys/k%05d", i), "policy", "p"))
	}
	require.NoError(t, m.tickNow())
	return m
}

func TestTenThousandKeysDueInOneMinuteAreRotatedOnceInAFewTicksWhileClientsEncrypt(t *testing.T) {
	t.Parallel()
	keys := 200 + racetest.Size(t, racetest.Size(t, 9_800))
	m := crowd(t, keys, "0s")
	m.clock.add(time.Hour)
	stop := encrypting(t, m, keys)
	ticks := 0
	for ; ticks == 0 || m.status()["due"] != 0; ticks++ {
		require.Less(t, ticks, 4)
		report, err := m.engine.Tick(t.Context(), m.repoOf())
		require.NoError(t, err)
		require.LessOrEqual(t, report.Rotated, 5000, "what one tick does is bounded")
		require.Equal(t, report.Rotated, m.status()["progress"].(map[string]any)["rotated"])
	}
	require.Positive(t, stop())
	require.GreaterOrEqual(t, ticks, keys/5000)
	versions := map[string]int{}
	for path := range m.dump() {
		if parts := strings.Split(path, "/"); parts[0] == "versions" {
			versions[parts[2]]++
		}
	}
	require.Equal(t, map[string]int{"1": keys, "2": keys}, versions, "every key rotated exactly once")
	require.Equal(t, 0, m.status()["failed"])
	require.NotContains(t, m.log.String(), "[ERROR]")
}

// encrypting is a client that encrypts with one key after the other until stop, which returns how often it did.
func encrypting(t *testing.T, m *mount, keys int) (stop func() int) {
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
			a := m.write(fmt.Sprintf("encrypt/k%05d", 7*count%keys), "plaintext", b64("x"))
			if a.status != 200 {
				t.Errorf("encrypt while keys rotate: %d %s", a.status, a.err)
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
		m.advance(59 * time.Minute)
		m.clock.add(time.Minute)
		m.storage.Reset()
		report, err := m.engine.Tick(t.Context(), m.repoOf())
		require.NoError(t, err)
		require.Equal(t, keys, report.Rotated)
		return m.storage.Reset()
	}
	more := racetest.Size(t, 1000)
	few, many := cost(10), cost(10+more)
	require.Equal(t, storagetest.Counts{Gets: 6, Puts: 6, Deletes: 1}, storagetest.Counts{
		Gets: (many.Gets - few.Gets) / more, Puts: (many.Puts - few.Puts) / more, Deletes: (many.Deletes - few.Deletes) / more,
	}, "per key; the checks are in it")
	require.Equal(t, few.Lists, many.Lists)
}

func TestJitterSpreadsAMassRotationOverItsRange(t *testing.T) {
	t.Parallel()
	keys := 300 + racetest.Size(t, 700) // fewer would not be spread evenly
	m := crowd(t, keys, "15m")
	m.advance(59 * time.Minute)
	most := 0
	for range 16 {
		m.clock.add(time.Minute)
		report, err := m.engine.Tick(t.Context(), m.repoOf())
		require.NoError(t, err)
		most = max(most, report.Rotated)
	}
	require.Less(t, most, 2*keys/15, "no minute has much more than its share")
	for i := range keys {
		require.Equal(t, 2, m.latest(fmt.Sprintf("k%05d", i)))
	}
}
