// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// beyond32 are texts of integers that do not fit into 32 bits, in every spelling that the SDK reads.
var beyond32 = []string{
	"2147483648", "-2147483649", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
	"99999999999999999999999999", "0x7fffffffffffffff", "9_223_372_036_854_775_807",
}

// TestNoIntegerOfMoreThan32BitsPassesInAnyField: in bodies, in query strings and in paths, whether as text or as number.
func TestNoIntegerOfMoreThan32BitsPassesInAnyField(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	m.must(m.write("keys/k"))
	for _, path := range m.Paths {
		for name, schema := range path.Fields {
			if schema.Type != framework.TypeInt || strings.Contains(path.Pattern, "?P<"+name+">") {
				continue
			}
			for op := range path.Operations {
				for _, value := range beyond32 {
					requireRefused(t, m.do(op, example(t, m, path), dataOf(name, value)), name, value, "32 bits")
				}
				requireRefused(t, m.do(op, example(t, m, path), dataOf(name, 99999999999.0)), name, "99999999999", "32 bits")
			}
		}
	}
	for _, path := range []string{"keys/k/versions/", "policies/p/revisions/"} {
		for _, number := range []string{"2147483648", "9223372036854775807", "99999999999999999999999999"} {
			requireRefused(t, m.read(path+number), number, "32 bits")
		}
	}
	requireRefused(t, m.do(logical.ReadOperation, "custody/export", dataOf("after", "k/9223372036854775807")), "after", "k/9223372036854775807")
	requireRefused(t, m.write("keys/k/versions/9223372036854775807/suspend", "reason", "because of a test"), "version", "9223372036854775807")
}

func requireRefused(t *testing.T, got answer, words ...string) {
	t.Helper()
	require.Equal(t, 400, got.status, words)
	for _, word := range words {
		require.Contains(t, got.err, word)
	}
}

// TestAPageOfNumbersEndsWithTheNumbers: a page behind the last number is empty, however far behind.
func TestAPageOfNumbersEndsWithTheNumbers(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	m.must(m.write("policies/p", "owner", "someone else"))
	m.must(m.write("keys/p"))
	m.must(m.write("keys/p/rotate"))
	for _, path := range []string{"keys/p/versions", "policies/p/revisions"} {
		for _, after := range []any{2, 3, "2147483647", 2147483647.0} {
			require.Equal(t, 404, m.list(path, "after", after).status, "%s %v", path, after)
			require.Equal(t, 404, m.list(path, "after", after, "limit", 2147483647).status, "%s %v", path, after)
		}
		require.Equal(t, []string{"2"}, m.must(m.list(path, "after", 1, "limit", "2147483647")).data["keys"], path)
		require.Equal(t, []string{"1"}, m.must(m.list(path, "limit", 1)).data["keys"], path)
		requireRefused(t, m.list(path, "after", -1), "after: -1: must not be negative")
		requireRefused(t, m.list(path, "limit", -1), "limit: -1: must not be negative")
	}
}

// TestAPageOfNumbersEndsWithItsRequest: nobody waits for the rest.
func TestAPageOfNumbersEndsWithItsRequest(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	m.must(m.write("policies/k", "owner", "o"))
	m.must(m.list("keys/k/versions"))
	m.must(m.list("policies/k/revisions"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{"keys/k/versions", "policies/k/revisions"} {
		req := &logical.Request{Operation: logical.ListOperation, Path: path, Storage: m.storage}
		_, err := m.HandleRequest(ctx, req)
		require.ErrorIs(t, err, context.Canceled, path)
	}
}

// TestOfManyBadFieldsTheFirstByNameIsNamed: the same request gets the same answer.
func TestOfManyBadFieldsTheFirstByNameIsNamed(t *testing.T) {
	m := newMount(t)
	for range 50 {
		requireRefused(t, m.write("keys/k", "type", 1.5, "owner", 1.5, "policy", 1.5, "reason", 1.5), "owner: 1.5: ")
	}
}

func TestAnEmptyAfterStartsFromTheBeginning(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	m.must(m.write("keys/k"))
	require.Equal(t, []string{"1"}, m.must(m.list("keys/k/versions", "after", "")).data["keys"])
	require.Equal(t, []string{"1"}, m.must(m.list("policies/p/revisions", "after", "")).data["keys"])
	got := m.must(m.do(logical.ReadOperation, "keys/k/history", dataOf("after", "")))
	require.Len(t, got.data["records"], 2)
}
