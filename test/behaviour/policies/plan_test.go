// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policies_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// fleet is a policy with three keys: young was just made, old ten hours ago, odd is of another type.
func fleet(t *testing.T) *mounttest.Mount {
	t.Helper()
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "100h"))
	m.Must(m.Write("keys/old", "policy", "p"))
	m.Must(m.Write("keys/odd", "policy", "p", "type", "chacha20-poly1305"))
	m.Clock.Add(10 * time.Hour)
	m.Must(m.Write("keys/young", "policy", "p"))
	require.NoError(t, m.Tick())
	return m
}

func TestAPlanShowsWhatAPolicyWouldChangeOfEachKey(t *testing.T) {
	m := fleet(t)
	next := m.Read("keys/old").Data["next_rotation_time"]
	plan, keys := mounttest.PlanPolicy(m, "rotation_period", "8h", "rotation_jitter", 0, "allowed_types", "aes256-gcm96")
	require.Equal(t, map[string]any{
		"rotation_period": mounttest.FromTo("100h", "8h"), "rotation_jitter": mounttest.FromTo("5%", 0),
		"allowed_types": mounttest.FromTo([]string{}, []string{"aes256-gcm96"}),
	}, plan["changes"])
	require.Equal(t, "p", plan["name"])
	require.Equal(t, 2, plan["revision"])
	require.Equal(t, 3, plan["keys_bound"])
	require.Equal(t, "", plan["next"])
	require.Equal(t, map[string]any{"keys": 3, "due_now": 2, "non_compliant": 1, "becomes_non_compliant": 1}, plan["summary"])

	require.Equal(t, true, keys["old"]["due_now"])
	require.Equal(t, mounttest.FromTo(next, mounttest.Start.Add(8*time.Hour).Format(time.RFC3339)), keys["old"]["next_rotation_time"])
	require.Equal(t, mounttest.FromTo("scheduled", "due"), keys["old"]["rotation_status"])
	require.Empty(t, keys["old"]["becomes_non_compliant"])
	require.Equal(t, false, keys["young"]["due_now"])
	require.Equal(t, mounttest.FromTo("scheduled", "overdue"), keys["odd"]["rotation_status"], "nothing rotates what the policy does not allow")
	becomes := keys["odd"]["becomes_non_compliant"].([]map[string]any)
	require.Equal(t, "type", becomes[0]["field"])
	require.Equal(t, "chacha20-poly1305", becomes[0]["value"])
	require.Contains(t, becomes[0]["rule"], "allowed_types")

	written := m.Must(m.Write("policies/p", "rotation_period", "8h", "rotation_jitter", 0, "allowed_types", "aes256-gcm96")).Data
	require.Equal(t, plan["revision"], written["revision"])
	require.Equal(t, plan["hash"], written["hash"])
}

func TestAPlanShowsWhatAKeyWouldMeetAgain(t *testing.T) {
	m := fleet(t)
	m.Must(m.Write("policies/p", "min_strength_bits", 256, "deny_after", map[string]any{"chacha20-poly1305": "2026-01-31"}))
	_, keys := mounttest.PlanPolicy(m, "deny_after", map[string]any{"chacha20-poly1305": "2026-02-01"}, "exportable", true)
	require.Empty(t, keys["odd"]["becomes_non_compliant"])
	require.Len(t, keys["odd"]["stays_non_compliant"], 1, "it is about the same, though the date is another")
	require.Empty(t, keys["odd"]["becomes_compliant"])
	plan, keys := mounttest.PlanPolicy(m, "deny_after", map[string]any{})
	require.Len(t, keys["odd"]["becomes_compliant"], 1)
	require.Empty(t, keys["odd"]["stays_non_compliant"])
	require.Equal(t, map[string]any{"keys": 3, "due_now": 0, "non_compliant": 0, "becomes_non_compliant": 0}, plan["summary"])
}

func TestAPlanShowsWhatIsLooserAndWhoseConsentThatNeeds(t *testing.T) {
	m := mounttest.New(t)
	mounttest.EnrolApprovers(m, "key-approvers", "security", "a", "b")
	plan := func(kv ...any) []any {
		t.Helper()
		m.Storage.Reset()
		data := m.Must(m.Write("policies/p/plan", kv...)).Data
		require.Zero(t, m.Storage.Reset().Writes())
		return []any{data["looser"], data["needs"]}
	}
	nothing := []any{map[string]any{}, ""}
	require.Equal(t, nothing, plan("owner", "o", "exportable", true), "a new policy is looser than none")

	m.Must(m.Write("policies/p", "owner", "o", "quiet_period", "14d", "reason_pattern", "^CHG"))
	looser := map[string]any{
		"quiet_period":   "14d -> 7d: versions are retired sooner after a denied use",
		"reason_pattern": `^CHG -> "": which of the two is stricter cannot be told`,
	}
	require.Equal(t, []any{looser, ""}, plan("quiet_period", "7d", "reason_pattern", "", "owner", "a"), "no rule asks for consent")
	m.Must(m.Write("policies/p", "approvals", "policy=2 of a,b"))
	require.Equal(t, []any{looser, "2 of a, b"}, plan("quiet_period", "7d", "reason_pattern", "", "approvals", "policy=2 of b"))
	require.Equal(t, nothing, plan("quiet_period", "15d", "approvals", "policy=3 of a"))
	require.Equal(t, nothing, plan())
	gone := map[string]any{"approvals": `{"policy":"2 of a, b"} -> {"policy":"1 of a"}: policy: fewer persons`}
	require.Equal(t, []any{gone, "2 of a, b"}, plan("approvals", "policy=1 of a"), "the rule in force counts, not the one that is planned")

	damage(m, "policies/p", "{")
	require.Equal(t, nothing, plan("owner", "o", "exportable", true), "nothing can be compared")
}

func TestAPolicyWarnsOfConsentThatIsSeldomHadAndOfConsentThatIsGotAround(t *testing.T) {
	m := mounttest.New(t)
	mounttest.EnrolApprovers(m, "key-approvers", "security", "a", "b")
	warned := func(path string, kv ...any) []string {
		return m.Must(m.Write(path, append(kv, "owner", "o")...)).Warnings
	}
	want := "approvals: keys rotate every 1d, and approval_ttl is 3d: keys that rotate faster than people answer void their requests (retire)"
	rule, open := map[string]any{"retire": "2 of a"}, "approvals: there is no rule for policy: who may write the policy can take its rules away"
	require.Equal(t, []string{want, open}, warned("policies/p/plan", "rotation_period", "24h", "approvals", rule))
	require.Equal(t, []string{want, open}, warned("policies/p", "rotation_period", "24h", "approvals", rule))
	document := "owner = \"o\"\nrotation_period = \"24h\"\napprovals = {\n  retire = \"2 of a\"\n}\n"
	require.Equal(t, []string{want, open}, m.Must(m.Write("policies/q", "document", document)).Warnings)
	require.Equal(t, []string{open}, warned("policies/p", "approval_ttl", "1d"))
	require.Equal(t, []string{open}, warned("policies/p", "approval_ttl", "3d", "rotation_period", "90d"))
	require.Empty(t, warned("policies/p/plan", "approvals", map[string]any{"retire": "2 of a", "policy": "2 of a"}))
	require.Empty(t, warned("policies/p", "approvals", map[string]any{"policy": "2 of a", "retire": "2 of a"}))
	require.Empty(t, warned("policies/without"), "it has no rules")
}

func TestAPlanShowsTheNextEventOfEachKey(t *testing.T) {
	m := fleet(t)
	for range 3 {
		m.Must(m.Write("keys/old/rotate", "reason", "because of a test"))
		m.Clock.Add(time.Minute)
	}
	_, keys := mounttest.PlanPolicy(m, "archive_after", "48h")
	event := keys["old"]["next_event"].(map[string]any)
	require.Equal(t, "archive", event["from"].(map[string]any)["act"], "recipient_period ends")
	require.Equal(t, map[string]any{"act": "archive", "version": 1, "irreversible": false, "time": mounttest.Start.Add(58 * time.Hour).Format(time.RFC3339)}, event["to"])
	require.Equal(t, mounttest.FromTo(nil, nil), keys["young"]["next_event"])
	m.Clock.Add(58 * time.Hour)
	_, keys = mounttest.PlanPolicy(m, "archive_after", "48h", "rotation_period", 0)
	require.Equal(t, true, keys["old"]["due_now"], "something other than a rotation")
	require.Equal(t, false, keys["young"]["due_now"])
}

func TestAPlanOfWhatIsInForceChangesNothing(t *testing.T) {
	m := fleet(t)
	plan, keys := mounttest.PlanPolicy(m)
	require.Empty(t, plan["changes"])
	require.Equal(t, 1, plan["revision"])
	require.Equal(t, m.Read("policies/p").Data["hash"], plan["hash"])
	for _, key := range keys {
		next := key["next_rotation_time"].(map[string]any)
		require.Equal(t, next["from"], next["to"])
	}
}

func TestANewPolicyIsPlannedOverTheDefaults(t *testing.T) {
	m := mounttest.New(t)
	plan := m.Must(m.Write("policies/new/plan", "owner", "o", "rotation_period", "30d")).Data
	require.Equal(t, map[string]any{"owner": mounttest.FromTo("", "o"), "rotation_period": mounttest.FromTo("90d", "30d")}, plan["changes"])
	require.Equal(t, 1, plan["revision"])
	require.Equal(t, 0, plan["keys_bound"])
	require.Empty(t, m.Storage.All())
	require.Equal(t, plan["hash"], m.Must(m.Write("policies/new", "owner", "o", "rotation_period", "30d")).Data["hash"])
	text := "owner = \"o\"\nrotation_period = \"30d\"\n"
	plan = m.Must(m.Write("policies/new/plan", "document", text)).Data
	require.Equal(t, map[string]any{"document": mounttest.FromTo("", text)}, plan["changes"])
	require.Equal(t, 2, plan["revision"])
}

func TestAPlanIsRefusedAsTheWriteWouldBe(t *testing.T) {
	m := fleet(t)
	for _, kv := range [][]any{{"rotation_period", "1s"}, {"document", "owner = "}, {"owner", "o", "document", `owner = "o"`}, {"rotatoin_mode", "auto"}} {
		refused := m.Write("policies/p", kv...)
		require.Equal(t, 400, refused.Status)
		require.Equal(t, refused, m.Write("policies/p/plan", kv...))
	}
	long := strings.Repeat("x", 513)
	for status, kv := range map[int][]any{409: {"cas", 7, "owner", "o"}, 400: {"cas", 1, "reason", long}} {
		refused := m.Write("policies/p", kv...)
		require.Equal(t, status, refused.Status)
		require.Equal(t, refused, m.Write("policies/p/plan", kv...))
	}
	require.Equal(t, 400, m.Write("policies/p/plan", "cas", -1).Status)
	require.Equal(t, 409, m.Write("policies/new/plan", "owner", "o", "cas", 1).Status)
	for _, limit := range []int{-1, 1001} {
		got := m.Write("policies/p/plan", "limit", limit)
		require.Equal(t, 400, got.Status)
		require.Contains(t, got.Err, "limit")
	}
	require.Equal(t, 400, m.Write("policies/none/plan").Status, "owner is missing")
	require.Equal(t, 405, m.Read("policies/p/plan").Status)
}

func TestWhatIsPlannedCanBeWrittenAsItIs(t *testing.T) {
	m := mounttest.New(t)
	for revision := range 2 {
		body := mounttest.Data("owner", "o", "min_versions_kept", revision+3, "cas", revision, "reason", "as the board decided")
		plan := m.Must(m.Do(logical.UpdateOperation, "policies/p/plan", body)).Data
		require.NotContains(t, plan["changes"], "reason")
		written := m.Must(m.Do(logical.UpdateOperation, "policies/p", body)).Data
		require.Equal(t, []any{written["revision"], written["hash"]}, []any{plan["revision"], plan["hash"]})
	}
	require.Equal(t, 1, strings.Count(m.Log.String(), "revision=2"), "what is only planned is not logged")
}

// candidates are changes of the fleet's policy.
var candidates = [][]any{
	{"rotation_period", "8h", "rotation_jitter", "20%"},
	{"rotation_schedule", "0 3 1 * *", "rotation_zone", "Europe/Berlin"},
	{"rotation_period", "30h", "rotation_window", "0 2 * * *", "rotation_window_length", "3h"},
	{"rotation_period", "20h", "staging_time", "2h", "rollback_window", "1h"},
	{"rotation_mode", "notify", "rotation_period", "9h"},
	{"rotation_period", 0, "originator_period", "11h", "archive_after", "24h"},
	{"rotation_period", 0, "originator_period", 0},
	{"document", "owner = \"o\"\nrotation_schedule = \"*/30 * * * *\"\nrotation_jitter = 300\nrollback_window = \"1m\""},
}

func TestWhatAPlanSaysComesTrue(t *testing.T) {
	for _, candidate := range candidates {
		t.Run(fmt.Sprint(candidate...), func(t *testing.T) {
			m := fleet(t)
			plan, keys := mounttest.PlanPolicy(m, candidate...)
			require.Len(t, keys, 3)
			written := m.Must(m.Write("policies/p", candidate...)).Data
			require.Equal(t, plan["hash"], written["hash"])
			views := map[string]map[string]any{}
			for name := range keys {
				views[name] = m.Must(m.Read("keys/" + name)).Data
			}
			require.NoError(t, m.Tick())
			for name, key := range keys {
				next, status := key["next_rotation_time"].(map[string]any)["to"], key["rotation_status"].(map[string]any)["to"]
				require.Equal(t, next, views[name]["next_rotation_time"], "%s before the tick", name)
				require.Equal(t, status, views[name]["rotation_status"], "%s before the tick", name)
				after := m.Must(m.Read("keys/" + name)).Data
				if status == "due" {
					require.Equal(t, 2, after["latest_version"], "%s was due", name)
					continue
				}
				require.Equal(t, 1, after["latest_version"], "%s was not due", name)
				require.Equal(t, next, after["next_rotation_time"], "%s after the tick", name)
			}
		})
	}
}

func TestKeysOfAPlanAndOfADriftReportComeInPages(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	for n := range 7 {
		m.Must(m.Write(fmt.Sprintf("keys/k%d", n), "policy", "p"))
	}
	m.Must(m.Write("keys/k3/config", "policy", ""))
	all := []string{"k0", "k1", "k2", "k4", "k5", "k6"}
	m.Must(m.Write("policies/p", "min_strength_bits", 256, "allowed_types", "chacha20-poly1305"))
	for _, page := range []func(after string) map[string]any{
		func(after string) map[string]any {
			return m.Must(m.Write("policies/p/plan", "after", after, "limit", 4)).Data
		},
		func(after string) map[string]any {
			return m.Must(m.Do(logical.ReadOperation, "policies/p/drift", mounttest.Data("after", after, "limit", "4"))).Data
		},
	} {
		var seen []string
		after, pages := "", 0
		for pages == 0 || after != "" {
			data := page(after)
			require.Equal(t, 6, data["keys_bound"])
			for _, key := range data["keys"].([]map[string]any) {
				seen = append(seen, key["name"].(string))
			}
			after = data["next"].(string)
			pages++
		}
		require.Equal(t, all, seen)
		require.Equal(t, 2, pages)
	}
	require.Empty(t, m.Must(m.Write("policies/p/plan", "after", "k6")).Data["keys"])
}

func TestDriftNamesTheKeysThatDoNotMeetThePolicyAndWhy(t *testing.T) {
	m := fleet(t)
	m.Must(m.Write("keys/spare", "policy", ""))
	report := m.Must(m.Read("policies/p/drift")).Data
	require.Equal(t, map[string]any{"name": "p", "revision": 1, "keys_bound": 3, "checked": 3, "keys": []map[string]any{}, "findings": []map[string]any{}, "next": ""}, report)

	m.Must(m.Write("policies/p", "allowed_types", "aes256-gcm96", "rotation_mode", "manual", "rotation_period", "8h", "originator_period", "9h"))
	report = m.Must(m.Read("policies/p/drift")).Data
	found := map[string][]any{}
	for _, key := range report["keys"].([]map[string]any) {
		for _, finding := range key["findings"].([]map[string]any) {
			found[key["name"].(string)] = append(found[key["name"].(string)], finding["field"])
			require.NotEmpty(t, finding["value"])
			require.NotEmpty(t, finding["rule"])
		}
	}
	require.Equal(t, map[string][]any{"odd": {"type", "rotation", "primary_version"}, "old": {"rotation", "primary_version"}}, found)
	require.Equal(t, 3, report["checked"])
	require.Equal(t, 2, report["revision"])
	require.Equal(t, 404, m.Read("policies/none/drift").Status)
	require.Equal(t, 400, m.Do(logical.ReadOperation, "policies/p/drift", mounttest.Data("limit", 1001)).Status)
}

func TestAnIndexThatNamesAKeyOfAnotherPolicyMisleadsNoReport(t *testing.T) {
	m := fleet(t)
	for _, name := range []string{"spare", "gone"} {
		require.NoError(t, m.Storage.Put(t.Context(), &logical.StorageEntry{Key: "bound/p/" + name, Value: []byte("{}")}))
	}
	m.Must(m.Write("keys/spare"))
	_, keys := mounttest.PlanPolicy(m, "rotation_period", "8h")
	require.Len(t, keys, 3)
	require.Equal(t, 3, m.Must(m.Read("policies/p/drift")).Data["checked"])
}

func TestThePlanOfAKeyListsWhatTheClockWillDo(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "24h", "rotation_jitter", 0, "staging_time", "1h",
		"archive_after", "36h", "min_versions_kept", 1))
	m.Must(m.Write("keys/k", "policy", "p"))
	plan := m.Must(m.Do(logical.ReadOperation, "keys/k/plan", mounttest.Data("count", "5"))).Data
	require.Equal(t, "p", plan["policy"])
	require.Equal(t, 1, plan["policy_revision"])
	var got []string
	for _, event := range plan["events"].([]map[string]any) {
		got = append(got, fmt.Sprint(event["time"], " ", event["act"], " ", event["version"]))
		require.NotEmpty(t, event["why"])
	}
	at := func(h int) string { return mounttest.Start.Add(time.Duration(h) * time.Hour).Format(time.RFC3339) }
	require.Equal(t, []string{at(24) + " stage 2", at(25) + " promote 2", at(48) + " stage 3", at(49) + " promote 3", at(61) + " archive 1"}, got)
	require.Len(t, m.Must(m.Read("keys/k/plan")).Data["events"], 10)

	m.Advance(26 * time.Hour)
	later := m.Must(m.Read("keys/k/plan")).Data["events"].([]map[string]any)
	require.Equal(t, got[2], fmt.Sprint(later[0]["time"], " ", later[0]["act"], " ", later[0]["version"]), "it happens as it was foretold")
}

func TestThePlanOfAKeyWithoutAPolicyIsItsOwnPeriod(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	plan := m.Must(m.Read("keys/k/plan")).Data
	require.Equal(t, map[string]any{"name": "k", "policy": "", "policy_revision": 0, "events": []map[string]any{}}, plan)
	m.Must(m.Write("keys/k/config", "auto_rotate_period", "1h"))
	require.Equal(t, "rotate", m.Must(m.Read("keys/k/plan")).Data["events"].([]map[string]any)[0]["act"])
	for _, n := range []any{0, 101, -1, 1.5, "many"} {
		got := m.Do(logical.ReadOperation, "keys/k/plan", mounttest.Data("count", n))
		require.Equal(t, 400, got.Status)
		require.Contains(t, got.Err, "count")
	}
	require.Equal(t, 404, m.Read("keys/none/plan").Status)
}

func TestReportsDriveNoKeyOutOfTheCache(t *testing.T) {
	m := fleet(t)
	m.Encrypt("old", "x")
	mounttest.PlanPolicy(m, "rotation_period", "8h")
	m.Must(m.Read("policies/p/drift"))
	m.Storage.Reset()
	m.Encrypt("old", "x")
	require.Zero(t, m.Storage.Reset().Total())
	require.Equal(t, "100h", m.Must(m.Read("policies/p")).Data["rotation_period"], "what is planned is not in force")
}
