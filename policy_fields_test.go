// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// everyField is a policy in which no field but rotation_period, which the schedule excludes, has its default.
func everyField() map[string]any {
	return dataOf(
		"description", "Card data\nof \"two\" <shops> & ${more}", "owner", "team-payments", "allowed_types", []any{"chacha20-poly1305", "aes256-gcm96"},
		"min_strength_bits", 128, "deny_after", map[string]any{"aes256-gcm96": "2030-12-31", "chacha20-poly1305": "2030-06-30T12:00:00Z"},
		"exportable", true, "allow_plaintext_backup", true, "hsm", "required", "compliance", []any{"pci-dss-4.0.1/3.7.4", "a, b"},
		"require_reason", []any{"retire", "configure"}, "reason_pattern", `^CHG-[0-9]+`, "labels", map[string]any{"team": "a", "cost center": "4711"},
		"rotation_mode", "manual", "rotation_period", 0, "rotation_schedule", "0 3 1 * *", "rotation_zone", "Europe/Berlin", "rotation_jitter", "1h",
		"rotation_window", "0 1 * * *", "rotation_window_length", "3h", "rotation_retry_base", "2m", "rotation_retry_max", 7200,
		"rotation_retry_cycles", 3, "max_encryptions", 1_000_000, "max_bytes", 1<<53-1, "on_limit", "block",
		"pre_checks", []any{"clock_sane"}, "post_checks", []any{}, "allow_pinned_encrypt", true, "staging_time", "2h",
		"rollback_window", "12h", "originator_period", "400d", "recipient_period", "800d", "archive_after", "300d",
		"retire_after", 86400, "quiet_period", "1d12h", "destroy_delay", "60d", "min_versions_kept", 3,
		"compromised_processing", "deny", "suspended_processing", "allow",
	)
}

// plain is a value as JSON has it, and as Vault hands it to an external plugin.
func plain[T any](t *testing.T, value T) T {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	var out T
	require.NoError(t, json.Unmarshal(text, &out))
	return out
}

// hclOf is a policy as HCL, of which the values of JSON are a part, but for the dollar.
func hclOf(t *testing.T, policy map[string]any) string {
	t.Helper()
	var out strings.Builder
	for _, name := range sorted(policy) {
		value, err := json.Marshal(policy[name])
		require.NoError(t, err)
		fmt.Fprintf(&out, "%s = %s\n", name, strings.ReplaceAll(string(value), "${", "$${"))
	}
	return out.String()
}

func TestEveryFieldOfAPolicyReadsBackAsItWasWritten(t *testing.T) {
	require.Equal(t, sorted(contentFields), sorted(everyField()))
	m := newMount(t)
	written := plain(t, everyField())
	first := m.must(m.do(logical.UpdateOperation, "policies/p", written)).data
	m.restart()
	read := plain(t, m.must(m.read("policies/p")).data)
	for name, value := range written {
		require.Equal(t, value, read[name], name)
	}
	require.Equal(t, "", read["document"])
	require.NotEmpty(t, read["hash"])
	require.Equal(t, start.Format("2006-01-02T15:04:05Z07:00"), read["created_time"])

	m.storage.Reset()
	require.Equal(t, first, m.must(m.do(logical.UpdateOperation, "policies/p", written)).data, "the same again makes no revision")
	again := maps.Clone(read)
	for _, name := range []string{"name", "revision", "hash", "created_time"} {
		delete(again, name)
	}
	require.Equal(t, first, m.must(m.do(logical.UpdateOperation, "policies/p", again)).data, "neither does writing what was read")
	require.Zero(t, m.storage.Reset().Writes())
	require.Equal(t, read, plain(t, m.must(m.read("policies/p")).data))
}

func TestAFieldOfAPolicyThatIsNullIsNotGiven(t *testing.T) {
	m := newMount(t)
	first := m.must(m.do(logical.UpdateOperation, "policies/p", plain(t, everyField()))).data
	nothing := map[string]any{"document": nil}
	for name := range contentFields {
		nothing[name] = nil
	}
	require.Equal(t, first, m.must(m.do(logical.UpdateOperation, "policies/p", nothing)).data)
	require.Equal(t, first, m.must(m.write("policies/p")).data)
}

func TestAFieldThatIsLeftOutHasItsDefault(t *testing.T) {
	m := newMount(t)
	read := plain(t, m.must(m.write("policies/p", "owner", "o")).data)
	require.Equal(t, plain(t, contentOf(lifecycle.DefaultDocument()))["max_encryptions"], read["max_encryptions"])
	for name, schema := range contentFields {
		if name == "owner" {
			continue
		}
		want := schema.DefaultOrZero()
		if text, ok := want.(string); ok {
			want = asWritten(text)
		}
		require.Equal(t, plain(t, map[string]any{"": want})[""], read[name], "what OpenAPI says of %s", name)
	}
}

// TestAPolicyStoresWhatItsPathsShow holds the API to the record: a field of one is a field of the other.
func TestAPolicyStoresWhatItsPathsShow(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	record := map[string]any{}
	require.NoError(t, json.Unmarshal(m.dump()["policies/p"], &record))
	for _, own := range []string{"schema", "revision", "hash", "created", "looser_before", "looser_quiet", "source"} {
		delete(record, own)
	}
	require.Equal(t, sorted(contentFields), sorted(record))
}

func TestTheScheduleAndThePeriodExcludeEachOther(t *testing.T) {
	m := newMount(t)
	requireRhythm := func(period any, schedule string, kv ...any) {
		t.Helper()
		read := m.must(m.write("policies/p", append(kv, "owner", "o")...)).data
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
	refused := m.write("policies/p", "rotation_schedule", "0 3 1 * *", "rotation_period", "30d")
	require.Equal(t, 400, refused.status)
	require.Contains(t, refused.err, `rotation_schedule: "0 3 1 * *": excludes rotation_period, which is 30d`)
}

// badFields are wrong values for every field of a policy, each with what the refusal says of value and rule. What
// goes with it makes the value wrong.
var badFields = map[string][]badField{
	"description":            {{value: strings.Repeat("x", 4097), says: "xxx|4096"}, {value: 7, says: "7|text"}},
	"owner":                  {{value: "", says: `""|needs`}, {value: strings.Repeat("x", 257), says: "xxx|256"}, {value: true, says: "true|text"}},
	"allowed_types":          {{value: []any{"des"}, says: "des|aes256-gcm96"}, {value: "aes128-gcm96", with: dataOf("min_strength_bits", 256), says: "aes128-gcm96|128 bits"}, {value: []any{7}, says: "7|texts"}},
	"min_strength_bits":      {{value: 257, says: "257|256"}, {value: -1, says: "-1|0"}, {value: 128.5, says: "128.5|integer"}},
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
	"rotation_schedule":      {{value: "0 3 * *", says: "0 3 * *|five fields"}, {value: "@daily", says: "@daily|five fields"}, {value: "0 0 30 2 *", says: "0 0 30 2 *|never comes"}, {value: "0 3 1 * *", with: dataOf("rotation_period", "30d"), says: "0 3 1 * *|excludes rotation_period"}},
	"rotation_zone":          {{value: "Mars/Base", says: "Mars/Base|IANA"}, {value: "Local", says: "Local|IANA"}},
	"rotation_jitter":        {{value: "26%", says: "26%|25%"}, {value: "16m", with: dataOf("rotation_period", "1h"), says: "16m|25%"}, {value: "much", says: "much|duration"}, {value: 3600, with: dataOf("rotation_period", "2h"), says: "3600|25%"}},
	"rotation_window":        {{value: "at night", says: "at night|five fields"}, {value: 3600, says: "3600|cron|rotation_window_length"}, {value: "3600", says: "3600|cron|rotation_window_length"}, {value: "4h", says: "4h|cron|rotation_window_length"}, {value: "1d", says: "1d|cron|rotation_window_length"}},
	"rotation_window_length": {{value: "30m", with: dataOf("rotation_window", "0 1 * * *"), says: "30m|1h"}, {value: "long", says: "long|duration"}},
	"rotation_retry_base":    {{value: 0, says: "0|1s"}, {value: "short", says: "short|duration"}},
	"rotation_retry_max":     {{value: "31d", says: "31d|30d"}, {value: "30s", says: "30s|rotation_retry_base"}},
	"rotation_retry_cycles":  {{value: 0, says: "0|1"}, {value: 1001, says: "1001|1000"}},
	"max_encryptions":        {{value: -2, says: "-2|-1"}, {value: 1<<48 + 1, says: "281474976710657|281474976710656"}, {value: 0.5, says: "0.5|integer"}, {value: 1 << 53, says: "9007199254740992|2^53"}, {value: 1e300, says: "1000|2^53"}},
	"max_bytes":              {{value: -1, says: "-1|0"}, {value: 1 << 53, says: "9007199254740992|2^53"}, {value: "9007199254740992", says: "9007199254740992|2^53"}, {value: 7.25, says: "7.25|integer"}},
	"on_limit":               {{value: "stop", says: "stop|rotate or block"}},
	"pre_checks":             {{value: []any{"luck"}, says: "luck|clock_sane"}},
	"post_checks":            {{value: "luck", says: "luck|round_trip"}},
	"allow_pinned_encrypt":   {{value: -1, says: "-1|true or false"}},
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
	"document":               {{value: "owner = ", says: "line 1|Missing expression"}, {value: strings.Repeat("#", 1<<16+1), says: "###|64 KiB"}, {value: "owner = \"o\"", with: dataOf("owner", "o"), says: "owner|excludes"}},
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
	require.Equal(t, sorted(with(contentFields, fDocument)), sorted(badFields))
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	before := m.dump()
	for field, list := range badFields {
		if schema := contentFields[field]; schema != nil {
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
				requests := []answer{
					m.do(logical.UpdateOperation, "policies/new", plain(t, policy)), m.do(logical.UpdateOperation, "policies/p", plain(t, policy)),
					m.do(logical.UpdateOperation, "policies/p/plan", plain(t, policy)),
				}
				if field != "document" {
					requests = append(requests, m.write("policies/p", "document", hclOf(t, policy)))
				}
				for _, got := range requests {
					require.Equal(t, 400, got.status, got.err)
					for _, word := range append(strings.Split(bad.says, "|"), field) {
						require.Contains(t, got.err, word)
					}
				}
				require.Equal(t, before, m.dump())
			})
		}
	}
}

// TestNumbersAndBooleansMayBeTexts is for `vault write`, which sends nothing else.
func TestNumbersAndBooleansMayBeTexts(t *testing.T) {
	m := newMount(t)
	policy, texts := dataOf("owner", "o"), dataOf("owner", "o")
	for name, value := range everyField() {
		switch contentFields[name].Type {
		case framework.TypeInt, framework.TypeInt64, framework.TypeBool:
			policy[name], texts[name] = value, fmt.Sprint(value)
		default:
		}
	}
	require.Len(t, texts, 9)
	written := m.must(m.do(logical.UpdateOperation, "policies/p", plain(t, policy))).data
	m.storage.Reset()
	require.Equal(t, written, m.must(m.do(logical.UpdateOperation, "policies/p", texts)).data, "the same value")
	require.Equal(t, written, m.must(m.do(logical.UpdateOperation, "policies/p", dataOf("max_encryptions", "1000000", "cas", "1"))).data)
	require.Zero(t, m.storage.Reset().Writes())
	document := m.must(m.write("policies/document", "document", hclOf(t, texts))).data
	require.Equal(t, written["hash"], document["hash"])
	for name, value := range plain(t, policy) {
		require.Equal(t, value, plain(t, written)[name], "numbers and booleans are read back, not texts")
	}
	require.EqualValues(t, -1, m.must(m.write("policies/p", "max_encryptions", "-1")).data["max_encryptions"])
}

func TestANumberOfSecondsReadsBackAsANumberHoweverItWasWritten(t *testing.T) {
	m := newMount(t)
	text := m.must(m.write("policies/p", "owner", "o", "destroy_delay", "2592000", "rotation_jitter", "60", "staging_time", "0")).data
	require.Equal(t, []any{2592000, 60, 0}, []any{text["destroy_delay"], text["rotation_jitter"], text["staging_time"]})
	m.storage.Reset()
	require.Equal(t, text, m.must(m.write("policies/p", "destroy_delay", 2592000, "rotation_jitter", 60, "staging_time", 0)).data)
	require.Zero(t, m.storage.Reset().Writes(), "it is the same value")
}

// TestAMapMayBeWrittenAsPairs is for `vault write`: it sends a text, or a list of texts where a field is there twice.
func TestAMapMayBeWrittenAsPairs(t *testing.T) {
	m := newMount(t)
	requireLabels := func(written any, want map[string]string) {
		t.Helper()
		require.Equal(t, want, m.must(m.write("policies/p", "owner", "o", "labels", written)).data["labels"])
	}
	requireLabels("team=a", map[string]string{"team": "a"})
	requireLabels([]any{"team=a", "env=b=c"}, map[string]string{"team": "a", "env": "b=c"})
	requireLabels("a=b,c=d", map[string]string{"a": "b,c=d"}) // one text is one pair
	requireLabels(map[string]any{}, map[string]string{})
	for _, no := range []any{"", "a", "=a", []any{"a=b", "c"}} {
		require.Equal(t, 400, m.write("policies/p", "labels", no).status)
	}
	types := m.must(m.write("policies/p", "deny_after", []any{"aes128-gcm96=2030-12-31", "aes256-gcm96=2040-12-31"})).data["deny_after"]
	require.Equal(t, map[string]string{"aes128-gcm96": "2030-12-31", "aes256-gcm96": "2040-12-31"}, types)
	require.Equal(t, 400, m.write("policies/p", "deny_after", "aes128-gcm96=2030-12-31,aes256-gcm96=2040-12-31").status)
}

func TestNumbersAndBooleansBesideAPolicyAreExactToo(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	before := m.dump()
	for _, bad := range notIntegers {
		for path, field := range map[string]string{"policies/p": "cas", "policies/p/plan": "limit"} {
			got := m.do(logical.UpdateOperation, path, dataOf(field, bad.value))
			require.Equal(t, 400, got.status, "%s %v", field, bad.value)
			require.Contains(t, got.err, field+": ")
		}
		require.Equal(t, 400, m.do(logical.DeleteOperation, "policies/p", dataOf("cas", bad.value)).status)
	}
	require.Equal(t, before, m.dump())
}

func TestATypeThatVaultCannotReadIsRefusedInBothFaces(t *testing.T) {
	m := newMount(t)
	for name, schema := range contentFields {
		var bad any
		switch schema.Type {
		case framework.TypeBool, framework.TypeInt, framework.TypeInt64:
			bad = "perhaps"
		case framework.TypeString:
			bad = []any{"a"}
		default:
			continue
		}
		for _, data := range []map[string]any{dataOf(name, bad), dataOf("document", hclOf(t, dataOf(name, bad)))} {
			got := m.do(logical.UpdateOperation, "policies/p", data)
			require.Equal(t, 400, got.status)
			require.Contains(t, got.err, name)
		}
	}
	require.Empty(t, m.dump())
}
