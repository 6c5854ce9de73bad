// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

func TestAPolicyIsTheSameValueInFieldsAndInHCL(t *testing.T) {
	m := newMount(t)
	requireSame := func(policy map[string]any) {
		t.Helper()
		fields := plain(t, m.must(m.do(logical.UpdateOperation, "policies/fields", plain(t, policy))).data)
		document := plain(t, m.must(m.write("policies/document", "document", hclOf(t, policy))).data)
		require.Equal(t, fields["hash"], document["hash"])
		for name := range contentFields {
			require.Equal(t, fields[name], document[name], name)
		}
		m.must(m.delete("policies/fields"))
	}
	requireSame(everyField())
	for name, value := range everyField() {
		requireSame(dataOf("owner", "o", name, value))
	}
}

// TestWhatLooksTheSameIsTheSameText holds texts to one of the forms that Unicode has for an é: the parser of HCL makes it
// out of the other one, so that the same policy would have two hashes.
func TestWhatLooksTheSameIsTheSameText(t *testing.T) {
	const one, two = "\u00e9", "e\u0301"
	m := newMount(t)
	for name, value := range dataOf(
		"owner", two, "description", "x"+two, "reason_pattern", two, "compliance", []any{"a", two}, "labels", map[string]any{"a": two},
	) {
		refused := m.write("policies/p", "owner", "o", name, value)
		require.Equal(t, 400, refused.status, name)
		require.Contains(t, refused.err, name+": ")
		require.Contains(t, refused.err, "NFC")
	}
	for _, labels := range []any{map[string]any{two: "a"}, "a=" + two, []any{"a=" + two}} {
		require.Contains(t, m.write("policies/p", "owner", "o", "labels", labels).err, "labels: ")
	}
	refused := m.write("policies/p", "document", "owner = \"o\"\n# "+two)
	require.Equal(t, 400, refused.status)
	require.Contains(t, refused.err, "document: line 2: must be in Unicode normal form C (NFC)")
	require.Empty(t, m.dump())

	fields := m.must(m.write("policies/p", "owner", one, "labels", map[string]any{one: one})).data
	document := m.must(m.write("policies/q", "document", "owner = \"e\\u0301\"\nlabels = { "+one+" = \""+one+"\" }")).data
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
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o", "min_versions_kept", 7, "rotation_schedule", "0 3 1 * *"))
	read := m.must(m.write("policies/p", "document", general)).data
	require.Equal(t, general, read["document"])
	require.Equal(t, "team-payments", read["owner"])
	require.Equal(t, "30d", read["rotation_period"])
	require.Equal(t, map[string]string{"team": "a", "cost center": "4711"}, read["labels"])
	require.Equal(t, []string{"aes256-gcm96"}, read["allowed_types"])
	require.Equal(t, "Two lines,\nwithout interpolation: ${x}\n", read["description"])
	require.Equal(t, "", read["rotation_schedule"], "what a document does not say has its default")
	require.Equal(t, 2, read["min_versions_kept"])

	m.restart()
	m.storage.Reset()
	require.Equal(t, read, m.must(m.read("policies/p")).data)
	require.Equal(t, read, m.must(m.write("policies/p", "document", general)).data)
	require.Zero(t, m.storage.Reset().Writes(), "the same text again makes no revision")
}

func TestTheTextOfADocumentIsPartOfTheRevisionAndNotOfTheHash(t *testing.T) {
	m := newMount(t)
	first := m.must(m.write("policies/p", "document", `owner = "o"`)).data
	second := m.must(m.write("policies/p", "document", `owner="o" # since 2026`)).data
	require.Equal(t, first["hash"], second["hash"])
	require.Equal(t, 2, second["revision"])
	require.Equal(t, first, m.must(m.read("policies/p/revisions/1")).data)

	require.Equal(t, second, m.must(m.write("policies/p", "reason", "nothing is given")).data)
	third := m.must(m.write("policies/p", "owner", "o")).data
	require.Equal(t, "", third["document"], "what is written field by field has no document")
	require.Equal(t, 3, third["revision"])
	require.Equal(t, first["hash"], third["hash"])
	require.Equal(t, third, m.must(m.write("policies/p", "owner", "o", "document", "")).data)
	m.must(m.write("policies/p", "document", `owner = "o"`))
	require.Equal(t, "", m.must(m.write("policies/p", "document", "")).data["document"])
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
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	before := m.dump()
	for _, bad := range badDocuments {
		t.Run(bad.text, func(t *testing.T) {
			got := m.write("policies/p", "document", bad.text)
			require.Equal(t, 400, got.status, got.err)
			for _, word := range strings.Split(bad.says, "|") {
				require.Contains(t, got.err, word)
			}
		})
	}
	require.Equal(t, before, m.dump())
}

func TestADocumentMayNestAsDeepAsItLikes(t *testing.T) {
	m := newMount(t)
	for i, nested := range []string{"[", "(", "{a=", "-", "!", "\"${", "\"%{if ", "1?", "1?1:", "-!", "a[", "f(", "[for a in ", "a{\n", "<<A\n${"} {
		if racetest.Spared(t, i) {
			continue
		}
		text := "owner = " + strings.Repeat(nested, longestDocument/len(nested)-8)
		require.Equal(t, 400, m.write("policies/p", "document", text).status, nested)
	}
	for _, nested := range []string{"-/**/", "-/*-*/", "- ", "-\n", "-#\n", "-//\n", "!/**/", "-!"} {
		_, err := parseHCL("owner = (" + strings.Repeat(nested, longestDocument/len(nested)-8))
		require.ErrorContains(t, err, "nests too deep", "%q", nested)
	}
}

func FuzzDocument(f *testing.F) {
	f.Add(general)
	for _, bad := range badDocuments {
		f.Add(bad.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseHCL(text)
		if err != nil {
			require.True(t, errors.Is(err, lifecycle.ErrInvalid), "%v", err)
			require.Nil(t, c)
			return
		}
		for name, value := range c.Raw {
			require.NotNil(t, contentFields[name])
			switch value.(type) {
			case nil, string, bool, float64, []any, map[string]any:
			default:
				t.Fatalf("%s has a %T", name, value)
			}
		}
		if doc, err := editFields(c, lifecycle.DefaultDocument()); err == nil {
			_, _ = lifecycle.NewPolicy("p", 1, doc, start)
		}
	})
}
