// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// printed returns what the command line prints of a LIST: the columns, and the cells of each line. Between cells it has four
// spaces, and in none of ours.
func (sh shell) printed(t *testing.T, path string) (columns []string, lines [][]string) {
	t.Helper()
	out, ok := sh.run(t, "vault list -detailed keylife/"+path)
	require.True(t, ok, "%v", out)
	for i, line := range out {
		cells := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(line, " ", "_"), "____", " "))
		for j := range cells {
			cells[j] = strings.ReplaceAll(strings.Trim(cells[j], "_"), "_", " ")
		}
		switch i {
		case 0:
			columns = cells[1:]
		case 1: // the line below the head
		default:
			require.Len(t, cells, len(columns)+1, "%s: %s", path, line)
			lines = append(lines, cells)
		}
	}
	return columns, lines
}

func TestPeopleSeeTables(t *testing.T) {
	t.Parallel()
	s := server(t)
	sh := newShell(t, s)
	s.Must(t, http.MethodPost, sh.mount+"/policies/p", object("owner", "team a", "rotation_period", "30d", "rotation_mode", "manual"))
	for _, name := range []string{"a", "b"} {
		s.Must(t, http.MethodPost, sh.mount+"/keys/"+name, object("policy", "p"))
	}
	for n := range 6 {
		s.Must(t, http.MethodPost, sh.mount+"/keys/a/rotate", object("reason", fmt.Sprintf("reason\nno. %d", n)))
	}
	s.Must(t, http.MethodPost, sh.mount+"/policies/p", object("allowed_types", "aes128-gcm96"))
	s.Must(t, http.MethodPost, sh.mount+"/keys/b/versions/1/suspend", object("reason", lifeReason))

	for path, want := range map[string]struct {
		columns, firsts []string
		cells           map[string]string // of the first line
	}{
		"keys": {
			[]string{"next rotation time", "policy", "primary version", "rotation status", "state", "type"},
			[]string{"a", "b"},
			map[string]string{"policy": "p", "primary version": "7", "rotation status": "scheduled", "type": "aes256-gcm96"},
		},
		"keys/a/versions": {
			[]string{"created time", "denied uses", "destroy time", "last denied time", "state"},
			[]string{"1", "2", "3", "4", "5", "6", "7"},
			map[string]string{"denied uses": "0", "destroy time": "n/a", "state": "deactivated"},
		},
		"keys/a/history": {
			[]string{"act", "by", "outcome", "reason", "time", "to", "versions"},
			[]string{"01", "03", "05", "07", "09", "11", "13"},
			map[string]string{"act": "create", "by": "root", "outcome": "done", "reason": "n/a", "versions": "1"},
		},
		"keys/a/plan": {
			[]string{"act", "time", "version", "why"}, []string{"1", "2", "3", "4", "5", "6", "7"}, map[string]string{"act": "overdue", "version": "7"},
		},
		"policies": {
			[]string{"keys bound", "owner", "revision", "rotation period", "rotation schedule"},
			[]string{"p"},
			map[string]string{"keys bound": "2", "owner": "team a", "revision": "2", "rotation period": "30d", "rotation schedule": "n/a"},
		},
		"policies/p/revisions": {
			[]string{"changes", "created time", "owner"}, []string{"1", "2"}, map[string]string{"changes": "owner, rotation mode, rotation period"},
		},
		"policies/p/drift": {
			[]string{"findings", "why"}, []string{"a", "b"}, map[string]string{"findings": "1", "why": "type aes256-gcm96: does not allow this type in allowed types"},
		},
		"rotation/status": {
			[]string{"policy", "since", "status", "why"}, []string{"b"}, map[string]string{"policy": "p", "status": "stopped"},
		},
	} {
		columns, lines := sh.printed(t, path)
		require.Equal(t, want.columns, columns, path)
		var firsts []string
		for _, line := range lines {
			firsts = append(firsts, line[0])
		}
		require.Equal(t, want.firsts, firsts, path)
		for column, cell := range want.cells {
			require.Equal(t, cell, lines[0][1+slices.Index(columns, column)], "%s: %s", path, column)
		}
	}
	_, lines := sh.printed(t, "keys/a/history")
	require.Equal(t, "reason no. 0", lines[1][4], "what a person wrote stays on its line")
}

func TestPeopleAreToldWhyThereIsNoTable(t *testing.T) {
	t.Parallel()
	s := server(t)
	sh := newShell(t, s)
	s.Must(t, http.MethodPost, sh.mount+"/policies/p", object("owner", "o"))
	s.Must(t, http.MethodPost, sh.mount+"/keys/k", nil)
	for path, why := range map[string]string{
		"rotation/status": "no key needs anybody", "policies/p/drift": "no key drifts", "keys/k/plan": "the clock will do nothing to key k",
	} {
		out, ok := sh.run(t, "vault list -detailed keylife/"+path)
		require.True(t, ok, "%v", out)
		require.Contains(t, strings.Join(out, "\n"), why)
	}
	for _, path := range []string{"policies/none/drift", "keys/none/plan", "keys/none/history"} {
		out, ok := sh.run(t, "vault list -detailed keylife/"+path)
		require.False(t, ok)
		require.Contains(t, strings.Join(out, "\n"), "No value found at")
	}
}

func TestMoreThanATableShowsComesInPages(t *testing.T) {
	t.Parallel()
	s := server(t)
	sh := newShell(t, s)
	for n := range 102 {
		s.Must(t, http.MethodPost, fmt.Sprintf("%s/keys/k-%03d", sh.mount, n), nil)
	}
	out, ok := sh.run(t, "vault list -detailed keylife/keys")
	require.True(t, ok)
	text := strings.Join(out, "\n")
	require.Contains(t, strings.Join(strings.Fields(text), " "), "key_info describes the first 100 of 102 names; to go on: a limit, and after=k-099")
	require.Contains(t, text, "\nk-101", "its name is there")
	out, ok = sh.run(t, `vault read -format=json keylife/keys list=true after=k-099 limit=100 | jq -c '.data.key_info | keys'`)
	require.True(t, ok)
	require.Equal(t, []string{`["k-100","k-101"]`}, out)
}

// What a table does not need, a client does not pay for: an older Transit client takes the names, and nothing else is there.
func TestAListIsStillWhatTransitClientsTake(t *testing.T) {
	t.Parallel()
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	s.Must(t, http.MethodPost, mount+"/keys/k", nil)
	data := s.Must(t, "LIST", mount+"/keys", nil)
	require.Equal(t, []any{"k"}, data["keys"])
	require.Len(t, data, 2, "keys and key_info")
}
