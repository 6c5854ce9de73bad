// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi_test

import (
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// row is what an item of these tests holds.
type row struct {
	text   string
	number int
	flag   bool
}

func readRow(item *vaultapi.Source) row {
	return row{fText.Get(item), fInt.Get(item), fBool.Get(item)}
}

// rowsOf reads the items of a request in a mode.
func rowsOf(t *testing.T, data map[string]any, mode vaultapi.Mode) (rows []row, single bool, err error) {
	t.Helper()
	s := newServer(t)
	s.handle = func(r *vaultapi.Request) (*logical.Response, error) {
		items, failed := vaultapi.ItemsOf(r, fList, mode)
		if err = failed; err != nil {
			return nil, nil
		}
		single, rows = items.Single, make([]row, items.Len())
		err = items.Each(func(n int, item *vaultapi.Source) { rows[n] = readRow(item) })
		return nil, nil
	}
	_, failed := s.send(logical.UpdateOperation, "transit/k", data)
	require.NoError(t, failed)
	return rows, single, err
}

func TestAnItemIsReadAsItsRequestIs(t *testing.T) {
	for _, data := range []map[string]any{
		{"text": "x", "int": 5.0, "bool": true},
		{"list": []any{map[string]any{"text": "x", "int": 5.0, "bool": true}}},
	} {
		for _, mode := range []vaultapi.Mode{vaultapi.Item, vaultapi.LooseItem} {
			rows, single, err := rowsOf(t, data, mode)
			require.NoError(t, err)
			require.Equal(t, data["list"] == nil, single)
			require.Equal(t, []row{{"x", 5, true}}, rows)
		}
	}
}

func TestAnItemIsNotConverted(t *testing.T) {
	for _, c := range []struct {
		item        any
		exact, both string // an error of Item alone, and one of LooseItem too
	}{
		{map[string]any{"text": 7.0}, "[0].text: must be a string, not a number", ""},
		{map[string]any{"text": 1.5}, "[0].text: must be a string, not a number", "[0].text: " + numberAsText},
		{map[string]any{"text": 1e19}, "[0].text: must be a string, not a number", "[0].text: " + numberAsText},
		{map[string]any{"text": true}, "", "[0].text: must be a string, not bool"},
		{map[string]any{"text": []any{"x"}}, "", "[0].text: must be a string, not []interface {}"},
		{map[string]any{"int": "5"}, "", "[0].int: must be an integer, not string"},
		{map[string]any{"int": true}, "", "[0].int: must be an integer, not bool"},
		{map[string]any{"int": 1.5}, "", "[0].int: 1.5: must be an integer of at most 64 bits"},
		{map[string]any{"int": 1e19}, "", "[0].int: 1e+19: must be an integer of at most 64 bits"},
		{map[string]any{"bool": "true"}, "", "[0].bool: must be a boolean, not string"},
		{"x", "", "[0]: must be an object, not string"},
		{[]any{}, "", "[0]: must be an object, not []interface {}"},
	} {
		for _, mode := range []vaultapi.Mode{vaultapi.Item, vaultapi.LooseItem} {
			says := c.both
			if mode == vaultapi.Item && c.exact != "" {
				says = c.exact
			}
			_, _, err := rowsOf(t, map[string]any{"list": []any{c.item, map[string]any{"text": 0.5}}}, mode)
			if says == "" {
				require.ErrorContains(t, err, "[1].text", "%v: the first item is good", c.item)
				continue
			}
			require.EqualError(t, err, "failed to parse batch input: "+says)
			require.Equal(t, says == "[0].text: "+numberAsText, isInvalid(err), "%v", c.item)
		}
	}
}

func TestABatchHasToBeAList(t *testing.T) {
	for _, raw := range []any{map[string]any{"text": "x"}, "x"} {
		_, _, err := rowsOf(t, map[string]any{"list": raw}, vaultapi.Item)
		require.ErrorContains(t, err, "failed to parse batch input: list: must be a list, not ")
	}
	rows, single, err := rowsOf(t, map[string]any{"list": []any{}}, vaultapi.Item)
	require.NoError(t, err)
	require.False(t, single)
	require.Empty(t, rows)
}

func TestNullInABatch(t *testing.T) {
	rows, single, err := rowsOf(t, map[string]any{"list": nil, "text": "x"}, vaultapi.Item)
	require.NoError(t, err)
	require.True(t, single)
	require.Equal(t, "x", rows[0].text)
	rows, _, err = rowsOf(t, map[string]any{"list": []any{nil, map[string]any{"text": nil, "int": nil}}}, vaultapi.Item)
	require.NoError(t, err)
	require.Equal(t, []row{{"default", 7, false}, {}}, rows)
}

func TestANumberOfAnItemBeyond32BitsIsTheNearest(t *testing.T) {
	rows, _, err := rowsOf(t, map[string]any{"list": []any{map[string]any{"int": 1e18}, map[string]any{"int": -1e18}}}, vaultapi.Item)
	require.NoError(t, err)
	require.Equal(t, []int{1<<31 - 1, -1 << 31}, []int{rows[0].number, rows[1].number})
}

func TestNamesOfALooseItemAreInAnyCase(t *testing.T) {
	batch := map[string]any{"list": []any{map[string]any{"Text": "no", "text": "the exact name counts", "INT": 5.0}}}
	rows, _, err := rowsOf(t, batch, vaultapi.LooseItem)
	require.NoError(t, err)
	require.Equal(t, []row{{"the exact name counts", 5, false}}, rows)
	rows, _, err = rowsOf(t, batch, vaultapi.Item)
	require.NoError(t, err)
	require.Equal(t, 7, rows[0].number)
}

func TestTheFirstErrorOfAnItemStays(t *testing.T) {
	s := newServer(t)
	s.handle = func(r *vaultapi.Request) (*logical.Response, error) {
		items, err := vaultapi.ItemsOf(r, fList, vaultapi.Item)
		require.NoError(t, err)
		return nil, items.Each(func(_ int, item *vaultapi.Source) {
			require.True(t, item.IsItem())
			item.Fail(vaultapi.Invalidf("first"))
			item.Fail(vaultapi.Invalidf("second"))
			require.EqualError(t, item.Err(), "first")
		})
	}
	_, err := s.send(logical.UpdateOperation, "transit/k", map[string]any{"list": []any{nil}})
	require.EqualError(t, err, "failed to parse batch input: [0].first")
	_, err = s.send(logical.UpdateOperation, "transit/k", map[string]any{"secret": "x", "list": []any{map[string]any{"secret": 8675309.0}}})
	require.NotContains(t, err.Error(), "8675309")
}

func TestATextItemTakesNumbersForTextsAndNamesAsTheyAre(t *testing.T) {
	rows, _, err := rowsOf(t, map[string]any{"list": []any{map[string]any{"text": 5.0}, map[string]any{"TEXT": "x"}}}, vaultapi.TextItem)
	require.NoError(t, err)
	require.Equal(t, "5", rows[0].text)
	require.NotEqual(t, "x", rows[1].text)
}

func TestAnItemOfTextsAloneHasNoOtherMember(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{"x", ""},
		{5.0, ""},
		{nil, ""},
		{true, "[0].nonsense: must be a string, not bool"},
		{[]any{}, "[0].nonsense: must be a string"},
		{1.5, "[0].nonsense: must be a text; a number is taken for one only"},
	} {
		s := newServer(t)
		s.handle = func(r *vaultapi.Request) (*logical.Response, error) {
			items, err := vaultapi.ItemsOf(r, fList, vaultapi.TextItem)
			require.NoError(t, err)
			err = items.Each(func(_ int, item *vaultapi.Source) { item.CheckAllTexts() })
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
			return nil, nil
		}
		_, err := s.send(logical.UpdateOperation, "transit/k", map[string]any{"list": []any{map[string]any{"nonsense": c.value}}})
		require.NoError(t, err)
	}
}
