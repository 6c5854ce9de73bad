// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

func (m *mount) status() map[string]any {
	m.t.Helper()
	return m.must(m.read("rotation/status")).data
}

func TestTheStatusOfAMountThatIsWellIsEmpty(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	require.Equal(t, map[string]any{
		"due": 0, "due_complete": true, "running": false, "failed": 0, "stalled": 0, "overdue": 0, "stopped": 0, "stopped_keys": []any{},
		"failed_keys": []any{}, "stalled_keys": []any{}, "overdue_keys": []any{}, "oldest_due_time": "", "oldest_lateness": int64(0),
		"ungoverned": 0, "ungoverned_keys": []any{},
		"progress": map[string]any{"started_time": "", "took": 0.0, "seen": 0, "rotated": 0, "failed": 0, "rolled_back": 0},
	}, m.status())
	m.refused(m.do("read", "rotation/status", map[string]any{"x": 1}), "no such field")
}

func TestTheStatusShowsWhatWaitsAndWhatATickDid(t *testing.T) {
	t.Parallel()
	m := governed(t, "auto")
	for i := range 9 {
		m.must(m.write(fmt.Sprintf("keys/k%d", i), "policy", "p"))
	}
	m.clock.add(90 * time.Minute)
	s := m.status()
	require.Equal(t, 10, s["due"])
	require.Equal(t, start.Add(time.Hour).Truncate(time.Minute).Format(time.RFC3339), s["oldest_due_time"])
	require.Equal(t, int64(30*60+30), s["oldest_lateness"])
	require.NoError(t, m.tickNow())
	s = m.status()
	require.Equal(t, 0, s["due"])
	require.Equal(t, "", s["oldest_due_time"])
	progress := s["progress"].(map[string]any)
	require.Equal(t, start.Add(90*time.Minute).Format(time.RFC3339), progress["started_time"])
	require.Equal(t, 10, progress["rotated"])
	require.Equal(t, 10, progress["seen"])
	require.Equal(t, false, s["running"])
}

func TestTheStatusOfARunningTickCanBeReadMeanwhile(t *testing.T) {
	t.Parallel()
	m := governed(t, "auto")
	m.must(m.write("keys/z", "policy", "p"))
	m.advance(time.Minute)
	m.clock.add(time.Hour)
	var seen map[string]any
	m.storage.AlterGets(func(path string, value []byte) []byte {
		if path == "keys/z" && seen == nil {
			seen = map[string]any{}
			seen = m.status()
		}
		return value
	})
	require.NoError(t, m.tickNow())
	require.Equal(t, true, seen["running"])
	require.Equal(t, 1, seen["progress"].(map[string]any)["rotated"])
	require.Equal(t, 1, seen["due"], "the one that is being looked at")
}

func TestTheStatusNamesTheKeysThatNeedSomebodyTheLongestFirst(t *testing.T) {
	t.Parallel()
	m := governed(t, "manual")
	for i := range 101 {
		m.must(m.write(fmt.Sprintf("keys/m%03d", i), "policy", "p"))
	}
	m.clock.add(-10 * time.Minute)
	m.must(m.write("keys/zz", "policy", "p"))
	m.clock.add(10 * time.Minute)
	m.advance(2 * time.Hour)
	s := m.status()
	require.Equal(t, 103, s["overdue"])
	require.Len(t, s["overdue_keys"], 100)
	require.Equal(t, "zz", s["overdue_keys"].([]any)[0].(map[string]any)["name"])
	require.Equal(t, start.Add(50*time.Minute).Truncate(time.Minute).Format(time.RFC3339), s["oldest_due_time"])

	m.must(m.write("keys/zz/rotate", "reason", why))
	m.must(m.write("keys/k/config", "policy", "", "deletion_allowed", true))
	require.Equal(t, 101, m.status()["overdue"])
	m.must(m.write("policies/p", "rotation_mode", "auto"))
	m.advance(3 * time.Minute)
	require.Equal(t, 0, m.status()["overdue"])
}

func TestAnAlertThatTheRecordDoesNotConfirmIsRemovedAndOneThatWasLostComesBack(t *testing.T) {
	t.Parallel()
	m := governed(t, "manual")
	m.advance(61 * time.Minute)
	require.Equal(t, 1, m.status()["overdue"])
	for path, value := range m.dump() {
		if len(path) > 7 && path[:7] == "alerts/" {
			require.NoError(t, m.storage.Delete(t.Context(), path))
			m.plant("alerts/stalled/20260101T0000-k", value)
			m.plant("alerts/failed", value)
		}
	}
	m.plant("alerts/overdue/20260101T0000-gone", []byte("{}"))
	require.Equal(t, 1, m.status()["stalled"])
	m.advance(62 * time.Minute)
	require.Equal(t, 0, m.status()["stalled"])
	require.Equal(t, []any{map[string]any{"name": "k", "since": start.Add(time.Hour).Truncate(time.Minute).Format(time.RFC3339)}}, m.status()["overdue_keys"])
}

func TestReadingTheStatusCostsTheSameForAnyNumberOfKeys(t *testing.T) {
	cost := func(keys int) storagetest.Counts {
		m := newMount(t)
		m.must(m.write("policies/p", "owner", "o", "rotation_period", "90d"))
		m.must(m.write("keys/k-000000", "policy", "p"))
		copyKey(m, "k-000000", keys)
		require.NoError(t, m.tickNow())
		m.clock.add(time.Minute)
		m.storage.Reset()
		m.status()
		return m.storage.Reset()
	}
	few, many := cost(100), cost(racetest.Size(t, 100_000))
	require.Equal(t, few, many)
	require.Equal(t, storagetest.Counts{Lists: 8}, many, "four statuses, three minutes, the policies")
}

// plant stores an entry behind the engine's back.
func (m *mount) plant(path string, value []byte) {
	m.t.Helper()
	require.NoError(m.t, m.storage.Put(m.t.Context(), &logical.StorageEntry{Key: path, Value: value}))
}
