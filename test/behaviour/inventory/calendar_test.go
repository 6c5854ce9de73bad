// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package inventory_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

const day = 24 * time.Hour

func text(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// coming reads the whole calendar of a span, page by page, without the access review, which is due on a new mount.
func coming(m *mounttest.Mount, kv ...any) (all []string) {
	m.T.Helper()
	data := mounttest.Data(kv...)
	for range 200 {
		page := m.Must(m.Do(logical.ReadOperation, "calendar", data)).Data
		for _, e := range page["events"].([]row) {
			if e["what"] == "access-review" {
				continue
			}
			line := fmt.Sprintf("%s %v %v %v", e["at"], e["what"], e["key"], e["version"])
			if e["irreversible"] == true {
				line += " irreversible"
			}
			all = append(all, line)
		}
		if page["next"] == "" {
			slices.Sort(all)
			return all
		}
		data["after"] = page["next"]
	}
	m.T.Fatal("the pages come to no end")
	return nil
}

// lives makes a policy under which the clock does all that it can.
func lives(m *mounttest.Mount, more ...any) {
	m.T.Helper()
	m.Must(m.Write("policies/p", append([]any{
		"owner", "payments", "rotation_period", "30d", "rotation_jitter", "0", "staging_time", "0", "rollback_window", "0", "archive_after", "10d",
		"retire_after", "5d", "quiet_period", "6d", "destroy_delay", "7d", "min_versions_kept", 1,
	}, more...)...))
}

// TestThePlanOfAKeySaysWhatIsIrreversible as the calendar does, and so does the table of it.
func TestThePlanOfAKeySaysWhatIsIrreversible(t *testing.T) {
	m := mounttest.New(t)
	lives(m)
	m.Must(m.Write("keys/k", "policy", "p"))
	var planned []string
	for _, e := range m.Must(m.Read("keys/k/plan", "count", 5)).Data["events"].([]row) {
		line := fmt.Sprint(e["time"], " ", e["act"], " k ", e["version"])
		if e["irreversible"] == true {
			line += " irreversible"
		}
		planned = append(planned, line)
	}
	require.Equal(t, coming(m, "to", text(mounttest.Start.Add(61*day))), planned)
	require.Contains(t, fmt.Sprint(planned), "irreversible")

	for _, days := range []time.Duration{30, 10, 6} {
		m.Pass(days * day)
		require.NoError(t, m.Tick())
	}
	plan := m.Must(m.Write("policies/p/plan", "destroy_delay", "8d", "reason", mounttest.Reason)).Data["keys"].([]row)[0]
	next := plan["next_event"].(map[string]any)["from"].(map[string]any)
	require.Equal(t, []any{"destroy", true}, []any{next["act"], next["irreversible"]}, "%v", plan)
}

func TestTheCalendarIsWhatTheClockThenDoes(t *testing.T) {
	m := mounttest.New(t)
	lives(m)
	m.Must(m.Write("keys/k", "policy", "p"))
	at := func(days int) string { return text(mounttest.Start.Add(time.Duration(days) * day)) }
	require.Equal(t, []string{
		at(30) + " rotate k 2", at(40) + " archive k 1", at(46) + " retire k 1", at(53) + " destroy k 1 irreversible", at(60) + " rotate k 3",
	}, coming(m, "to", at(61)))
	require.Equal(t, []string{at(46) + " retire k 1", at(53) + " destroy k 1 irreversible"}, coming(m, "from", at(41), "to", at(54)), "what comes before is counted with")
	require.Empty(t, coming(m, "to", at(29)))
	require.Equal(t, []string{at(30) + " rotate k 2"}, coming(m), "31 days")
	m.Must(m.Write("keys/k/hold", "hold", true, "reason", mounttest.Reason))
	require.NotContains(t, fmt.Sprint(coming(m, "to", at(61))), "destroy")
	e := m.Must(m.Read("calendar", "from", at(30))).Data["events"].([]row)
	plan := m.Must(m.Read("keys/k/plan")).Data["events"].([]row)[0]
	i := slices.IndexFunc(e, func(e row) bool { return e["what"] == "rotate" })
	require.Equal(t, row{"at": at(30), "what": "rotate", "key": "k", "version": 2, "policy": "p", "id": "", "why": plan["why"], "irreversible": false}, e[i])
}

func TestPagesOfTheCalendarMissNothing(t *testing.T) {
	m := mounttest.New(t)
	lives(m)
	for i := range 5 {
		for j := range 3 {
			m.Must(m.Write(fmt.Sprintf("keys/k%d%d", i, j), "policy", "p"))
		}
		m.Clock.Add(time.Hour)
	}
	whole := coming(m, "to", text(m.Clock.Now().Add(60*day)), "limit", 500)
	require.Len(t, whole, 15*5, "of each key two rotations, and the way of its first version to the end")
	for _, limit := range []int{1, 2, 3, 4, 14, 15} {
		require.Equal(t, whole, coming(m, "to", text(m.Clock.Now().Add(60*day)), "limit", limit), limit)
	}
}

func TestAPageOfTheCalendarLooksAtSoManyMinutes(t *testing.T) {
	m := mounttest.New(t)
	lives(m)
	m.Must(m.Write("keys/k", "policy", "p"))
	first := mounttest.Start.Add(time.Hour).Truncate(time.Minute)
	for i := range 600 { // minutes with nothing but what is left over
		m.Storage.Plant("schedule/"+first.Add(time.Duration(i)*time.Minute).UTC().Format("20060102T1504")+"/gone", []byte("{}"))
	}
	m.Must(m.Read("keys/k/versions/1"))
	m.Storage.Reset()
	page := m.Must(m.Read("calendar", "limit", 500)).Data
	require.Equal(t, 501+2, m.Storage.Reset().Lists, "the index, its minutes; requests and reviews")
	require.NotEmpty(t, page["next"])
	m.Storage.Reset()
	page = m.Must(m.Read("calendar", "limit", 500, "after", page["next"])).Data
	require.Equal(t, storagetest.Counts{Lists: 1 + 101 + 1, Gets: 100}, m.Storage.Reset(), "the index, the minutes, the policies for drills; the keys that have gone")
	require.Empty(t, page["next"])
	require.Len(t, page["events"], 1)
}

func TestTheCalendarReadsAKeyForEachThatIsNotInMemory(t *testing.T) {
	m := mounttest.New(t)
	lives(m)
	for i := range 20 {
		m.Must(m.Write(fmt.Sprintf("keys/k%02d", i), "policy", "p"))
	}
	m.Restart()
	m.Must(m.Read("keys/k00"))
	m.Storage.Reset()
	m.Must(m.Read("calendar"))
	cold := m.Storage.Reset()
	m.Must(m.Read("calendar"))
	require.Equal(t, cold, m.Storage.Reset(), "what only the calendar showed is not kept")
	for i := range 20 {
		m.Must(m.Read(fmt.Sprintf("keys/k%02d", i)))
	}
	m.Storage.Reset()
	m.Must(m.Read("calendar"))
	warm := m.Storage.Reset()
	require.Equal(t, 19, cold.Gets-warm.Gets)
	require.Equal(t, storagetest.Counts{Lists: 5, Gets: 2}, warm, "the index, one minute, requests, reviews, policies; the clock, config/engine")
}

func TestTheCalendarSaysWhatPeopleHaveToDo(t *testing.T) {
	m := mounttest.New(t)
	mounttest.EnrolApprovers(m, "key-approvers")
	m.Clock.Add(2 * day)
	m.Must(m.Write("config/approvals", "break_glass_groups", "key-approvers", "reason", mounttest.Reason))
	lives(m, "drill_every", "20d", "approvals", map[string]any{"rotate": "1 of key-approvers", "promote": "1 of key-approvers"}, "rotation_mode", "manual")
	m.Must(m.Write("keys/k", "policy", "p"))
	as := func(id string) { m.Caller = func(r *logical.Request) { r.EntityID, r.DisplayName = id, id } }
	m.System.Person("alice", "alice")
	as("alice")
	asked := m.Clock.Now()
	require.Equal(t, 428, m.Write("keys/k/rotate", "reason", "CHG-4711: an old version").Status)
	events := func() map[string]row {
		found := map[string]row{}
		for _, e := range m.Must(m.Read("calendar", "to", text(asked.Add(40*day)))).Data["events"].([]row) {
			found[e["what"].(string)] = e
		}
		return found
	}
	got := events()
	require.Equal(t, text(asked.Add(3*day)), got["approve"]["at"])
	require.Equal(t, "k", got["approve"]["key"])
	require.Equal(t, "p", got["approve"]["policy"])
	require.Contains(t, got["approve"]["why"], "until then votes count on rotate of k, for which alice asks: 1 of key-approvers")
	require.Equal(t, text(asked), got["access-review"]["at"], "nobody has reviewed who uses which keys")
	require.Equal(t, text(asked.Add(20*day)), got["drill"]["at"])
	require.Equal(t, "k", got["drill"]["key"])
	require.Contains(t, got["drill"]["why"], `policy "p" has drill_every 20d, and custody keeps no drill since the key was made`)
	require.Equal(t, text(asked.Add(30*day)), got["overdue"]["at"])

	id := got["approve"]["id"].(string)
	as("approver-1")
	m.Must(m.Write("approvals/" + id + "/approve"))
	got = events()
	require.NotContains(t, got, "approve")
	require.Equal(t, text(asked.Add(day)), got["execute"]["at"])
	require.Equal(t, id, got["execute"]["id"])
	as("alice")
	m.Must(m.Write("keys/k/rotate", "reason", "CHG-4711: an old version"))
	require.NotContains(t, events(), "execute")

	m.Caller = nil
	m.Must(m.Write("access-review/attest", "reason", "looked at all of it"))
	require.NotContains(t, events(), "access-review", "the next one is in 90 days")
	m.Clock.Add(30 * day)
	got = events()
	require.Equal(t, text(m.Clock.Now()), got["drill"]["at"], "what is overdue is now")
	m.Must(m.Write("keys/k/drill", "record", true, "reason", mounttest.Reason))
	require.NotContains(t, events(), "drill")
}

func TestTheCalendarSaysWhichReviewsAreDue(t *testing.T) {
	m := mounttest.New(t)
	mounttest.EnrolApprovers(m, "key-approvers")
	m.Clock.Add(2 * day)
	m.Must(m.Write("config/approvals", "break_glass_groups", "key-approvers", "reason", mounttest.Reason))
	lives(m, "approvals", map[string]any{"promote": "1 of key-approvers"})
	m.Must(m.Write("keys/k", "policy", "p"))
	m.Must(m.Write("keys/k/rotate", "stage", true, "reason", mounttest.Reason))
	m.Caller = func(r *logical.Request) { r.EntityID = "approver-1" }
	m.Must(m.Write("keys/k/versions/2/promote", "break_glass", true, "reason", "all orders are refused since ten"))
	for _, at := range []time.Time{m.Clock.Now().Add(3 * day), m.Clock.Now().Add(4 * day)} { // due, and overdue
		found := slices.DeleteFunc(m.Must(m.Read("calendar")).Data["events"].([]row), func(e row) bool { return e["what"] != "review" })
		require.Len(t, found, 1)
		require.Equal(t, text(at), found[0]["at"])
		require.Equal(t, []any{"k", 2, false}, []any{found[0]["key"], found[0]["version"], found[0]["irreversible"]})
		require.Regexp(t, "^rv-", found[0]["id"])
		m.Clock.Add(4 * day)
	}
}

func TestAKeyToWhichMuchHappensIsCut(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0", "staging_time", "0", "rollback_window", "0"))
	m.Must(m.Write("keys/k", "policy", "p"))
	page := m.Must(m.Read("calendar")).Data
	require.Equal(t, []string{"k"}, page["cut"])
	require.Len(t, page["events"], 64+1, "and the access review")
	page = m.Must(m.Read("calendar", "to", text(m.Clock.Now().Add(64*time.Hour+time.Minute)))).Data
	require.Empty(t, page["cut"])
	page = m.Must(m.Read("calendar", "from", text(m.Clock.Now().Add(80*day)))).Data
	require.Equal(t, []string{"k"}, page["cut"], "nobody counts for ever")
}

func TestAKeyThatCannotBeReadIsNamedInTheCalendar(t *testing.T) {
	m := mounttest.New(t)
	lives(m)
	for _, name := range []string{"a", "b", "c"} {
		m.Must(m.Write("keys/"+name, "policy", "p"))
	}
	m.Corrupt("keys/b")
	page := m.Must(m.Read("calendar")).Data
	require.Len(t, page["unread"], 1)
	require.Equal(t, "b", page["unread"].([]row)[0]["name"])
	require.Contains(t, page["unread"].([]row)[0]["error"], "keys/b")
	require.Len(t, coming(m), 2)
}

func TestTheCalendarRefusesASpanThatItDoesNotLookAt(t *testing.T) {
	m := mounttest.New(t)
	now := m.Clock.Now()
	for _, c := range []struct {
		kv   []any
		says string
	}{
		{[]any{"from", "tomorrow"}, `from: "tomorrow": must be a time as in RFC 3339`},
		{[]any{"to", text(now)}, "to: "},
		{[]any{"to", text(now.Add(-day))}, "must be after from"},
		{[]any{"to", text(now.Add(93 * day))}, "must be at most 92 days after from"},
		{[]any{"from", text(now.Add(300 * day)), "to", text(now.Add(367 * day))}, "must be at most 366 days from now"},
		{[]any{"limit", 501}, "limit: 501: must be between 0 and 500"},
		{[]any{"after", "k"}, `after: "k": must be next of the page before`},
	} {
		m.Refused(m.Read("calendar", c.kv...), c.says)
	}
}
