// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// evidence is what an auditor takes away from a mount: an export of the records, and files that verify reads.
type evidence struct {
	lines                  []string
	publicKey, pin, signed string // paths, and the id of the first public key
}

// gather exports a mount in pages.
func gather(t *testing.T, s *harness.Server, mount string, pageSize int) evidence {
	t.Helper()
	var e evidence
	keys := s.Must(t, http.MethodGet, mount+"/custody/public-key", nil)
	first, _ := keys["keys"].([]any)[0].(map[string]any)
	e.pin, _ = first["id"].(string)
	require.NotEmpty(t, e.pin)
	e.publicKey = asFile(t, keys)
	e.signed = asFile(t, s.Must(t, http.MethodPost, mount+"/custody/checkpoint", nil))
	for after := ""; ; {
		page := s.Must(t, http.MethodGet, fmt.Sprintf("%s/custody/export?limit=%d&after=%s", mount, pageSize, after), nil)
		records, _ := page["records"].([]any)
		require.LessOrEqual(t, len(records), pageSize)
		for _, line := range records {
			e.lines = append(e.lines, line.(string))
		}
		if after, _ = page["next_after"].(string); after == "" {
			break
		}
	}
	return e
}

func asFile(t *testing.T, content any) string {
	t.Helper()
	text, err := json.Marshal(content)
	require.NoError(t, err)
	return asTextFile(t, string(text))
}

func asTextFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// verifyOffline runs the real sub-command and returns what it says and its exit code.
func verifyOffline(t *testing.T, arguments ...string) (output string, code int) {
	t.Helper()
	command := exec.Command(os.Getenv("KEYLIFE_PLUGIN"), append([]string{"verify"}, arguments...)...)
	command.Env = []string{} // it needs nothing from its surroundings
	said, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return string(said), command.ProcessState.ExitCode()
}

func (e evidence) verify(t *testing.T, lines []string) (output string, code int) {
	t.Helper()
	export := asTextFile(t, strings.Join(lines, "\n")+"\n")
	return verifyOffline(t, "-public-key", e.publicKey, "-pin", e.pin, "-checkpoint", e.signed, export)
}

// busyMount has three keys and acts of many kinds, one of them refused and one key deleted.
func busyMount(t *testing.T, s *harness.Server) string {
	t.Helper()
	mount := freshMount(t, s, harness.PluginName)
	s.Must(t, http.MethodPost, mount+"/policies/p", object("owner", "a", "min_versions_kept", 0))
	for _, name := range []string{"alpha", "beta", "gamma"} {
		key := mount + "/keys/" + name
		s.Must(t, http.MethodPost, key, object("policy", "p"))
		for _, path := range []string{"/rotate", "/versions/1/archive", "/versions/1/recover", "/suspend", "/resume", "/rotate", "/versions/1/suspend"} {
			s.Must(t, http.MethodPost, key+path, object("reason", lifeReason))
		}
		require.Equal(t, http.StatusBadRequest, s.Do(t, http.MethodPost, key+"/versions/3/archive", object("reason", lifeReason)).Status)
	}
	s.Must(t, http.MethodPost, mount+"/keys/gamma/config", object("policy", "", "deletion_allowed", true))
	s.Must(t, http.MethodDelete, mount+"/keys/gamma", nil)
	return mount
}

func TestAnExportVerifiesOffline(t *testing.T) {
	s := server(t)
	mount := busyMount(t, s)
	for _, size := range []int{1, 7, 1000} {
		e := gather(t, s, mount, size)
		require.Greater(t, len(e.lines), 40)
		output, code := e.verify(t, e.lines)
		require.Equal(t, 0, code, output)
		require.Contains(t, output, fmt.Sprintf("clean; records: %d, chains: 5, checkpoints: 1", len(e.lines)))
	}
	e := gather(t, s, mount, 1000)
	response := asFile(t, s.Do(t, http.MethodGet, mount+"/custody/export", nil).Body)
	output, code := verifyOffline(t, "-public-key", e.publicKey, "-checkpoint", e.signed, response)
	require.Equal(t, 0, code, "Vault's answer as it is: %s", output)
	output, code = verifyOffline(t, "-public-key", e.publicKey, "-pin", strings.Repeat("0", len(e.pin)), "-checkpoint", e.signed, response)
	require.Equal(t, 1, code, "a public key that is not the one that is known: %s", output)
	_, code = verifyOffline(t, asTextFile(t, ""))
	require.Equal(t, 2, code, "an empty file is no clean export")
	require.Equal(t, true, s.Must(t, http.MethodPost, mount+"/custody/verify", "{}")["valid"])
}

func TestEveryWayOfTamperingIsReported(t *testing.T) {
	s := server(t)
	e := gather(t, s, busyMount(t, s), 1000)
	const at = 6 // in the middle of the first key
	last := len(e.lines) - 1
	without := func(lines []string, i, j int) []string { return slices.Delete(slices.Clone(lines), i, j) }
	for name, tamper := range map[string]struct {
		lines []string
		says  string
	}{
		"edited": {replaced(e.lines, at, strings.Replace(e.lines[at], lifeReason, "acceptance fest", 1)), "edited"},
		"edited, the last": {
			replaced(e.lines, last, strings.Replace(e.lines[last], `"outcome":"done"`, `"outcome":"failed"`, 1)), "edited",
		},
		"dropped":              {without(e.lines, at, at+1), "missing"},
		"swapped":              {replaced(replaced(e.lines, at, e.lines[at+1]), at+1, e.lines[at]), "out of order"},
		"duplicated":           {slices.Insert(slices.Clone(e.lines), at, e.lines[at]), "out of order"},
		"cut behind the last":  {e.lines[:last], "behind the checkpoint"},
		"cut by half":          {e.lines[:last/2], "behind the checkpoint"},
		"without a key":        {slices.DeleteFunc(slices.Clone(e.lines), func(l string) bool { return strings.Contains(l, `"key":"beta"`) }), "behind the checkpoint"},
		"the first record":     {e.lines[1:], "missing"},
		"another key's record": {replaced(e.lines, at, strings.Replace(e.lines[at], `"key":"alpha"`, `"key":"beta"`, 1)), "missing"},
		"white space":          {replaced(e.lines, at, e.lines[at]+" "), "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NotEqual(t, e.lines, tamper.lines)
			output, code := e.verify(t, tamper.lines)
			require.Equal(t, 1, code, output)
			require.Contains(t, output, "PROBLEM")
			require.Contains(t, output, tamper.says)
		})
	}
}

func replaced(lines []string, i int, line string) []string {
	next := slices.Clone(lines)
	next[i] = line
	return next
}

// A new signing key is vouched for by the old one: who trusts the first trusts what comes after.
func TestCheckpointsOutliveTheirSigningKey(t *testing.T) {
	s := server(t)
	mount := busyMount(t, s)
	old := gather(t, s, mount, 1000)
	s.Must(t, http.MethodPost, mount+"/custody/rotate-key", nil)
	s.Must(t, http.MethodPost, mount+"/keys/alpha/rotate", object("reason", lifeReason))
	now := gather(t, s, mount, 1000)
	require.Equal(t, old.pin, now.pin)
	export := asTextFile(t, strings.Join(now.lines, "\n")+"\n")
	output, code := verifyOffline(t, "-public-key", now.publicKey, "-pin", old.pin, "-checkpoint", old.signed, "-checkpoint", now.signed, export)
	require.Equal(t, 0, code, output)
	output, code = verifyOffline(t, "-public-key", old.publicKey, "-checkpoint", now.signed, export)
	require.Equal(t, 1, code, "a checkpoint of a key that is not known: %s", output)
}

// "Valid" must mean that something was verified.
func TestCustodyOfWhatIsNotThereIsRefused(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	for _, path := range []string{"verify", "checkpoint"} {
		empty := s.Do(t, http.MethodPost, mount+"/custody/"+path, "{}")
		require.Less(t, empty.Status, http.StatusInternalServerError, "%s on a new mount: %v", path, empty.Body)
	}
	s.Must(t, http.MethodPost, mount+"/keys/k", nil)
	for _, path := range []string{"verify", "checkpoint"} {
		answer := s.Do(t, http.MethodPost, mount+"/custody/"+path, object("key", "misspelt"))
		require.Equal(t, http.StatusBadRequest, answer.Status, "%s: %v", path, answer.Body)
	}
}

// One key is held against a checkpoint of that key only: of the others it would seem that their records are cut off.
func TestOneKeyIsNotHeldAgainstACheckpointOfAll(t *testing.T) {
	s := server(t)
	mount := busyMount(t, s)
	all := s.Must(t, http.MethodPost, mount+"/custody/checkpoint", nil)
	answer := s.Do(t, http.MethodPost, mount+"/custody/verify", object("key", "alpha", "checkpoint", all))
	require.Equal(t, http.StatusBadRequest, answer.Status, "%v", answer.Body)
	one := s.Must(t, http.MethodPost, mount+"/custody/checkpoint", map[string]any{"key": "alpha"})
	report := s.Must(t, http.MethodPost, mount+"/custody/verify", map[string]any{"key": "alpha", "checkpoint": one})
	require.Equal(t, true, report["valid"], "%v", report)
}

// caller makes a token of an entity, with a display name.
func caller(t *testing.T, s *harness.Server, mount string) (token, entity, display string) {
	t.Helper()
	role, alias := "role-"+mount, "alice-"+mount
	s.Must(t, http.MethodPut, "sys/policies/acl/"+role, object("policy", `path "`+mount+`/*" { capabilities = ["create", "read", "update"] }`))
	s.Must(t, http.MethodPost, "auth/token/roles/"+role, object("allowed_entity_aliases", alias, "allowed_policies", role))
	answer := s.Do(t, http.MethodPost, "auth/token/create/"+role, object("entity_alias", alias, "display_name", "alice", "policies", []string{role}))
	require.Equal(t, http.StatusOK, answer.Status, "%v", answer.Body)
	auth, _ := answer.Body["auth"].(map[string]any)
	token, _ = auth["client_token"].(string)
	entity, _ = auth["entity_id"].(string)
	require.NotEmpty(t, entity)
	return token, entity, "token-alice"
}

func TestTheHistorySaysWhoDidItAndWhy(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	token, entity, display := caller(t, s, mount)
	for _, path := range []string{"", "/rotate", "/versions/1/suspend"} {
		body := object("reason", "ticket 4711"+path)
		answer, err := s.Send(harness.Request{Method: http.MethodPost, Path: mount + "/keys/k" + path, Body: body, Token: token})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, answer.Status, "%v", answer.Body)
	}
	var records []map[string]any
	for after := 0; ; {
		page := s.Must(t, http.MethodGet, fmt.Sprintf("%s/keys/k/history?limit=4&after=%d", mount, after), nil)
		for _, r := range page["records"].([]any) {
			records = append(records, r.(map[string]any))
		}
		if after = number(page["next_after"]); after == 0 {
			break
		}
	}
	require.Len(t, records, 6)
	for i, act := range []string{"create", "rotate", "suspend"} {
		begin, end := records[2*i], records[2*i+1]
		require.Equal(t, "begin", begin["kind"])
		require.Equal(t, act, begin["act"])
		require.Contains(t, begin["reason"], "ticket 4711")
		require.NotEmpty(t, begin["request_id"])
		actor, _ := begin["actor"].(map[string]any)
		require.Equal(t, entity, actor["entity_id"])
		require.Equal(t, display, actor["display_name"])
		require.Equal(t, "127.0.0.1", actor["client_address"])
		require.NotEmpty(t, actor["token_accessor_hmac"])
		require.NotContains(t, fmt.Sprint(begin), token)
		require.Equal(t, "done", end["outcome"])
		require.Equal(t, begin["seq"], end["of"])
	}
	change, _ := s.Must(t, http.MethodGet, mount+"/keys/k/versions/1", nil)["last_change"].(map[string]any)
	require.Equal(t, "suspend", change["act"], "%v", change)
}
