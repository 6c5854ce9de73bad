// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policies_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

func TestAPolicyIsTheSameValueInFieldsAndInHCL(t *testing.T) {
	m := mounttest.New(t)
	mounttest.EnrolApprovers(m, "key-approvers", "security", "a", "b")
	requireSame := func(policy map[string]any) {
		t.Helper()
		fields := mounttest.AsJSON(t, m.Must(m.Do(logical.UpdateOperation, "policies/fields", mounttest.AsJSON(t, policy))).Data)
		document := mounttest.AsJSON(t, m.Must(m.Write("policies/document", "document", hclOf(t, policy))).Data)
		require.Equal(t, fields["hash"], document["hash"])
		for name := range documentFields(m) {
			require.Equal(t, fields[name], document[name], name)
		}
		m.Must(m.Delete("policies/fields"))
	}
	requireSame(everyField())
	for name, value := range everyField() {
		requireSame(mounttest.Data("owner", "o", name, value))
	}
}

// TestWhatLooksTheSameIsTheSameText holds texts to one of the forms that Unicode has for an é: the parser of HCL makes it
// out of the other one, so that the same policy would have two hashes.
func TestWhatLooksTheSameIsTheSameText(t *testing.T) {
	const one, two = "\u00e9", "e\u0301"
	m := mounttest.New(t)
	for name, value := range mounttest.Data(
		"owner", two, "description", "x"+two, "reason_pattern", two, "compliance", []any{"a", two}, "labels", map[string]any{"a": two},
	) {
		refused := m.Write("policies/p", "owner", "o", name, value)
		require.Equal(t, 400, refused.Status, name)
		require.Contains(t, refused.Err, name+": ")
		require.Contains(t, refused.Err, "NFC")
	}
	for _, labels := range []any{map[string]any{two: "a"}, "a=" + two, []any{"a=" + two}} {
		require.Contains(t, m.Write("policies/p", "owner", "o", "labels", labels).Err, "labels: ")
	}
	refused := m.Write("policies/p", "document", "owner = \"o\"\n# "+two)
	require.Equal(t, 400, refused.Status)
	require.Contains(t, refused.Err, "document: line 2: must be in Unicode normal form C (NFC)")
	require.Empty(t, m.Storage.All())

	fields := m.Must(m.Write("policies/p", "owner", one, "labels", map[string]any{one: one})).Data
	document := m.Must(m.Write("policies/q", "document", "owner = \"e\\u0301\"\nlabels = { "+one+" = \""+one+"\" }")).Data
	require.Equal(t, fields["hash"], document["hash"])
	require.Equal(t, one, document["owner"], "an escape is read as the letter that it makes")
}

const general = `# Keys of the shops.
owner           = "team-payments"
rotation_period = "30d" /* a month */
max_encryptions = -1
labels = {
  team          = "a"
  "cost center" = "4711"
}
allowed_types = [
  "aes256-gcm96",
]
description = <<-EOT
  Two lines,
  without interpolation: $${x}
EOT
`

func TestADocumentIsTheWholePolicy(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "min_versions_kept", 7, "rotation_schedule", "0 3 1 * *"))
	read := m.Must(m.Write("policies/p", "document", general)).Data
	require.Equal(t, general, read["document"])
	require.Equal(t, "team-payments", read["owner"])
	require.Equal(t, "30d", read["rotation_period"])
	require.Equal(t, map[string]string{"team": "a", "cost center": "4711"}, read["labels"])
	require.Equal(t, []string{"aes256-gcm96"}, read["allowed_types"])
	require.Equal(t, "Two lines,\nwithout interpolation: ${x}\n", read["description"])
	require.Equal(t, "", read["rotation_schedule"], "what a document does not say has its default")
	require.Equal(t, 2, read["min_versions_kept"])

	m.Restart()
	m.Storage.Reset()
	require.Equal(t, read, m.Must(m.Read("policies/p")).Data)
	require.Equal(t, read, m.Must(m.Write("policies/p", "document", general)).Data)
	require.Zero(t, m.Storage.Reset().Writes(), "the same text again makes no revision")
}

func TestTheTextOfADocumentIsPartOfTheRevisionAndNotOfTheHash(t *testing.T) {
	m := mounttest.New(t)
	first := m.Must(m.Write("policies/p", "document", `owner = "o"`)).Data
	second := m.Must(m.Write("policies/p", "document", `owner="o" # since 2026`)).Data
	require.Equal(t, first["hash"], second["hash"])
	require.Equal(t, 2, second["revision"])
	require.Equal(t, first, m.Must(m.Read("policies/p/revisions/1")).Data)

	require.Equal(t, second, m.Must(m.Write("policies/p", "reason", "nothing is given")).Data)
	third := m.Must(m.Write("policies/p", "owner", "o")).Data
	require.Equal(t, "", third["document"], "what is written field by field has no document")
	require.Equal(t, 3, third["revision"])
	require.Equal(t, first["hash"], third["hash"])
	require.Equal(t, third, m.Must(m.Write("policies/p", "owner", "o", "document", "")).Data)
	m.Must(m.Write("policies/p", "document", `owner = "o"`))
	require.Equal(t, "", m.Must(m.Write("policies/p", "document", "")).Data["document"])
}

// badDocuments are texts with what their refusal says.
var badDocuments = []struct{ text, says string }{
	{"owner = \"o\"\nrotation_period = \n", "line 2, column 19|Invalid expression"},
	{"owner = \"o", "line 1, column"},
	{"\n\n}", "line 3, column 1"},
	{"owner = \"o\"\nowner = \"p\"", "line 2, column 1|redefined"},
	{"owner = \"o\"\n  rotation {\n  }\n", "line 2, column 3|rotation"},
	{"policy \"p\" {\n  owner = \"o\"\n}\n", "line 1, column 1|policy"},
	{"owner = \"o\"\nrotatoin_mode = \"auto\"", "line 2, column 1|rotatoin_mode|no such field"},
	{"owner = \"o\"\nname = \"p\"", "line 2, column 1|name|no such field"},
	{"document = \"x\"", "document|no such field"},
	{"owner = \"o\"\ncas = 1", "cas|no such field"},
	{"owner = var.owner", "owner|line 1, column 9|literal"},
	{"owner = upper(\"o\")", "owner|line 1, column 9|literal"},
	{"owner = \"${1}\"", "owner|literal"},
	{"owner = \"a${1}\"", "owner|literal"},
	{"owner = \"%{ if true }a%{ endif }\"", "owner|literal"},
	{"owner = <<EOT\n${x}\nEOT\n", "owner|literal"},
	{"owner = \"o\"\nmin_versions_kept = 1 + 1", "min_versions_kept|line 2, column 21|literal"},
	{"owner = \"o\"\nmin_versions_kept = true ? 1 : 2", "min_versions_kept|literal"},
	{"owner = \"o\"\nmin_versions_kept = (1)", "min_versions_kept|literal"},
	{"owner = \"o\"\nmin_versions_kept = -(1)", "min_versions_kept|literal"},
	{"owner = \"o\"\nexportable = !false", "exportable|literal"},
	{"allowed_types = [for t in [\"aes256-gcm96\"] : t]", "allowed_types|literal"},
	{"allowed_types = [[\"aes256-gcm96\"]]", "allowed_types|literal"},
	{"labels = { a = { b = \"c\" } }", "labels|literal"},
	{"labels = { (x) = \"c\" }", "labels|a word or a text"},
	{"labels = { \"${x}\" = \"c\" }", "labels|a word or a text"},
	{"labels = { 7 = \"c\" }", "labels|a word or a text"},
	{"labels = { a = \"b\", \"a\" = \"c\" }", "labels|twice"},
	{"labels = { a = null }", "labels|texts"},
	{`{"owner": "o"}`, "line 1, column 1"},
	{"owner = \"\\xff\"", "line 1"},
	{"description = \"no owner\"", "owner|needs an owner"},
	{"owner = null", "owner|needs an owner"},
	{"# nothing", "owner|needs an owner"},
}

func TestADocumentThatIsNoPolicyIsRefusedWithItsPlace(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	before := m.Storage.All()
	for _, bad := range badDocuments {
		t.Run(bad.text, func(t *testing.T) {
			got := m.Write("policies/p", "document", bad.text)
			require.Equal(t, 400, got.Status, got.Err)
			for _, word := range strings.Split(bad.says, "|") {
				require.Contains(t, got.Err, word)
			}
		})
	}
	require.Equal(t, before, m.Storage.All())
}

// longestText is how long the text of a policy may be.
const longestText = 1 << 16

func TestADocumentMayNestAsDeepAsItLikes(t *testing.T) {
	m := mounttest.New(t)
	for i, nested := range []string{"[", "(", "{a=", "-", "!", "\"${", "\"%{if ", "1?", "1?1:", "-!", "a[", "f(", "[for a in ", "a{\n", "<<A\n${"} {
		if racetest.Spared(t, i) {
			continue
		}
		text := "owner = " + strings.Repeat(nested, longestText/len(nested)-8)
		require.Equal(t, 400, m.Write("policies/p", "document", text).Status, nested)
	}
}
