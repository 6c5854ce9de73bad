// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// meaning says what the states are for; everything else on the page comes from the tables of the code.
var meaning = map[lifecycle.State]string{
	lifecycle.PreActive:   "staged: made and published, not used yet",
	lifecycle.Active:      "the one version that protects",
	lifecycle.Deactivated: "superseded; still reads",
	lifecycle.Suspended:   "stopped for the time being, by hand",
	lifecycle.Archived:    "out of use; uses are denied, and counted (see below)",
	lifecycle.Compromised: "known or suspected to be known to others; for ever",
	lifecycle.Retired:     "to be destroyed at a set time, restorable until then",
	lifecycle.Destroyed:   "material erased; number, dates, fingerprint, public half and custody remain",
}

const docsHead = `# States of keys and of their versions

Generated from the tables in ` + "`internal/lifecycle`" + ` by its test; do not edit. To renew it:
` + "`go test ./internal/lifecycle -run Docs -update`" + `.

## Versions

*Protect* is encrypt, wrap, sign and make an HMAC, *process* is decrypt, unwrap and check an HMAC, *rewrap* is to open a
ciphertext only to protect it anew, *verify* is to check a signature. *Pinned*: for callers who name the version, unless a
policy governs the key and has not set ` + "`allow_pinned_encrypt`" + `. *By policy*: ` + "`suspended_processing`" + `, denied where
nothing is said, and ` + "`compromised_processing`" + `, allowed where nothing is said. *Locked*: a version that was suspended, archived
or retired when it was reported as compromised. Nothing opens it, by policy or to be rewrapped, until ` + "`recover`" + ` unlocks it.
*By public half*: a signature is still checked with the public half, which is no secret and stays. It is not where the version was
reported as compromised, is below ` + "`min_decryption_version`" + ` or has a key per context (` + "`derived`" + `), nor where the key as a whole
is destroyed.

| State | Protect | Process | Rewrap | Verify | |
|---|---|---|---|---|---|
`

const docsTail = `
## Denied uses

A decrypt or rewrap that the state of the version or of the key denies, and that of a floor, is a denied use of the version, if
the version made the ciphertext with the context and associated data of the request. Its number, first and last time are kept
on the version, and hold back T10 and T15 for ` + "`quiet_period`" + `.

| The request | Counted |
|---|---|
| authenticates under the version | yes |
| does not: damaged, made up, of another version, other context or associated data | no |
| cannot be looked into: storage or the key encryption key does not answer | yes |
| comes after a counted use of the version, before the next tick | yes, without a look |
| names a destroyed version, or one that never was | no; it cannot be retired |

The answer is the same in all cases. The version's material is opened for the look and not kept.
`

func TestDocsShowTheStatesAsTheyAre(t *testing.T) {
	var out strings.Builder
	out.WriteString(docsHead)
	for _, s := range lifecycle.States() {
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %s | %s |\n", s, lifecycle.Grant(s, lifecycle.Protect),
			lifecycle.Grant(s, lifecycle.Process), lifecycle.Grant(s, lifecycle.Rewrap), lifecycle.Grant(s, lifecycle.Verify), meaning[s])
	}
	out.WriteString("\n```mermaid\nstateDiagram-v2\n" + versionDiagram() + "```\n")
	out.WriteString("\nT1 is a new version, T3 rollback, T14 (not shown) the rotation that follows at once when the active version is compromised.\n")
	out.WriteString("\nPeriods run on while a version is suspended. So T7 leads to deactivated, by T4, if the originator period has ended and no automation\n" +
		"rotates the key, and to archived, by T8, if archive_after, the recipient period or the time limit of a recovery is over.\n")
	out.WriteString("\n## Keys\n\nThe state of a key is in force over those of its versions: one write stops all of them.\n\n```mermaid\nstateDiagram-v2\n" + keyDiagram() + "```\n")
	out.WriteString(docsTail)
	requireGolden(t, filepath.Join("..", "..", "docs", "states.md"), out.String())
}

// versionDiagram draws the transition table. Where a row leads to "the state before", there is an arrow to each.
func versionDiagram() string {
	lines := []string{
		"    [*] --> pre_active: T1 stage\n", "    [*] --> active: T1 create, rotate\n",
		"    deactivated --> active: T3 rollback\n", "    active --> deactivated: T2, T3 by its successor\n",
	}
	for _, e := range lifecycle.Edges() {
		targets := []lifecycle.State{e.To}
		if e.To == lifecycle.NoState {
			targets = before(e.Op)
		}
		for _, to := range targets {
			lines = append(lines, fmt.Sprintf("    %s --> %s: %s %s\n", e.From, to, e.ID, e.Op))
		}
	}
	return strings.Join(lines, "") + "    destroyed --> [*]\n"
}

// before is where an operation that undoes another leads back to.
func before(op lifecycle.Op) []lifecycle.State {
	undoes := map[lifecycle.Op]lifecycle.Op{lifecycle.Resume: lifecycle.Suspend, lifecycle.Restore: lifecycle.Retire}
	var states []lifecycle.State
	for _, e := range lifecycle.Edges() {
		if e.Op == undoes[op] {
			states = append(states, e.From)
		}
	}
	slices.Sort(states)
	return states
}

func keyDiagram() string {
	lines := "    [*] --> enabled: create\n"
	for _, e := range lifecycle.KeyEdges() {
		lines += fmt.Sprintf("    %s --> %s: %s\n", e.From, e.To, e.Op)
	}
	return lines + "    destroyed --> [*]\n"
}
