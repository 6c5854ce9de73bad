// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package inventory_test holds what the inventory and the calendar show, what they cost, and what the board shows of people.
package inventory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

type row = map[string]any

// rows reads a page of the inventory.
func rows(m *mounttest.Mount, kv ...any) []row {
	m.T.Helper()
	return m.Must(m.Read("inventory", kv...)).Data["keys"].([]map[string]any)
}

func names(rows []row) []string {
	out := []string{}
	for _, r := range rows {
		out = append(out, r["name"].(string))
	}
	return out
}

// many stores n keys like k, so fast that a test can have hundreds.
func many(m *mounttest.Mount, n int) {
	m.T.Helper()
	record := m.Storage.All()["keys/k"]
	for i := range n {
		m.Storage.Plant(fmt.Sprintf("keys/k-%04d", i), record)
	}
}

func TestARowOfTheInventoryTellsHowAKeyStands(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "payments", "rotation_period", "30d", "rotation_jitter", "0", "archive_after", "90d", "rollback_window", "0", "staging_time", "0", "destroy_delay", "30d"))
	m.Must(m.Write("keys/k", "policy", "p", "owner", "team", "labels", map[string]any{"env": "prod"}))
	m.Clock.Add(24 * time.Hour)
	m.Must(m.Write("keys/k/rotate", "reason", mounttest.Reason))
	m.Must(m.Write("keys/k/hold", "hold", true, "reason", mounttest.Reason))
	m.Clock.Add(time.Hour)
	m.Encrypt("k", "x")
	made, rotated := mounttest.Start, mounttest.Start.Add(24*time.Hour)
	plan := m.Must(m.Read("keys/k/plan", "count", 1)).Data["events"].([]map[string]any)[0]
	answer := m.Must(m.Read("inventory"))
	require.Equal(t, []row{{
		"name": "k", "error": "", "type": "aes256-gcm96", "state": "enabled", "status": "scheduled", "why": m.Rotation("k")["why"],
		"primary_version": 2, "primary_since": rotated.UTC().Format(time.RFC3339), "primary_age": int64(3600), "latest_version": 2,
		"versions":   map[string]int{"active": 1, "deactivated": 1},
		"next_event": row{"at": plan["time"], "what": "rotate", "version": 3, "why": plan["why"], "irreversible": false},
		"policy":     "p", "policy_revision": 1, "legal_hold": true, "protection": "software",
		"last_used_time": m.Clock.Now().UTC().Format(time.RFC3339), "drift": []row{},
		"owner": "team", "labels": map[string]string{"env": "prod"}, "created_time": made.UTC().Format(time.RFC3339),
	}}, answer.Data["keys"])
	require.Equal(t, 1, answer.Data["scanned"])
	require.Empty(t, answer.Data["next"])
	require.Equal(t, m.Clock.Now().UTC().Format(time.RFC3339), answer.Data["time"])

	m.K.Ops("suspend")
	require.Equal(t, "suspended", rows(m)[0]["state"])
	require.Nil(t, rows(m)[0]["next_event"])
}

func TestTheInventoryShowsOnlyWhatIsAskedFor(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "payments", "rotation_mode", "manual", "rotation_period", "30d", "rotation_jitter", "0"))
	m.Must(m.Write("policies/empty", "owner", "payments"))
	m.Must(m.Write("keys/a1", "policy", "p", "owner", "team", "labels", map[string]any{"env": "prod", "tier": ""}))
	m.Must(m.Write("keys/a2", "type", "ed25519", "labels", map[string]any{"env": "test"}))
	m.Must(m.Write("keys/b1", "policy", "p"))
	m.Must(m.Write("keys/b2"))
	m.Must(m.Write("keys/b2/suspend", "reason", mounttest.Reason))
	m.Must(m.Write("keys/b1/rotate", "reason", mounttest.Reason))
	m.Clock.Add(15 * 24 * time.Hour)
	m.Must(m.Write("keys/b1/rotate", "reason", mounttest.Reason))
	m.Advance(16 * 24 * time.Hour) // a1 is overdue
	for _, c := range []struct {
		asked []any
		want  []string
	}{
		{nil, []string{"a1", "a2", "b1", "b2"}},
		{[]any{"policy", "p"}, []string{"a1", "b1"}},
		{[]any{"policy", "empty"}, []string{}},
		{[]any{"state", "suspended"}, []string{"b2"}},
		{[]any{"status", "overdue"}, []string{"a1"}},
		{[]any{"status", "overdue", "policy", "empty"}, []string{}},
		{[]any{"status", "scheduled"}, []string{"b1"}},
		{[]any{"status", "stalled"}, []string{}},
		{[]any{"type", "ed25519"}, []string{"a2"}},
		{[]any{"label", "env"}, []string{"a1", "a2"}},
		{[]any{"label", "env=test"}, []string{"a2"}},
		{[]any{"label", "tier="}, []string{"a1"}},
		{[]any{"owner", "team"}, []string{"a1"}},
		{[]any{"prefix", "b"}, []string{"b1", "b2"}},
		{[]any{"prefix", "b", "after", "b1"}, []string{"b2"}},
		{[]any{"prefix", "a", "after", "b"}, []string{}},
		{[]any{"after", "a1", "limit", 2}, []string{"a2", "b1"}},
	} {
		require.Equal(t, c.want, names(rows(m, c.asked...)), "%v", c.asked)
	}
	require.Equal(t, []row{{"field": "rotation", "value": "overdue", "rule": m.Rotation("a1")["why"]}}, rows(m, "status", "overdue")[0]["drift"])
}

func TestTheInventorySaysWhereAPageEnds(t *testing.T) {
	m := mounttest.New(t)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		m.Must(m.Write("keys/"+name, "owner", map[bool]string{true: "team"}[name == "e"]))
	}
	for _, c := range []struct {
		asked   []any
		shown   []string
		scanned int
		next    string
	}{
		{[]any{"limit", 2}, []string{"a", "b"}, 2, "b"},
		{[]any{"limit", 2, "after", "b"}, []string{"c", "d"}, 2, "d"},
		{[]any{"limit", 2, "after", "d"}, []string{"e"}, 1, ""},
		{[]any{"limit", 5}, []string{"a", "b", "c", "d", "e"}, 5, ""},
		{[]any{"owner", "team", "scan", 3}, []string{}, 3, "c"}, // nothing yet, and more to look at
		{[]any{"owner", "team", "scan", 3, "after", "c"}, []string{"e"}, 2, ""},
		{[]any{"prefix", "a", "scan", 1}, []string{"a"}, 1, ""},
	} {
		answer := m.Must(m.Read("inventory", c.asked...)).Data
		require.Equal(t, c.shown, names(answer["keys"].([]row)), "%v", c.asked)
		require.Equal(t, c.scanned, answer["scanned"], "%v", c.asked)
		require.Equal(t, c.next, answer["next"], "%v", c.asked)
	}
}

func TestAKeyThatCannotBeReadHidesNoOther(t *testing.T) {
	m := mounttest.New(t)
	for _, name := range []string{"a", "b", "c"} {
		m.Must(m.Write("keys/"+name, "owner", "team"))
	}
	m.Corrupt("keys/b")
	page := rows(m, "owner", "team")
	require.Equal(t, []string{"a", "b", "c"}, names(page))
	require.Contains(t, page[1]["error"], "keys/b")
	require.Len(t, page[1], 2, "its name, and why there is no more")
	require.Empty(t, page[2]["error"])

	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("keys/c", "policy", "p"))
	m.Corrupt("policies/p")
	page = rows(m, "prefix", "c")
	require.Empty(t, page[0]["error"], "what cannot be read is the policy")
	require.Equal(t, 0, page[0]["policy_revision"])
	require.Equal(t, "policy", page[0]["drift"].([]row)[0]["field"])
	m.Storage.FailGets("policies/")
	m.Restart()
	require.NotEmpty(t, rows(m, "prefix", "c")[0]["error"], "nobody can tell how a key stands whose policy cannot be had")
}

func TestTheInventoryRefusesWhatItCannotFind(t *testing.T) {
	m := mounttest.New(t)
	for _, c := range [][]any{
		{"policy", "none", `policy: "none": there is no such policy`},
		{"state", "active", `state: "active": must be one of enabled`},
		{"status", "late", `status: "late": must be one of none, scheduled, due, stopped`},
		{"type", "des", `type: "des": unknown key type`},
		{"limit", 1001, "limit: 1001: must be between 0 and 1000"},
		{"limit", -1, "limit: -1"},
		{"scan", 5001, "scan: 5001: must be between 0 and 5000"},
		{"scan", -1, "scan: -1"},
	} {
		m.Refused(m.Read("inventory", c[0], c[1]), c[2].(string))
	}
}

func TestTheInventoryReadsWhatItShowsAndOnlyThat(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	many(m, 300)
	m.Restart()
	m.Must(m.Read("keys/k/versions/1")) // the keyring and the policy are in memory
	cost := func(kv ...any) storagetest.Counts {
		m.Storage.Reset()
		m.Must(m.Read("inventory", kv...))
		return m.Storage.Reset()
	}
	require.Equal(t, storagetest.Counts{Lists: 1, Gets: 100}, cost("after", "k"), "the names, and a record for each")
	require.Equal(t, storagetest.Counts{Lists: 1, Gets: 100}, cost("after", "k"), "what only a page showed is not kept")
	require.Equal(t, storagetest.Counts{Lists: 1, Gets: 20}, cost("after", "k", "owner", "nobody", "scan", 20))
	require.Equal(t, storagetest.Counts{Lists: 1}, cost("after", "k", "prefix", "z"))
	require.Equal(t, storagetest.Counts{Lists: 1}, cost("status", "overdue"), "the index of alerts has none")
	for i := range 50 {
		m.Must(m.Read(fmt.Sprintf("keys/k-%04d", i)))
	}
	require.Equal(t, storagetest.Counts{Lists: 1}, cost("after", "k", "limit", 50), "keys in use are in memory")
	require.Equal(t, storagetest.Counts{Lists: 1, Gets: 50}, cost("after", "k", "limit", 50, "last_use", true), "what is stored of the last use")
	require.Equal(t, storagetest.Counts{Lists: 1}, cost("policy", "p"), "only k is bound")
}

func TestTheInventoryTellsTheLastUseThatIsKnown(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	require.Empty(t, rows(m)[0]["last_used_time"])
	require.Equal(t, mounttest.Start.UTC().Format(time.RFC3339), m.Must(m.Read("inventory")).Data["uses_since"])
	m.Encrypt("k", "x")
	used := m.Clock.Now().UTC().Format(time.RFC3339)
	m.Advance(2 * time.Hour)
	require.Equal(t, used, rows(m)[0]["last_used_time"])
	m.Restart()
	require.Empty(t, rows(m)[0]["last_used_time"], "a process knows what it has counted")
	require.Equal(t, m.Clock.Now().UTC().Format(time.RFC3339), m.Must(m.Read("inventory")).Data["uses_since"])
	require.NotEmpty(t, rows(m, "last_use", true)[0]["last_used_time"], "and what is stored, where it is asked to read it")
	m.Clock.Add(72 * time.Hour)
	require.Equal(t, m.Clock.Now().UTC().Truncate(24*time.Hour).Add(-24*time.Hour).Format(time.RFC3339), m.Must(m.Read("inventory")).Data["uses_since"], "older uses may be forgotten")
	m.Must(m.Write("config/engine", "access_ledger", false))
	require.Empty(t, m.Must(m.Read("inventory")).Data["uses_since"])
}
