// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package scale_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/test/bench/result"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// heap is how much memory lives, in bytes.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what finalizers let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// cached returns how much the heap grew for each key, and for each cipher besides, when so many are in memory, and how many calls of
// storage the first decrypt needs.
func cached(t *testing.T, keys int) (key, cipher float64, calls int) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "90d"))
	m.Must(m.Write("keys/k", "policy", "p"))
	ciphertext := m.Encrypt("k", "text")
	m.Load(copied(m, keys, keys))
	m.Storage.Reset()
	m.Decrypt("k", ciphertext)
	calls = m.Storage.Reset().Total()
	empty := heap()
	for i := range keys {
		m.Must(m.Read("keys/" + nameOf(i) + "/plan"))
	}
	known := heap()
	for i := range keys {
		m.Decrypt(nameOf(i), ciphertext)
	}
	used := heap()
	m.Storage.Reset()
	m.Decrypt(nameOf(0), ciphertext)
	require.Zero(t, m.Storage.Reset().Total(), "the first of them is still in memory")
	return (known - empty) / float64(keys), (used - known) / float64(keys), calls
}

// resident is how much a process has in memory, in bytes.
func resident(t testing.TB, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	found := regexp.MustCompile(`(?m)^VmRSS:\s*(\d+) kB$`).FindSubmatch(text)
	require.NotNil(t, found, "%s", text)
	kib, err := strconv.ParseFloat(string(found[1]), 64)
	require.NoError(t, err)
	return kib * 1024
}

// inUse decrypts with so many keys, and returns how much the plugin's process grew by, in bytes.
func inUse(t testing.TB, s *harness.Server, c *crowd, n size, ciphertext string) float64 {
	t.Helper()
	cold(t, s, c, ciphertext)
	before := map[int]float64{}
	for _, pid := range s.PluginPIDs(t) {
		before[pid] = resident(t, pid)
	}
	for i := range min(n.inUse, c.keys-1) {
		s.Must(t, http.MethodPost, c.path+"/decrypt/"+nameOf(i), map[string]any{"ciphertext": ciphertext})
	}
	grown := 0.0
	for pid, bytes := range before { // one, or those of the other mounts too, which Vault ticks meanwhile
		grown += resident(t, pid) - bytes
	}
	return grown
}

func sectionOfMemory(t *testing.T, n size, resident float64) result.Section {
	key, cipher, calls := cached(t, n.inUse)
	return result.Section{
		Title: "Memory of keys in use",
		Intro: fmt.Sprintf("What the heap of the engine grows by when %s keys of one version come into memory, each with its cipher (aes256-gcm96): what lives after a collection. Then "+
			"what the plugin's process grows by when so many keys decrypt, one after the other: with garbage that was not collected yet.", result.Digits(float64(n.inUse))),
		Rows: []result.Row{
			{What: "a key", Value: key, Unit: "bytes"},
			{What: "its cipher", Value: cipher, Unit: "bytes"},
			{What: fmt.Sprintf("growth of the process, %s keys in use", result.Digits(float64(n.inUse))), Value: resident / (1 << 20), Unit: "MiB"},
			{What: "calls of storage for the first decrypt of a process", Value: float64(calls)},
		},
	}
}
