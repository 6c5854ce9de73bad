// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package access_test is about who uses which keys, and what versions are still used for.
package access_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// as makes the requests that follow those of an entity.
func as(m *mounttest.Mount, entity string) {
	m.Caller = func(req *logical.Request) { req.EntityID, req.DisplayName = entity, "name of "+entity }
}

// known makes Vault know one entity.
func known(m *mounttest.Mount, id string, disabled bool) {
	m.System.EntityVal = &logical.Entity{ID: id, Name: "name of " + id, Disabled: disabled}
	m.System.GroupsVal = []*logical.Group{{ID: "g1", Name: "key-users"}, {ID: "g2", Name: "staff"}}
}

type row struct {
	Entity, Name string
	Alive        *bool
	Groups       []string
	Stale        bool
	Keys         []struct {
		Key     string
		KeyID   string `json:"key_id"`
		Stale   bool
		Protect activity
		Process activity
		Manage  activity
		Denied  activity
	}
}

type activity struct {
	First, Last string
	Count       int
	Busiest     []int `json:"busiest_hours"`
}

// review returns the entities of a review, by id.
func review(m *mounttest.Mount, kv ...any) map[string]row {
	m.T.Helper()
	answer := m.Must(m.Read("access-review", kv...))
	rows := map[string]row{}
	text, err := json.Marshal(answer.Data["entities"])
	require.NoError(m.T, err)
	var list []row
	require.NoError(m.T, json.Unmarshal(text, &list))
	for _, r := range list {
		rows[r.Entity] = r
	}
	return rows
}

func TestAReviewSaysWhoDidWhat(t *testing.T) {
	m := mounttest.New(t)
	as(m, "admin")
	m.Must(m.Write("keys/k"))
	m.Must(m.Write("keys/k/rotate"))
	as(m, "app")
	text := m.Encrypt("k", "x")
	for range 2 {
		m.Must(m.Write("decrypt/k", "ciphertext", text))
	}
	m.Must(m.Write("hmac/k", "input", mounttest.B64("x")))
	m.Refused(m.Write("encrypt/k", "plaintext", "no base64"), "base64")
	m.Refused(m.Write("decrypt/k", "ciphertext", "vault:v2:bm8gY2lwaGVydGV4dCBhdCBhbGwsIGJ1dCBsb25n"), "")
	as(m, "")
	m.Must(m.Write("rewrap/k", "ciphertext", text))
	known(m, "app", false)
	const today = "2026-03-01"
	for _, when := range []string{"counted", "stored", "restarted"} {
		rows := review(m)
		require.Len(t, rows, 3, when)
		app := rows["app"].Keys[0]
		require.Equal(t, "k", app.Key)
		require.Equal(t, activity{today, today, 2, []int{2}}, app.Protect, when)
		require.Equal(t, activity{today, today, 2, []int{2}}, app.Process, "what is refused is not counted")
		require.Zero(t, app.Manage, when)
		require.Equal(t, activity{today, today, 2, []int{2}}, rows["admin"].Keys[0].Manage, when)
		require.Equal(t, 1, rows["none"].Keys[0].Process.Count, when)
		require.True(t, *rows["app"].Alive)
		require.Equal(t, []string{"key-users", "staff"}, rows["app"].Groups)
		require.Equal(t, "name of app", rows["app"].Name)
		require.False(t, *rows["admin"].Alive, "Vault does not know it")
		require.Nil(t, rows["none"].Alive, "it is no entity")
		require.NoError(t, m.Tick())
		if when == "stored" {
			m.Restart()
		}
	}
	known(m, "app", true)
	require.False(t, *review(m)["app"].Alive)
}

func TestUsingAKeyStillCostsNoStorageCall(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	as(m, "app")
	text := m.Encrypt("k", "x")
	require.NoError(t, m.Tick())
	m.Storage.Reset()
	for i := range 10 {
		as(m, "app"+string(rune('a'+i)))
		m.Must(m.Write("decrypt/k", "ciphertext", text))
	}
	require.Zero(t, m.Storage.Reset(), "also for entities that are new")
}

func TestAVersionShowsWhatItIsUsedFor(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	as(m, "app")
	text := m.Encrypt("k", "x")
	m.Must(m.Write("datakey/wrapped/k"))
	m.Must(m.Write("keys/k/rotate"))
	as(m, "batch")
	m.Clock.Add(time.Minute)
	m.Must(m.Write("rewrap/k", "ciphertext", text))
	once := func(at string) map[string]any { return map[string]any{"count": 1.0, "first_time": at, "last_time": at} }
	for _, when := range []string{"counted", "stored"} {
		one := mounttest.AsJSON(t, m.Must(m.Read("keys/k/versions/1")).Data)
		require.Equal(t, map[string]any{
			"encrypt": once("2026-03-01T12:00:30Z"), "datakey": once("2026-03-01T12:00:30Z"), "rewrap": once("2026-03-01T12:01:30Z"),
		}, one["used"], when)
		require.Equal(t, []any{
			map[string]any{"entity": "batch", "operation": "rewrap", "time": "2026-03-01T12:01:30Z"},
			map[string]any{"entity": "app", "operation": "datakey", "time": "2026-03-01T12:00:30Z"},
		}, one["used_by"], when)
		two := mounttest.AsJSON(t, m.Must(m.Read("keys/k/versions/2")).Data)
		require.Equal(t, map[string]any{"encrypt": once("2026-03-01T12:01:30Z")}, two["used"], "a rewrap protects, too")
		require.NoError(t, m.Tick())
	}
	m.Restart()
	m.Clock.Add(30 * time.Minute)
	one := mounttest.AsJSON(t, m.Must(m.Read("keys/k/versions/1")).Data)
	used := one["used"].(map[string]any)["rewrap"].(map[string]any)
	require.Equal(t, "2026-03-01T12:31:30Z", used["last_time"], "it is not known any more, but that it was not later than now")
	require.Equal(t, 1.0, used["count"])
}

func TestADeniedUseIsNoUse(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	text := m.Encrypt("k", "x")
	m.K.Ops("rotate", "versions/1/archive")
	as(m, "app")
	require.Equal(t, 400, m.Write("decrypt/k", "ciphertext", text).Status)
	require.Equal(t, 1, review(m)["app"].Keys[0].Denied.Count)
	require.Zero(t, review(m)["app"].Keys[0].Process.Count)
	require.NotContains(t, m.Must(m.Read("keys/k/versions/1")).Data["used"], "decrypt")
}

func TestAnotherNodeStoresBesideThisOne(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	as(m, "app")
	m.Encrypt("k", "x")
	require.NoError(t, m.Tick())
	other := *m
	other.Restart() // a node that takes over
	as(&other, "app")
	other.Encrypt("k", "x")
	require.NoError(t, other.Tick())
	m.InvalidateKey(context.Background(), "keys/k")
	require.Equal(t, 2, review(m)["app"].Keys[0].Protect.Count, "nothing of what is stored is remembered")

	other.Must(other.Write("config/engine", "access_ledger", false))
	m.InvalidateKey(context.Background(), "config/engine")
	m.Encrypt("k", "x")
	require.Equal(t, 2, review(m)["app"].Keys[0].Protect.Count, "it is off here, too")
}

func TestTheLedgerCanBeTurnedOff(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	m.Must(m.Write("config/engine", "access_ledger", false))
	require.NoError(t, m.Tick())
	m.Storage.Reset()
	as(m, "app")
	m.Encrypt("k", "x")
	require.NoError(t, m.Tick())
	require.Zero(t, m.Storage.Reset().Puts, "nothing is written")
	answer := m.Must(m.Read("access-review"))
	require.Empty(t, answer.Data["entities"])
	require.Contains(t, answer.Data["not_shown"], "anything since access_ledger of config/engine is false")
	m.Restart()
	require.NoError(t, m.Initialize(context.Background(), &logical.InitializationRequest{Storage: m.Storage}))
	m.Encrypt("k", "x")
	require.Empty(t, review(m), "it stays off")
	m.Must(m.Write("config/engine", "access_ledger", true))
	m.Encrypt("k", "x")
	require.Equal(t, 1, review(m)["app"].Keys[0].Protect.Count)
}

func TestAReviewIsDueUntilSomebodyAttestsIt(t *testing.T) {
	m := mounttest.New(t)
	as(m, "auditor")
	due := func() any { return m.Must(m.Read("access-review")).Data["due"] }
	require.Equal(t, true, due())
	m.Refused(m.Write("access-review/attest"), "reason")
	attested := m.Must(m.Write("access-review/attest", "reason", "looked with team payments")).Data
	require.Equal(t, "2026-03-01T12:00:30Z", attested["attested_time"])
	require.Equal(t, "2026-05-30T12:00:30Z", attested["due_time"])
	require.Equal(t, false, due())
	m.Clock.Add(90 * 24 * time.Hour)
	require.Equal(t, true, due())
	m.Must(m.Write("config/engine", "access_review_every", "100d"))
	require.Equal(t, false, due())
	records := mounttest.AsJSON(t, m.Must(m.Read("config/history")).Data)
	first := records["records"].([]any)[0].(map[string]any)
	require.Equal(t, "access-review", first["act"])
	require.Equal(t, "looked with team payments", first["reason"])
	require.Equal(t, "auditor", first["actor"].(map[string]any)["entity_id"])
	for _, bad := range []any{"1h", "4000d", -1, "soon"} {
		require.Equal(t, 400, m.Write("config/engine", "access_review_every", bad).Status, bad)
	}
}

func TestReviewRefusesBadInput(t *testing.T) {
	m := mounttest.New(t)
	for _, bad := range [][]any{{"limit", -1}, {"limit", 1001}, {"unused_for", "soon"}, {"unused_for", -1}} {
		require.Equal(t, 400, m.Read("access-review", bad...).Status, bad)
	}
}

// TestTheTickLosesNoUse has each write of a tick fail in each way, and counts what is stored in the end.
func TestTheTickLosesNoUse(t *testing.T) {
	for _, fate := range storagetest.Fates() {
		for at := 1; ; at++ {
			m := mounttest.New(t)
			m.Must(m.Write("keys/k"))
			require.NoError(t, m.Tick())
			as(m, "app")
			m.Encrypt("k", "x")
			m.Storage.FailWriteAs(at, fate)
			_ = m.Tick()
			fired := m.Storage.Fired()
			m.Storage.Heal()
			m.Clock.Add(time.Minute)
			require.NoError(t, m.Tick())
			m.Restart()
			require.Equal(t, 1, review(m)["app"].Keys[0].Protect.Count, "%s %d", fate, at)
			used := mounttest.AsJSON(t, m.Must(m.Read("keys/k/versions/1")).Data)["used"].(map[string]any)
			require.Equal(t, 1.0, used["encrypt"].(map[string]any)["count"], "%s %d", fate, at)
			if !fired {
				require.Greater(t, at, 2, "the shard and the version are written")
				break
			}
		}
	}
}
