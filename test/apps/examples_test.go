// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package apps_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/apps/worker"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// example is a mount with the key that examples use, for one of them.
func example(t *testing.T) (e engine, env []string) {
	t.Helper()
	e = engine{server(t), unique("example")}
	e.server.Mount(t, e.mount, harness.PluginName)
	e.server.Must(t, "POST", e.mount+"/keys/orders", map[string]any{})
	return e, append(environment(), "VAULT_ADDR="+e.server.Address(), "VAULT_TOKEN="+e.server.Client().Token(), "KEYLIFE_MOUNT="+e.mount)
}

func TestExamplesInPython(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("../../examples/python/*.py")
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	for _, script := range scripts {
		if filepath.Base(script) == "flask_reload.py" {
			continue // a server: below
		}
		t.Run(filepath.Base(script), func(t *testing.T) {
			t.Parallel()
			_, env := example(t)
			run := exec.Command(python, script)
			run.Env = env
			out, err := run.CombinedOutput()
			require.NoError(t, err, "%s", out)
			t.Logf("%s", out)
		})
	}
}

// TestTheWebExampleReloadsItsKey has four processes of gunicorn notice a rotation, and open what was encrypted before it.
func TestTheWebExampleReloadsItsKey(t *testing.T) {
	t.Parallel()
	e, env := example(t)
	app := start(t, placed{env: append(env, fmt.Sprintf("KEYLIFE_TTL=%g", ttl.Seconds()))}, worker.Settings{}, "/version", func(listen string) *exec.Cmd {
		c := exec.Command(python, "-m", "gunicorn", "--preload", "-w", "4", "-b", listen, "flask_reload:create_app()")
		c.Dir = "../../examples/python"
		return c
	})
	old := app.post(t, "encrypt", "a secret")
	rotate(t, e.server, e.mount, "orders")
	harness.Eventually(t, ttl, func() error {
		for range 8 * gunicornWorkers {
			if v := app.version(t); v != 2 {
				return fmt.Errorf("a process is at version %d", v)
			}
		}
		return nil
	})
	require.Equal(t, "a secret", app.post(t, "decrypt", old))
	require.Equal(t, "another", app.post(t, "decrypt", app.post(t, "encrypt", "another")))
}

// post asks an application that answers with 200.
func (a *application) post(t testing.TB, path, body string) string {
	t.Helper()
	answer, err := a.http.Post(a.url+"/"+path, "application/octet-stream", strings.NewReader(body))
	require.NoError(t, err)
	return body200(t, answer)
}

func (a *application) version(t testing.TB) (version int) {
	t.Helper()
	answer, err := a.http.Get(a.url + "/version")
	require.NoError(t, err)
	var v struct{ Version int }
	require.NoError(t, json.Unmarshal([]byte(body200(t, answer)), &v))
	return v.Version
}

// TestTheExampleInGo rotates the key when the example waits for that.
func TestTheExampleInGo(t *testing.T) {
	t.Parallel()
	e, env := example(t)
	binary := filepath.Join(t.TempDir(), "example")
	out, err := exec.Command("go", "-C", "../../client", "build", "-o", binary, "./example").CombinedOutput()
	require.NoError(t, err, "%s", out)
	program := exec.Command(binary, "-mount", e.mount, "-key", "orders", "-every", "50ms")
	program.Env = env
	said := filepath.Join(t.TempDir(), "said")
	ended := run(t, program, said)
	harness.Eventually(t, startTimeout, func() error {
		if !strings.Contains(readFile(t, said), "waiting for a rotation") {
			return fmt.Errorf("so far: %s", readFile(t, said))
		}
		return nil
	})
	rotate(t, e.server, e.mount, "orders")
	require.NoError(t, <-ended, "%s", bytes.TrimSpace([]byte(readFile(t, said))))
	require.Contains(t, readFile(t, said), "under version 2 now")
}
