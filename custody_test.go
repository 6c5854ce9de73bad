// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

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
)

// asAlice does a write as Vault passes it on from a person.
func (m *mount) asAlice(path string, kv ...any) answer {
	m.t.Helper()
	req := &logical.Request{
		Operation: logical.UpdateOperation, Path: path, Data: dataOf(kv...), Storage: m.storage, ID: "request-1", EntityID: "entity-1",
		DisplayName: "oidc-alice", ClientTokenAccessor: "accessor-of-alice", MountAccessor: "keylife_1",
		Connection: &logical.Connection{RemoteAddr: "10.1.2.3"},
	}
	resp, err := m.HandleRequest(context.Background(), req)
	return toAnswer(req, resp, err)
}

func (m *mount) history(key string) []map[string]any {
	m.t.Helper()
	a := m.must(m.do(logical.ReadOperation, "keys/"+key+"/history", dataOf("limit", 1000)))
	require.Equal(m.t, 0, a.data["next_after"])
	return a.data["records"].([]map[string]any)
}

// exported reads the whole export, page by page.
func (m *mount) exported(limit int) (lines []string) {
	m.t.Helper()
	for after := ""; ; {
		page := m.must(m.do(logical.ReadOperation, "custody/export", dataOf("after", after, "limit", limit))).data
		records := page["records"].([]string)
		require.LessOrEqual(m.t, len(records), limit)
		lines = append(lines, records...)
		if after = page["next_after"].(string); after == "" {
			return lines
		}
	}
}

func (m *mount) checkpointed(kv ...any) custody.Signed {
	m.t.Helper()
	c := m.must(m.write("custody/checkpoint", kv...)).data
	return custody.Signed{Payload: c["payload"].(string), KeyID: c["key_id"].(string), Signature: c["signature"].(string)}
}

func asMap(s custody.Signed) map[string]any {
	return map[string]any{"payload": s.Payload, "key_id": s.KeyID, "signature": s.Signature}
}

func (m *mount) publicCustodyKeys() custody.PublicKeys {
	m.t.Helper()
	return m.must(m.read("custody/public-key")).data["keys"].(custody.PublicKeys)
}

func (m *mount) verified(checkpoint ...custody.Signed) custody.Report {
	m.t.Helper()
	export := strings.NewReader(strings.Join(m.exported(1000), "\n") + "\n")
	report, err := custody.Verify(custody.Lines(export), m.publicCustodyKeys(), "", checkpoint)
	require.NoError(m.t, err)
	return report
}

func TestTheHistorySaysWhoDidWhatAndWhy(t *testing.T) {
	t.Parallel()
	m, _ := underPolicy(t)
	m.must(m.asAlice("keys/k/versions/2/suspend", "reason", "lost laptop of Bob"))
	records := m.history("k")
	begin, end := records[len(records)-2], records[len(records)-1]
	hmac := begin["actor"].(map[string]any)["token_accessor_hmac"]
	require.NotEmpty(t, hmac)
	require.Equal(t, map[string]any{
		"entity_id": "entity-1", "display_name": "oidc-alice", "client_address": "10.1.2.3", "token_accessor_hmac": hmac,
	}, begin["actor"])
	for field, want := range map[string]any{
		"kind": "begin", "act": "suspend", "from": "deactivated", "to": "suspended", "reason": "lost laptop of Bob", "policy": "p",
		"policy_revision": 1.0, "request_id": "request-1", "versions": []any{2.0}, "key": "k", "time": start.Format(time.RFC3339),
	} {
		require.Equal(t, want, begin[field], field)
	}
	require.Equal(t, "end", end["kind"])
	require.Equal(t, "done", end["outcome"])
	require.Equal(t, begin["seq"], end["of"])
	change := m.must(m.read("keys/k/versions/2")).data["last_change"].(map[string]any)
	require.Equal(t, begin, change)
	for path, entry := range m.dump() {
		require.False(t, bytes.Contains(entry, []byte("accessor-of-alice")), path)
	}
}

func TestWhatTheClockDoesIsRecordedAsTheSystemsAct(t *testing.T) {
	t.Parallel()
	m := clockwork(t)
	m.to(34 * time.Hour)
	seen := map[string]int{}
	for _, record := range m.history("k")[2:] {
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
	requireCustodyWhole(t, m)
}

func TestEveryTransitionIsRecordedInTwoEntriesHoweverLargeTheKey(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	prepareVersions(m, 300)
	m.must(m.write("keys/k/config", "deletion_allowed", true))
	records := func() int {
		n := 0
		for path := range m.dump() {
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
		m.ops(path)
		require.Equal(t, before+2, records(), path)
		m.advance(10 * time.Minute)
		require.Equal(t, before+2, records(), "ticks add none")
	}
	m.must(m.op("hold", "hold", false))
	before := records()
	m.must(m.delete("keys/k"))
	require.Equal(t, before+2, records())
	requireCustodyWhole(t, m)
}

func TestUsingAKeyWritesNothing(t *testing.T) {
	t.Parallel()
	m, c := keyOf3(t)
	m.ops("versions/1/archive")
	m.encrypt("k", "x")
	m.storage.Reset()
	for range 20 {
		m.must(m.write("encrypt/k", "plaintext", ""))
		m.must(m.write("decrypt/k", "ciphertext", c[2]))
		m.must(m.write("rewrap/k", "ciphertext", c[2]))
		m.must(m.write("datakey/plaintext/k"))
		m.refused(m.write("decrypt/k", "ciphertext", c[1]), "archived")
		m.refused(m.write("rewrap/k", "ciphertext", c[1]), "archived")
	}
	require.Zero(t, m.storage.Reset().Writes())
}

func TestRefusedOperationsWriteNothing(t *testing.T) {
	t.Parallel()
	m, _ := underPolicy(t, "require_reason", "suspend,hold", "quiet_period", "1h")
	m.ops("versions/1/archive")
	m.storage.Reset()
	for path, data := range map[string][]any{
		"versions/3/archive": {}, "versions/2/recover": {}, "versions/1/retire": {}, "versions/2/promote": {}, "versions/2/restore": {}, "versions/9/suspend": {},
		"versions/2/suspend": {"reason", ""}, "suspend": {"cas", 1}, "hold": {"reason", "short"}, "resume": {}, "retire": {}, "restore": {}, "recover": {},
		"trim": {"min_available_version", 1}, "versions/2/compromise": {"reason_code", "x"}, "archive": {"surprise", 1}, "rotate": {"cas", 1},
	} {
		require.GreaterOrEqual(t, m.op(path, data...).status, 400, path)
	}
	require.Equal(t, 400, m.delete("keys/k").status)
	require.Zero(t, m.storage.Reset().Writes())
}

func TestAnExportHasEveryRecordOnceWhateverThePages(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	for _, name := range []string{"a", "k-2", "k2", "z"} {
		m.must(m.write("keys/" + name))
	}
	m.must(m.write("keys/z/config", "deletion_allowed", true))
	m.must(m.delete("keys/z"))
	m.must(m.write("keys/z"))
	all := m.exported(1000)
	require.Len(t, all, 2*(3+3+4))
	for limit := 1; limit < 22; limit++ {
		require.Equal(t, all, m.exported(limit), "pages of %d", limit)
	}
	m.restart()
	require.Equal(t, all, m.exported(7))
	report := m.verified()
	require.True(t, report.Clean())
	require.Equal(t, 5, report.Keys)
	require.Equal(t, len(all), report.Records)
	require.Len(t, m.history("z"), 8, "the history of a name outlives the key")
	for _, after := range []string{"x", "k/-1", "k/x"} {
		m.refused(m.do(logical.ReadOperation, "custody/export", dataOf("after", after)), "after")
	}
	m.refused(m.do(logical.ReadOperation, "custody/export", dataOf("limit", 1001)), "limit")
	m.refused(m.do(logical.ReadOperation, "keys/k/history", dataOf("after", -1)), "after")
	require.Equal(t, 404, m.read("keys/none/history").status)
}

func TestCheckpointsStayValidWhenTheirKeyIsRotated(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	first := m.checkpointed()
	pinned := m.publicCustodyKeys()[0].ID
	m.ops("versions/1/archive")
	m.must(m.write("custody/rotate-key"))
	m.restart()
	second := m.checkpointed()
	require.NotEqual(t, first.KeyID, second.KeyID)
	keys := m.publicCustodyKeys()
	require.Len(t, keys, 2)
	require.NoError(t, keys.Check(pinned))
	report := m.verified(first, second)
	require.True(t, report.Clean(), "%v", report.Problems)
	require.Zero(t, report.Unsigned)
	for _, c := range []custody.Signed{first, second} {
		require.Equal(t, true, m.must(m.write("custody/verify", "checkpoint", asMap(c))).data["valid"])
	}
	forged := second
	forged.Payload = strings.Replace(forged.Payload, `"count":8`, `"count":6`, 1)
	require.NotEqual(t, second, forged)
	a := m.must(m.write("custody/verify", "checkpoint", asMap(forged))).data
	require.Equal(t, false, a["valid"])
	require.Contains(t, a["problems"].([]string)[0], "signature does not verify")
	m.refused(m.write("custody/verify", "checkpoint", map[string]any{"payload": "x"}), "checkpoint")
	m.refused(m.write("custody/checkpoint", "key", "none"), "not found")
}

func TestALongNameDoesNotBreakTheCheckpointsOfTheMount(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	long := strings.Repeat("a", 600)
	m.must(m.write("keys/"+long, "policy", ""))
	m.must(m.write("keys/"+long+"/config", "deletion_allowed", true))
	m.must(m.delete("keys/" + long))
	checkpoint := m.checkpointed()
	require.Contains(t, checkpoint.Payload, long)
	require.Equal(t, true, m.must(m.write("custody/verify", "checkpoint", asMap(checkpoint))).data["valid"])
	report := m.verified(checkpoint)
	require.True(t, report.Clean(), "%v", report.Problems)
	require.Zero(t, report.Unsigned)
}

func TestOnlyACheckpointNeedsAKeyOnTheMount(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	require.Empty(t, m.exported(10))
	require.Equal(t, true, m.must(m.write("custody/verify")).data["valid"])
	m.refused(m.write("custody/checkpoint"), "no keys yet")
	require.Len(t, m.publicCustodyKeys(), 1)
}

func TestAnOlderSnapshotIsFoundOutByANewerCheckpoint(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	early := m.checkpointed()
	snapshot := m.dump()
	m.ops("versions/1/suspend")
	late := m.checkpointed()
	for path := range m.dump() {
		require.NoError(t, m.storage.Delete(t.Context(), path))
	}
	for path, value := range snapshot {
		require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: path, Value: value}))
	}
	m.restart()
	requireCustodyWhole(t, m)
	require.Equal(t, true, m.must(m.write("custody/verify", "checkpoint", asMap(early))).data["valid"])
	found := m.must(m.write("custody/verify", "key", "k", "checkpoint", asMap(late))).data
	require.Equal(t, false, found["valid"])
	require.Contains(t, strings.Join(found["problems"].([]string), "\n"), "restored from an older snapshot")
	report := m.verified(late)
	require.Len(t, report.Problems, 1)
	require.ErrorIs(t, report.Problems[0].Err, custody.ErrCut)
	m.ops("versions/2/suspend")
	report = m.verified(late)
	require.False(t, report.Clean(), "also when the key went on")
}

func TestATamperedRecordIsFound(t *testing.T) {
	t.Parallel()
	entry := func(seq int) string { return fmt.Sprintf("journal/k/%010d", seq) }
	edit := func(m *mount, path, from, to string) {
		old := m.dump()[path]
		value := bytes.Replace(old, []byte(from), []byte(to), 1)
		require.NotEqual(t, old, value)
		require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: path, Value: value}))
	}
	for name, tamper := range map[string]func(m *mount){
		"the reason edited":      func(m *mount) { edit(m, entry(7), why, "harmless") },
		"the actor edited":       func(m *mount) { edit(m, entry(7), "oidc-alice", "oidc-chris") },
		"the outcome edited":     func(m *mount) { edit(m, entry(8), "done", "failed") },
		"no record any more":     func(m *mount) { edit(m, entry(7), "{", "") },
		"the last unreadable":    func(m *mount) { edit(m, entry(10), "{", "") },
		"one removed":            func(m *mount) { require.NoError(t, m.storage.Delete(t.Context(), entry(7))) },
		"the last two cut off":   func(m *mount) { cut(m, entry(9), entry(10)) },
		"all of them cut off":    func(m *mount) { cut(m, slices.Collect(maps.Keys(m.dump()))...) },
		"one in another's place": func(m *mount) { edit(m, entry(8), string(m.dump()[entry(8)]), string(m.dump()[entry(6)])) },
		"the last act edited":    func(m *mount) { edit(m, entry(9), why, "harmless") },
	} {
		for _, restarted := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/restarted=%v", name, restarted), func(t *testing.T) {
				m, _ := keyOf3(t)
				m.must(m.asAlice("keys/k/versions/1/suspend", "reason", why))
				m.ops("versions/2/suspend")
				tamper(m)
				if restarted {
					m.restart()
				}
				require.Equal(t, false, m.must(m.write("custody/verify")).data["valid"])
			})
		}
	}
}

// cut removes journal entries.
func cut(m *mount, paths ...string) {
	for _, path := range paths {
		if strings.HasPrefix(path, "journal/") {
			require.NoError(m.t, m.storage.Delete(context.Background(), path))
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
		m, _ := underPolicy(t, "require_reason", a.demand)
		m.ops(a.way...)
		path, before := "keys/k/"+a.path, m.states()
		m.refused(m.write(path), "reason", `policy "p"`, a.demand)
		m.refused(m.write(path, "reason", "123456789"), "at least 10 bytes")
		m.refused(m.write(path, "reason", "         \t            "), "reason")
		m.refused(m.write(path, "reason", string(make([]byte, 513))), "reason")
		require.Equal(t, before, m.states())
		m.must(m.write(path, "reason", "1234567890"))
	}
}
