// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package scale_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/test/bench/result"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// crowd is a mount of Vault with so many keys, of which none is due, and how long something took in each round, in milliseconds.
type crowd struct {
	path         string
	keys         int
	ticks, colds []float64
	idles        []float64 // ticks of which one before has compared the last key within the hour
}

// many plants mounts, each of which has its own process of the plugin. Returned is a ciphertext of each key that can be used, too.
func many(t *testing.T, s *harness.Server, n size) (crowds []*crowd, ciphertext string) {
	m := mounttest.New(t)
	m.Must(m.Write("config/engine", "scrub", 0)) // the keys that are copied have nothing to scrub
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "36500d"))
	m.Must(m.Write("keys/k", "policy", "p"))
	ciphertext = m.Encrypt("k", "text")
	for _, keys := range n.keys {
		c := &crowd{path: fmt.Sprintf("keylife-%d", keys), keys: keys}
		s.RegisterAs(t, c.path)
		plant(t, s, c.path, c.path, copied(m, keys-1, min(n.inUse, keys-1)))
		crowds = append(crowds, c)
	}
	s.KillPlugin(t)
	return crowds, ciphertext
}

func TestManyKeys(t *testing.T) {
	n := sizeOf(t)
	s := vault(t)
	crowds, ciphertext := many(t, s, n)
	for range n.rounds {
		for _, c := range crowds {
			c.colds = append(c.colds, cold(t, s, c, ciphertext))
			c.ticks = append(c.ticks, tick(t, s, c))
		}
	}
	for round := -2; round < n.rounds; round++ { // two ticks more compare the last of 100 keys
		if took := tick(t, s, crowds[0]); round >= 0 {
			crowds[0].idles = append(crowds[0].idles, took)
		}
	}
	last := crowds[len(crowds)-1]
	resident := inUse(t, s, last, n, ciphertext)
	write(t, "tick.json", sectionOfKeys(crowds, perDueKey(t, n)))
	write(t, "memory.json", sectionOfMemory(t, n, resident))
}

// cold kills the plugin, and returns how long it takes until a key decrypts.
func cold(t testing.TB, s *harness.Server, c *crowd, ciphertext string) float64 {
	t.Helper()
	s.KillPlugin(t) // where none runs, it is cold as well
	return timed(func() {
		for status := 0; status != http.StatusOK; {
			reply, err := s.Send(harness.Request{Method: http.MethodPost, Path: c.path + "/decrypt/" + nameOf(1), Body: map[string]any{"ciphertext": ciphertext}})
			require.NoError(t, err)
			status = reply.Status
		}
	})
}

// tick is how long a tick takes, as the plugin measures it. Vault ticks a mount that is moved, before it and after; the last tick of these counts, and
// it is not the first one of a process, which reads the whole index.
func tick(t testing.TB, s *harness.Server, c *crowd) float64 {
	t.Helper()
	s.Tick(t, c.path)
	return gauge(t, s, c.path, "keylife_tick_duration_seconds") * 1000
}

// gauge is a metric of a mount that has no labels of its own.
func gauge(t testing.TB, s *harness.Server, mount, name string) float64 {
	t.Helper()
	values, _ := s.Must(t, http.MethodGet, mount+"/metrics?format=json", nil)["metrics"].(map[string]any)
	for series, value := range values {
		if series == name || strings.HasPrefix(series, name+"{") {
			v, err := value.(json.Number).Float64()
			require.NoError(t, err)
			return v
		}
	}
	require.Fail(t, "no such metric", "%s of %s has no %s", mount, values, name)
	return 0
}

// perDueKey is how long a tick takes for each key that it rotates, with all checks, on a storage in memory, in microseconds.
func perDueKey(t *testing.T, n size) float64 {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	keys := min(n.inUse, 1000)
	for i := range keys {
		m.Must(m.Write("keys/"+nameOf(i), "policy", "p"))
	}
	m.Clock.Add(61 * time.Minute)
	took := timed(func() { require.NoError(t, m.Tick()) })
	require.Equal(t, 2, m.Latest(nameOf(0)))
	return took * 1000 / float64(keys)
}

func sectionOfKeys(crowds []*crowd, due float64) result.Section {
	first := crowds[0]
	atFirst := fmt.Sprintf("the mount with %d keys", first.keys)
	section := result.Section{
		Title: "A mount with many keys",
		Intro: "A tick in which no key is due, as the plugin measures it (`keylife_tick_duration_seconds`): it compares 32 keys with the index of what is due, until all were compared " +
			"within the hour. A mount with few keys soon has done that, and its ticks cost less then, until the hour is over; one with many has not. And the time from the end of the plugin's process, which was killed, until a new one has " +
			"decrypted: Vault starts it, and it reads the key, its version and what wraps that.",
	}
	add := func(what string, of func(*crowd) []float64, wanted float64) {
		for i, c := range crowds {
			row := result.Row{What: fmt.Sprintf("%s, %s keys", what, result.Digits(float64(c.keys))), Value: result.Median(of(c)), Unit: "ms"}
			if i > 0 {
				b := result.Compare(atFirst, of(c), of(first))
				if i == len(crowds)-1 && wanted > 0 {
					b = b.AtMost(wanted)
				}
				row.Beside = append(row.Beside, b)
			}
			if wanted > 0 && i == len(crowds)-1 {
				row.Beside = append(row.Beside, result.Compare(fmt.Sprintf("%s that were all compared", result.Digits(float64(first.keys))), of(c), first.idles))
			}
			section.Rows = append(section.Rows, row)
		}
	}
	add("tick with nothing due", func(c *crowd) []float64 { return c.ticks }, 3)
	section.Rows = append(section.Rows, result.Row{What: fmt.Sprintf("the same when all keys were compared, %d keys", first.keys), Value: result.Median(first.idles), Unit: "ms"})
	add("from the end of a process to the first decrypt", func(c *crowd) []float64 { return c.colds }, 0)
	section.Rows = append(section.Rows, result.Row{What: "tick, for each key that it rotates, in memory", Value: due, Unit: "µs"})
	return section
}
