// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// breaks are ways to damage the end of the journal of keyOf3, which is record 6; the key's record names 5.
func breaks() map[string]func(m *mount) {
	put := func(m *mount, path, value string) {
		require.NoError(m.t, m.storage.Put(m.t.Context(), &logical.StorageEntry{Key: path, Value: []byte(value)}))
	}
	const begin, end = "journal/k/0000000005", "journal/k/0000000006"
	return map[string]func(m *mount){
		"the last act lost":        func(m *mount) { cut(m, begin, end) },
		"its beginning lost":       func(m *mount) { cut(m, begin) },
		"its beginning edited":     func(m *mount) { put(m, begin, strings.Replace(string(m.dump()[begin]), why, "harmless", 1)) },
		"its beginning unreadable": func(m *mount) { put(m, begin, "{}") },
		"its end unreadable":       func(m *mount) { put(m, end, "{}") },
		"edited, and its end lost": func(m *mount) {
			put(m, begin, strings.Replace(string(m.dump()[begin]), why, "harmless", 1))
			cut(m, end)
		},
		"everything lost":           func(m *mount) { cut(m, slices.Collect(maps.Keys(m.dump()))...) },
		"a false one put behind it": func(m *mount) { put(m, "journal/k/0000000007", "{}") },
	}
}

func TestABrokenChainStopsAllActsButThoseThatStopAKey(t *testing.T) {
	t.Parallel()
	for name, damage := range breaks() {
		for _, stop := range []string{"suspend", "versions/2/suspend", "versions/3/compromise"} {
			t.Run(name+"/"+stop, func(t *testing.T) {
				m, c := keyOf3(t)
				damage(m)
				m.restart()
				m.must(m.write("policies/other", "owner", "o")) // the first write after a start needs no barrier then
				damaged := m.dump()
				for _, path := range []string{"rotate", "rollback", "archive", "versions/1/archive", "hold"} {
					a := m.op(path)
					require.Equal(t, 500, a.status, path)
					require.Contains(t, a.err, "restore journal/ from a snapshot, or suspend the key")
				}
				require.Equal(t, 500, m.write("keys/k/config", "deletion_allowed", true).status)
				require.Equal(t, damaged, m.dump())

				m.ops(stop)
				for path, line := range damaged {
					if strings.HasPrefix(path, "journal/") {
						require.True(t, bytes.Equal(line, m.dump()[path]), "what was found stays as it was: %s", path)
					}
				}
				act := m.newestRecord(2)
				require.Contains(t, act, `"custody_break":"journal/k/000000000`)
				if stop != "suspend" {
					require.Equal(t, "secret", m.decrypt("k", c[1]))
				}
				m.requireBreakReported()
				if stop == "suspend" {
					m.ops("resume")
				}
				m.restart()
				m.ops("rotate", "versions/1/archive")
				m.requireBreakReported()
			})
		}
	}
}

// newestRecord returns the n-th last record of key k as it is stored.
func (m *mount) newestRecord(n int) string {
	m.t.Helper()
	var paths []string
	for path := range m.dump() {
		if strings.HasPrefix(path, "journal/k/") {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return string(m.dump()[paths[len(paths)-n]])
}

// requireBreakReported demands that verification, here and of an export, finds what happened to the journal.
func (m *mount) requireBreakReported() {
	m.t.Helper()
	require.Equal(m.t, false, m.must(m.write("custody/verify")).data["valid"])
	report := m.verified()
	require.NotEmpty(m.t, report.Problems)
}

func TestAnEmergencyAtABrokenChainThatWasCutShortIsOneMore(t *testing.T) {
	t.Parallel()
	for at := 1; at <= 5; at++ {
		for _, fate := range storagetest.Fates() {
			t.Run(fmt.Sprintf("write %d %s", at, fate), func(t *testing.T) {
				m, _ := keyOf3(t)
				breaks()["the last act lost"](m)
				m.restart()
				m.storage.FailWriteAs(at, fate)
				_ = m.op("suspend")
				m.storage.Heal()
				m.restart()
				if m.read("keys/k").data["state"] != "suspended" {
					m.ops("suspend")
				}
				m.ops("resume", "rotate")
				m.requireBreakReported()
			})
		}
	}
}

func TestABrokenChainStopsNoCheckpointOfTheOthers(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	m.must(m.write("keys/other"))
	breaks()["the last act lost"](m)
	m.restart()
	signed := m.must(m.write("custody/checkpoint")).data
	require.Equal(t, []string{"k"}, signed["broken"])
	require.Contains(t, signed["payload"], `"other"`)
	require.NotContains(t, signed["payload"], `"k"`)
	m.ops("suspend")
	signed = m.must(m.write("custody/checkpoint")).data
	require.Empty(t, signed["broken"])
	require.Contains(t, signed["payload"], `"k"`)
}

func TestStorageThatCannotBeReadIsNoBrokenChain(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	m.restart()
	m.storage.FailGets("journal/")
	require.Equal(t, 500, m.op("suspend").status)
	m.storage.Heal()
	m.ops("suspend")
	requireCustodyWhole(t, m)
}
