// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package acts_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
)

func TestEveryActHasOneRowAScope(t *testing.T) {
	seen := map[acts.Scope]map[acts.Name]bool{acts.Version: {}, acts.Key: {}, acts.Policy: {}, acts.Mount: {}, acts.Request: {}, acts.Review: {}}
	for _, a := range acts.All() {
		names, known := seen[a.Scope]
		require.True(t, known, "%s: scope %q", a.Name, a.Scope)
		require.False(t, names[a.Name], "%s on %s has two rows", a.Name, a.Scope)
		names[a.Name] = true
		row, found := acts.Of(a.Scope, a.Name)
		require.True(t, found)
		require.Equal(t, a, row)
	}
	_, found := acts.Of(acts.Mount, acts.Destroy)
	require.False(t, found)
}

// TestAnActMeansTheSameOnAllItsScopes is what the methods of [acts.Name] rest on.
func TestAnActMeansTheSameOnAllItsScopes(t *testing.T) {
	type facts struct{ emergency, urgent, dated, restores, destroys bool }
	of := map[acts.Name]facts{}
	for _, a := range acts.All() {
		if a.Scope != acts.Version && a.Scope != acts.Key {
			continue
		}
		got := facts{a.Emergency, a.Urgent, a.Dated, a.Restores, a.Destroys}
		if want, known := of[a.Name]; known {
			require.Equal(t, want, got, a.Name)
		}
		of[a.Name] = got
	}
}

func TestHelpIsASentenceOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range acts.All() {
		require.Regexp(t, `^[A-Z].*\.$`, a.Help)
		require.False(t, seen[a.Help], a.Help)
		seen[a.Help] = true
	}
}

func TestWhatStopsIsNeverHeldBackNorRestores(t *testing.T) {
	for _, a := range acts.All() {
		if a.Emergency {
			require.True(t, a.Urgent, a.Name)
			require.False(t, a.Restores || a.Destroys, a.Name)
		}
		require.False(t, a.Clock == acts.OnlyByClock && a.ReasonName != "", "%s: nobody asks for it, so nobody gives a reason", a.Name)
	}
}

func TestReasonsAreThoseOfTheManual(t *testing.T) {
	require.Equal(t, []string{
		"create", "import", "rotate-manual", "configure", "hold", "export", "backup", "restore-backup", "promote", "suspend", "resume", "archive", "recover", "retire",
		"restore",
		"compromise", "rollback",
	}, acts.Reasons())
}
