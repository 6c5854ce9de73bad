// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package approvers_test shows who can become an approver, who is one, and that no rule is left to too few.
package approvers_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

const duties = "I look at what I approve."

// mount is one whose Vault knows bob, carol and dave, approvers of the group key-approvers, and alice, who is none.
func mount(t *testing.T) *mounttest.Mount {
	t.Helper()
	m := mounttest.New(t)
	m.System.Person("alice-id", "alice")
	for _, name := range []string{"bob", "carol", "dave"} {
		m.System.Person(name+"-id", name, "key-approvers")
	}
	m.Must(m.Write("config/approvals", "duties", duties))
	return m
}

// as sends what follows on behalf of an entity; empty: of none.
func as(m *mounttest.Mount, name string) *mounttest.Mount {
	m.Caller = func(req *logical.Request) {
		if name != "" {
			req.EntityID, req.DisplayName = name+"-id", "userpass-"+name
		}
	}
	return m
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func enrol(m *mounttest.Mount, names ...string) {
	for _, name := range names {
		m.Must(as(m, name).Write("approvers/acknowledge", "duties_hash", hashOf(duties)))
	}
	as(m, "alice")
}

// approver returns what is known of an approver.
func approver(m *mounttest.Mount, name string) map[string]any {
	m.T.Helper()
	return m.Must(m.Read("approvers/" + name + "-id")).Data
}

func TestPeopleEnrolByTheDutiesThatTheyRead(t *testing.T) {
	t.Parallel()
	m := as(mount(t), "bob")
	read := m.Must(m.Read("approvers/duties")).Data
	require.Equal(t, map[string]any{"duties": duties, "duties_hash": hashOf(duties)}, read)
	m.Refused(m.Write("approvers/acknowledge"), "duties_hash")
	m.Refused(m.Write("approvers/acknowledge", "duties_hash", hashOf("others")), "duties_hash", "read approvers/duties")
	require.Equal(t, http.StatusNotFound, m.Read("approvers/bob-id").Status)

	got := m.Must(m.Write("approvers/acknowledge", "duties_hash", hashOf(duties))).Data
	want := map[string]any{
		"entity": "bob-id", "name": "bob", "founder": true, "able": true, "why": "", "groups": []string{"key-approvers"}, "duties_hash": hashOf(duties), "duties_current": true,
		"since_time": "2026-03-01T12:00:30Z", "acknowledged_time": "2026-03-01T12:00:30Z", "lapses_time": "2027-03-01T12:00:30Z",
	}
	require.Equal(t, want, got)
	want["rules"] = []map[string]any{}
	require.Equal(t, want, approver(m, "bob"))
	require.Equal(t, []string{"bob-id"}, m.Must(m.List("approvers")).Data["keys"])
}

func TestWhoIsNobodyCannotEnrol(t *testing.T) {
	t.Parallel()
	m := mount(t)
	before := m.Storage.All()
	m.Refused(as(m, "").Write("approvers/acknowledge", "duties_hash", hashOf(duties)), "entity_id", "no entity")
	m.Refused(as(m, "mallory").Write("approvers/acknowledge", "duties_hash", hashOf(duties)), "entity_id", "mallory-id", "deleted")
	m.System.Entity(&logical.Entity{ID: "bob-id", Name: "bob", Disabled: true}, "key-approvers")
	m.Refused(as(m, "bob").Write("approvers/acknowledge", "duties_hash", hashOf(duties)), "entity_id", "disabled")
	m.System.Merged("carol-id", "dave-id")
	m.Refused(as(m, "carol").Write("approvers/acknowledge", "duties_hash", hashOf(duties)), "entity_id", "carol-id", "merged into another")
	require.Equal(t, before, m.Storage.All())
}

func TestFoundersDoNotWaitAndOthersDo(t *testing.T) {
	t.Parallel()
	m := mount(t)
	enrol(m, "bob", "carol", "dave")
	m.Must(m.Write("config/approvals", "approvals", "approvals=2 of key-approvers"))
	m.System.Person("erin-id", "erin", "key-approvers")
	enrol(m, "erin")
	require.Equal(t, false, approver(m, "erin")["founder"])
	require.Equal(t, "has enrolled less than approver_wait ago", approver(m, "erin")["why"])
	require.Equal(t, []map[string]any{{
		"policy": "", "operation": "approvals", "rule": "2 of key-approvers", "counts": false, "why": "has enrolled less than approver_wait ago",
	}}, approver(m, "erin")["rules"])
	require.Equal(t, []map[string]any{{"policy": "", "operation": "approvals", "rule": "2 of key-approvers", "counts": true, "why": ""}}, approver(m, "bob")["rules"])
	m.Clock.Add(24 * time.Hour)
	require.Equal(t, true, approver(m, "erin")["able"])
}

func TestAnAcknowledgementLapsesAndIsRenewed(t *testing.T) {
	t.Parallel()
	m := mount(t)
	m.Must(m.Write("config/approvals", "acknowledge_every", "48h"))
	enrol(m, "bob")
	m.Clock.Add(48 * time.Hour)
	require.Equal(t, false, approver(m, "bob")["able"])
	require.Contains(t, approver(m, "bob")["why"], "acknowledge_every")
	enrol(m, "bob")
	got := approver(m, "bob")
	require.Equal(t, true, got["able"])
	require.Equal(t, []any{"2026-03-01T12:00:30Z", "2026-03-03T12:00:30Z", "2026-03-05T12:00:30Z", true},
		[]any{got["since_time"], got["acknowledged_time"], got["lapses_time"], got["founder"]})
	m.Must(m.Write("config/approvals", "duties", "Look twice."))
	require.Equal(t, []any{false, true}, []any{approver(m, "bob")["duties_current"], approver(m, "bob")["able"]})
}

func TestWhatVaultSaysOfAPersonHoldsAtOnce(t *testing.T) {
	t.Parallel()
	m := mount(t)
	enrol(m, "bob", "carol", "dave")
	m.Must(m.Write("config/approvals", "approvals", "clock=2 of key-approvers"))
	require.Empty(t, m.Must(m.List("approvers")).Warnings)

	m.System.Gone("bob-id")
	got := approver(m, "bob")
	require.Equal(t, []any{"", false, "is no entity of this Vault any more"}, []any{got["name"], got["able"], got["why"]})
	warning := "config/approvals, clock: 2 of key-approvers: 2 can approve (carol, dave); a member who asks leaves 1"
	require.Equal(t, []string{warning}, m.Must(m.List("approvers")).Warnings)
	m.System.Entity(&logical.Entity{ID: "bob-id", Name: "bob", Disabled: true}, "key-approvers")
	require.Equal(t, "is disabled", approver(m, "bob")["why"])
	m.System.Person("bob-id", "bob", "others")
	got = approver(m, "bob")
	require.Equal(t, []any{true, []string{"others"}}, []any{got["able"], got["groups"]})
	require.Equal(t, "is in none of the groups key-approvers", got["rules"].([]map[string]any)[0]["why"])
	m.System.Person("carol-id", "carol")
	require.Equal(t, []string{"config/approvals, clock: 2 of key-approvers: 1 can approve (dave): 2 are needed"}, m.Must(m.List("approvers")).Warnings)
	m.System.Person("bob-id", "bob", "key-approvers")
	m.System.Person("carol-id", "carol", "key-approvers")
	require.Empty(t, m.Must(m.List("approvers")).Warnings)

	row := m.Must(m.List("approvers")).Data["key_info"].(map[string]any)["bob-id"]
	require.Equal(t, map[string]any{"name": "bob", "since_time": "2026-03-01T12:00:30Z", "lapses_time": "2027-03-01T12:00:30Z", "able": true, "why": ""}, row)
	page := m.Must(m.List("approvers", "after", "bob-id", "limit", 1)).Data
	require.Equal(t, []string{"carol-id"}, page["keys"])
	require.Equal(t, "carol-id", page["next"])
}

func TestNobodyLocksHimselfOut(t *testing.T) {
	t.Parallel()
	m := mount(t)
	enrol(m, "bob", "carol")
	before := m.Storage.All()
	m.Refused(m.Write("config/approvals", "approvals", "approvals=2 of key-approvers"),
		`approvals: "approvals=2 of key-approvers": 2 can approve (bob, carol); one more is needed, so that one can be away`)
	m.Refused(m.Write("config/approvals", "approvals", "approvals=1 of typo"), "nobody can approve; 2 more are needed")
	m.Refused(m.Write("config/approvals", "approvals", "retire=1 of key-approvers"), "approvals", `"retire"`, "custody-key")
	m.Refused(m.Write("config/approvals", "approvals", "config=0 of key-approvers"), "1 to 10 persons")
	m.Refused(m.Write("config/approvals", "approver_wait", "-1s"), "approver_wait")
	m.Refused(m.Write("config/approvals", "break_glass_operations", "retire"), "break_glass_operations", "promote, rollback")
	require.Equal(t, before, m.Storage.All())

	m.Must(m.Write("config/approvals", "approvals", "clock=1 of key-approvers, others"))
	m.Refused(m.Write("config/approvals", "auth_mount", "typo"), "clock=1 of key-approvers, others", "nobody can approve")
	m.Must(m.Write("config/approvals", "auth_mount", "userpass-1"))
	m.System.Gone("bob-id")
	m.Must(m.Write("config/approvals", "duties", "Look twice."))
}

func TestTheSettingsReadBackAndHaveRevisions(t *testing.T) {
	t.Parallel()
	m := mount(t)
	want := map[string]any{
		"revision": 1, "approvals": map[string]string{}, "duties": duties, "acknowledge_every": 31536000, "approver_wait": 86400, "auth_mount": "",
		"break_glass_groups": []string{}, "break_glass_root": false, "break_glass_operations": []string{"promote"}, "review_within": 259200,
	}
	require.Equal(t, want, m.Must(m.Read("config/approvals")).Data)
	enrol(m, "bob", "carol", "dave")
	all := map[string]any{
		"approvals": map[string]any{"config": "2 of key-approvers", "enrol": "1 of key-approvers-id"}, "acknowledge_every": "180d", "approver_wait": 3600,
		"auth_mount": "userpass-1", "break_glass_groups": "on-call,security", "break_glass_root": true, "break_glass_operations": []string{"promote", "resume"},
		"review_within": "24h",
	}
	got := m.Must(m.Do(logical.UpdateOperation, "config/approvals", all)).Data
	want = map[string]any{
		"revision": 2, "approvals": map[string]string{"config": "2 of key-approvers", "enrol": "1 of key-approvers-id"}, "duties": duties,
		"acknowledge_every": 15552000, "approver_wait": 3600, "auth_mount": "userpass-1", "break_glass_groups": []string{"on-call", "security"},
		"break_glass_root": true, "break_glass_operations": []string{"promote", "resume"}, "review_within": 86400,
	}
	require.Equal(t, want, got)
	require.Equal(t, want, m.Must(m.Read("config/approvals")).Data)

	m.Must(m.Do(logical.UpdateOperation, "config/approvals", all))
	require.Equal(t, 2, m.Must(m.Read("config/approvals")).Data["revision"], "setting what is set is no change")
	require.Equal(t, http.StatusConflict, m.Write("config/approvals", "duties", "x", "cas", 1).Status)
	m.Must(m.Do(logical.UpdateOperation, "config/approvals", map[string]any{"approvals": map[string]any{}, "cas": 2}))
	require.Equal(t, map[string]string{}, m.Must(m.Read("config/approvals")).Data["approvals"])
}

func TestARequestThatComesTwiceIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	m := mount(t)
	for range 2 {
		got := m.As("r1", func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("config/approvals", "auth_mount", "x", "cas", 1)
		})
		require.Equal(t, 2, m.Must(got).Data["revision"])
		m.Restart()
	}
}

func TestAnEnrolmentEnds(t *testing.T) {
	t.Parallel()
	m := mount(t)
	enrol(m, "bob", "carol")
	before := m.Storage.All()
	m.Must(m.Delete("approvers/nobody-id"))
	require.Equal(t, before, m.Storage.All(), "there was nothing to do")
	m.Refused(m.Delete("approvers/bob-id", "reason", string(make([]byte, 513))), "reason")
	m.Must(as(m, "bob").Delete("approvers/bob-id", "reason", "on leave"))
	require.Equal(t, []string{"carol-id"}, m.Must(m.List("approvers")).Data["keys"])
	require.Equal(t, http.StatusNotFound, m.Read("approvers/bob-id").Status)
	m.Must(as(m, "alice").Delete("approvers/carol-id"))
	require.Equal(t, http.StatusNotFound, m.List("approvers").Status)
}

func TestCustodySaysWhoEnrolledAndWhatWasChanged(t *testing.T) {
	t.Parallel()
	m := mount(t)
	enrol(m, "bob", "bob")
	m.Must(m.Write("config/approvals", "approver_wait", "1h", "reason", "CHG-1"))
	m.Must(m.Delete("approvers/bob-id", "reason", "has left"))
	m.Restart()
	var records []map[string]any
	for _, r := range m.Must(m.Read("config/history")).Data["records"].([]map[string]any) {
		if r["kind"] == "begin" {
			records = append(records, r)
		}
	}
	require.Len(t, records, 5)
	details := func(i int) map[string]any { return records[i]["details"].(map[string]any) }
	require.Equal(t, "configure-approvals", records[0]["act"])
	require.Equal(t, map[string]any{"duties": hashOf("") + " -> " + hashOf(duties)}, details(0))
	require.Equal(t, "enrol", records[1]["act"])
	require.Equal(t, map[string]any{"entity": "bob (bob-id)", "duties_hash": hashOf(duties), "founder": "true", "renewed": "false"}, details(1))
	require.Equal(t, "true", details(2)["renewed"])
	require.Equal(t, map[string]any{"approver_wait": "24h0m0s -> 1h0m0s"}, details(3))
	require.Equal(t, "CHG-1", records[3]["reason"])
	require.Equal(t, []any{"unenrol", "has left"}, []any{records[4]["act"], records[4]["reason"]})
	require.Equal(t, map[string]any{"entity": "bob (bob-id)"}, details(4))
	require.Equal(t, true, m.Must(m.Write("custody/verify")).Data["valid"])
}

// TestWhatApproversCost counts calls of storage, and of Vault: each approver is two.
func TestWhatApproversCost(t *testing.T) {
	t.Parallel()
	m := mount(t)
	enrol(m, "bob", "carol", "dave")
	m.Must(m.Read("approvers/bob-id"))
	cost := func(what string, send func() mounttest.Answer, storage, vault int) {
		t.Helper()
		m.Storage.Reset()
		m.System.Reset()
		m.Must(send())
		require.Equal(t, storage, m.Storage.Reset().Total(), what)
		require.Equal(t, vault, m.System.Reset(), what)
	}
	cost("duties", func() mounttest.Answer { return m.Read("approvers/duties") }, 0, 0)
	cost("one", func() mounttest.Answer { return m.Read("approvers/bob-id") }, 3, 2)
	cost("all", func() mounttest.Answer { return m.List("approvers") }, 3, 6)
	as(m, "bob")
	// the enrolments twice; the clock guard; the policies; nothing behind the chain; three writes
	cost("renew", func() mounttest.Answer { return m.Write("approvers/acknowledge", "duties_hash", hashOf(duties)) }, 8, 2)
}
