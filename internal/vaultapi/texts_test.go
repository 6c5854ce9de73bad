// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

const composed, decomposed = "\u00e9", "e\u0301"

var (
	fSpan   = vaultapi.Text("span", "A text, or a number of seconds.").OrSeconds()
	fRuled  = vaultapi.Text("ruled", "A text without an x.").Rule(noX)
	content = vaultapi.FieldsOf(fText, fBool, fInt, fInt64, fTexts, fPairs, fSpan, fRuled)
)

func noX(raw any) string {
	if text, ok := raw.(string); ok && strings.Contains(text, "x") {
		return "must not have an x"
	}
	return ""
}

// checkTexts sends a field and checks the texts of the request.
func checkTexts(t *testing.T, name string, raw any) error {
	t.Helper()
	s := newServer(t)
	s.handle = func(r *vaultapi.Request) (*logical.Response, error) { return nil, r.CheckTexts(content) }
	s.addPath(vaultapi.Path[*vaultapi.Request]{
		Pattern: "content", Fields: content,
		Operations: map[logical.Operation]vaultapi.Operation[*vaultapi.Request]{logical.UpdateOperation: {Handle: s.answer}},
	})
	_, err := s.send(logical.UpdateOperation, "content", map[string]any{name: raw})
	return err
}

func TestATextIsReadAsItWasWritten(t *testing.T) {
	const notNormal, only = "must be in Unicode normal form C (NFC)", "must hold texts only"
	for _, c := range []struct {
		name string
		raw  any
		says string
	}{
		{"text", composed, ""},
		{"text", nil, ""},
		{"text", decomposed, notNormal},
		{"text", 7.0, "must be a text"},
		{"text", true, "must be a text"},
		{"span", "1h", ""},
		{"span", 60.0, ""},
		{"span", true, "must be a text or a number of seconds"},
		{"ruled", "a", ""},
		{"ruled", "x", "must not have an x"},
		{"ruled", 7.0, "must be a text"},
		{"texts", []any{"a", composed}, ""},
		{"texts", "a,b", ""},
		{"texts", decomposed, notNormal},
		{"texts", []any{"a", decomposed}, notNormal},
		{"texts", []any{"a", 7.0}, only},
		{"texts", []any{true}, only},
		{"texts", []any{" a"}, "must hold texts without spaces around them"},
		{"texts", []any{" " + decomposed}, "must hold texts without spaces around them"},
		{"texts", 7.0, "must hold texts"},
		{"pairs", map[string]any{"a": " b "}, ""},
		{"pairs", []any{"a=b"}, ""},
		{"pairs", map[string]any{"a": decomposed}, notNormal},
		{"pairs", map[string]any{decomposed: "a"}, notNormal},
		{"pairs", map[string]any{"a": 7.0}, only},
		{"pairs", map[string]any{"a": nil}, only},
		{"int", 7.0, ""},
		{"bool", true, ""},
	} {
		err := checkTexts(t, c.name, c.raw)
		if c.says == "" {
			require.NoError(t, err, "%s %v", c.name, c.raw)
			continue
		}
		require.ErrorContains(t, err, c.name+": ", "%v", c.raw)
		require.Regexp(t, ": "+strings.NewReplacer("(", "\\(", ")", "\\)").Replace(c.says)+"$", err.Error())
	}
}
