// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mitchellh/go-homedir"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/clienttest"
	"github.com/keylife/vault-plugin-keylife/client/internal/atomicfile"
)

// server is a Vault that the command reaches as people reach theirs.
type server struct {
	*clienttest.FakeVault
	t    *testing.T
	home string

	mu   sync.Mutex
	seen []http.Header // of each request
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{FakeVault: clienttest.New(t), t: t, home: t.TempDir()}
	s.CreateKey("orders")
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Header.Clone())
		s.mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "/encrypt/orders") { // of Vault itself, which clients do not ask for
			_, _ = io.WriteString(w, `{"data":{"ciphertext":"vault:v1:AAAA"}}`)
			return
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	for _, name := range []string{"VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT"} {
		t.Setenv(name, "")
	}
	t.Setenv("VAULT_ADDR", web.URL)
	t.Setenv("HOME", s.home)
	homedir.Reset() // it remembers that of the test before
	t.Setenv("VAULT_CONFIG_PATH", filepath.Join(s.home, "none"))
	return s
}

func (s *server) run(stdin string, args ...string) result {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr, fs: atomicfile.OS{}, now: time.Now, connect: connect}
	code := a.run(context.Background(), args)
	return result{code, stdout.String(), stderr.String()}
}

func (s *server) headers() []http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func TestTheCommandLogsInAsPeopleDo(t *testing.T) {
	for name, set := range map[string]func(s *server) []string{
		"VAULT_TOKEN": func(s *server) []string {
			s.t.Setenv("VAULT_TOKEN", s.Client().Token())
			return nil
		},
		"the token of the last login": func(s *server) []string {
			file(s.t, s.home, ".vault-token", s.Client().Token())
			return nil
		},
		"AppRole": func(s *server) []string {
			return []string{"-role-id", "r", "-secret-id-file", file(s.t, s.home, "secret", "x")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			flags := append([]string{"-key", "orders"}, set(s)...)
			r := s.run("plain", append([]string{"encrypt"}, flags...)...)
			require.Equal(t, exitOK, r.code, r.stderr)
			r = s.run(r.stdout, append([]string{"decrypt"}, flags...)...)
			require.Equal(t, exitOK, r.code, r.stderr)
			require.Equal(t, "plain", r.stdout)
			require.Contains(t, s.headers()[len(s.headers())-1].Get("User-Agent"), "(keylife-command)")
			r = s.run("", append([]string{"bench", "-time", "100ms"}, flags...)...)
			require.Equal(t, exitOK, r.code, r.stderr)
			require.Contains(t, r.stdout, "ratio of encrypting")
		})
	}
}

func TestWithoutATokenTheCommandSaysWhatToDo(t *testing.T) {
	s := newServer(t)
	r := s.run("plain", "encrypt", "-key", "orders")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.stderr, "run vault login")
	require.Empty(t, s.Requests())
}

func TestTheNamespaceGoesWithEveryRequest(t *testing.T) {
	s := newServer(t)
	t.Setenv("VAULT_TOKEN", s.Client().Token())
	t.Setenv("VAULT_NAMESPACE", "team")
	require.Equal(t, exitOK, s.run("plain", "encrypt", "-key", "orders").code)
	require.NotEmpty(t, s.headers())
	for _, header := range s.headers() {
		require.Equal(t, "team", header.Get("X-Vault-Namespace"))
	}
}

func TestARewrapAsksForBatchesAndForNoPlaintext(t *testing.T) {
	s := newServer(t)
	t.Setenv("VAULT_TOKEN", s.Client().Token())
	folder := t.TempDir()
	text := s.run("plain", "encrypt", "-key", "orders", "-text").stdout
	stream := s.run("plain", "encrypt", "-key", "orders").stdout
	for _, name := range []string{"a", "b", "c"} {
		file(t, folder, name+".txt", text)
		file(t, folder, name, stream)
	}
	s.Rotate("orders")
	s.ResetRequests()
	r := s.run("", "rewrap", "-key", "orders", folder)
	require.Equal(t, exitOK, r.code, r.stderr)
	require.Contains(t, r.stderr, "6 rewrapped, 0 under the newest version already, 0 passed over, 0 failed; newest version of orders: 2")
	asked := s.Requests()
	require.Equal(t, 2, asked[clienttest.Rewrap])
	require.Zero(t, asked[clienttest.Decrypt]+asked[clienttest.DataKey])
	for _, name := range names(t, folder) {
		require.Equal(t, "plain", s.run("", "decrypt", "-key", "orders", filepath.Join(folder, name)).stdout)
	}
}

func TestAVersionThatIsArchivedIsToldByFile(t *testing.T) {
	s := newServer(t)
	t.Setenv("VAULT_TOKEN", s.Client().Token())
	folder := t.TempDir()
	file(t, folder, "a", s.run("plain", "encrypt", "-key", "orders").stdout)
	s.Rotate("orders")
	s.SetState("orders", 1, clienttest.Archived)
	before, err := os.ReadFile(filepath.Join(folder, "a"))
	require.NoError(t, err)
	r := s.run("", "rewrap", "-key", "orders", folder)
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, `/a: key "orders", version 1: `)
	require.Equal(t, string(before), read(t, filepath.Join(folder, "a")))
}

func TestARefusedTokenIsNoSecretInWhatIsSaid(t *testing.T) {
	s := newServer(t)
	t.Setenv("VAULT_TOKEN", "hvs.not-a-token")
	r := s.run("plain", "encrypt", "-key", "orders")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "access denied")
	require.NotContains(t, r.stderr, "hvs.")
}
