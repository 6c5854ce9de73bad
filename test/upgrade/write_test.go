// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package upgrade_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
	"github.com/keylife/vault-plugin-keylife/test/upgrade/fixture"
)

// scripts/fixture.sh runs the test with a plugin of another commit, and with these.
var (
	name   = flag.String("fixture", "", "write the fixture under this name")
	commit = flag.String("commit", "", "the commit of the plugin; what it has no answer to is left out")
)

// written are the kinds of entries that a mount without a token comes to have. Those of acts that were cut short, and of earlier
// builds, are in the golden tests of internal/store.
var written = strings.Fields(`
	access/ alerts/ approvals/ archive/ bound/ certificates/ config/approvals config/approvers config/archive-kek config/barrier config/cache
	config/census config/clock config/custody config/engine config/kek config/keys dates/ denied/ journal/ keys/ leases/ policies/ reviews/
	revisions/ schedule/ versions/`)

// TestAMountHasEntriesOfAllKinds makes a mount as the fixtures are, so that the next of them lacks nothing that was added since.
func TestAMountHasEntriesOfAllKinds(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Clock: true, Mounts: map[string]string{"keylife": harness.PluginName}})
	w := &writer{t: t, s: s, lenient: *commit != "", made: fixture.Mount{Commit: *commit, States: map[string][]string{}, Entries: map[string]string{}}}
	w.everything()
	w.finish()
	if *name != "" {
		require.NoError(t, fixture.Write("fixture/testdata", *name, w.made))
	}
	if *commit == "" {
		require.Empty(t, w.made.Refused)
		require.Equal(t, written, kinds(w.made.Entries))
	}
	t.Logf("%d entries, %d proofs; refused: %s", len(w.made.Entries), len(w.made.Proofs), strings.Join(w.made.Refused, "\n"))
}

// kinds are the first parts of the paths of entries; of settings the whole.
func kinds(entries map[string]string) []string {
	found := map[string]bool{}
	for path := range entries {
		kind, _, folder := strings.Cut(path, "/")
		if kind == "config" {
			found[path] = true
		} else {
			found[fmt.Sprint(kind, map[bool]string{true: "/"}[folder])] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
