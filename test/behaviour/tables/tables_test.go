// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package tables_test holds what a LIST says of each name, which `vault list -detailed` prints as a table.
package tables_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

type row = map[string]any

// table returns the lines of a LIST, in the order in which the command line prints them, having checked that it can: names in
// the order of texts, and cells that are short texts of one line, or numbers.
func table(t *testing.T, a mounttest.Answer) (names []string, rows map[string]row) {
	t.Helper()
	names = slices.Clone(a.Data["keys"].([]string))
	rows = map[string]row{}
	for name, info := range a.Data["key_info"].(map[string]any) {
		require.Contains(t, names, name, "nothing prints a row without its name")
		rows[name] = info.(map[string]any)
		for column, value := range rows[name] {
			if _, isNumber := value.(int); isNumber {
				continue
			}
			text, isText := value.(string)
			require.True(t, isText, "%s of %s is a %T", column, name, value)
			require.LessOrEqual(t, len([]rune(text)), 163, "%s of %s", column, name)
			require.False(t, strings.ContainsFunc(text, unicode.IsControl) || strings.Contains(text, "♨"), "%q", text)
		}
	}
	return names, rows
}

func listed(t *testing.T, m *mounttest.Mount, path string, kv ...any) (names []string, rows map[string]row) {
	t.Helper()
	return table(t, m.Must(m.List(path, kv...)))
}

func TestTheTableOfKeys(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	m.Must(m.Write("keys/free", "type", "chacha20-poly1305"))
	m.K.Ops("rotate")
	names, rows := listed(t, m, "keys")
	require.Equal(t, []string{"free", "k"}, names)
	require.Equal(t, map[string]row{
		"free": {"type": "chacha20-poly1305", "state": "enabled", "policy": "", "primary_version": 1, "next_rotation_time": "", "rotation_status": "none"},
		"k": {
			"type": "aes256-gcm96", "state": "enabled", "policy": "p", "primary_version": 2, "rotation_status": "scheduled",
			"next_rotation_time": mounttest.Start.Add(time.Hour).Format(time.RFC3339),
		},
	}, rows)
	read := m.Must(m.Read("keys/k")).Data
	for column, value := range rows["k"] {
		require.Equal(t, read[column], value, "it is what a read shows")
	}
}

func TestTheTableOfVersions(t *testing.T) {
	m, sealed := mounttest.UnderPolicy(t)
	m.K.Ops("versions/1/archive", "versions/1/retire")
	require.Equal(t, 400, m.Write("decrypt/k", "ciphertext", sealed[1]).Status)
	names, rows := listed(t, m, "keys/k/versions")
	require.Equal(t, []string{"1", "2", "3"}, names)
	for _, name := range names {
		read := m.Must(m.Read("keys/k/versions/" + name)).Data
		require.Len(t, rows[name], 5)
		for column, value := range rows[name] {
			require.Equal(t, read[column], value, "%s of version %s", column, name)
		}
	}
	require.Equal(t, row{
		"state": "retired", "created_time": mounttest.Start.Format(time.RFC3339), "denied_uses": 1,
		"destroy_time":     m.Clock.Now().Add(24 * time.Hour).Format(time.RFC3339),
		"last_denied_time": m.Clock.Now().Format(time.RFC3339),
	}, rows["1"])
}

func TestVersionsAreListedAlsoWhereTheirDeniedUsesCannotBeRead(t *testing.T) {
	m, sealed := mounttest.UnderPolicy(t)
	m.K.Ops("versions/1/suspend")
	require.Equal(t, 400, m.Write("decrypt/k", "ciphertext", sealed[1]).Status)
	require.NoError(t, m.Tick())
	m.Corrupt("denied/k/0")
	answer := m.Must(m.List("keys/k/versions"))
	names, rows := table(t, answer)
	require.Equal(t, []string{"1", "2", "3"}, names)
	require.Equal(t, "suspended", rows["1"]["state"])
	require.Contains(t, answer.Warnings[0], "denied uses that are stored cannot be read")
}

func TestTheTableOfPolicies(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	m.Must(m.Write("policies/cron", "owner", "team\nb", "rotation_schedule", "0 3 1 * *"))
	m.Must(m.Write("policies/p", "owner", "a", "rotation_period", "2592000"))
	names, rows := listed(t, m, "policies")
	require.Equal(t, []string{"cron", "p"}, names)
	require.Equal(t, map[string]row{
		"cron": {"owner": "team b", "revision": 1, "keys_bound": 0, "rotation_period": "", "rotation_schedule": "0 3 1 * *"},
		"p":    {"owner": "a", "revision": 2, "keys_bound": 1, "rotation_period": "30d", "rotation_schedule": ""},
	}, rows)
}

func TestTheTableOfRevisions(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "30d"))
	m.Clock.Add(time.Hour)
	m.Must(m.Write("policies/p", "quiet_period", "1d", "min_versions_kept", 0))
	m.Must(m.Write("policies/p", "owner", "new"))
	_, rows := listed(t, m, "policies/p/revisions")
	later := mounttest.Start.Add(time.Hour).Format(time.RFC3339)
	want := map[string]row{
		"1": {"created_time": mounttest.Start.Format(time.RFC3339), "owner": "o", "changes": "owner, rotation_period"},
		"2": {"created_time": later, "owner": "o", "changes": "min_versions_kept, quiet_period"},
		"3": {"created_time": later, "owner": "new", "changes": "owner"},
	}
	require.Equal(t, want, rows)
	_, rows = listed(t, m, "policies/p/revisions", "after", 2)
	require.Equal(t, map[string]row{"3": want["3"]}, rows, "the revision before is compared with, though it is not listed")
	m.Corrupt("revisions/p/2")
	answer := m.Must(m.List("policies/p/revisions"))
	_, rows = table(t, answer)
	require.Equal(t, map[string]row{"1": want["1"], "3": {"created_time": later, "owner": "new", "changes": ""}}, rows)
	require.Contains(t, answer.Warnings[0], "what is known of 1 of the names cannot be read; the first: 2: ")
}

func TestAPlanOfAPolicyAlsoSaysInOneLineWhatChanges(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "30d", "description", "a"))
	m.Must(m.Write("keys/k", "policy", "p"))
	plan := m.Must(m.Write("policies/p/plan", "rotation_period", "7d", "description", "", "allowed_types", "aes128-gcm96,chacha20-poly1305")).Data
	require.Equal(t, `allowed_types: [] -> [aes128-gcm96 chacha20-poly1305]; description: a -> ""; rotation_period: 30d -> 7d`, plan["changed"])
	for _, field := range []string{"due_now", "non_compliant", "becomes_non_compliant"} {
		require.Equal(t, plan["summary"].(map[string]any)[field], plan[field], field)
	}
	require.Equal(t, 1, plan["non_compliant"])
	plan = m.Must(m.Write("policies/p/plan", "document", `owner = "o"`+"\n"+`rotation_period = "30d"`)).Data
	require.Equal(t, `description: a -> ""; document`, plan["changed"], "a document is no text for a line")
}

func TestTheTableOfWhatTheClockWillDo(t *testing.T) {
	m := mounttest.Clockwork(t)
	names, rows := listed(t, m, "keys/k/plan", "count", 12)
	events := m.Must(m.Read("keys/k/plan", "count", 12)).Data["events"].([]map[string]any)
	require.Len(t, names, 12)
	require.True(t, slices.IsSorted(names), "as texts they are in the order of time")
	for i, name := range names {
		require.Equal(t, fmt.Sprintf("%02d", i+1), name)
		require.Equal(t, row{
			"time": events[i]["time"], "act": events[i]["act"], "version": fmt.Sprint(events[i]["version"]), "why": events[i]["why"],
		}, rows[name])
	}
	names, _ = listed(t, m, "keys/k/plan", "count", 2)
	require.Equal(t, []string{"1", "2"}, names)
	m.Refused(m.List("keys/k/plan", "count", 101), "count: 101: must be between 1 and 100")
	m.Must(m.Write("keys/free"))
	require.Equal(t, []string{"the clock will do nothing to key free"}, m.Must(m.List("keys/free/plan")).Warnings)
	require.Equal(t, 404, m.List("keys/none/plan").Status)
}

func TestTheTableOfDrift(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "100h"))
	for _, name := range []string{"a", "b", "c"} {
		m.Must(m.Write("keys/"+name, "policy", "p"))
	}
	require.Equal(t, []string{"no key drifts: 3 of the 3 keys bound to policy p are checked and meet it"}, m.Must(m.List("policies/p/drift")).Warnings)
	m.Must(m.Write("keys/odd", "policy", "p", "type", "chacha20-poly1305"))
	m.Must(m.Write("policies/p", "allowed_types", "aes256-gcm96"))
	want := row{"findings": 1, "why": "type chacha20-poly1305: does not allow this type in allowed_types"}
	names, rows := listed(t, m, "policies/p/drift")
	require.Equal(t, []string{"odd"}, names)
	require.Equal(t, want, rows["odd"])
	answer := m.Must(m.List("policies/p/drift", "limit", 2))
	require.Equal(t, "b", answer.Data["next"], "also where the page has no key that drifts")
	require.Contains(t, answer.Warnings[0], "2 of the 4 keys bound to policy p are checked; to go on: a limit, and after=b")
	_, rows = listed(t, m, "policies/p/drift", "limit", 2, "after", "b")
	require.Equal(t, map[string]row{"odd": want}, rows)
	require.Equal(t, 404, m.List("policies/none/drift").Status)
}

func TestTheTableOfKeysThatNeedSomebody(t *testing.T) {
	m := mounttest.Governed(t, "manual")
	require.Equal(t, []string{"no key needs anybody"}, m.Must(m.List("rotation/status")).Warnings)
	m.Must(m.Write("policies/lost", "owner", "o"))
	m.Must(m.Write("keys/lost", "policy", "lost"))
	m.Must(m.Write("keys/well", "policy", "p"))
	m.Corrupt("policies/lost")
	m.Leap(time.Hour)
	m.Must(m.Write("keys/well/rotate", "reason", mounttest.Reason))
	names, rows := listed(t, m, "rotation/status")
	require.Equal(t, []string{"k", "lost"}, names)
	require.Equal(t, row{
		"status": "overdue", "policy": "p", "since": mounttest.Start.Add(time.Hour).Truncate(time.Minute).Format(time.RFC3339),
		"why": m.Must(m.Read("keys/k/rotation")).Data["why"],
	}, rows["k"])
	require.Equal(t, "ungoverned", rows["lost"]["status"])
	require.Equal(t, "lost", rows["lost"]["policy"])
	require.Contains(t, rows["lost"]["why"], "cannot be read")
	names, _ = listed(t, m, "rotation/status", "limit", 1, "after", "k")
	require.Equal(t, []string{"lost"}, names)
	m.Refused(m.Read("rotation/status", "limit", 1), "limit: only a list has pages")
}

func TestTheTableOfTheHistory(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", 0))
	m.Must(m.Write("keys/k", "policy", "p", "reason", "one\n\x1b[31mline ♨ "+strings.Repeat("x", 400)))
	for range 6 {
		m.K.Ops("rotate")
	}
	m.K.Ops("soft-delete")
	names, rows := listed(t, m, "keys/k/history")
	require.Equal(t, []string{"01", "03", "05", "07", "09", "11", "13", "15"}, names, "an act has two records and one line")
	require.Equal(t, "one  [31mline   "+strings.Repeat("x", 144)+"...", rows["01"]["reason"], "what was written does not break the table")
	require.Equal(t, row{
		"time": m.Clock.Now().Format(time.RFC3339), "act": "rotate", "by": "", "versions": "7", "to": "active", "outcome": "done", "reason": mounttest.Reason,
	}, rows["13"])
	require.Equal(t, "all", rows["15"]["versions"])
	require.Equal(t, 404, m.List("keys/none/history").Status)
}

func TestTheHistoryShowsTheNewestActsAndGoesOnFromTheOldest(t *testing.T) {
	m := mounttest.New(t)
	m.K.Make(10)
	all, _ := listed(t, m, "keys/k/history")
	require.Len(t, all, 10)
	answer := m.Must(m.List("keys/k/history", "limit", 3))
	require.Equal(t, all[7:], answer.Data["keys"])
	require.Contains(t, answer.Warnings[0], "these are the newest acts")
	var seen []string
	for next := any("0"); next != nil; {
		answer = m.Must(m.List("keys/k/history", "limit", 3, "after", next))
		names, rows := table(t, answer)
		for _, name := range names {
			require.Equal(t, "done", rows[name]["outcome"])
			seen = append(seen, fmt.Sprintf("%02s", name))
		}
		next = answer.Data["next"]
		require.Empty(t, answer.Warnings)
	}
	require.Equal(t, all, seen)
}

func TestAnActWhoseEndIsMissingHasNoOutcome(t *testing.T) {
	m := mounttest.New(t)
	m.K.Make(3)
	m.Storage.CutJournal("journal/k/0000000004")
	m.Restart()
	_, rows := listed(t, m, "keys/k/history")
	require.Equal(t, "done", rows["1"]["outcome"])
	require.Equal(t, "", rows["3"]["outcome"])
	require.Equal(t, "done", rows["5"]["outcome"])
}

func TestAKeyThatCannotBeReadHidesNoOther(t *testing.T) {
	m := mounttest.New(t)
	for _, name := range []string{"a", "b", "c"} {
		m.Must(m.Write("keys/" + name))
	}
	m.Corrupt("keys/b")
	answer := m.Must(m.List("keys"))
	names, rows := table(t, answer)
	require.Equal(t, []string{"a", "b", "c"}, names)
	require.NotContains(t, rows, "b")
	require.Len(t, rows, 2)
	require.Contains(t, answer.Warnings[0], "what is known of 1 of the names cannot be read; the first: b: ")
}

func TestAKeyThatIsDeletedWhileATableIsMadeHasNoRow(t *testing.T) {
	m := mounttest.New(t)
	for _, name := range []string{"a", "b"} {
		m.Must(m.Write("keys/"+name, "policy", ""))
		m.Must(m.Write("keys/"+name+"/config", "deletion_allowed", true))
	}
	m.Restart()
	m.Storage.During("keys/a", func() { require.NoError(t, m.Storage.Delete(context.Background(), "keys/b")) })
	answer := m.Must(m.List("keys"))
	_, rows := table(t, answer)
	require.Len(t, rows, 1)
	require.Empty(t, answer.Warnings)
}

func TestATableEndsWithItsRequest(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{"keys/", "policies/"} {
		_, err := m.HandleRequest(ctx, &logical.Request{Operation: logical.ListOperation, Path: path, Storage: m.Storage})
		require.ErrorIs(t, err, context.Canceled, path)
	}
}

func TestTheLastChangeOfAVersionAlsoComesFlat(t *testing.T) {
	m := mounttest.New(t)
	m.K.Make(2)
	data := m.Must(m.Read("keys/k/versions/2")).Data
	change := data["last_change"].(map[string]any)
	at, err := time.Parse(time.RFC3339Nano, change["time"].(string))
	require.NoError(t, err)
	require.Equal(t, at.Format(time.RFC3339), data["last_change_time"])
	require.Equal(t, change["act"], data["last_change_act"])
	require.Equal(t, mounttest.Reason, data["last_change_reason"])
	require.Equal(t, "", data["last_change_by"])
	_, err = json.Marshal(data)
	require.NoError(t, err)
}
