// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package custody_test is about the record of who did what: what is written, exported and verified, and what becomes of
// a key whose chain was tampered with.
package custody_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// asAlice does a write as Vault passes it on from a person.
func asAlice(m *mounttest.Mount, path string, kv ...any) mounttest.Answer {
	m.T.Helper()
	req := &logical.Request{
		Operation: logical.UpdateOperation, Path: path, Data: mounttest.Data(kv...), Storage: m.Storage, ID: "request-1", EntityID: "entity-1",
		DisplayName: "oidc-alice", ClientTokenAccessor: "accessor-of-alice", MountAccessor: "keylife_1",
		Connection: &logical.Connection{RemoteAddr: "10.1.2.3"},
	}
	resp, err := m.HandleRequest(context.Background(), req)
	return mounttest.ToAnswer(req, resp, err)
}

func history(m *mounttest.Mount, key string) []map[string]any {
	m.T.Helper()
	a := m.Must(m.Do(logical.ReadOperation, "keys/"+key+"/history", mounttest.Data("limit", 1000)))
	require.Equal(m.T, 0, a.Data["next_after"])
	return a.Data["records"].([]map[string]any)
}

// exported reads the whole export, page by page.
func exported(m *mounttest.Mount, limit int) (lines []string) {
	m.T.Helper()
	for after := ""; ; {
		page := m.Must(m.Do(logical.ReadOperation, "custody/export", mounttest.Data("after", after, "limit", limit))).Data
		records := page["records"].([]string)
		require.LessOrEqual(m.T, len(records), limit)
		lines = append(lines, records...)
		if after = page["next_after"].(string); after == "" {
			return lines
		}
	}
}

func checkpointed(m *mounttest.Mount, kv ...any) custody.Signed {
	m.T.Helper()
	c := m.Must(m.Write("custody/checkpoint", kv...)).Data
	return custody.Signed{Payload: c["payload"].(string), KeyID: c["key_id"].(string), Signature: c["signature"].(string)}
}

func asMap(s custody.Signed) map[string]any {
	return map[string]any{"payload": s.Payload, "key_id": s.KeyID, "signature": s.Signature}
}

func publicCustodyKeys(m *mounttest.Mount) custody.PublicKeys {
	m.T.Helper()
	return m.Must(m.Read("custody/public-key")).Data["keys"].(custody.PublicKeys)
}

func verified(m *mounttest.Mount, checkpoint ...custody.Signed) custody.Report {
	m.T.Helper()
	export := strings.NewReader(strings.Join(exported(m, 1000), "\n") + "\n")
	report, err := custody.Verify(custody.Lines(export), publicCustodyKeys(m), "", checkpoint)
	require.NoError(m.T, err)
	return report
}

func TestTheHistorySaysWhoDidWhatAndWhy(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.UnderPolicy(t)
	m.Must(asAlice(m, "keys/k/versions/2/suspend", "reason", "lost laptop of Bob"))
	records := history(m, "k")
	begin, end := records[len(records)-2], records[len(records)-1]
	hmac := begin["actor"].(map[string]any)["token_accessor_hmac"]
	require.NotEmpty(t, hmac)
	require.Equal(t, map[string]any{
		"entity_id": "entity-1", "display_name": "oidc-alice", "client_address": "10.1.2.3", "token_accessor_hmac": hmac,
	}, begin["actor"])
	for field, want := range map[string]any{
		"kind": "begin", "act": "suspend", "from": "deactivated", "to": "suspended", "reason": "lost laptop of Bob", "policy": "p",
		"policy_revision": 1.0, "request_id": "request-1", "versions": []any{2.0}, "key": "k", "time": mounttest.Start.Format(time.RFC3339),
	} {
		require.Equal(t, want, begin[field], field)
	}
	require.Equal(t, "end", end["kind"])
	require.Equal(t, "done", end["outcome"])
	require.Equal(t, begin["seq"], end["of"])
	change := m.Must(m.Read("keys/k/versions/2")).Data["last_change"].(map[string]any)
	require.Equal(t, begin, change)
	for path, entry := range m.Storage.All() {
		require.False(t, bytes.Contains(entry, []byte("accessor-of-alice")), path)
	}
}

func TestWhatTheClockDoesIsRecordedAsTheSystemsAct(t *testing.T) {
	t.Parallel()
	racetest.Skip(t, "one goroutine works alone")
	m := mounttest.Clockwork(t)
	m.AdvanceTo(34 * time.Hour)
	seen := map[string]int{}
	for _, record := range history(m, "k")[2:] {
		if record["kind"] == "begin" {
			seen[record["act"].(string)]++
			require.Equal(t, map[string]any{"system": true}, record["actor"])
			require.NotEmpty(t, record["reason"])
			require.Equal(t, "p", record["policy"])
			require.NotEmpty(t, record["versions"])
			require.NotEmpty(t, record["to"])
		}
	}
	require.Equal(t, map[string]int{"rotate": 34, "archive": 32, "retire": 26, "destroy": 2}, seen)
	mounttest.RequireCustodyWhole(t, m)
}

func TestEveryTransitionIsRecordedInTwoEntriesHoweverLargeTheKey(t *testing.T) {
	t.Parallel()
	racetest.Skip(t, "one goroutine works alone")
	m := mounttest.New(t)
	m.K.Make(300)
	m.Must(m.Write("keys/k/config", "deletion_allowed", true))
	records := func() int {
		n := 0
		for path := range m.Storage.All() {
			if strings.HasPrefix(path, "journal/") {
				n++
			}
		}
		return n
	}
	for _, path := range []string{
		"versions/2/suspend", "versions/2/resume", "versions/2/archive", "versions/2/recover", "versions/2/compromise", "versions/2/retire",
		"versions/2/restore", "versions/300/compromise", "rotate", "rollback", "suspend", "resume", "archive", "recover", "archive", "retire",
		"restore", "recover", "hold",
	} {
		before := records()
		m.K.Ops(path)
		require.Equal(t, before+2, records(), path)
		m.Advance(10 * time.Minute)
		require.Equal(t, before+2, records(), "ticks add none")
	}
	m.Must(m.K.Op("hold", "hold", false))
	before := records()
	m.Must(m.Delete("keys/k"))
	require.Equal(t, before+2, records())
	mounttest.RequireCustodyWhole(t, m)
}

func TestUsingAKeyWritesNothing(t *testing.T) {
	t.Parallel()
	m, c := mounttest.KeyOf3(t)
	m.K.Ops("versions/1/archive")
	m.Encrypt("k", "x")
	m.Storage.Reset()
	for range 20 {
		m.Must(m.Write("encrypt/k", "plaintext", ""))
		m.Must(m.Write("decrypt/k", "ciphertext", c[2]))
		m.Must(m.Write("rewrap/k", "ciphertext", c[2]))
		m.Must(m.Write("datakey/plaintext/k"))
		m.Refused(m.Write("decrypt/k", "ciphertext", c[1]), "archived")
		m.Refused(m.Write("rewrap/k", "ciphertext", c[1]), "archived")
	}
	require.Zero(t, m.Storage.Reset().Writes())
}

func TestRefusedOperationsWriteNothing(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.UnderPolicy(t, "require_reason", "suspend,hold", "quiet_period", "1h")
	m.K.Ops("versions/1/archive")
	m.Storage.Reset()
	for path, data := range map[string][]any{
		"versions/3/archive": {}, "versions/2/recover": {}, "versions/1/retire": {}, "versions/2/promote": {}, "versions/2/restore": {}, "versions/9/suspend": {},
		"versions/2/suspend": {"reason", ""}, "suspend": {"cas", 1}, "hold": {"reason", "short"}, "resume": {}, "retire": {}, "restore": {}, "recover": {},
		"trim": {"min_available_version", 1}, "versions/2/compromise": {"reason_code", "x"}, "archive": {"surprise", 1}, "rotate": {"cas", 1},
	} {
		require.GreaterOrEqual(t, m.K.Op(path, data...).Status, 400, path)
	}
	require.Equal(t, 400, m.Delete("keys/k").Status)
	require.Zero(t, m.Storage.Reset().Writes())
}

func TestAnExportHasEveryRecordOnceWhateverThePages(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	for _, name := range []string{"a", "k-2", "k2", "z"} {
		m.Must(m.Write("keys/" + name))
	}
	m.Must(m.Write("keys/z/config", "deletion_allowed", true))
	m.Must(m.Delete("keys/z"))
	m.Must(m.Write("keys/z"))
	all := exported(m, 1000)
	require.Len(t, all, 2*(3+3+4))
	for limit := 1; limit < 22; limit++ {
		require.Equal(t, all, exported(m, limit), "pages of %d", limit)
	}
	m.Restart()
	require.Equal(t, all, exported(m, 7))
	report := verified(m)
	require.True(t, report.Clean())
	require.Equal(t, 5, report.Chains)
	require.Equal(t, len(all), report.Records)
	require.Len(t, history(m, "z"), 8, "the history of a name outlives the key")
	for _, after := range []string{"x", "k/-1", "k/x"} {
		m.Refused(m.Do(logical.ReadOperation, "custody/export", mounttest.Data("after", after)), "after")
	}
	m.Refused(m.Do(logical.ReadOperation, "custody/export", mounttest.Data("limit", 1001)), "limit")
	m.Refused(m.Do(logical.ReadOperation, "keys/k/history", mounttest.Data("after", -1)), "after")
	require.Equal(t, 404, m.Read("keys/none/history").Status)
}

func TestCheckpointsStayValidWhenTheirKeyIsRotated(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	first := checkpointed(m)
	pinned := publicCustodyKeys(m)[0].ID
	m.K.Ops("versions/1/archive")
	m.Must(m.Write("custody/rotate-key"))
	m.Restart()
	second := checkpointed(m)
	require.NotEqual(t, first.KeyID, second.KeyID)
	keys := publicCustodyKeys(m)
	require.Len(t, keys, 2)
	require.NoError(t, keys.Check(pinned))
	report := verified(m, first, second)
	require.True(t, report.Clean(), "%v", report.Problems)
	require.Zero(t, report.Unsigned)
	for _, c := range []custody.Signed{first, second} {
		require.Equal(t, true, m.Must(m.Write("custody/verify", "checkpoint", asMap(c))).Data["valid"])
	}
	forged := second
	forged.Payload = strings.Replace(forged.Payload, `"count":8`, `"count":6`, 1)
	require.NotEqual(t, second, forged)
	a := m.Must(m.Write("custody/verify", "checkpoint", asMap(forged))).Data
	require.Equal(t, false, a["valid"])
	require.Contains(t, a["problems"].([]string)[0], "signature does not verify")
	m.Refused(m.Write("custody/verify", "checkpoint", map[string]any{"payload": "x"}), "checkpoint")
	m.Refused(m.Write("custody/checkpoint", "key", "none"), "not found")
}

func TestALongNameDoesNotBreakTheCheckpointsOfTheMount(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	long := strings.Repeat("a", 600)
	m.Must(m.Write("keys/"+long, "policy", ""))
	m.Must(m.Write("keys/"+long+"/config", "deletion_allowed", true))
	m.Must(m.Delete("keys/" + long))
	checkpoint := checkpointed(m)
	require.Contains(t, checkpoint.Payload, long)
	require.Equal(t, true, m.Must(m.Write("custody/verify", "checkpoint", asMap(checkpoint))).Data["valid"])
	report := verified(m, checkpoint)
	require.True(t, report.Clean(), "%v", report.Problems)
	require.Zero(t, report.Unsigned)
}

func TestOnlyACheckpointNeedsAKeyOnTheMount(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	require.Empty(t, exported(m, 10))
	require.Equal(t, true, m.Must(m.Write("custody/verify")).Data["valid"])
	m.Refused(m.Write("custody/checkpoint"), "no keys yet")
	require.Len(t, publicCustodyKeys(m), 1)
}

func TestAnOlderSnapshotIsFoundOutByANewerCheckpoint(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	early := checkpointed(m)
	snapshot := m.Storage.All()
	m.K.Ops("versions/1/suspend")
	late := checkpointed(m)
	for path := range m.Storage.All() {
		require.NoError(t, m.Storage.Delete(t.Context(), path))
	}
	for path, value := range snapshot {
		require.NoError(t, m.Storage.Put(t.Context(), &logical.StorageEntry{Key: path, Value: value}))
	}
	m.Restart()
	mounttest.RequireCustodyWhole(t, m)
	require.Equal(t, true, m.Must(m.Write("custody/verify", "checkpoint", asMap(early))).Data["valid"])
	found := m.Must(m.Write("custody/verify", "checkpoint", asMap(late))).Data
	require.Equal(t, false, found["valid"])
	require.Contains(t, strings.Join(found["problems"].([]string), "\n"), "restored from an older snapshot")
	report := verified(m, late)
	require.Len(t, report.Problems, 1)
	require.ErrorIs(t, report.Problems[0].Err, custody.ErrCut)
	m.K.Ops("versions/2/suspend")
	report = verified(m, late)
	require.False(t, report.Clean(), "also when the key went on")
}

func TestATamperedRecordIsFound(t *testing.T) {
	t.Parallel()
	entry := func(seq int) string { return fmt.Sprintf("journal/k/%010d", seq) }
	edit := func(m *mounttest.Mount, path, from, to string) {
		old := m.Storage.All()[path]
		value := bytes.Replace(old, []byte(from), []byte(to), 1)
		require.NotEqual(t, old, value)
		require.NoError(t, m.Storage.Put(t.Context(), &logical.StorageEntry{Key: path, Value: value}))
	}
	for name, tamper := range map[string]func(m *mounttest.Mount){
		"the reason edited":    func(m *mounttest.Mount) { edit(m, entry(7), mounttest.Reason, "harmless") },
		"the actor edited":     func(m *mounttest.Mount) { edit(m, entry(7), "oidc-alice", "oidc-chris") },
		"the outcome edited":   func(m *mounttest.Mount) { edit(m, entry(8), "done", "failed") },
		"no record any more":   func(m *mounttest.Mount) { edit(m, entry(7), "{", "") },
		"the last unreadable":  func(m *mounttest.Mount) { edit(m, entry(10), "{", "") },
		"one removed":          func(m *mounttest.Mount) { require.NoError(t, m.Storage.Delete(t.Context(), entry(7))) },
		"the last two cut off": func(m *mounttest.Mount) { m.Storage.CutJournal(entry(9), entry(10)) },
		"all of them cut off":  func(m *mounttest.Mount) { m.Storage.CutJournal(slices.Collect(maps.Keys(m.Storage.All()))...) },
		"one in another's place": func(m *mounttest.Mount) {
			edit(m, entry(8), string(m.Storage.All()[entry(8)]), string(m.Storage.All()[entry(6)]))
		},
		"the last act edited": func(m *mounttest.Mount) { edit(m, entry(9), mounttest.Reason, "harmless") },
	} {
		for _, restarted := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/restarted=%v", name, restarted), func(t *testing.T) {
				m, _ := mounttest.KeyOf3(t)
				m.Must(asAlice(m, "keys/k/versions/1/suspend", "reason", mounttest.Reason))
				m.K.Ops("versions/2/suspend")
				tamper(m)
				if restarted {
					m.Restart()
				}
				require.Equal(t, false, m.Must(m.Write("custody/verify")).Data["valid"])
			})
		}
	}
}

func TestAPolicyDemandsReasons(t *testing.T) {
	t.Parallel()
	for _, a := range []struct {
		demand, path string
		way          []string
	}{
		{"suspend", "versions/2/suspend", nil},
		{"resume", "versions/2/resume", []string{"versions/2/suspend"}},
		{"archive", "versions/2/archive", nil},
		{"recover", "versions/2/recover", []string{"versions/2/archive"}},
		{"retire", "versions/2/retire", []string{"versions/2/archive"}},
		{"restore", "versions/2/restore", []string{"versions/2/archive", "versions/2/retire"}},
		{"compromise", "versions/2/compromise", nil},
		{"rollback", "rollback", nil},
		{"suspend", "suspend", nil},
		{"suspend", "soft-delete", nil},
		{"resume", "soft-delete-restore", []string{"suspend"}},
		{"archive", "archive", nil},
		{"recover", "recover", []string{"archive"}},
		{"retire", "retire", []string{"archive"}},
		{"restore", "restore", []string{"archive", "retire"}},
		{"hold", "hold", nil},
		{"rotate-manual", "rotate", nil},
	} {
		m, _ := mounttest.UnderPolicy(t, "require_reason", a.demand)
		m.K.Ops(a.way...)
		path, before := "keys/k/"+a.path, m.K.States()
		m.Refused(m.Write(path), "reason", `policy "p"`, a.demand)
		m.Refused(m.Write(path, "reason", "123456789"), "at least 10 bytes")
		m.Refused(m.Write(path, "reason", "         \t            "), "reason")
		m.Refused(m.Write(path, "reason", string(make([]byte, 513))), "reason")
		require.Equal(t, before, m.K.States())
		m.Must(m.Write(path, "reason", "1234567890"))
	}
}
