// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package apps_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
)

// large is longer than two segments of a stream.
const large = 2<<20 + 5

// TestPythonOnBothEngines runs python/test_suite.py, which uses the library as suite_test.go does, opens what Go wrote into a directory,
// and writes there what Go opens.
func TestPythonOnBothEngines(t *testing.T) {
	t.Parallel()
	for _, mount := range []string{"keylife", "transit"} {
		t.Run(mount, func(t *testing.T) {
			t.Parallel()
			e, dir := engine{server(t), mount}, t.TempDir()
			k := e.key(t)
			write(t, k, dir)
			pytest := exec.Command(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_suite.py")
			pytest.Dir = "python"
			pytest.Env = append(environment(), "VAULT_ADDR="+e.server.Address(), "VAULT_TOKEN="+e.server.Client().Token(),
				"KEYLIFE_MOUNT="+mount, "KEYLIFE_INTERCHANGE="+dir, "KEYLIFE_INTERCHANGE_KEY="+name(t, k))
			out, err := pytest.CombinedOutput()
			require.NoError(t, err, "%s", out)
			t.Logf("%s", out)
			read(t, e.again(t, name(t, k)), dir)
		})
	}
}

// write writes a field and a stream for Python.
func write(t *testing.T, k *client.Key, dir string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.field"), encrypt(t, k, "written in go"), 0o600))
	file, err := os.Create(filepath.Join(dir, "go.stream"))
	require.NoError(t, err)
	defer file.Close()
	w, err := k.EncryptStream(t.Context(), file, card)
	require.NoError(t, err)
	_, err = w.Write(make([]byte, large))
	require.NoError(t, err)
	require.NoError(t, w.Close())
}

// read opens a field and a stream that Python wrote.
func read(t *testing.T, k *client.Key, dir string) {
	t.Helper()
	requireOpens(t, k, []byte(readFile(t, filepath.Join(dir, "python.field"))), "written in python")
	file, err := os.Open(filepath.Join(dir, "python.stream"))
	require.NoError(t, err)
	defer file.Close()
	r, err := k.DecryptStream(t.Context(), file, card)
	require.NoError(t, err)
	opened, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, make([]byte, large), opened)
}
