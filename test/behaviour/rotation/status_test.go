// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package rotation_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

func TestTheStatusOfAMountThatIsWellIsEmpty(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	require.Equal(t, map[string]any{
		"due": 0, "due_complete": true, "running": false, "failed": 0, "stalled": 0, "overdue": 0, "stopped": 0, "stopped_keys": []any{}, "ending": 0, "ending_keys": []any{},
		"failed_keys": []any{}, "stalled_keys": []any{}, "overdue_keys": []any{}, "oldest_due_time": "", "oldest_lateness": int64(0),
		"ungoverned": 0, "ungoverned_keys": []any{},
		"progress": map[string]any{"started_time": "", "took": 0.0, "seen": 0, "rotated": 0, "failed": 0, "rolled_back": 0, "deferred": 0},
	}, m.Status())
	m.Refused(m.Do("read", "rotation/status", map[string]any{"x": 1}), "no such field")
}

func TestTheStatusShowsWhatWaitsAndWhatATickDid(t *testing.T) {
	t.Parallel()
	m := mounttest.Governed(t, "auto")
	for i := range 9 {
		m.Must(m.Write(fmt.Sprintf("keys/k%d", i), "policy", "p"))
	}
	m.Clock.Add(90 * time.Minute)
	s := m.Status()
	require.Equal(t, 10, s["due"])
	require.Equal(t, mounttest.Start.Add(time.Hour).Truncate(time.Minute).Format(time.RFC3339), s["oldest_due_time"])
	require.Equal(t, int64(30*60+30), s["oldest_lateness"])
	require.NoError(t, m.Tick())
	s = m.Status()
	require.Equal(t, 0, s["due"])
	require.Equal(t, "", s["oldest_due_time"])
	progress := s["progress"].(map[string]any)
	require.Equal(t, mounttest.Start.Add(90*time.Minute).Format(time.RFC3339), progress["started_time"])
	require.Equal(t, 10, progress["rotated"])
	require.Equal(t, 10, progress["seen"])
	require.Equal(t, false, s["running"])
}

func TestTheStatusOfARunningTickCanBeReadMeanwhile(t *testing.T) {
	t.Parallel()
	m := mounttest.Governed(t, "auto")
	m.Must(m.Write("keys/z", "policy", "p"))
	m.Advance(time.Minute)
	m.Clock.Add(time.Hour)
	var seen map[string]any
	m.Storage.AlterGets(func(path string, value []byte) []byte {
		if path == "keys/z" && seen == nil {
			seen = map[string]any{}
			seen = m.Status()
		}
		return value
	})
	require.NoError(t, m.Tick())
	require.Equal(t, true, seen["running"])
	require.Equal(t, 1, seen["progress"].(map[string]any)["rotated"])
	require.Equal(t, 1, seen["due"], "the one that is being looked at")
}

func TestTheStatusNamesTheKeysThatNeedSomebodyTheLongestFirst(t *testing.T) {
	t.Parallel()
	racetest.Skip(t, "one goroutine works alone")
	m := mounttest.Governed(t, "manual")
	for i := range 101 {
		m.Must(m.Write(fmt.Sprintf("keys/m%03d", i), "policy", "p"))
	}
	m.Clock.Add(-10 * time.Minute)
	m.Must(m.Write("keys/zz", "policy", "p"))
	m.Clock.Add(10 * time.Minute)
	m.Advance(2 * time.Hour)
	s := m.Status()
	require.Equal(t, 103, s["overdue"])
	require.Len(t, s["overdue_keys"], 100)
	require.Equal(t, "zz", s["overdue_keys"].([]any)[0].(map[string]any)["name"])
	require.Equal(t, mounttest.Start.Add(50*time.Minute).Truncate(time.Minute).Format(time.RFC3339), s["oldest_due_time"])

	m.Must(m.Write("keys/zz/rotate", "reason", mounttest.Reason))
	m.Must(m.Write("keys/k/config", "policy", "", "deletion_allowed", true))
	require.Equal(t, 101, m.Status()["overdue"])
	m.Must(m.Write("policies/p", "rotation_mode", "auto"))
	m.Advance(3 * time.Minute)
	require.Equal(t, 0, m.Status()["overdue"])
}

func TestAnAlertThatTheRecordDoesNotConfirmIsRemovedAndOneThatWasLostComesBack(t *testing.T) {
	t.Parallel()
	m := mounttest.Governed(t, "manual")
	m.Advance(61 * time.Minute)
	require.Equal(t, 1, m.Status()["overdue"])
	for path, value := range m.Storage.All() {
		if len(path) > 7 && path[:7] == "alerts/" {
			require.NoError(t, m.Storage.Delete(t.Context(), path))
			m.Storage.Plant("alerts/stalled/20260101T0000-k", value)
			m.Storage.Plant("alerts/failed", value)
		}
	}
	m.Storage.Plant("alerts/overdue/20260101T0000-gone", []byte("{}"))
	require.Equal(t, 1, m.Status()["stalled"])
	m.Advance(62 * time.Minute)
	require.Equal(t, 0, m.Status()["stalled"])
	require.Equal(t, []any{map[string]any{"name": "k", "since": mounttest.Start.Add(time.Hour).Truncate(time.Minute).Format(time.RFC3339)}}, m.Status()["overdue_keys"])
}

func TestReadingTheStatusCostsTheSameForAnyNumberOfKeys(t *testing.T) {
	cost := func(keys int) storagetest.Counts {
		m := mounttest.New(t)
		m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "90d"))
		m.Must(m.Write("keys/k-000000", "policy", "p"))
		copyKey(m, "k-000000", keys)
		require.NoError(t, m.Tick())
		m.Clock.Add(time.Minute)
		m.Storage.Reset()
		m.Status()
		return m.Storage.Reset()
	}
	few, many := cost(100), cost(racetest.Size(t, 100_000))
	require.Equal(t, few, many)
	require.Equal(t, storagetest.Counts{Lists: 9}, many, "five statuses, three minutes, the policies")
}
