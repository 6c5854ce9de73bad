// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

func follow(c *custody.Chain, lines []entry) (problems []*custody.Problem) {
	for _, e := range lines {
		var p *custody.Problem
		if errors.As(c.Add(e.line), &p) {
			problems = append(problems, p)
		}
	}
	return problems
}

func orders(t *testing.T) []entry {
	j := newJournal(t, mount)
	j.act("orders", "create")
	j.act("orders", "rotate")
	j.begin("orders", "archive")
	return j.lines
}

func TestChainFollowsWhatWasAppended(t *testing.T) {
	lines := orders(t)
	var c custody.Chain
	require.Equal(t, custody.Head{}, c.Head())
	require.Empty(t, follow(&c, lines))
	require.Equal(t, custody.Head{Count: 5, Hash: custody.Hash(lines[4].line)}, c.Head())
	require.Equal(t, []int{5}, c.Unfinished())
}

func TestChainRemembersEveryHash(t *testing.T) {
	lines := orders(t)
	var c custody.Chain
	follow(&c, lines)
	for _, e := range lines {
		hash, found := c.HashAt(e.seq)
		require.True(t, found)
		require.Equal(t, custody.Hash(e.line), hash)
	}
	for _, count := range []int{-1, 0, 6} {
		_, found := c.HashAt(count)
		require.False(t, found)
	}
}

func TestChainRefusesAnotherKeyAndMount(t *testing.T) {
	for _, j := range []*journal{newJournal(t, mount), newJournal(t, "another")} {
		var c custody.Chain
		follow(&c, orders(t)[:1])
		j.act("payments", "create")
		problems := follow(&c, j.lines)
		require.Len(t, problems, 2)
		require.ErrorIs(t, problems[0], custody.ErrForeign)
		require.Equal(t, 1, c.Head().Count)
	}
}

func TestChainFindsAnEndOfNoAct(t *testing.T) {
	j := newJournal(t, mount)
	j.act("orders", "create")
	j.add("orders", custody.Record{Kind: custody.End, Of: 1, Outcome: custody.Failed})
	var c custody.Chain
	problems := follow(&c, j.lines)
	require.Len(t, problems, 1)
	require.ErrorIs(t, problems[0], custody.ErrOutcome)
	require.Equal(t, 3, problems[0].Seq)
}

func TestChainGoesOnBehindAProblem(t *testing.T) {
	lines := orders(t)
	var c custody.Chain
	problems := follow(&c, append(lines[:1:1], lines[2:]...))
	require.Len(t, problems, 1)
	require.ErrorIs(t, problems[0], custody.ErrGap)
	require.Equal(t, `key "orders": record 2: missing before record 3`, problems[0].Error())
	require.Equal(t, 5, c.Head().Count)
}
