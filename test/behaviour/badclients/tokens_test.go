// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package badclients_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// What docs/access-review.md and docs/api/versions.md say of memory and storage.
const (
	pairsKept  = 65_536 // of a key and an entity, in memory
	usersKept  = 16     // of a version
	shards     = 1024
	shardBytes = 400 << 10
)

// as returns the mount to somebody with an entity and a token of its own.
func as(m *mounttest.Mount, entity string) *mounttest.Mount {
	mine := *m
	mine.Caller = func(req *logical.Request) {
		req.EntityID, req.DisplayName, req.ClientToken, req.ClientTokenAccessor = entity, "oidc-"+entity, "hvs."+entity, "accessor-"+entity
		req.Connection = &logical.Connection{RemoteAddr: "192.0.2.7"}
	}
	return &mine
}

// flood has so many entities do something, several at once.
func flood(m *mounttest.Mount, entities int, do func(m *mounttest.Mount, i int)) {
	const clients = 4
	var wait sync.WaitGroup
	for c := range clients {
		wait.Go(func() {
			for i := c; i < entities; i += clients {
				do(as(m, fmt.Sprintf("entity-%06d", i)), i)
			}
		})
	}
	wait.Wait()
}

// counted returns how often an entity protected something with a key, by the review of accesses.
func counted(m *mounttest.Mount, entity, key string) int {
	m.T.Helper()
	text, err := json.Marshal(m.Must(m.Read("access-review", "entity", entity)).Data)
	require.NoError(m.T, err)
	var review struct {
		Entities []struct {
			Keys []struct {
				Key     string
				Protect struct{ Count int }
			}
		}
	}
	require.NoError(m.T, json.Unmarshal(text, &review))
	for _, e := range review.Entities {
		for _, k := range e.Keys {
			if k.Key == key {
				return k.Protect.Count
			}
		}
	}
	return 0
}

// series returns how many lines the metrics of the mount have.
func series(m *mounttest.Mount) int {
	m.T.Helper()
	resp, err := m.HandleRequest(m.T.Context(), &logical.Request{Operation: logical.ReadOperation, Path: "metrics", Storage: m.Storage, MountPoint: "keylife/"})
	require.NoError(m.T, err)
	return strings.Count(string(resp.Data[logical.HTTPRawBody].([]byte)), "\n")
}

func TestWhatIsRememberedOfAFloodOfTokensIsBounded(t *testing.T) {
	t.Parallel()
	tokens := racetest.Size(t, 70_000)
	m := mounttest.New(t)
	good := as(m, "good")
	for _, key := range []string{"k", "good"} {
		m.Must(m.Write("keys/" + key))
	}
	text := good.Encrypt("good", "x")
	m.Encrypt("k", "x")
	before := series(m)
	m.Storage.Reset()
	flood(m, tokens, func(m *mounttest.Mount, i int) {
		a := m.Write("encrypt/k", "plaintext", mounttest.B64("x"))
		assert.Equal(t, http.StatusOK, a.Status, a.Err)
		if i%10 == 0 {
			a = m.Write("encrypt/k", "plaintext", "%")
			assert.Equal(t, http.StatusBadRequest, a.Status, a.Err)
			a = good.Write("decrypt/good", "ciphertext", text)
			assert.Equal(t, http.StatusOK, a.Status, a.Err)
		}
	})
	require.Equal(t, storagetest.Counts{}, m.Storage.Reset(), "none of it is storage's")
	const others = 3 // pairs that were there before: nobody's with either key, and the good client's
	require.Equal(t, max(0, tokens-(pairsKept-others)), counted(m, "others", "k"), "what there is no room for is counted together")
	require.Equal(t, before, series(m), "no series is an entity's")

	require.Len(t, m.Must(m.Read("keys/k/versions/1")).Data["used_by"], usersKept)
	for range 2 * shards / 64 { // so many does a tick store
		require.NoError(t, m.Tick())
	}
	requireStoredIsBounded(t, m)
	require.Equal(t, "x", good.Decrypt("good", text))
	require.NotContains(t, m.Log.String(), "[ERROR]")

	m.Leap(3 * 24 * time.Hour)
	late := as(m, "late")
	late.Encrypt("k", "x")
	require.Equal(t, 1, counted(m, "late", "k"), "who is idle and stored gives way")
}

// requireStoredIsBounded demands that entities take as much of storage as they may, whatever their number.
func requireStoredIsBounded(t *testing.T, m *mounttest.Mount) {
	t.Helper()
	access := 0
	for path, entry := range m.Storage.All() {
		require.LessOrEqual(t, len(entry), shardBytes, path)
		if strings.HasPrefix(path, "access/") {
			access++
		} else {
			require.Less(t, len(entry), 16<<10, "%s grows with entities", path)
		}
	}
	require.LessOrEqual(t, access, shards)
	require.Positive(t, access)
}

// TestAFloodOfApproversIsBounded has more entities accept the duties of an approver than a mount takes. That almost as many have done so is
// planted: each enrolment writes the one record of all.
func TestAFloodOfApproversIsBounded(t *testing.T) {
	t.Parallel()
	const most = 1000
	m := mounttest.New(t)
	hash := m.Must(m.Read("approvers/duties")).Data["duties_hash"]
	enrol := func(i int) mounttest.Answer {
		entity := fmt.Sprintf("entity-%06d", i)
		m.System.Person(entity, entity, "key-approvers")
		return as(m, entity).Write("approvers/acknowledge", "duties_hash", hash)
	}
	m.Must(enrol(0))
	var record map[string]any
	require.NoError(t, json.Unmarshal(m.Storage.All()["config/approvers"], &record))
	first, _ := record["approvers"].([]any)[0].(map[string]any)
	var all []any
	for i := range most - 1 {
		next := maps.Clone(first)
		next["entity"] = fmt.Sprintf("entity-%06d", i)
		all = append(all, next)
	}
	m.SetStored("config/approvers", "approvers", all)
	m.Restart()
	m.Must(enrol(most - 1))
	for i := range 20 {
		m.Refused(enrol(most+i), "1000 approvers have enrolled, and a mount takes no more")
	}
	m.Must(enrol(0)) // who is one may go on to be one
	require.Len(t, m.Must(m.List("approvers")).Data["keys"], most)
	require.Less(t, len(m.Storage.All()["config/approvers"]), shardBytes)
}
