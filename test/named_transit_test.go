// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// debianPython has hvac. A python3 of the PATH may be another.
const debianPython = "/usr/bin/python3"

// TestHVACFindsTransit registers keylife under the name of the engine that it stands in for, and drives all of hvac's Transit API
// against it and against Vault's own. What Vault's answers ours answers; ours may say more.
func TestHVACFindsTransit(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Mounts: map[string]string{"vaults": "transit"}})
	s.RegisterAs(t, "transit")
	s.Mount(t, "ours", "transit")
	want, got := hvacAnswers(t, s, "vaults"), hvacAnswers(t, s, "ours")
	require.Len(t, got, len(want))
	require.Greater(t, len(want), 200)
	for i := range want {
		assert.Empty(t, lacking("", want[i], got[i]), "call %d:\n%s\nis answered\n%s", i, line(t, want[i]), line(t, got[i]))
	}
}

func hvacAnswers(t *testing.T, s *harness.Server, mount string) []any {
	t.Helper()
	run := exec.Command(debianPython, "testdata/hvac_transit.py", mount)
	run.Env = append(os.Environ(), "VAULT_ADDR="+s.Address(), "VAULT_TOKEN="+s.Client().Token(), "PYTHONDONTWRITEBYTECODE=1")
	var errors bytes.Buffer
	run.Stderr = &errors
	out, err := run.Output()
	require.NoError(t, err, errors.String())
	var answers []any
	for _, text := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var answer any
		require.NoError(t, json.Unmarshal([]byte(text), &answer), text)
		answers = append(answers, answer)
	}
	return answers
}

// lacking returns where an answer does not say what another does, but for what custody has.
func lacking(at string, want, got any) (differences []string) {
	switch want := want.(type) {
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			for name := range want {
				if !slices.Contains(custodys, name) {
					differences = append(differences, lacking(at+"/"+name, want[name], got[name])...)
				}
			}
			return differences
		}
	case []any:
		if got, ok := got.([]any); ok && len(got) == len(want) {
			for i := range want {
				differences = append(differences, lacking(fmt.Sprintf("%s/%d", at, i), want[i], got[i])...)
			}
			return differences
		}
	default:
		if want == got {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: Vault says %v, keylife says %v", at, want, got)}
}

func line(t *testing.T, answer any) string {
	t.Helper()
	text, err := json.Marshal(answer)
	require.NoError(t, err)
	return string(text)
}
