// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

// go test ./internal/lifecycle -run Golden -update writes the files anew; read the difference before committing it.
var update = flag.Bool("update", false, "write the golden files anew")

func requireGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "%s is not what the code does", path)
}

func TestGoldenTableOfAllTransitionsAndPermissions(t *testing.T) {
	var out strings.Builder
	out.WriteString("Generated, see transitions_test.go. The state that follows when an operation (column) is done in a state (row); . is refused.\n\n")
	transitionTable(&out, "version", versionRows(t))
	transitionTable(&out, "key", keyRows(t))
	permissionTable(t, &out)
	noTrail := regexp.MustCompile(` +\n`).ReplaceAllString(out.String(), "\n")
	requireGolden(t, filepath.Join("testdata", "transitions.txt"), noTrail)
}

// row is what comes of each operation in one state.
type row struct {
	state   string
	follows []string
}

func transitionTable(out *strings.Builder, of string, rows []row) {
	fmt.Fprintf(out, "%-29s", of)
	for _, op := range ops {
		fmt.Fprintf(out, " %-11s", op)
	}
	for _, r := range rows {
		fmt.Fprintf(out, "\n%-29s", r.state)
		for _, to := range r.follows {
			fmt.Fprintf(out, " %-11s", to)
		}
	}
	out.WriteString("\n\n")
}

// versionRows has every operation on a version of every history.
func versionRows(t *testing.T) []row {
	var rows []row
	for _, h := range histories() {
		r := row{state: h.name}
		for _, op := range ops {
			k := h.key(t)
			var did lifecycle.Step
			var err error
			if op == lifecycle.Destroy && h.state == lifecycle.Retired {
				_, did, err = k.Apply(op, h.version, free(k.Overrides[h.version].Until()))
			} else {
				_, did, err = k.Apply(op, h.version, free(later.Add(day)))
			}
			r.follows = append(r.follows, follows(t, did, err))
		}
		rows = append(rows, r)
	}
	return rows
}

func keyRows(t *testing.T) []row {
	var rows []row
	for _, s := range keyStates {
		r := row{state: s.String()}
		for _, op := range ops {
			k := inKeyState(t, s)
			at := later.Add(day)
			if op == lifecycle.Destroy && s == lifecycle.KeyRetired {
				at = k.Status.Until()
			}
			_, did, err := k.Apply(op, 0, free(at))
			r.follows = append(r.follows, follows(t, did, err))
		}
		rows = append(rows, r)
	}
	return rows
}

func follows(t *testing.T, did lifecycle.Step, err error) string {
	t.Helper()
	if err != nil {
		require.True(t, errors.Is(err, refusal.ErrRefused) || errors.Is(err, refusal.ErrInvalid), err)
		return "."
	}
	return did.To
}

// permissionTable has every state and use in every state of the key, under all combinations of the rules that bear on it.
func permissionTable(t *testing.T, out *strings.Builder) {
	out.WriteString("What a version permits, by its state (row) and that of its key (column). Each of the eight letters is for a policy that allows\n" +
		"nothing, p, s, ps, c, pc, sc, psc (pinned encrypt, suspended processing, compromised processing): y yes, d denied and counted, . refused.\n")
	for _, use := range []string{"protect", "process", "rewrap", "verify"} {
		fmt.Fprintf(out, "\n%-29s", use)
		for _, s := range keyStates {
			fmt.Fprintf(out, " %-11s", s)
		}
		for _, h := range histories() {
			fmt.Fprintf(out, "\n%-29s", h.name)
			for _, s := range keyStates {
				fmt.Fprintf(out, " %-11s", answers(signing(moved(t, h.key(t), s)), use, h.version))
			}
		}
		out.WriteString("\n")
	}
}

// signing returns the key as one that signs: no other use depends on the type.
func signing(k lifecycle.Key) lifecycle.Key {
	k.Type = keytype.ECDSAP256
	return k
}

func answers(k lifecycle.Key, use string, v int) string {
	letters := ""
	for i := range 8 {
		rules := policy.EffectiveRules{PinnedEncrypt: i&1 > 0, SuspendedProcessing: i&2 > 0, CompromisedProcessing: i&4 > 0}
		_, err := k.Permissions(rules).ToProtect(v)
		switch use {
		case "process":
			err = k.Permissions(rules).ToProcess(v)
		case "rewrap":
			err = k.Permissions(rules).ToRewrap(v)
		case "verify":
			err = k.Permissions(rules).ToVerify(v)
		}
		switch {
		case err == nil:
			letters += "y"
		case errors.Is(err, refusal.ErrDenied):
			letters += "d"
		default:
			letters += "."
		}
	}
	return letters
}

func TestHistoriesCoverEveryStateAndOpsEveryEdge(t *testing.T) {
	seen := map[lifecycle.State]bool{}
	for _, h := range histories() {
		require.Equal(t, h.state, h.key(t).State(h.version), h.name)
		seen[h.state] = true
	}
	for _, s := range lifecycle.States() {
		require.True(t, seen[s], "no history leads to %s", s)
	}
	for _, e := range lifecycle.Edges() {
		require.Contains(t, ops, e.Op)
	}
	for _, e := range lifecycle.KeyEdges() {
		require.Contains(t, ops, e.Op)
		require.Contains(t, keyStates, e.To)
	}
}

// TestTransitionsAreThoseOfTheContract is design/lifecycle.md, section 3, typed in again.
func TestTransitionsAreThoseOfTheContract(t *testing.T) {
	const (
		pre, act, deac, susp = lifecycle.PreActive, lifecycle.Active, lifecycle.Deactivated, lifecycle.Suspended
		arch, comp, ret      = lifecycle.Archived, lifecycle.Compromised, lifecycle.Retired
	)
	var got []string
	for _, e := range lifecycle.Edges() {
		got = append(got, fmt.Sprintln(e.ID, e.From, e.To))
	}
	var want []string
	for id, pairs := range map[string][][2]lifecycle.State{
		"T2": {{pre, act}}, "T4": {{act, deac}}, "T5": {{pre, ret}}, "T6": {{pre, susp}, {act, susp}, {deac, susp}},
		"T7": {{susp, 0}}, "T8": {{deac, arch}}, "T9": {{arch, deac}, {comp, comp}}, "T10": {{arch, ret}}, "T11": {{ret, 0}},
		"T12": {{ret, lifecycle.Destroyed}}, "T15": {{comp, ret}},
		"T13": {{pre, comp}, {act, comp}, {deac, comp}, {susp, comp}, {arch, comp}, {ret, comp}},
	} {
		for _, p := range pairs {
			want = append(want, fmt.Sprintln(id, p[0], p[1]))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	require.Equal(t, want, got)
}

func TestRefusalNamesStateNeededStateAndWhatIsPossible(t *testing.T) {
	k := newKey(t, 5)
	_, _, err := k.Apply(lifecycle.Retire, 3, free(later))
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.EqualError(t, err, "version 3 is deactivated: retire needs pre_active or archived or compromised; possible now: suspend, archive, compromise")

	_, _, err = steps(t, k, 3, lifecycle.Archive, lifecycle.Retire, lifecycle.Destroy).Apply(lifecycle.Restore, 3, free(later))
	require.EqualError(t, err, "version 3 is destroyed: restore needs retired; possible now: nothing")

	_, _, err = steps(t, k, 3, lifecycle.Archive, lifecycle.Retire).Apply(lifecycle.Archive, 3, free(later))
	require.EqualError(t, err, "version 3 is retired: archive needs deactivated; possible now: restore, compromise", "to destroy is the clock's")

	_, _, err = k.Apply(lifecycle.Retire, 0, free(later))
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.EqualError(t, err, `key "orders" is enabled: retire needs archived; possible now: suspend, archive`)

	_, _, err = inKeyState(t, lifecycle.KeyDestroyed).Apply(lifecycle.Restore, 0, free(later))
	require.EqualError(t, err, `key "orders" is destroyed: restore needs retired; possible now: nothing`)
	_, _, err = k.Apply(lifecycle.Promote, 0, free(later))
	require.ErrorContains(t, err, `a key as a whole has no operation "promote"`)
}

func TestVersionThatNeverWasIsTheCallersMistake(t *testing.T) {
	k := newKey(t, 5)
	for _, v := range []int{-1, 6} {
		for _, op := range ops {
			got, _, err := k.Apply(op, v, free(later))
			require.ErrorIs(t, err, refusal.ErrInvalid)
			require.ErrorContains(t, err, `key "orders" has versions 1 to 5`)
			require.Equal(t, k, got)
		}
	}
}

func TestAVersionRetiredBeforeItsKeyWasArchivedIsDestroyedOrRestored(t *testing.T) {
	k := moved(t, steps(t, newKey(t, 5), 2, lifecycle.Archive, lifecycle.Retire), lifecycle.KeyArchived)
	until := k.Overrides[2].Until()
	refused(t, k, lifecycle.Destroy, 2, free(until.Add(-1)), "destroy_time is")
	require.Equal(t, lifecycle.Destroyed, step(t, k, lifecycle.Destroy, 2, free(until)).State(2))
	back := step(t, k, lifecycle.Restore, 2, free(until.Add(-1)))
	require.Equal(t, lifecycle.Archived, back.State(2))
	refused(t, back, lifecycle.Recover, 2, free(until), "is archived as a whole; use the operations of the key")
	k, _, err := k.Apply(lifecycle.Retire, 0, free(later.Add(day)))
	require.NoError(t, err)
	refused(t, k, lifecycle.Restore, 2, free(until), "is retired as a whole")
}

func TestVersionsOfAKeyThatIsArchivedOrRetiredAreNotMovedAlone(t *testing.T) {
	for _, s := range keyStates[2:] {
		k := inKeyState(t, s)
		for _, op := range ops {
			if op == lifecycle.ReportCompromise && s != lifecycle.KeyDestroyed {
				step(t, k, op, 1, free(later.Add(day))) // a report is taken in every state
				continue
			}
			_, _, err := k.Apply(op, 1, free(later.Add(day)))
			require.ErrorIs(t, err, refusal.ErrRefused)
			require.ErrorContains(t, err, fmt.Sprintf(`key "orders" is %s as a whole; use the operations of the key`, s))
		}
	}
}
