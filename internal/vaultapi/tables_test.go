// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// listNames sends a LIST of so many names, k-0000 and on, each with a row that says its name.
func listNames(t *testing.T, n int, data map[string]any) *logical.Response {
	t.Helper()
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("k-%04d", i)
	}
	got, err := page(t, vaultapi.After, data, func(r *vaultapi.Request) (any, error) {
		listing, err := vaultapi.ListNames(r, all)
		require.NoError(t, err)
		return vaultapi.Table(t.Context(), listing, shown.Only("name"), func(name string) (*person, error) { return &person{name: name}, nil })
	})
	require.NoError(t, err)
	return got.(*logical.Response)
}

func TestATableDescribesTheFirstNamesAndSaysWhatFollows(t *testing.T) {
	for _, c := range []struct {
		names, limit, listed, rows int
		next                       any
		warns                      bool
	}{
		{names: 3, listed: 3, rows: 3},
		{names: 100, listed: 100, rows: 100},
		{names: 101, listed: 101, rows: 100, next: "k-0099", warns: true},
		{names: 101, limit: 101, listed: 101, rows: 101},
		{names: 3, limit: 2, listed: 2, rows: 2, next: "k-0001"},
		{names: 1200, limit: 1100, listed: 1100, rows: 1000, next: "k-0999", warns: true},
	} {
		resp := listNames(t, c.names, map[string]any{"limit": c.limit})
		require.Len(t, resp.Data["keys"], c.listed, "%+v", c)
		info := resp.Data["key_info"].(map[string]any)
		require.Len(t, info, c.rows, "%+v", c)
		require.Equal(t, map[string]any{"name": "k-0001"}, info["k-0001"])
		require.Equal(t, c.next, resp.Data["next"], "%+v", c)
		require.Equal(t, c.warns, len(resp.Warnings) == 1, "%+v", c)
	}
}

func TestATableWithoutSomeOfItsRows(t *testing.T) {
	listing := vaultapi.Listing{Names: []string{"a", "b", "c", "d"}, Rows: []string{"a", "b", "c", "d"}}
	resp, err := vaultapi.Table(t.Context(), listing, shown.Only("name"), func(name string) (*person, error) {
		switch name {
		case "a":
			return nil, nil
		case "d":
			return &person{name: name}, nil
		}
		return nil, errors.New("broken")
	})
	require.NoError(t, err)
	require.Equal(t, listing.Names, resp.Data["keys"])
	require.Equal(t, map[string]any{"d": map[string]any{"name": "d"}}, resp.Data["key_info"])
	require.Equal(t, []string{"what is known of 2 of the names cannot be read; the first: b: broken"}, resp.Warnings)

	ctx, cancel := context.WithCancel(t.Context())
	_, err = vaultapi.Table(ctx, listing, shown, func(string) (*person, error) {
		cancel()
		return nil, errors.New("broken")
	})
	require.ErrorIs(t, err, context.Canceled)
}

func TestLinesStayInOrderAsTexts(t *testing.T) {
	resp := vaultapi.Lines([]person{{name: "x"}, {name: strings.Repeat("x", 100)}}, shown.Only("name"), func(p person) int { return len(p.name) })
	require.Equal(t, []string{"001", "100"}, resp.Data["keys"])
	require.Equal(t, map[string]any{"name": "x"}, resp.Data["key_info"].(map[string]any)["001"])
}

func TestACellIsAShortTextOfOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb\tc":                "a b c",
		"\x1b[31mred\u202e":      " [31mred ",
		"mine ♨ done":            "mine   done",
		strings.Repeat("ä", 160): strings.Repeat("ä", 160),
		strings.Repeat("ä", 161): strings.Repeat("ä", 160) + "...",
	} {
		resp := vaultapi.Lines([]person{{name: text}}, shown.Only("name"), func(person) int { return 1 })
		require.Equal(t, want, resp.Data["key_info"].(map[string]any)["1"].(map[string]any)["name"])
	}
}

func TestAnAnswerIsCutDownToFieldsThatItHas(t *testing.T) {
	require.Equal(t, []string{"born", "name"}, shown.Only("name", "born").Fields().Names())
	require.PanicsWithValue(t, "internal error: the answer has no field none", func() { shown.Only("none") })
}

func TestALISTThatHasNothingToShowSaysWhy(t *testing.T) {
	status, err := logical.RespondErrorCommon(&logical.Request{Operation: logical.ListOperation}, vaultapi.Nothing("all is well"), nil)
	require.NoError(t, err)
	require.Zero(t, status, "it is no 404")
	require.Equal(t, []string{"all is well"}, vaultapi.Nothing("all is well").Warnings)
}
