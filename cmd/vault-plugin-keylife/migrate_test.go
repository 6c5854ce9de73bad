// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/migrate"
)

// vaultLike answers as Vault does, and keeps what it was asked for.
type vaultLike struct {
	asked  []string
	bodies []string
	answer func(w http.ResponseWriter, path string)
}

func (v *vaultLike) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	v.asked = append(v.asked, r.Header.Get("X-Vault-Token")+" "+r.Method+" "+r.URL.String())
	v.bodies = append(v.bodies, string(body))
	v.answer(w, r.URL.Path)
}

// mountOf is a mount of a Vault that answers so, for a token that the environment names.
func mountOf(t *testing.T, answer func(w http.ResponseWriter, path string)) (mount, *vaultLike) {
	t.Helper()
	v := &vaultLike{answer: answer}
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	t.Setenv("VAULT_ADDR", server.URL)
	t.Setenv("VAULT_TOKEN", "t")
	client, err := vaultClient()
	require.NoError(t, err)
	return mount{client, "transit"}, v
}

func TestRequestsAreThoseOfTheVaultCLI(t *testing.T) {
	m, v := mountOf(t, func(w http.ResponseWriter, _ string) { _, _ = io.WriteString(w, `{"data":{"a":1}}`) })
	for _, r := range []migrate.Request{
		{Operation: migrate.Read, Path: "backup/k", Data: map[string]any{"reason": "a b"}},
		{Operation: migrate.List, Path: "keys/k/versions", Data: map[string]any{"after": 3}},
		{Operation: migrate.Write, Path: "restore/k", Data: map[string]any{"backup": "x"}},
	} {
		reply, err := m.Send(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, migrate.Reply{Status: 200, Data: json.RawMessage(`{"a":1}`)}, reply)
	}
	require.Equal(t, []string{
		"t GET /v1/transit/backup/k?reason=a+b", "t GET /v1/transit/keys/k/versions?after=3&list=true", "t POST /v1/transit/restore/k",
	}, v.asked)
	require.Equal(t, []string{"", "", `{"backup":"x"}`}, v.bodies)
}

// TestWhatIsRefusedIsAnAnswer: with its data, and Transit's 500 is asked for once.
func TestWhatIsRefusedIsAnAnswer(t *testing.T) {
	for status, body := range map[int]string{
		400: `{"data":{"batch_results":[]}}`, 403: `{"errors":["permission denied"]}`, 404: `{"errors":[]}`, 500: `{"errors":["already exists"]}`,
	} {
		m, v := mountOf(t, func(w http.ResponseWriter, _ string) { w.WriteHeader(status); _, _ = io.WriteString(w, body) })
		reply, err := m.Send(t.Context(), migrate.Request{Operation: migrate.Write, Path: "decrypt/k"})
		require.NoError(t, err)
		require.Equal(t, status, reply.Status)
		text, err := json.Marshal(map[string]any{"data": reply.Data, "errors": reply.Errors})
		require.NoError(t, err)
		require.Contains(t, string(text), strings.Trim(body, "{}"))
		require.Len(t, v.asked, 1)
	}
	m, _ := mountOf(t, func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusNoContent) })
	reply, err := m.Send(t.Context(), migrate.Request{Operation: migrate.Write, Path: "restore/k"})
	require.NoError(t, err)
	require.Equal(t, migrate.Reply{Status: 204}, reply)
	m, _ = mountOf(t, func(w http.ResponseWriter, _ string) { _, _ = io.WriteString(w, "<html>") })
	_, err = m.Send(t.Context(), migrate.Request{Path: "keys/k"})
	require.ErrorContains(t, err, "not that of Vault")
}

func TestTheTokenIsTheOneOfTheCLI(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("VAULT_TOKEN", "")
	_, err := vaultClient()
	require.ErrorContains(t, err, "no token")
	require.NoError(t, os.WriteFile(filepath.Join(home, ".vault-token"), []byte("of-login\n"), 0o600))
	client, err := vaultClient()
	require.NoError(t, err)
	require.Equal(t, "of-login", client.Token())
}

func TestFlagsOfMigrateThatDoNotFit(t *testing.T) {
	for text, want := range map[string]string{
		"-to b -all -report r":                       "-from and -to are needed",
		"-from a -to /a/ -all -report r":             "the same mount",
		"-from a -to b -report r":                    "either -all or -key",
		"-from a -to b -all -key k -report r":        "either -all or -key",
		"-from a -to b -key ../sys/mounts -report r": `-key "../sys/mounts": no key has such a name`,
		"-from a -to b -all":                         "-report is needed",
		"-from a -to b -all -report r more":          "behind the flags",
		"-from a -to b -all -report r -policy=":      "must not be empty",
		"-from a -to b -all -nonsense":               "not defined",
	} {
		var errs strings.Builder
		require.Equal(t, exitUnusable, migrateKeys(strings.Fields(text), io.Discard, &errs), text)
		require.Contains(t, errs.String(), want)
		require.Contains(t, errs.String(), "usage: vault-plugin-keylife migrate", text)
	}
	require.Equal(t, exitClean, migrateKeys([]string{"-h"}, io.Discard, io.Discard))
}

func TestAMigrationOfNothingReportsThat(t *testing.T) {
	_, v := mountOf(t, func(w http.ResponseWriter, path string) {
		if path == "/v1/a/config/clock" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"errors":["1 error occurred:\n\t* unsupported path\n\n"]}`)
			return
		}
		if path == "/v1/a/keys" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, `{"data":{}}`)
	})
	report := filepath.Join(t.TempDir(), "r")
	var out, errs strings.Builder
	require.Equal(t, exitClean, migrateKeys([]string{"-from", "a/", "-to", "b", "-all", "-report", report}, &out, &errs), errs.String())
	require.Equal(t, "keys: 0\n", out.String())
	require.Empty(t, errs.String())
	require.Len(t, v.asked, 3)
	text, err := os.ReadFile(report)
	require.NoError(t, err)
	require.Regexp(t, `\A\{"time":".+","version":".+","from":"a","to":"b"\}\n\{"time":".+","keys":0,"outcomes":\{\}\}\n\z`, string(text))
	require.Equal(t, exitUnusable, migrateKeys([]string{"-from", "a", "-to", "b", "-all", "-report", t.TempDir()}, &out, &errs))
	require.Contains(t, errs.String(), "migrate: report: open")
}
