// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// migration runs the sub-command of the plugin that the server runs.
type migration struct {
	t      *testing.T
	server *harness.Server
	report string
}

func newMigration(t *testing.T, s *harness.Server) migration {
	t.Helper()
	return migration{t, s, filepath.Join(t.TempDir(), "report.jsonl")}
}

func (m migration) command(args ...string) *exec.Cmd {
	m.t.Helper()
	plugin := os.Getenv("KEYLIFE_PLUGIN")
	require.NotEmpty(m.t, plugin)
	cmd := exec.CommandContext(m.t.Context(), plugin, append([]string{"migrate", "-report", m.report}, args...)...)
	cmd.Env = append(os.Environ(), "VAULT_ADDR="+m.server.Address(), "VAULT_TOKEN="+m.server.Client().Token())
	return cmd
}

// run returns what is printed, and the exit code.
func (m migration) run(args ...string) (stdout, stderr string, code int) {
	m.t.Helper()
	var out, errs strings.Builder
	cmd := m.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		require.IsType(m.t, &exec.ExitError{}, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// cutShort kills the process when it has told of so many keys.
func (m migration) cutShort(after int, args ...string) {
	m.t.Helper()
	cmd := m.command(args...)
	progress, err := cmd.StderrPipe()
	require.NoError(m.t, err)
	require.NoError(m.t, cmd.Start())
	lines := bufio.NewScanner(progress)
	for range after {
		require.True(m.t, lines.Scan(), "the process ended before")
	}
	require.NoError(m.t, cmd.Process.Kill())
	require.ErrorContains(m.t, cmd.Wait(), "killed")
}

// lines are those of the report about keys, the newest of each key.
func (m migration) lines() map[string]map[string]any {
	m.t.Helper()
	text, err := os.ReadFile(m.report)
	require.NoError(m.t, err)
	all := map[string]map[string]any{}
	for line := range strings.Lines(string(text)) {
		var entry map[string]any
		require.NoError(m.t, json.Unmarshal([]byte(line), &entry), line)
		if key, about := entry["key"].(string); about {
			all[key] = entry
		}
	}
	return all
}

// fill makes keys of all kinds at a mount, with versions that were trimmed, are below the floors, and protect. It returns a ciphertext of
// each that encrypts.
func fill(t *testing.T, s *harness.Server, mount string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, c := range carriedKeys() {
		s.Must(t, http.MethodPost, mount+"/keys/"+c.name, c.body)
		for range 4 {
			s.Must(t, http.MethodPost, mount+"/keys/"+c.name+"/rotate", nil)
		}
		s.Must(t, http.MethodPost, mount+"/keys/"+c.name+"/config", map[string]any{"min_decryption_version": 3, "min_encryption_version": 4})
		s.Must(t, http.MethodPost, mount+"/keys/"+c.name+"/trim", map[string]any{"min_available_version": 2})
		texts[c.name] = encrypted(t, s, mount, c.name, c)
	}
	return texts
}

// requireMoved holds that every key is at both mounts, and that the target opens what the source encrypted.
func requireMoved(t *testing.T, s *harness.Server, from, to string, texts map[string]string) {
	t.Helper()
	for _, c := range carriedKeys() {
		requireSameKey(t, s, from, to, c.name)
		require.Equal(t, exports(t, s, from, c.name), exports(t, s, to, c.name), c.name)
		if texts[c.name] == "" {
			continue
		}
		opened := s.Must(t, http.MethodPost, to+"/decrypt/"+c.name, map[string]any{"ciphertext": texts[c.name], "context": topic})
		require.Equal(t, hello, opened["plaintext"], c.name)
	}
}

func TestAWholeMountMovesThereAndBack(t *testing.T) {
	t.Parallel()
	s := server(t)
	transit, keylife := freshPair(t, s)
	texts := fill(t, s, transit)
	all := len(carriedKeys())
	for _, way := range [][2]string{{transit, keylife}, {keylife, freshMount(t, s, "transit")}} {
		m := newMigration(t, s)
		args := []string{"-from", way[0], "-to", way[1], "-all"}
		out, errs, code := m.run(append(args, "-dry-run")...)
		require.Equal(t, 0, code, errs)
		require.Equal(t, fmt.Sprintf("keys: %d, would_move: %[1]d\n", all), out)
		require.Equal(t, 404, s.Do(t, "LIST", way[1]+"/keys", nil).Status, "a dry run writes nothing")
		for _, after := range []int{1, all / 3, 2 * all / 3} {
			m.cutShort(after, args...)
		}
		out, errs, code = m.run(args...)
		require.Equal(t, 0, code, errs)
		require.Contains(t, out, fmt.Sprintf("keys: %d, moved: ", all))
		require.Contains(t, out, "proven: ")
		requireMoved(t, s, way[0], way[1], texts)
		for _, c := range carriedKeys() {
			entry := m.lines()[c.name]
			require.Contains(t, []any{"moved", "proven"}, entry["outcome"], c.name)
			require.NotContains(t, entry["proof"], "none", c.name)
			require.Contains(t, entry["proof"].(map[string]any)["sample"], "4-5", c.name)
		}
		out, _, code = m.run(args...)
		require.Equal(t, 0, code)
		require.Equal(t, fmt.Sprintf("keys: %d, proven: %[1]d\n", all), out)
	}
}

func TestImportedKeysMove(t *testing.T) {
	t.Parallel()
	s := server(t)
	keys := makeOutsideKeys(t)
	from, to := freshPair(t, s)
	d := newSide(from, "k")
	keys.wrapFor(t, s, d)
	for kind, key := range importable {
		d.vars["K"] = "imported-" + kind
		reply := d.send(t, s, importKey("type", kind, "ciphertext", "$"+key, "exportable", true, "allow_plaintext_backup", true))
		require.Equal(t, 204, reply.Status, reply.Body)
	}
	m := newMigration(t, s)
	_, errs, code := m.run("-from", from, "-to", to, "-all")
	require.Equal(t, 0, code, errs)
	back := freshMount(t, s, "transit")
	_, errs, code = m.run("-from", to, "-to", back, "-all")
	require.Equal(t, 0, code, errs)
}

func TestAKeyThatStaysIsSaidToStay(t *testing.T) {
	t.Parallel()
	s := server(t)
	transit, keylife := freshPair(t, s)
	s.Must(t, http.MethodPost, transit+"/keys/stays", nil)
	s.Must(t, http.MethodPost, transit+"/keys/taken", map[string]any{"exportable": true, "allow_plaintext_backup": true})
	s.Must(t, http.MethodPost, keylife+"/keys/taken", nil)
	m := newMigration(t, s)
	out, errs, code := m.run("-from", transit, "-to", keylife, "-all")
	require.Equal(t, 1, code, errs)
	require.Equal(t, "keys: 2, needs: 1, conflict: 1\n", out)
	require.Contains(t, errs, "[1/2] stays: needs: exportable, allow_plaintext_backup: not set at the source")
	require.Contains(t, errs, "[2/2] taken: conflict: the target has another key of the name")

	_, errs, code = m.run("-from", transit, "-to", keylife, "-key", "stays", "-allow-backup")
	require.Equal(t, 0, code, errs)
	for _, mounts := range [][2]string{{transit, "nowhere"}, {"nowhere", keylife}, {transit, "cubbyhole"}} {
		_, errs, code = m.run("-from", mounts[0], "-to", mounts[1], "-all")
		require.Equal(t, 2, code, errs)
		require.Contains(t, errs, "config/clock")
	}
}

// TestTheRightsOfTheManualSuffice moves keys with a token that has no others.
func TestTheRightsOfTheManualSuffice(t *testing.T) {
	t.Parallel()
	s := server(t)
	transit, keylife := freshPair(t, s)
	page, err := os.ReadFile("../docs/migrate-from-transit.md")
	require.NoError(t, err)
	_, rules, found := strings.Cut(string(page), "```hcl\n")
	require.True(t, found)
	rules, _, _ = strings.Cut(rules, "```")
	rules = strings.NewReplacer(`"transit/`, `"`+transit+`/`, `"keylife/`, `"`+keylife+`/`).Replace(rules)
	s.Must(t, http.MethodPut, "sys/policies/acl/"+keylife, map[string]any{"policy": rules})
	reply := s.Do(t, http.MethodPost, "auth/token/create", map[string]any{"policies": []string{keylife}, "no_default_policy": true})
	token := reply.Body["auth"].(map[string]any)["client_token"].(string)
	for _, kind := range []string{"aes256-gcm96", "rsa-2048", "ecdsa-p256"} {
		s.Must(t, http.MethodPost, transit+"/keys/"+kind, map[string]any{"type": kind})
		s.Must(t, http.MethodPost, transit+"/keys/"+kind+"/rotate", nil)
		s.Must(t, http.MethodPost, transit+"/keys/"+kind+"/config", map[string]any{"min_encryption_version": 2})
	}
	m := newMigration(t, s)
	for _, args := range [][]string{{"-all", "-allow-backup"}, {"-all"}} {
		cmd := m.command(append(args, "-from", transit, "-to", keylife)...)
		cmd.Env = append(cmd.Env, "VAULT_TOKEN="+token)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}
