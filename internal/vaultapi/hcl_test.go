// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var document = vaultapi.HCL{Field: "document", Owner: "a page", Fields: content}

const general = `# A comment.
text  = "a" /* another */
span  = "30d"
int   = -1
int64 = 9007199254740991
bool  = true
pairs = {
  team          = "a"
  "cost center" = "4711"
}
texts = [
  "one",
]
ruled = <<-EOT
  Two lines,
  without interpolation: $${a}
EOT
`

func TestADocumentHasFieldsAsAttributes(t *testing.T) {
	s, err := document.Parse(general)
	require.NoError(t, err)
	require.NoError(t, s.CheckTexts(content))
	require.Equal(t, content.Names(), s.Given(content))
	require.Equal(t, "a", fText.Get(s))
	require.Equal(t, "30d", fSpan.Get(s))
	require.Equal(t, -1, fInt.Get(s))
	require.Equal(t, int64(9007199254740991), fInt64.Get(s))
	require.True(t, fBool.Get(s))
	require.Equal(t, map[string]string{"team": "a", "cost center": "4711"}, fPairs.Get(s))
	require.Equal(t, []string{"one"}, fTexts.Get(s))
	require.Equal(t, "Two lines,\nwithout interpolation: ${a}\n", fRuled.Get(s))
}

func TestWhatADocumentDoesNotSayIsNotGiven(t *testing.T) {
	s, err := document.Parse("text = null\nspan = 60\n")
	require.NoError(t, err)
	require.Equal(t, []string{"span"}, s.Given(content))
	require.Equal(t, "60", fSpan.Get(s))
	require.Nil(t, fText.LookupNonNull(s))
	require.Nil(t, fInt.Lookup(s))
}

func TestAnEscapeIsTheLetterThatItMakes(t *testing.T) {
	s, err := document.Parse(`text = "e\u0301"`)
	require.NoError(t, err)
	require.Equal(t, composed, fText.Get(s))
}

// badDocuments are texts with what their refusal says.
var badDocuments = []struct{ text, says string }{
	{"text = \"o\"\nspan = \n", "document: line 2, column 8: Invalid expression"},
	{"text = \"o", "document: line 1, column"},
	{"\n\n}", "document: line 3, column 1"},
	{"text = \"o\"\ntext = \"p\"", "document: line 2, column 1|redefined"},
	{"text = \"o\"\n  span {\n  }\n", "document: line 2, column 3|span"},
	{"page \"p\" {\n  text = \"o\"\n}\n", "document: line 1, column 1|page"},
	{"text = \"o\"\ntxet = \"auto\"", "document: line 2, column 1: txet: a page has no such field"},
	{"document = \"x\"", "document: a page has no such field"},
	{"text = var.text", "text: document: line 1, column 8: must be a literal"},
	{"text = upper(\"o\")", "text: document: line 1, column 8|literal"},
	{"text = \"${1}\"", "text|literal"},
	{"text = \"a${1}\"", "text|literal"},
	{"text = \"%{ if true }a%{ endif }\"", "text|literal"},
	{"text = <<EOT\n${x}\nEOT\n", "text|literal"},
	{"int = 1 + 1", "int: document: line 1, column 7|literal"},
	{"int = true ? 1 : 2", "int|literal"},
	{"int = (1)", "int|literal"},
	{"int = -(1)", "int|literal"},
	{"bool = !false", "bool|literal"},
	{"texts = [for t in [\"a\"] : t]", "texts|literal"},
	{"texts = [[\"a\"]]", "texts|literal"},
	{"pairs = { a = { b = \"c\" } }", "pairs|literal"},
	{"pairs = { (x) = \"c\" }", "pairs|a word or a text"},
	{"pairs = { \"${x}\" = \"c\" }", "pairs|a word or a text"},
	{"pairs = { 7 = \"c\" }", "pairs|a word or a text"},
	{"pairs = { a = \"b\", \"a\" = \"c\" }", "pairs|the name a is there twice"},
	{`{"text": "o"}`, "document: line 1, column 1"},
	{"text = \"\\xff\"", "line 1"},
	{"# fine\n# " + decomposed, "document: line 2: must be in Unicode normal form C (NFC)"},
	{"int = 1.5", "int: 1.5: " + mustBeInt32},
	{"int = 1e-999", "int: 1e-999: " + mustBeInt32},
	{"int64 = 9007199254740993", "int64: 9007199254740992: " + mustBeSafe},
	{"int = \"010\"", `int: "010": ` + mustBeDecimal},
	{"bool = 1", "bool: 1: " + mustBeBool},
	{"int = [1]", "int: " + mustBeDecimal},
	{"text = [\"a\"]", "text: " + mustBeText},
	{"text = 0.1", "text: 0.1: " + numberAsText},
	{"text = \"" + strings.Repeat("x", 64*1024) + "\"", "document: |at most 64 KiB"},
}

func TestADocumentThatIsNoneIsRefusedWithItsPlace(t *testing.T) {
	for _, bad := range badDocuments {
		s, err := document.Parse(bad.text)
		require.ErrorIs(t, err, vaultapi.ErrInvalid, bad.text)
		require.Nil(t, s)
		for _, word := range strings.Split(bad.says, "|") {
			require.ErrorContains(t, err, word, bad.text)
		}
	}
}

func TestADocumentMayNestAsDeepAsItLikes(t *testing.T) {
	racetest.Skip(t, "one goroutine reads large documents")
	const longest = 64 * 1024
	for _, nested := range []string{"[", "(", "{a=", "-", "!", "\"${", "1?", "-!", "f(", "-/**/", "-/*-*/", "- ", "-\n", "-#\n", "-//\n", "!/**/"} {
		_, err := document.Parse("text = (" + strings.Repeat(nested, longest/len(nested)-8))
		require.ErrorContains(t, err, "nests too deep", "%q", nested)
	}
}

func TestAProblemWithoutAPlaceIsReportedWithoutOne(t *testing.T) {
	warning := &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: "Odd", Subject: &hcl.Range{}}
	nowhere := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Bad text", Detail: "It is bad."}
	there := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Bad word", Detail: "x.", Subject: &hcl.Range{Start: hcl.Pos{Line: 3, Column: 4}}}
	require.EqualError(t, document.Problem(hcl.Diagnostics{warning, nowhere}), "document: Bad text: It is bad.")
	require.EqualError(t, document.Problem(hcl.Diagnostics{nowhere, there}), "document: line 3, column 4: Bad word: x.")
}

func FuzzDocument(f *testing.F) {
	f.Add(general)
	for _, bad := range badDocuments {
		f.Add(bad.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := document.Parse(text)
		if err != nil {
			require.ErrorIs(t, err, vaultapi.ErrInvalid)
			require.NotContains(t, err.Error(), "line 0")
			require.Nil(t, s)
			return
		}
		_ = s.CheckTexts(content)
		for _, name := range s.Given(content) {
			require.True(t, content.Has(name))
		}
		fInt.Get(s)
		fPairs.Get(s)
	})
}
