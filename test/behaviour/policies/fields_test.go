// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policies_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// everyField is a policy in which no field but rotation_period, which the schedule excludes, has its default.
func everyField() map[string]any {
	return mounttest.Data(
		"description", "Card data\nof \"two\" <shops> & ${more}", "owner", "team-payments", "allowed_types", []any{"chacha20-poly1305", "aes256-gcm96"},
		"min_strength_bits", 128, "next_type", map[string]any{"aes128-gcm96": "aes256-gcm96"}, "deny_after", map[string]any{"aes256-gcm96": "2030-12-31", "chacha20-poly1305": "2030-06-30T12:00:00Z"},
		"exportable", true, "allow_plaintext_backup", true, "hsm", "required", "compliance", []any{"pci-dss-4.0.1/3.7.4", "a, b"},
		"require_reason", []any{"retire", "configure"}, "reason_pattern", `^CHG-[0-9]+`, "labels", map[string]any{"team": "a", "cost center": "4711"},
		"rotation_mode", "manual", "rotation_period", 0, "rotation_schedule", "0 3 1 * *", "rotation_zone", "Europe/Berlin", "rotation_jitter", "1h",
		"rotation_window", "0 1 * * *", "rotation_window_length", "3h",
		"rotation_blackout", []any{"12-24", "2027-12-15/2028-01-05"}, "rotation_retry_base", "2m", "rotation_retry_max", 7200,
		"rotation_retry_cycles", 3, "max_encryptions", 1_000_000, "max_bytes", 1<<53-1, "on_limit", "block",
		"pre_checks", []any{"clock_sane"}, "post_checks", []any{}, "allow_pinned_encrypt", true, "erase_private_key", true, "staging_time", "2h",
		"rollback_window", "12h", "originator_period", "400d", "recipient_period", "800d", "archive_after", "300d",
		"retire_after", 86400, "quiet_period", "1d12h", "destroy_delay", "60d", "min_versions_kept", 3,
		"compromised_processing", "deny", "suspended_processing", "allow",
		"approvals", map[string]any{"retire": "2 of key-approvers, security", "promote": "not creator"}, "approval_ttl", "48h", "execution_ttl", 3600,
		"approval_exclude", []any{"creator", "author"}, "drill_every", "365d", "notify_before", "14d",
	)
}

// documentFields are the fields of a policy that its document has.
func documentFields(m *mounttest.Mount) map[string]*framework.FieldSchema {
	m.T.Helper()
	fields := maps.Clone(m.Framework().Route("policies/p").Fields)
	for _, other := range []string{"name", "document", "cas", "reason"} {
		require.Contains(m.T, fields, other)
		delete(fields, other)
	}
	return fields
}

// namesIn are the names in a map.
func namesIn[V any](of map[string]V) []string { return slices.Sorted(maps.Keys(of)) }

// hclOf is a policy as HCL, of which the values of JSON are a part, but for the dollar.
func hclOf(t *testing.T, policy map[string]any) string {
	t.Helper()
	var out strings.Builder
	for _, name := range namesIn(policy) {
		value, err := json.Marshal(policy[name])
		require.NoError(t, err)
		fmt.Fprintf(&out, "%s = %s\n", name, strings.ReplaceAll(string(value), "${", "$${"))
	}
	return out.String()
}

func TestEveryFieldOfAPolicyReadsBackAsItWasWritten(t *testing.T) {
	m := mounttest.New(t)
	mounttest.EnrolApprovers(m, "key-approvers", "security", "a", "b")
	require.Equal(t, namesIn(documentFields(m)), namesIn(everyField()))
	written := mounttest.AsJSON(t, everyField())
	first := m.Must(m.Do(logical.UpdateOperation, "policies/p", written)).Data
	m.Restart()
	read := mounttest.AsJSON(t, m.Must(m.Read("policies/p")).Data)
	for name, value := range written {
		require.Equal(t, value, read[name], name)
	}
	require.Equal(t, "", read["document"])
	require.NotEmpty(t, read["hash"])
	require.Equal(t, mounttest.Start.Format("2006-01-02T15:04:05Z07:00"), read["created_time"])

	m.Storage.Reset()
	require.Equal(t, first, m.Must(m.Do(logical.UpdateOperation, "policies/p", written)).Data, "the same again makes no revision")
	again := maps.Clone(read)
	for _, name := range []string{"name", "revision", "hash", "created_time"} {
		delete(again, name)
	}
	require.Equal(t, first, m.Must(m.Do(logical.UpdateOperation, "policies/p", again)).Data, "neither does writing what was read")
	require.Zero(t, m.Storage.Reset().Writes())
	require.Equal(t, read, mounttest.AsJSON(t, m.Must(m.Read("policies/p")).Data))
}

func TestAFieldOfAPolicyThatIsNullIsNotGiven(t *testing.T) {
	m := mounttest.New(t)
	mounttest.EnrolApprovers(m, "key-approvers", "security", "a", "b")
	first := m.Must(m.Do(logical.UpdateOperation, "policies/p", mounttest.AsJSON(t, everyField()))).Data
	nothing := map[string]any{"document": nil}
	for name := range documentFields(m) {
		nothing[name] = nil
	}
	require.Equal(t, first, m.Must(m.Do(logical.UpdateOperation, "policies/p", nothing)).Data)
	require.Equal(t, first, m.Must(m.Write("policies/p")).Data)
}

// asShown shows a number of seconds as the number that it was written as.
func asShown(text string) any {
	if seconds, err := strconv.Atoi(text); err == nil {
		return seconds
	}
	return text
}

func TestAFieldThatIsLeftOutHasItsDefault(t *testing.T) {
	m := mounttest.New(t)
	read := mounttest.AsJSON(t, m.Must(m.Write("policies/p", "owner", "o")).Data)
	require.Equal(t, float64(policy.DefaultDocument().MaxEncryptions), read["max_encryptions"])
	for name, schema := range documentFields(m) {
		if name == "owner" {
			continue
		}
		want := schema.DefaultOrZero()
		if text, ok := want.(string); ok {
			want = asShown(text)
		}
		require.Equal(t, mounttest.AsJSON(t, map[string]any{"": want})[""], read[name], "what OpenAPI says of %s", name)
	}
}

// TestAPolicyStoresWhatItsPathsShow holds the API to the record: a field of one is a field of the other.
func TestAPolicyStoresWhatItsPathsShow(t *testing.T) {
	m := mounttest.New(t)
	mounttest.EnrolApprovers(m, "key-approvers", "security", "a", "b")
	m.Must(m.Do(logical.UpdateOperation, "policies/p", mounttest.AsJSON(t, everyField())))
	record := map[string]any{}
	require.NoError(t, json.Unmarshal(m.Storage.All()["policies/p"], &record))
	for _, own := range []string{"schema", "revision", "hash", "created", "looser_before", "looser_quiet", "source", "journal_count", "journal_hash"} {
		delete(record, own)
	}
	require.Equal(t, namesIn(documentFields(m)), namesIn(record))
}

func TestTheScheduleAndThePeriodExcludeEachOther(t *testing.T) {
	m := mounttest.New(t)
	requireRhythm := func(period any, schedule string, kv ...any) {
		t.Helper()
		read := m.Must(m.Write("policies/p", append(kv, "owner", "o")...)).Data
		require.Equal(t, period, read["rotation_period"])
		require.Equal(t, schedule, read["rotation_schedule"])
	}
	requireRhythm("90d", "")
	requireRhythm(0, "0 3 1 * *", "rotation_schedule", "0 3 1 * *")
	requireRhythm(0, "0 4 1 * *", "rotation_schedule", "0 4 1 * *", "rotation_period", 0)
	requireRhythm(0, "0 4 1 * *", "rotation_period", 0)
	requireRhythm("30d", "", "rotation_period", "30d")
	requireRhythm(0, "", "rotation_period", 0)
	requireRhythm(0, "0 3 1 * *", "rotation_schedule", "0 3 1 * *")
	requireRhythm(0, "", "rotation_schedule", "")
	refused := m.Write("policies/p", "rotation_schedule", "0 3 1 * *", "rotation_period", "30d")
	require.Equal(t, 400, refused.Status)
	require.Contains(t, refused.Err, `rotation_schedule: "0 3 1 * *": excludes rotation_period, which is 30d`)
}

// badFields are wrong values for every field of a policy, each with what the refusal says of value and rule. What
// goes with it makes the value wrong.
var badFields = map[string][]badField{
	"description":            {{value: strings.Repeat("x", 4097), says: "xxx|4096"}, {value: 7, says: "7|text"}},
	"owner":                  {{value: "", says: `""|needs`}, {value: strings.Repeat("x", 257), says: "xxx|256"}, {value: true, says: "true|text"}},
	"allowed_types":          {{value: []any{"des"}, says: "des|aes256-gcm96"}, {value: "aes128-gcm96", with: mounttest.Data("min_strength_bits", 256), says: "aes128-gcm96|128 bits"}, {value: []any{7}, says: "7|texts"}},
	"min_strength_bits":      {{value: 257, says: "257|256"}, {value: -1, says: "-1|0"}, {value: 128.5, says: "128.5|integer"}},
	"next_type":              {{value: map[string]any{"des": "aes256-gcm96"}, says: "des|aes256-gcm96"}, {value: map[string]any{"aes256-gcm96": "hmac"}, says: "hmac|must be for something"}},
	"deny_after":             {{value: map[string]any{"des": "2030-12-31"}, says: "des|aes256-gcm96"}, {value: map[string]any{"aes256-gcm96": "soon"}, says: "soon|2030-12-31"}, {value: map[string]any{"aes256-gcm96": 2030}, says: "2030|texts"}},
	"exportable":             {{value: 2, says: "2|true or false"}},
	"allow_plaintext_backup": {{value: 0.5, says: "0.5|true or false"}},
	"hsm":                    {{value: "maybe", says: "maybe|optional or required"}},
	"compliance":             {{value: []any{""}, says: `""|128`}, {value: []any{" a"}, says: " a|spaces"}, {value: strings.Repeat("a,", 64) + "a", says: "65|64"}, {value: []any{strings.Repeat("x", 129)}, says: "xxx|128"}},
	"require_reason":         {{value: "sneeze", says: "sneeze|rollback"}},
	"reason_pattern":         {{value: "(", says: "(|RE2"}, {value: strings.Repeat("x", 257), says: "xxx|256"}},
	"labels":                 {{value: map[string]any{"": "x"}, says: `""|1 to 64`}, {value: map[string]any{"a": strings.Repeat("x", 257)}, says: "xxx|256"}, {value: map[string]any{"a": 7}, says: "7|texts"}, {value: 7, says: "7|pair"}},
	"rotation_mode":          {{value: "never", says: "never|auto, manual or notify"}},
	"rotation_period":        {{value: "59s", says: "59s|1m"}, {value: 59, says: "59|1m"}, {value: "soon", says: "soon|duration"}, {value: "-1h", says: "-1h|duration"}, {value: -60, says: "-60|duration"}, {value: "200000d", says: "200000d|100 years"}, {value: 60.5, says: "60.5|integer"}, {value: true, says: "true|number of seconds"}, {value: "", says: `""|duration`}},
	"rotation_schedule":      {{value: "0 3 * *", says: "0 3 * *|five fields"}, {value: "@daily", says: "@daily|five fields"}, {value: "0 0 30 2 *", says: "0 0 30 2 *|never comes"}, {value: "0 3 1 * *", with: mounttest.Data("rotation_period", "30d"), says: "0 3 1 * *|excludes rotation_period"}},
	"rotation_zone":          {{value: "Mars/Base", says: "Mars/Base|IANA"}, {value: "Local", says: "Local|IANA"}},
	"rotation_jitter":        {{value: "26%", says: "26%|25%"}, {value: "16m", with: mounttest.Data("rotation_period", "1h"), says: "16m|25%"}, {value: "much", says: "much|duration"}, {value: 3600, with: mounttest.Data("rotation_period", "2h"), says: "3600|25%"}},
	"rotation_window":        {{value: "at night", says: "at night|five fields"}, {value: 3600, says: "3600|cron|rotation_window_length"}, {value: "3600", says: "3600|cron|rotation_window_length"}, {value: "4h", says: "4h|cron|rotation_window_length"}, {value: "1d", says: "1d|cron|rotation_window_length"}},
	"rotation_blackout":      {{value: []any{"24.12."}, says: "24.12.|12-24"}, {value: "01-01/12-31", says: "01-01/12-31|every day"}, {value: "2027-02-01/2027-01-01", says: "2027-02-01|before it begins"}, {value: []any{7}, says: "7|texts"}, {value: "12-24/12-26", with: mounttest.Data("rotation_window", "0 2 25 12 *"), says: "12-24/12-26|rotation_window"}},
	"rotation_window_length": {{value: "30m", with: mounttest.Data("rotation_window", "0 1 * * *"), says: "30m|1h"}, {value: "long", says: "long|duration"}},
	"rotation_retry_base":    {{value: 0, says: "0|1s"}, {value: "short", says: "short|duration"}},
	"rotation_retry_max":     {{value: "31d", says: "31d|30d"}, {value: "30s", says: "30s|rotation_retry_base"}},
	"rotation_retry_cycles":  {{value: 0, says: "0|1"}, {value: 1001, says: "1001|1000"}},
	"max_encryptions":        {{value: -2, says: "-2|-1"}, {value: 1<<48 + 1, says: "281474976710657|281474976710656"}, {value: 0.5, says: "0.5|integer"}, {value: 1 << 53, says: "9007199254740992|2^53"}, {value: 1e300, says: "1000|2^53"}},
	"max_bytes":              {{value: -1, says: "-1|0"}, {value: 1 << 53, says: "9007199254740992|2^53"}, {value: "9007199254740992", says: "9007199254740992|2^53"}, {value: 7.25, says: "7.25|integer"}},
	"on_limit":               {{value: "stop", says: "stop|rotate or block"}},
	"pre_checks":             {{value: []any{"luck"}, says: "luck|clock_sane"}},
	"post_checks":            {{value: "luck", says: "luck|round_trip"}},
	"allow_pinned_encrypt":   {{value: -1, says: "-1|true or false"}},
	"erase_private_key":      {{value: -1, says: "-1|true or false"}},
	"staging_time":           {{value: "90d", says: "90d|shorter than the rotation period"}, {value: "soon", says: "soon|duration"}},
	"rollback_window":        {{value: "soon", says: "soon|duration"}},
	"originator_period":      {{value: "90d", says: "90d|rotation period with its jitter"}, {value: "soon", says: "soon|duration"}},
	"recipient_period":       {{value: "1h", says: "1h|rollback_window"}, {value: "", says: `""|duration`}},
	"archive_after":          {{value: "1h", says: "1h|rollback_window"}, {value: "1096d", says: "1096d|recipient_period"}, {value: "soon", says: "soon|duration"}},
	"retire_after":           {{value: "soon", says: "soon|duration"}},
	"quiet_period":           {{value: "+1h", says: "+1h|duration"}},
	"destroy_delay":          {{value: "23h", says: "23h|24h"}, {value: "3651d", says: "3651d|3650d"}},
	"min_versions_kept":      {{value: -1, says: "-1|0"}, {value: 2049, says: "2049|2048"}},
	"compromised_processing": {{value: "perhaps", says: "perhaps|allow or deny"}},
	"suspended_processing":   {{value: "", says: `""|allow or deny`}},
	"approvals": {
		{value: map[string]any{"retire": "0 of a"}, says: "retire=0 of a|1 to 10"},
		{value: map[string]any{"suspend": "1 of a"}, says: "suspend=1 of a|containment needs one person"},
		{value: map[string]any{"hold": "1 of a"}, says: "hold=1 of a|containment needs one person"},
		{value: map[string]any{"config": "1 of a"}, says: "config=1 of a|unknown|policy"},
		{value: map[string]any{"rotate": "not creator"}, says: "rotate=not creator|promote"},
		{value: map[string]any{"retire": 2}, says: "2|texts"},
	},
	"approval_ttl":     {{value: "4m", says: "4m|5m and 14d"}, {value: "15d", says: "15d|5m and 14d"}, {value: "", says: `""|duration`}},
	"execution_ttl":    {{value: 0, says: "0|5m and 14d"}, {value: "soon", says: "soon|duration"}},
	"approval_exclude": {{value: "approver", says: "approver|requester, creator, author"}},
	"notify_before":    {{value: "59m", says: "59m|1h"}, {value: "soon", says: "soon|duration"}},
	"drill_every":      {{value: "1h", says: "1h|1d"}, {value: "yearly", says: "yearly|duration"}},
	"document":         {{value: "owner = ", says: "line 1|Missing expression"}, {value: strings.Repeat("#", 1<<16+1), says: "###|64 KiB"}, {value: "owner = \"o\"", with: mounttest.Data("owner", "o"), says: "owner|excludes"}},
}

// badScalars are wrong values for every integer and every boolean, of which the SDK makes something.
var badScalars = map[framework.FieldType][]badField{
	framework.TypeInt:   notIntegers,
	framework.TypeInt64: notIntegers,
	framework.TypeBool: {
		{value: "", says: `""|true or false`},
		{value: 1, says: "1|true or false"},
		{value: 0, says: "0|true or false"},
		{value: "1", says: "1|true or false"},
		{value: "0", says: "0|true or false"},
		{value: "t", says: "t|true or false"},
		{value: "F", says: "F|true or false"},
		{value: "TRUE", says: "TRUE|true or false"},
		{value: "False", says: "False|true or false"},
	},
}

var notIntegers = []badField{
	{value: "", says: `""|integer`},
	{value: true, says: "true|integer"},
	{value: false, says: "false|integer"},
	{value: "010", says: "010|leading zeros"},
	{value: "00", says: "00|leading zeros"},
	{value: "0x10", says: "0x10|decimal"},
	{value: "0b11", says: "0b11|decimal"},
	{value: "0o7", says: "0o7|decimal"},
	{value: "1_0", says: "1_0|integer"},
	{value: "+5", says: "+5|integer"},
}

type badField struct {
	value any
	with  map[string]any
	says  string // value|rule
}

func TestABadFieldOfAPolicyIsRefusedByNameValueAndRuleAndNothingIsWritten(t *testing.T) {
	m := mounttest.New(t)
	fields := documentFields(m)
	require.ElementsMatch(t, append(namesIn(fields), "document"), namesIn(badFields))
	m.Must(m.Write("policies/p", "owner", "o"))
	before := m.Storage.All()
	for field, list := range badFields {
		if schema := fields[field]; schema != nil {
			list = append(list, badScalars[schema.Type]...)
		}
		for _, bad := range list {
			policy := map[string]any{}
			if field != "document" {
				policy["owner"] = "o"
			}
			maps.Copy(policy, bad.with)
			policy[field] = bad.value
			name, _, _ := strings.Cut(fmt.Sprintf("%s %v", field, bad.value), "\n")
			t.Run(name[:min(len(name), 60)], func(t *testing.T) {
				requests := []mounttest.Answer{
					m.Do(logical.UpdateOperation, "policies/new", mounttest.AsJSON(t, policy)), m.Do(logical.UpdateOperation, "policies/p", mounttest.AsJSON(t, policy)),
					m.Do(logical.UpdateOperation, "policies/p/plan", mounttest.AsJSON(t, policy)),
				}
				if field != "document" {
					requests = append(requests, m.Write("policies/p", "document", hclOf(t, policy)))
				}
				for _, got := range requests {
					require.Equal(t, 400, got.Status, got.Err)
					for _, word := range append(strings.Split(bad.says, "|"), field) {
						require.Contains(t, got.Err, word)
					}
				}
				require.Equal(t, before, m.Storage.All())
			})
		}
	}
}

// TestNumbersAndBooleansMayBeTexts is for `vault write`, which sends nothing else.
func TestNumbersAndBooleansMayBeTexts(t *testing.T) {
	m := mounttest.New(t)
	policy, texts := mounttest.Data("owner", "o"), mounttest.Data("owner", "o")
	for name, value := range everyField() {
		switch documentFields(m)[name].Type {
		case framework.TypeInt, framework.TypeInt64, framework.TypeBool:
			policy[name], texts[name] = value, fmt.Sprint(value)
		default:
		}
	}
	require.Len(t, texts, 10)
	written := m.Must(m.Do(logical.UpdateOperation, "policies/p", mounttest.AsJSON(t, policy))).Data
	m.Storage.Reset()
	require.Equal(t, written, m.Must(m.Do(logical.UpdateOperation, "policies/p", texts)).Data, "the same value")
	require.Equal(t, written, m.Must(m.Do(logical.UpdateOperation, "policies/p", mounttest.Data("max_encryptions", "1000000", "cas", "1"))).Data)
	require.Zero(t, m.Storage.Reset().Writes())
	document := m.Must(m.Write("policies/document", "document", hclOf(t, texts))).Data
	require.Equal(t, written["hash"], document["hash"])
	for name, value := range mounttest.AsJSON(t, policy) {
		require.Equal(t, value, mounttest.AsJSON(t, written)[name], "numbers and booleans are read back, not texts")
	}
	require.EqualValues(t, -1, m.Must(m.Write("policies/p", "max_encryptions", "-1")).Data["max_encryptions"])
}

func TestANumberOfSecondsReadsBackAsANumberHoweverItWasWritten(t *testing.T) {
	m := mounttest.New(t)
	text := m.Must(m.Write("policies/p", "owner", "o", "destroy_delay", "2592000", "rotation_jitter", "60", "staging_time", "0")).Data
	require.Equal(t, []any{2592000, 60, 0}, []any{text["destroy_delay"], text["rotation_jitter"], text["staging_time"]})
	m.Storage.Reset()
	require.Equal(t, text, m.Must(m.Write("policies/p", "destroy_delay", 2592000, "rotation_jitter", 60, "staging_time", 0)).Data)
	require.Zero(t, m.Storage.Reset().Writes(), "it is the same value")
}

// TestAMapMayBeWrittenAsPairs is for `vault write`: it sends a text, or a list of texts where a field is there twice.
func TestAMapMayBeWrittenAsPairs(t *testing.T) {
	m := mounttest.New(t)
	requireLabels := func(written any, want map[string]string) {
		t.Helper()
		require.Equal(t, want, m.Must(m.Write("policies/p", "owner", "o", "labels", written)).Data["labels"])
	}
	requireLabels("team=a", map[string]string{"team": "a"})
	requireLabels([]any{"team=a", "env=b=c"}, map[string]string{"team": "a", "env": "b=c"})
	requireLabels("a=b,c=d", map[string]string{"a": "b,c=d"}) // one text is one pair
	requireLabels(map[string]any{}, map[string]string{})
	for _, no := range []any{"", "a", "=a", []any{"a=b", "c"}} {
		require.Equal(t, 400, m.Write("policies/p", "labels", no).Status)
	}
	types := m.Must(m.Write("policies/p", "deny_after", []any{"aes128-gcm96=2030-12-31", "aes256-gcm96=2040-12-31"})).Data["deny_after"]
	require.Equal(t, map[string]string{"aes128-gcm96": "2030-12-31", "aes256-gcm96": "2040-12-31"}, types)
	require.Equal(t, 400, m.Write("policies/p", "deny_after", "aes128-gcm96=2030-12-31,aes256-gcm96=2040-12-31").Status)
}

func TestNumbersAndBooleansBesideAPolicyAreExactToo(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	before := m.Storage.All()
	for _, bad := range notIntegers {
		for path, field := range map[string]string{"policies/p": "cas", "policies/p/plan": "limit"} {
			got := m.Do(logical.UpdateOperation, path, mounttest.Data(field, bad.value))
			require.Equal(t, 400, got.Status, "%s %v", field, bad.value)
			require.Contains(t, got.Err, field+": ")
		}
		require.Equal(t, 400, m.Do(logical.DeleteOperation, "policies/p", mounttest.Data("cas", bad.value)).Status)
	}
	require.Equal(t, before, m.Storage.All())
}

func TestATypeThatVaultCannotReadIsRefusedInBothFaces(t *testing.T) {
	m := mounttest.New(t)
	for name, schema := range documentFields(m) {
		var bad any
		switch schema.Type {
		case framework.TypeBool, framework.TypeInt, framework.TypeInt64:
			bad = "perhaps"
		case framework.TypeString:
			bad = []any{"a"}
		default:
			continue
		}
		for _, data := range []map[string]any{mounttest.Data(name, bad), mounttest.Data("document", hclOf(t, mounttest.Data(name, bad)))} {
			got := m.Do(logical.UpdateOperation, "policies/p", data)
			require.Equal(t, 400, got.Status)
			require.Contains(t, got.Err, name)
		}
	}
	require.Empty(t, m.Storage.All())
}
