// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// beyond32 are texts of integers that do not fit into 32 bits, in every spelling that the SDK reads.
var beyond32 = []string{
	"2147483648", "-2147483649", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
	"99999999999999999999999999", "0x7fffffffffffffff", "9_223_372_036_854_775_807",
}

// TestNoIntegerOfMoreThan32BitsPassesInAnyField: in bodies, in query strings and in paths, whether as text or as number.
func TestNoIntegerOfMoreThan32BitsPassesInAnyField(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("keys/k"))
	for _, path := range m.Framework().Paths {
		for name, schema := range path.Fields {
			if schema.Type != framework.TypeInt || strings.Contains(path.Pattern, "?P<"+name+">") {
				continue
			}
			for op := range path.Operations {
				for _, value := range beyond32 {
					requireRefused(t, m.Do(op, m.ExampleOf(path), mounttest.Data(name, value)), name, value, "32 bits")
				}
				requireRefused(t, m.Do(op, m.ExampleOf(path), mounttest.Data(name, 99999999999.0)), name, "99999999999", "32 bits")
			}
		}
	}
	for _, path := range []string{"keys/k/versions/", "policies/p/revisions/"} {
		for _, number := range []string{"2147483648", "9223372036854775807", "99999999999999999999999999"} {
			requireRefused(t, m.Read(path+number), number, "32 bits")
		}
	}
	requireRefused(t, m.Do(logical.ReadOperation, "custody/export", mounttest.Data("after", "k/9223372036854775807")), "after", "k/9223372036854775807")
	requireRefused(t, m.Write("keys/k/versions/9223372036854775807/suspend", "reason", "because of a test"), "version", "9223372036854775807")
}

func requireRefused(t *testing.T, got mounttest.Answer, words ...string) {
	t.Helper()
	require.Equal(t, 400, got.Status, words)
	for _, word := range words {
		require.Contains(t, got.Err, word)
	}
}

// TestAPageOfNumbersEndsWithTheNumbers: a page behind the last number is empty, however far behind.
func TestAPageOfNumbersEndsWithTheNumbers(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("policies/p", "owner", "someone else"))
	m.Must(m.Write("keys/p"))
	m.Must(m.Write("keys/p/rotate"))
	for _, path := range []string{"keys/p/versions", "policies/p/revisions"} {
		for _, after := range []any{2, 3, "2147483647", 2147483647.0} {
			require.Equal(t, 404, m.List(path, "after", after).Status, "%s %v", path, after)
			require.Equal(t, 404, m.List(path, "after", after, "limit", 2147483647).Status, "%s %v", path, after)
		}
		require.Equal(t, []string{"2"}, m.Must(m.List(path, "after", 1, "limit", "2147483647")).Data["keys"], path)
		require.Equal(t, []string{"1"}, m.Must(m.List(path, "limit", 1)).Data["keys"], path)
		requireRefused(t, m.List(path, "after", -1), "after: -1: must not be negative")
		requireRefused(t, m.List(path, "limit", -1), "limit: -1: must not be negative")
	}
}

// TestAPageOfNumbersEndsWithItsRequest: nobody waits for the rest.
func TestAPageOfNumbersEndsWithItsRequest(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	m.Must(m.Write("policies/k", "owner", "o"))
	m.Must(m.List("keys/k/versions"))
	m.Must(m.List("policies/k/revisions"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{"keys/k/versions", "policies/k/revisions"} {
		req := &logical.Request{Operation: logical.ListOperation, Path: path, Storage: m.Storage}
		_, err := m.HandleRequest(ctx, req)
		require.ErrorIs(t, err, context.Canceled, path)
	}
}

// TestOfManyBadFieldsTheFirstByNameIsNamed: the same request gets the same answer.
func TestOfManyBadFieldsTheFirstByNameIsNamed(t *testing.T) {
	m := mounttest.New(t)
	for range 50 {
		requireRefused(t, m.Write("keys/k", "type", 1.5, "owner", 1.5, "policy", 1.5, "reason", 1.5), "owner: 1.5: ")
	}
}

func TestAnEmptyAfterStartsFromTheBeginning(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("keys/k"))
	require.Equal(t, []string{"1"}, m.Must(m.List("keys/k/versions", "after", "")).Data["keys"])
	require.Equal(t, []string{"1"}, m.Must(m.List("policies/p/revisions", "after", "")).Data["keys"])
	got := m.Must(m.Do(logical.ReadOperation, "keys/k/history", mounttest.Data("after", "")))
	require.Len(t, got.Data["records"], 2)
}
