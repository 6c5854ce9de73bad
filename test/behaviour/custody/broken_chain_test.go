// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// breaks are ways to damage the end of the journal of KeyOf3, which is record 6; the key's record names 5.
func breaks() map[string]func(m *mounttest.Mount) {
	put := func(m *mounttest.Mount, path, value string) {
		require.NoError(m.T, m.Storage.Put(m.T.Context(), &logical.StorageEntry{Key: path, Value: []byte(value)}))
	}
	const begin, end = "journal/k/0000000005", "journal/k/0000000006"
	return map[string]func(m *mounttest.Mount){
		"the last act lost":  func(m *mounttest.Mount) { m.Storage.CutJournal(begin, end) },
		"its beginning lost": func(m *mounttest.Mount) { m.Storage.CutJournal(begin) },
		"its beginning edited": func(m *mounttest.Mount) {
			put(m, begin, strings.Replace(string(m.Storage.All()[begin]), mounttest.Reason, "harmless", 1))
		},
		"its beginning unreadable": func(m *mounttest.Mount) { put(m, begin, "{}") },
		"its end unreadable":       func(m *mounttest.Mount) { put(m, end, "{}") },
		"edited, and its end lost": func(m *mounttest.Mount) {
			put(m, begin, strings.Replace(string(m.Storage.All()[begin]), mounttest.Reason, "harmless", 1))
			m.Storage.CutJournal(end)
		},
		"everything lost":           func(m *mounttest.Mount) { m.Storage.CutJournal(slices.Collect(maps.Keys(m.Storage.All()))...) },
		"a false one put behind it": func(m *mounttest.Mount) { put(m, "journal/k/0000000007", "{}") },
	}
}

func TestABrokenChainStopsAllActsButThoseThatStopAKey(t *testing.T) {
	t.Parallel()
	racetest.Skip(t, "one goroutine works alone")
	for name, damage := range breaks() {
		for _, stop := range []string{"suspend", "versions/2/suspend", "versions/3/compromise"} {
			t.Run(name+"/"+stop, func(t *testing.T) {
				m, c := mounttest.KeyOf3(t)
				damage(m)
				m.Restart()
				m.Must(m.Write("policies/other", "owner", "o")) // the first write after a start needs no barrier then
				damaged := m.Storage.All()
				for _, path := range []string{"rotate", "rollback", "archive", "versions/1/archive", "hold"} {
					a := m.K.Op(path)
					require.Equal(t, 500, a.Status, path)
					require.Contains(t, a.Err, "restore journal/ from a snapshot, or suspend the key")
				}
				require.Equal(t, 500, m.Write("keys/k/config", "deletion_allowed", true).Status)
				require.Equal(t, damaged, m.Storage.All())

				m.K.Ops(stop)
				for path, line := range damaged {
					if strings.HasPrefix(path, "journal/") {
						require.True(t, bytes.Equal(line, m.Storage.All()[path]), "what was found stays as it was: %s", path)
					}
				}
				act := m.Storage.JournalLine(2)
				require.Contains(t, act, `"custody_break":"journal/k/000000000`)
				if stop != "suspend" {
					require.Equal(t, "secret", m.Decrypt("k", c[1]))
				}
				requireBreakReported(m)
				if stop == "suspend" {
					m.K.Ops("resume")
				}
				m.Restart()
				m.K.Ops("rotate", "versions/1/archive")
				requireBreakReported(m)
			})
		}
	}
}

// requireBreakReported demands that verification, here and of an export, finds what happened to the journal.
func requireBreakReported(m *mounttest.Mount) {
	m.T.Helper()
	require.Equal(m.T, false, m.Must(m.Write("custody/verify")).Data["valid"])
	report := verified(m)
	require.NotEmpty(m.T, report.Problems)
}

func TestAnEmergencyAtABrokenChainThatWasCutShortIsOneMore(t *testing.T) {
	t.Parallel()
	racetest.Skip(t, "one goroutine works alone")
	for at := 1; at <= 5; at++ {
		for _, fate := range storagetest.Fates() {
			t.Run(fmt.Sprintf("write %d %s", at, fate), func(t *testing.T) {
				m, _ := mounttest.KeyOf3(t)
				breaks()["the last act lost"](m)
				m.Restart()
				m.Storage.FailWriteAs(at, fate)
				_ = m.K.Op("suspend")
				m.Storage.Heal()
				m.Restart()
				if m.Read("keys/k").Data["state"] != "suspended" {
					m.K.Ops("suspend")
				}
				m.K.Ops("resume", "rotate")
				requireBreakReported(m)
			})
		}
	}
}

func TestABrokenChainStopsNoCheckpointOfTheOthers(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	m.Must(m.Write("keys/other"))
	breaks()["the last act lost"](m)
	m.Restart()
	signed := m.Must(m.Write("custody/checkpoint")).Data
	require.Equal(t, []string{"k"}, signed["broken"])
	require.Contains(t, signed["payload"], `"other"`)
	require.NotContains(t, signed["payload"], `"k"`)
	m.K.Ops("suspend")
	signed = m.Must(m.Write("custody/checkpoint")).Data
	require.Empty(t, signed["broken"])
	require.Contains(t, signed["payload"], `"k"`)
}

func TestStorageThatCannotBeReadIsNoBrokenChain(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	m.Restart()
	m.Storage.FailGets("journal/")
	require.Equal(t, 500, m.K.Op("suspend").Status)
	m.Storage.Heal()
	m.K.Ops("suspend")
	mounttest.RequireCustodyWhole(t, m)
}
