// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// planned writes a plan and returns it, and its keys by their names. It holds that a plan writes nothing.
func (m *mount) planned(kv ...any) (plan map[string]any, keys map[string]map[string]any) {
	m.t.Helper()
	before := m.dump()
	m.storage.Reset()
	plan = m.must(m.write("policies/p/plan", kv...)).data
	require.Zero(m.t, m.storage.Reset().Writes())
	require.Equal(m.t, before, m.dump())
	keys = map[string]map[string]any{}
	for _, key := range plan["keys"].([]map[string]any) {
		keys[key["name"].(string)] = key
	}
	return plan, keys
}

// fleet is a policy with three keys: young was just made, old ten hours ago, odd is of another type.
func fleet(t *testing.T) *mount {
	t.Helper()
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o", "rotation_period", "100h"))
	m.must(m.write("keys/old", "policy", "p"))
	m.must(m.write("keys/odd", "policy", "p", "type", "chacha20-poly1305"))
	m.clock.add(10 * time.Hour)
	m.must(m.write("keys/young", "policy", "p"))
	require.NoError(t, m.tickNow())
	return m
}

func TestAPlanShowsWhatAPolicyWouldChangeOfEachKey(t *testing.T) {
	m := fleet(t)
	next := m.read("keys/old").data["next_rotation_time"]
	plan, keys := m.planned("rotation_period", "8h", "rotation_jitter", 0, "allowed_types", "aes256-gcm96")
	require.Equal(t, map[string]any{
		"rotation_period": fromTo("100h", "8h"), "rotation_jitter": fromTo("5%", 0),
		"allowed_types": fromTo([]string{}, []string{"aes256-gcm96"}),
	}, plan["changes"])
	require.Equal(t, "p", plan["name"])
	require.Equal(t, 2, plan["revision"])
	require.Equal(t, 3, plan["keys_bound"])
	require.Equal(t, "", plan["next"])
	require.Equal(t, map[string]any{"keys": 3, "due_now": 2, "non_compliant": 1, "becomes_non_compliant": 1}, plan["summary"])

	require.Equal(t, true, keys["old"]["due_now"])
	require.Equal(t, fromTo(next, start.Add(8*time.Hour).Format(time.RFC3339)), keys["old"]["next_rotation_time"])
	require.Equal(t, fromTo("scheduled", "due"), keys["old"]["rotation_status"])
	require.Empty(t, keys["old"]["becomes_non_compliant"])
	require.Equal(t, false, keys["young"]["due_now"])
	require.Equal(t, fromTo("scheduled", "overdue"), keys["odd"]["rotation_status"], "nothing rotates what the policy does not allow")
	becomes := keys["odd"]["becomes_non_compliant"].([]map[string]any)
	require.Equal(t, "type", becomes[0]["field"])
	require.Equal(t, "chacha20-poly1305", becomes[0]["value"])
	require.Contains(t, becomes[0]["rule"], "allowed_types")

	written := m.must(m.write("policies/p", "rotation_period", "8h", "rotation_jitter", 0, "allowed_types", "aes256-gcm96")).data
	require.Equal(t, plan["revision"], written["revision"])
	require.Equal(t, plan["hash"], written["hash"])
}

func TestAPlanShowsWhatAKeyWouldMeetAgain(t *testing.T) {
	m := fleet(t)
	m.must(m.write("policies/p", "min_strength_bits", 256, "deny_after", map[string]any{"chacha20-poly1305": "2026-01-31"}))
	_, keys := m.planned("deny_after", map[string]any{"chacha20-poly1305": "2026-02-01"}, "exportable", true)
	require.Empty(t, keys["odd"]["becomes_non_compliant"])
	require.Len(t, keys["odd"]["stays_non_compliant"], 1, "it is about the same, though the date is another")
	require.Empty(t, keys["odd"]["becomes_compliant"])
	plan, keys := m.planned("deny_after", map[string]any{})
	require.Len(t, keys["odd"]["becomes_compliant"], 1)
	require.Empty(t, keys["odd"]["stays_non_compliant"])
	require.Equal(t, map[string]any{"keys": 3, "due_now": 0, "non_compliant": 0, "becomes_non_compliant": 0}, plan["summary"])
}

func TestAPlanShowsTheNextEventOfEachKey(t *testing.T) {
	m := fleet(t)
	for range 3 {
		m.must(m.write("keys/old/rotate", "reason", "because of a test"))
		m.clock.add(time.Minute)
	}
	_, keys := m.planned("archive_after", "48h")
	event := keys["old"]["next_event"].(map[string]any)
	require.Equal(t, "archive", event["from"].(map[string]any)["act"], "recipient_period ends")
	require.Equal(t, map[string]any{"act": "archive", "version": 1, "time": start.Add(58 * time.Hour).Format(time.RFC3339)}, event["to"])
	require.Equal(t, fromTo(nil, nil), keys["young"]["next_event"])
	m.clock.add(58 * time.Hour)
	_, keys = m.planned("archive_after", "48h", "rotation_period", 0)
	require.Equal(t, true, keys["old"]["due_now"], "something other than a rotation")
	require.Equal(t, false, keys["young"]["due_now"])
}

func TestAPlanOfWhatIsInForceChangesNothing(t *testing.T) {
	m := fleet(t)
	plan, keys := m.planned()
	require.Empty(t, plan["changes"])
	require.Equal(t, 1, plan["revision"])
	require.Equal(t, m.read("policies/p").data["hash"], plan["hash"])
	for _, key := range keys {
		next := key["next_rotation_time"].(map[string]any)
		require.Equal(t, next["from"], next["to"])
	}
}

func TestANewPolicyIsPlannedOverTheDefaults(t *testing.T) {
	m := newMount(t)
	plan := m.must(m.write("policies/new/plan", "owner", "o", "rotation_period", "30d")).data
	require.Equal(t, map[string]any{"owner": fromTo("", "o"), "rotation_period": fromTo("90d", "30d")}, plan["changes"])
	require.Equal(t, 1, plan["revision"])
	require.Equal(t, 0, plan["keys_bound"])
	require.Empty(t, m.dump())
	require.Equal(t, plan["hash"], m.must(m.write("policies/new", "owner", "o", "rotation_period", "30d")).data["hash"])
	text := "owner = \"o\"\nrotation_period = \"30d\"\n"
	plan = m.must(m.write("policies/new/plan", "document", text)).data
	require.Equal(t, map[string]any{"document": fromTo("", text)}, plan["changes"])
	require.Equal(t, 2, plan["revision"])
}

func TestAPlanIsRefusedAsTheWriteWouldBe(t *testing.T) {
	m := fleet(t)
	for _, kv := range [][]any{{"rotation_period", "1s"}, {"document", "owner = "}, {"owner", "o", "document", `owner = "o"`}, {"rotatoin_mode", "auto"}} {
		refused := m.write("policies/p", kv...)
		require.Equal(t, 400, refused.status)
		require.Equal(t, refused, m.write("policies/p/plan", kv...))
	}
	long := strings.Repeat("x", 513)
	for status, kv := range map[int][]any{409: {"cas", 7, "owner", "o"}, 400: {"cas", 1, "reason", long}} {
		refused := m.write("policies/p", kv...)
		require.Equal(t, status, refused.status)
		require.Equal(t, refused, m.write("policies/p/plan", kv...))
	}
	require.Equal(t, 400, m.write("policies/p/plan", "cas", -1).status)
	require.Equal(t, 409, m.write("policies/new/plan", "owner", "o", "cas", 1).status)
	for _, limit := range []int{-1, 1001} {
		got := m.write("policies/p/plan", "limit", limit)
		require.Equal(t, 400, got.status)
		require.Contains(t, got.err, "limit")
	}
	require.Equal(t, 400, m.write("policies/none/plan").status, "owner is missing")
	require.Equal(t, 405, m.read("policies/p/plan").status)
}

func TestWhatIsPlannedCanBeWrittenAsItIs(t *testing.T) {
	m := newMount(t)
	for revision := range 2 {
		body := dataOf("owner", "o", "min_versions_kept", revision+3, "cas", revision, "reason", "as the board decided")
		plan := m.must(m.do(logical.UpdateOperation, "policies/p/plan", body)).data
		require.NotContains(t, plan["changes"], "reason")
		written := m.must(m.do(logical.UpdateOperation, "policies/p", body)).data
		require.Equal(t, []any{written["revision"], written["hash"]}, []any{plan["revision"], plan["hash"]})
	}
	require.Equal(t, 1, strings.Count(m.log.String(), "revision=2"), "what is only planned is not logged")
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
			plan, keys := m.planned(candidate...)
			require.Len(t, keys, 3)
			written := m.must(m.write("policies/p", candidate...)).data
			require.Equal(t, plan["hash"], written["hash"])
			views := map[string]map[string]any{}
			for name := range keys {
				views[name] = m.must(m.read("keys/" + name)).data
			}
			require.NoError(t, m.tickNow())
			for name, key := range keys {
				next, status := key["next_rotation_time"].(map[string]any)["to"], key["rotation_status"].(map[string]any)["to"]
				require.Equal(t, next, views[name]["next_rotation_time"], "%s before the tick", name)
				require.Equal(t, status, views[name]["rotation_status"], "%s before the tick", name)
				after := m.must(m.read("keys/" + name)).data
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
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	for n := range 7 {
		m.must(m.write(fmt.Sprintf("keys/k%d", n), "policy", "p"))
	}
	m.must(m.write("keys/k3/config", "policy", ""))
	all := []string{"k0", "k1", "k2", "k4", "k5", "k6"}
	m.must(m.write("policies/p", "min_strength_bits", 256, "allowed_types", "chacha20-poly1305"))
	for _, page := range []func(after string) map[string]any{
		func(after string) map[string]any {
			return m.must(m.write("policies/p/plan", "after", after, "limit", 4)).data
		},
		func(after string) map[string]any {
			return m.must(m.do(logical.ReadOperation, "policies/p/drift", dataOf("after", after, "limit", "4"))).data
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
	require.Empty(t, m.must(m.write("policies/p/plan", "after", "k6")).data["keys"])
}

func TestDriftNamesTheKeysThatDoNotMeetThePolicyAndWhy(t *testing.T) {
	m := fleet(t)
	m.must(m.write("keys/spare", "policy", ""))
	report := m.must(m.read("policies/p/drift")).data
	require.Equal(t, map[string]any{"name": "p", "revision": 1, "keys_bound": 3, "checked": 3, "keys": []map[string]any{}, "next": ""}, report)

	m.must(m.write("policies/p", "allowed_types", "aes256-gcm96", "rotation_mode", "manual", "rotation_period", "8h", "originator_period", "9h"))
	report = m.must(m.read("policies/p/drift")).data
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
	require.Equal(t, 404, m.read("policies/none/drift").status)
	require.Equal(t, 400, m.do(logical.ReadOperation, "policies/p/drift", dataOf("limit", 1001)).status)
}

func TestAnIndexThatNamesAKeyOfAnotherPolicyMisleadsNoReport(t *testing.T) {
	m := fleet(t)
	for _, name := range []string{"spare", "gone"} {
		require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: "bound/p/" + name, Value: []byte("{}")}))
	}
	m.must(m.write("keys/spare"))
	_, keys := m.planned("rotation_period", "8h")
	require.Len(t, keys, 3)
	require.Equal(t, 3, m.must(m.read("policies/p/drift")).data["checked"])
}

func TestThePlanOfAKeyListsWhatTheClockWillDo(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o", "rotation_period", "24h", "rotation_jitter", 0, "staging_time", "1h",
		"archive_after", "36h", "min_versions_kept", 1))
	m.must(m.write("keys/k", "policy", "p"))
	plan := m.must(m.do(logical.ReadOperation, "keys/k/plan", dataOf("count", "5"))).data
	require.Equal(t, "p", plan["policy"])
	require.Equal(t, 1, plan["policy_revision"])
	var got []string
	for _, event := range plan["events"].([]map[string]any) {
		got = append(got, fmt.Sprint(event["time"], " ", event["act"], " ", event["version"]))
		require.NotEmpty(t, event["why"])
	}
	at := func(h int) string { return start.Add(time.Duration(h) * time.Hour).Format(time.RFC3339) }
	require.Equal(t, []string{at(24) + " stage 2", at(25) + " promote 2", at(48) + " stage 3", at(49) + " promote 3", at(61) + " archive 1"}, got)
	require.Len(t, m.must(m.read("keys/k/plan")).data["events"], 10)

	m.advance(26 * time.Hour)
	later := m.must(m.read("keys/k/plan")).data["events"].([]map[string]any)
	require.Equal(t, got[2], fmt.Sprint(later[0]["time"], " ", later[0]["act"], " ", later[0]["version"]), "it happens as it was foretold")
}

func TestThePlanOfAKeyWithoutAPolicyIsItsOwnPeriod(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	plan := m.must(m.read("keys/k/plan")).data
	require.Equal(t, map[string]any{"name": "k", "policy": "", "policy_revision": 0, "events": []map[string]any{}}, plan)
	m.must(m.write("keys/k/config", "auto_rotate_period", "1h"))
	require.Equal(t, "rotate", m.must(m.read("keys/k/plan")).data["events"].([]map[string]any)[0]["act"])
	for _, n := range []any{0, 101, -1, 1.5, "many"} {
		got := m.do(logical.ReadOperation, "keys/k/plan", dataOf("count", n))
		require.Equal(t, 400, got.status)
		require.Contains(t, got.err, "count")
	}
	require.Equal(t, 404, m.read("keys/none/plan").status)
}

func TestReportsDriveNoKeyOutOfTheCache(t *testing.T) {
	m := fleet(t)
	m.encrypt("old", "x")
	m.planned("rotation_period", "8h")
	m.must(m.read("policies/p/drift"))
	m.storage.Reset()
	m.encrypt("old", "x")
	require.Zero(t, m.storage.Reset().Total())
	require.Equal(t, "100h", m.must(m.read("policies/p")).data["rotation_period"], "what is planned is not in force")
}

func TestReportsHaveOnlyDocumentedFields(t *testing.T) {
	m := fleet(t)
	for schema, a := range map[*map[string]*framework.FieldSchema]answer{
		&planFields: m.write("policies/p/plan", "rotation_period", "8h"), &driftFields: m.read("policies/p/drift"),
		&keyPlanFields: m.read("keys/old/plan"), &policyFields: m.read("policies/p/revisions/1"), &governanceFields: m.read("config/engine"),
	} {
		require.Equal(t, sorted(*schema), sorted(m.must(a).data))
	}
}
