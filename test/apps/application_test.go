// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package apps_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/test/apps/worker"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// bounds of applications are those of a client, made short.
const (
	ttl          = 2 * time.Second
	staleProtect = 8 * time.Second
	maxStale     = 12 * time.Second
)

const (
	startTimeout = 30 * time.Second // of an application
	useTimeout   = time.Minute      // in which one answers
)

const python = "/usr/bin/python3"

// application is a running program of worker/ or python/worker.py.
type application struct {
	url  string
	http *http.Client
}

// placed is the environment of an application, beside its settings.
type placed struct {
	address, token string   // of Vault
	env            []string // more variables, or others in place of these
}

// languages start an application each.
var languages = map[string]func(t testing.TB, in placed, s worker.Settings) *application{
	"go": startGo,
	"python": func(t testing.TB, in placed, s worker.Settings) *application {
		return startPython(t, in, s, "-w", "1", "--threads", "16")
	},
}

// inEachLanguage runs a test with an application of each, at the same time.
func inEachLanguage(t *testing.T, test func(t *testing.T, start func(in placed, s worker.Settings) *application)) {
	for language, start := range languages {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			test(t, func(in placed, s worker.Settings) *application { return start(t, in, s) })
		})
	}
}

func startGo(t testing.TB, in placed, s worker.Settings) *application {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	return start(t, in, s, "/report", func(string) *exec.Cmd { return exec.Command(binary) })
}

// startPython starts gunicorn with options of its own, which serves python/worker.py.
func startPython(t testing.TB, in placed, s worker.Settings, options ...string) *application {
	t.Helper()
	return start(t, in, s, "/report", func(listen string) *exec.Cmd {
		// A connection that gunicorn closes while a request is under way is no error of the application's.
		arguments := append([]string{"-m", "gunicorn", "-b", listen, "--worker-class", "gthread", "--keep-alive", "60", "--log-level", "warning"}, options...)
		c := exec.Command(python, append(arguments, "worker:app")...)
		c.Dir = "python"
		return c
	})
}

// start runs a command until the end of the test, and returns when it answers at the path that tells that it is ready.
func start(t testing.TB, in placed, s worker.Settings, ready string, command func(listen string) *exec.Cmd) *application {
	t.Helper()
	s.Listen = freeAddress(t)
	if s.Bounds == nil {
		s.Bounds = map[string]float64{"ttl": ttl.Seconds(), "stale_protect": staleProtect.Seconds(), "max_stale": maxStale.Seconds()}
	}
	if s.Timeout == 0 {
		s.Timeout = 3 // longer than the second for which a use waits that could go on without Vault
	}
	settings, err := json.Marshal(s)
	require.NoError(t, err)
	c := command(s.Listen)
	c.Env = append(environment(), "KEYLIFE_WORKER="+string(settings), "VAULT_ADDR="+in.address, "VAULT_TOKEN="+in.token)
	c.Env = append(c.Env, in.env...)
	log := filepath.Join(t.TempDir(), "application.log")
	ended := run(t, c, log)
	a := &application{url: "http://" + s.Listen, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: useTimeout}}
	t.Cleanup(a.http.CloseIdleConnections)
	t.Cleanup(func() { logOf(t, log) })
	harness.Eventually(t, startTimeout, func() error {
		require.Empty(t, ended, "the application has ended by itself")
		answer, err := a.http.Get(a.url + ready)
		if err != nil {
			return err
		}
		return answer.Body.Close()
	})
	return a
}

// environment is the test's, without what a developer has set for Vault.
func environment() []string {
	root, err := filepath.Abs("../..")
	if err != nil {
		panic("internal error: no working directory: " + err.Error())
	}
	kept := []string{"PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=" + filepath.Join(root, "python")}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "VAULT_") && !strings.HasPrefix(variable, "PYTHON") {
			kept = append(kept, variable)
		}
	}
	return kept
}

// run starts a command that leads a process group of its own, and ends that with the test. The channel has something in it when the
// command has ended.
func run(t testing.TB, c *exec.Cmd, log string) <-chan error {
	t.Helper()
	out, err := os.Create(log)
	require.NoError(t, err)
	defer out.Close()
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, c.Start())
	ended := make(chan error, 1)
	var waited sync.WaitGroup
	waited.Go(func() { ended <- c.Wait() })
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // ESRCH: it has ended
		waited.Wait()
	})
	return ended
}

func logOf(t testing.TB, log string) {
	if text, err := os.ReadFile(log); t.Failed() && err == nil {
		t.Logf("what the application said:\n%s", text)
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// encrypt and decrypt are uses of a key. They fail the test only where the application does not answer.
func (a *application) encrypt(key string, plaintext string) (message string, outcome client.Outcome, err error) {
	return a.use(key, "encrypt", plaintext)
}

func (a *application) decrypt(key string, message string) (plaintext string, outcome client.Outcome, err error) {
	return a.use(key, "decrypt", message)
}

// use returns what was answered; the text of the error where the outcome is not OK.
func (a *application) use(key, op, body string) (string, client.Outcome, error) {
	answer, err := a.http.Post(a.url+"/"+key+"/"+op, "application/octet-stream", strings.NewReader(body))
	if err != nil {
		return "", "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", "", err
	}
	for outcome, status := range worker.Statuses {
		if status == answer.StatusCode {
			return string(text), outcome, nil
		}
	}
	return "", "", fmt.Errorf("%s of %s answered %d: %s", op, key, answer.StatusCode, bytes.TrimSpace(text))
}

// mustEncrypt succeeds, be it not at once: a machine that has much else to do may take longer than a use waits.
func (a *application) mustEncrypt(t testing.TB, key, plaintext string) (message string) {
	t.Helper()
	harness.Eventually(t, startTimeout, func() error {
		said, outcome, err := a.encrypt(key, plaintext)
		message = said
		return unlessOK(said, outcome, err)
	})
	return message
}

// report is what the client of the application said of itself.
func (a *application) report(t testing.TB) (r struct{ Operations, Requests map[string]int }) {
	t.Helper()
	answer, err := a.http.Get(a.url + "/report")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(body200(t, answer)), &r))
	return r
}

// requests counts those that the application's client has sent.
func (a *application) requests(t testing.TB) int {
	t.Helper()
	sum := 0
	for n := range maps.Values(a.report(t).Requests) {
		sum += n
	}
	return sum
}

// body200 reads an answer that has to be 200.
func body200(t testing.TB, answer *http.Response) string {
	t.Helper()
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, "%s", text)
	return string(text)
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}
