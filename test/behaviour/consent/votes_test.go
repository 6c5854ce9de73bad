// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// voters returns what an access review says of people, by name, and the rest of it.
func (o *office) voters(kv ...any) (rows map[string]map[string]any, answer map[string]any) {
	o.t.Helper()
	answer = mounttest.AsJSON(o.t, o.Must(o.as("auditor").Read("access-review", kv...)).Data)
	rows = map[string]map[string]any{}
	for _, row := range answer["entities"].([]any) {
		row := row.(map[string]any)
		rows[row["entity"].(string)] = row
	}
	return rows, answer
}

// voted is what a row says of votes.
func voted(row map[string]any) []any {
	return []any{row["approver"], row["enrolled_time"], row["votes"], row["last_vote_time"], row["never_voted"]}
}

// copies stores a request so many times more, as others of the same votes.
func (o *office) copies(request string, n int) {
	o.t.Helper()
	record := struct {
		Schema int `json:"schema"`
		consent.Request
	}{Schema: 1}
	require.NoError(o.t, json.Unmarshal(o.Storage.All()["approvals/"+request], &record.Request))
	for i := range n {
		record.Content.Reason = fmt.Sprint("copy ", i)
		record.Digest = record.Content.Digest()
		text, err := json.Marshal(record)
		require.NoError(o.t, err)
		o.Storage.Plant("approvals/"+record.ID(), text)
	}
}

func TestAReviewSaysWhichApproversVote(t *testing.T) {
	o := retiring(t, "2 of "+approvers)
	const enrolled = "2026-03-01T12:00:30Z"
	o.Clock.Add(time.Hour)
	first, second := o.asked("alice", retire1, "reason", why), o.asked("alice", retire1, "reason", "another reason")
	o.approve(first, "bob", "carol")
	o.Clock.Add(time.Hour)
	o.Must(o.as("bob").Write("approvals/"+second+"/deny", "reason", "not needed"))
	o.System.Gone(id("dave"))
	for _, when := range []string{"now", "restarted"} {
		rows, answer := o.voters()
		require.Equal(t, []any{true, enrolled, 2.0, "2026-03-01T14:00:30Z", false}, voted(rows[id("bob")]), "a vote against is one, %s", when)
		require.Equal(t, []any{true, enrolled, 1.0, "2026-03-01T13:00:30Z", false}, voted(rows[id("carol")]), when)
		require.Equal(t, []any{true, enrolled, 0.0, "", true}, voted(rows[id("dave")]), when)
		require.Equal(t, []any{false, nil, nil, nil, nil}, voted(rows[id("founder")]), when)
		require.Empty(t, rows[id("dave")]["keys"], "it used no key, and is in the review")
		require.Equal(t, []any{false, false}, []any{rows[id("dave")]["alive"], rows[id("dave")]["stale"]})
		require.Equal(t, "2025-12-01T14:00:30Z", answer["votes_since"], "90 days ago")
		require.NoError(t, o.Tick())
		o.Restart()
	}
	only, _ := o.voters("entity", id("dave"))
	require.Len(t, only, 1)
	used, answer := o.voters("key", "orders")
	require.NotContains(t, used, id("dave"), "it did nothing with the key")
	require.Empty(t, answer["votes_since"], "no approver is shown")

	o.Must(o.as("dave").Delete("approvers/"+id("dave"), "reason", why))
	rows, _ := o.voters()
	require.NotContains(t, rows, id("dave"), "it is no approver any more")
}

func TestAReviewPassesOverRequestsThatCannotBeRead(t *testing.T) {
	o := retiring(t, oneOf)
	good, bad := o.asked("alice", retire1, "reason", why), o.asked("alice", retire1, "reason", "another reason")
	o.approve(good, "bob")
	o.approve(bad, "carol")
	o.Storage.Plant("approvals/"+bad, []byte("\x00"+s3cr3t))
	rows, answer := o.voters()
	require.Equal(t, 1.0, rows[id("bob")]["votes"])
	require.Equal(t, 0.0, rows[id("carol")]["votes"])
	require.Contains(t, answer["not_shown"], "votes in 1 requests for consent that cannot be read")
	require.NotContains(t, fmt.Sprint(answer), s3cr3t)
}

func TestAReviewSaysThatTheRecordOfApproversIsDamaged(t *testing.T) {
	for name, damaged := range map[string]string{
		"damaged": "\x00" + s3cr3t, "of a newer release": `{"schema":2,"approvers":"` + s3cr3t + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			o := retiring(t, oneOf)
			o.as("bob").Encrypt("orders", "x")
			before, _ := o.voters()
			o.Storage.Plant("config/approvers", []byte(damaged))
			o.Restart()
			o.as("bob").Encrypt("orders", "x")
			rows, answer := o.voters()
			require.NotContains(t, rows, id("dave"), "it used no key, and nobody knows that it has enrolled")
			require.NotContains(t, rows[id("bob")], "approver")
			require.NotContains(t, rows[id("bob")], "votes")
			require.Equal(t, true, rows[id("bob")]["alive"])
			require.Len(t, rows[id("bob")]["keys"], 1)
			require.Contains(t, before, id("dave"))
			require.Contains(t, fmt.Sprint(answer["not_shown"]), "approvers, and their votes: the record of approvers cannot be read: config/approvers: ")
			require.NotContains(t, fmt.Sprint(answer), s3cr3t)
		})
	}
	o := retiring(t, oneOf)
	o.Storage.FailGets("config/approvers")
	require.NotEmpty(t, o.as("auditor").Read("access-review").Err, "storage that fails may be asked again")
}

// TestAReviewReadsEachRequestOnce, and none where nobody who has enrolled is shown.
func TestAReviewReadsEachRequestOnce(t *testing.T) {
	o := retiring(t, oneOf)
	request := o.asked("alice", retire1, "reason", why)
	o.approve(request, "bob")
	o.copies(request, 20)
	require.NoError(t, o.Tick())
	cost := func(kv ...any) (gets, lists int) {
		o.voters(kv...)
		o.Storage.Reset()
		o.voters(kv...)
		counts := o.Storage.Reset()
		require.Zero(t, counts.Writes())
		return counts.Gets, counts.Lists
	}
	none, listed := cost("key", "orders")
	gets, lists := cost()
	require.Equal(t, []int{none + 21 + 1, listed + 1}, []int{gets, lists}, "a Get for each, and one for the clock")

	o.copies(request, 600)
	gets, lists = cost()
	require.Equal(t, []int{none + 512 + 1, listed + 1}, []int{gets, lists})
	rows, answer := o.voters()
	require.Contains(t, answer["not_shown"], "votes in 89 more requests for consent that are kept: no more are read for a page")
	require.NotContains(t, rows[id("carol")], "never_voted", "it may have voted in the others")
	require.Equal(t, false, rows[id("bob")]["never_voted"])

	for _, name := range []string{"bob", "carol", "dave"} {
		o.Must(o.as(name).Delete("approvers/" + id(name)))
	}
	gets, lists = cost()
	require.Equal(t, []int{none, listed}, []int{gets, lists}, "nobody has enrolled")
}

func TestWhoUsedAVersionHasAName(t *testing.T) {
	o := retiring(t, oneOf)
	for _, name := range []string{"bob", "carol", "root"} {
		o.as(name).Encrypt("orders", "x")
		o.Clock.Add(time.Minute)
	}
	o.System.Merged(id("carol"), id("dave"))
	o.System.Reset()
	read := func() mounttest.Answer { return o.Must(o.as("auditor").Read("keys/orders/versions/3")) }
	by := mounttest.AsJSON(t, read().Data)["used_by"].([]any)
	require.Equal(t, []any{"none", nil}, []any{by[0].(map[string]any)["entity"], by[0].(map[string]any)["name"]})
	require.Equal(t, []any{id("carol"), nil}, []any{by[1].(map[string]any)["entity"], by[1].(map[string]any)["name"]}, "it is another now")
	require.Equal(t, []any{id("bob"), "bob"}, []any{by[2].(map[string]any)["entity"], by[2].(map[string]any)["name"]})
	asked := o.System.Reset()
	o.as("dave").Encrypt("orders", "x")
	o.System.Reset()
	read()
	require.Equal(t, asked+1, o.System.Reset(), "one question for each entity")
}
