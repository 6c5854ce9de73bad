// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

var updateDocs = flag.Bool("update", false, "rewrite what the commands in the documentation print")

// runnable is a block of a page that is run: "console" has commands behind "$ ", each with what it prints; "bash" is a script
// of which the output is not shown. The blocks of a page run in order, in one directory, on a mount of their own, in the place
// of keylife/. A command that shows no output has to succeed; a line "..." stands for any number of lines; a command that shows
// a line "Code: 400..." has to fail.
var runnable = regexp.MustCompile("(?ms)^```(console|bash)\n(.*?)^```$")

// varying is what differs from run to run.
var varying = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d`), "DATE"},
	{regexp.MustCompile(`vault:v(\d+):[A-Za-z0-9+/=]+`), "vault:v$1:CIPHERTEXT"},
	{regexp.MustCompile(`\b(ap|rv)-[a-z2-7]{26}\b`), "$1-ID"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`\b[0-9a-f]{32,64}\b`), "HEX"},
	{regexp.MustCompile(`\b[A-Za-z0-9+/]{43,87}=+`), "BASE64"},
	{regexp.MustCompile(`\b1[789]\d{8}\b`), "SECONDS"},
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`-{3,}`), "---"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

func TestTheCommandsOfTheDocumentationDoWhatItShows(t *testing.T) {
	t.Parallel()
	s := server(t)
	files, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	var ran []string
	for _, file := range append(files, "../README.md") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if !runnable.Match(text) {
			continue
		}
		ran = append(ran, filepath.Base(file))
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			shell := shellFor(t, s, filepath.Base(file))
			var out strings.Builder
			rest := string(text)
			for match := runnable.FindStringSubmatchIndex(rest); match != nil; match = runnable.FindStringSubmatchIndex(rest) {
				out.WriteString(rest[:match[4]])
				out.WriteString(shell.block(t, rest[match[2]:match[3]], rest[match[4]:match[5]]))
				rest = rest[match[5]:]
			}
			if *updateDocs {
				require.NoError(t, os.WriteFile(file, []byte(out.String()+rest), 0o600))
			}
		})
	}
	for _, page := range []string{"README.md", "keys.md", "policies.md", "rotation.md", "compromise.md", "destruction.md", "custody.md", "governance.md", "break-glass.md", "hsm.md", "migrate-from-transit.md"} {
		require.Contains(t, ran, page, "a page has lost its commands")
	}
}

// shell runs the commands of one page.
type shell struct {
	dir, mount string
	env        []string
}

// shellFor is a shell for a page. That which sets up an HSM begins on a server where nothing is mounted, that which moves mounts on
// one that has no others, and each with people on one where nobody else has their names.
func shellFor(t *testing.T, s *harness.Server, page string) shell {
	t.Helper()
	switch page {
	case "hsm.md":
		bare := harness.Start(t, harness.Options{PKCS11: true})
		bare.InstallPlugin(t, "vault-plugin-keylife-hsm")
		return shellOn(t, bare, harness.PluginName)
	case "migrate-from-transit.md":
		both := harness.Start(t, harness.Standard())
		for key, leaves := range map[string]bool{"orders": true, "invoices": false} {
			_, err := both.Client().Logical().Write("transit/keys/"+key, map[string]any{"exportable": leaves, "allow_plaintext_backup": leaves})
			require.NoError(t, err)
		}
		return shellOn(t, both, harness.PluginName)
	case "governance.md", "break-glass.md":
		return shellOn(t, harness.Start(t, harness.Standard()), harness.PluginName)
	default:
		return newShell(t, s)
	}
}

func newShell(t *testing.T, s *harness.Server) shell {
	t.Helper()
	return shellOn(t, s, freshMount(t, s, harness.PluginName))
}

func shellOn(t *testing.T, s *harness.Server, mount string) shell {
	t.Helper()
	sh := shell{dir: t.TempDir(), mount: mount}
	bin := t.TempDir()
	for name, variable := range map[string]string{
		"vault": "VAULT_BIN", "vault-plugin-keylife": "KEYLIFE_PLUGIN", "vault-plugin-keylife-hsm": "KEYLIFE_PLUGIN_HSM",
	} {
		path, err := filepath.Abs(os.Getenv(variable))
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(bin, name)))
	}
	examples, err := filepath.Abs("../examples")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(examples, filepath.Join(sh.dir, "examples")))
	sh.env = []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + sh.dir, "LC_ALL=C", "TZ=UTC",
		"VAULT_ADDR=" + s.Address(), "VAULT_TOKEN=" + s.Client().Token(),
	}
	return sh
}

// run returns what a command prints, and whether it succeeded.
func (sh shell) run(t *testing.T, command string) ([]string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", strings.ReplaceAll(command, "keylife/", sh.mount+"/"))
	cmd.Dir, cmd.Env = sh.dir, sh.env
	out, err := cmd.CombinedOutput()
	text := strings.Trim(strings.ReplaceAll(string(out), sh.mount+"/", "keylife/"), "\n")
	if text == "" {
		return nil, err == nil
	}
	return strings.Split(text, "\n"), err == nil
}

// block runs a block and returns it as it should be.
func (sh shell) block(t *testing.T, kind, text string) string {
	t.Helper()
	if kind == "bash" {
		got, ok := sh.run(t, text)
		require.True(t, ok, "%s\n%s", text, strings.Join(got, "\n"))
		return text
	}
	var out []string
	for _, step := range strings.Split("\n"+strings.TrimSuffix(text, "\n"), "\n$ ")[1:] {
		lines := strings.Split(step, "\n")
		n := 1
		for n < len(lines) && strings.HasSuffix(lines[n-1], `\`) {
			n++
		}
		shown := lines[n:]
		got, ok := sh.run(t, strings.Join(lines[:n], "\n"))
		fails := slices.ContainsFunc(shown, func(line string) bool { return strings.HasPrefix(line, "Code: ") })
		switch {
		case len(shown) > 0 && *updateDocs && !matches(shown, got):
			shown = abridged(got)
		case ok == fails || len(shown) > 0 && !matches(shown, got):
			require.Fail(t, "another output than is shown; to renew it: -update", "%s\n%s", lines[0], strings.Join(got, "\n"))
		}
		out = append(append(append(out, "$ "+lines[0]), lines[1:n]...), shown...)
	}
	return strings.Join(out, "\n") + "\n"
}

// abridged leaves out what Vault's command line says before the answer of a request that was refused.
func abridged(got []string) []string {
	if i := slices.IndexFunc(got, func(line string) bool { return strings.HasPrefix(line, "Code: ") }); i > 0 {
		return append([]string{"..."}, got[i:]...)
	}
	return got
}

// matches compares two outputs, but for what varies and what "..." stands for.
func matches(shown, got []string) bool {
	switch {
	case len(shown) == 0:
		return len(got) == 0
	case shown[0] == "...":
		return matches(shown[1:], got) || len(got) > 0 && matches(shown, got[1:])
	default:
		return len(got) > 0 && constant(shown[0]) == constant(got[0]) && matches(shown[1:], got[1:])
	}
}

func constant(line string) string {
	for _, v := range varying {
		line = v.pattern.ReplaceAllString(line, v.word)
	}
	return strings.TrimSpace(line)
}
