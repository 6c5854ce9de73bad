// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi_test

import (
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// page sends the fields of a page and reads it.
func page(t *testing.T, after vaultapi.Declared, data map[string]any, read func(r *vaultapi.Request) (any, error)) (got any, err error) {
	t.Helper()
	s := newServer(t)
	s.handle = func(r *vaultapi.Request) (_ *logical.Response, err error) {
		got, err = read(r)
		return nil, err
	}
	s.addPath(vaultapi.Path[*vaultapi.Request]{
		Pattern: "page/?$", Mode: vaultapi.Strict, Fields: vaultapi.FieldsOf(after, vaultapi.Limit),
		Operations: map[logical.Operation]vaultapi.Operation[*vaultapi.Request]{logical.ListOperation: {Handle: s.answer}},
	})
	_, err = s.send(logical.ListOperation, "page/", data)
	return got, err
}

func TestPagesOfNames(t *testing.T) {
	names := func(r *vaultapi.Request) (any, error) {
		listing, err := vaultapi.ListNames(r, []string{"a", "b", "c", "c/", "d"})
		return listing.Names, err
	}
	for _, c := range []struct {
		data map[string]any
		want any
	}{
		{nil, []string{"a", "b", "c", "d"}},
		{map[string]any{"limit": 2}, []string{"a", "b"}},
		{map[string]any{"limit": "2", "after": "b"}, []string{"c", "d"}},
		{map[string]any{"after": "bb"}, []string{"c", "d"}},
		{map[string]any{"after": "d"}, []string{}},
		{map[string]any{"limit": 9}, []string{"a", "b", "c", "d"}},
		{map[string]any{"limit": -1}, "limit: -1: must not be negative"},
	} {
		got, err := page(t, vaultapi.After, c.data, names)
		requirePage(t, c.want, got, err)
	}
}

func TestPagesOfNumbers(t *testing.T) {
	numbers := func(r *vaultapi.Request) (any, error) {
		first, last, err := vaultapi.PageOfNumbers(r, 5)
		return []int{first, last}, err
	}
	for _, c := range []struct {
		data map[string]any
		want any
	}{
		{nil, []int{1, 5}},
		{map[string]any{"after": ""}, []int{1, 5}},
		{map[string]any{"limit": 2}, []int{1, 2}},
		{map[string]any{"after": "3", "limit": "9"}, []int{4, 5}},
		{map[string]any{"after": 5}, []int{6, 5}},
		{map[string]any{"after": 9, "limit": 1}, []int{6, 5}},
		{map[string]any{"after": -1}, "after: -1: must not be negative"},
		{map[string]any{"after": -1, "limit": -1}, "after: -1: must not be negative"},
		{map[string]any{"limit": -1}, "limit: -1: must not be negative"},
		{map[string]any{"limit": ""}, `limit: "": ` + mustBeDecimal},
	} {
		got, err := page(t, vaultapi.AfterNumber, c.data, numbers)
		requirePage(t, c.want, got, err)
	}
}

func TestTheSizeOfAPage(t *testing.T) {
	for limit, want := range map[any]any{nil: 100, 0: 100, 1: 1, 1000: 1000, 1001: "limit: 1001: must be between 0 and 1000", -1: "limit: -1: must be between 0 and 1000"} {
		got, err := page(t, vaultapi.After, map[string]any{"limit": limit}, func(r *vaultapi.Request) (any, error) { return vaultapi.PageSize(r, 100, 1000) })
		requirePage(t, want, got, err)
	}
}

func requirePage(t *testing.T, want, got any, err error) {
	t.Helper()
	if text, isError := want.(string); isError {
		require.EqualError(t, err, text)
		return
	}
	require.NoError(t, err)
	require.Equal(t, want, got)
}
