// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

const (
	requestTimeout = slack * 90 * time.Second // Vault is told the same, and not to end a request after 90
	startTimeout   = 60 * time.Second
	clientConns    = 64
)

// Options choose what a server starts with.
type Options struct {
	LogLevel string            // Vault's log level; info when empty
	Mounts   map[string]string // path to type, such as "keylife/": "keylife"
	Uncached bool              // Vault's own cache of its storage is off: a read does not wait for a write of the same entry
	Clock    bool              // the plugin is built with the tag testclock, and Advance moves its time
	PKCS11   bool              // the plugin is the one that speaks PKCS#11
	Env      []string          // what the plugin is registered with for its environment, as NAME=value
	Seal     string            // a stanza of the configuration: what unseals the server by itself
	TLS      *TLS              // listens a second time, to clients that show a certificate

	// Between is told the folder of a node of a cluster and where it listens for the others, and says what they reach it by; nil: they
	// reach it there.
	Between func(folder, listens string) (reached string, err error)

	member int // which node of a cluster it is, from 1; 0: it is alone
}

// TLS has the PEM files of a listener. Whoever shows no certificate of ClientCA, or one that has expired, is not heard.
type TLS struct{ Certificate, Key, ClientCA string }

// Standard is a server with both engines side by side.
func Standard() Options {
	return Options{Mounts: map[string]string{"keylife": PluginName, "transit": "transit"}}
}

// Server is one Vault server over its whole life, restarts included. Its request methods may be called from many
// goroutines; the methods that change the server's state may not.
type Server struct {
	vault   string // path of the binary
	files   files
	address string
	tls     string // address of the second listener
	http    *http.Client
	client  *api.Client
	process *process
	sealed  bool   // something else unseals it
	member  bool   // of a cluster
	clock   *clock // nil: the plugin goes by the machine's time

	unsealKey, token string // no unseal key where the server unseals itself
}

// Start runs a server for one test and stops it with the test. When the test fails, the end of the log is shown.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Launch(t.TempDir(), o)
	if s != nil {
		s.endWith(t)
	}
	require.NoError(t, err)
	return s
}

// endWith stops the server with the test.
func (s *Server) endWith(t testing.TB) {
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			t.Logf("end of the Vault log:\n%s", s.LogTail())
		}
	})
}

// Launch runs a server that belongs to no test; the caller calls Close. The server is not nil when it was started and
// only its set-up failed.
func Launch(dir string, o Options) (*Server, error) {
	s, sum, err := boot(dir, o)
	if err != nil {
		return s, err
	}
	return s, s.setUp(sum, o)
}

// boot runs a server that has yet to be initialised, or to join. It returns the SHA-256 of its plugin. The server is not nil when
// it was started.
func boot(dir string, o Options) (s *Server, sum string, err error) {
	vault, err := binary("VAULT_BIN", "build the server with scripts/vault.sh")
	if err != nil {
		return nil, "", err
	}
	plugin, err := o.plugin()
	if err != nil {
		return nil, "", err
	}
	if s, err = newServer(vault, dir, o); err != nil {
		return nil, "", err
	}
	if sum, err = s.files.installPlugin(plugin, PluginName); err != nil {
		return nil, "", err
	}
	return s, sum, s.run()
}

// plugin finds the binary that the server is to run.
func (o Options) plugin() (string, error) {
	variable, build := "KEYLIFE_PLUGIN", "build the plugin with scripts/build.sh"
	if o.PKCS11 {
		variable, build = variable+"_HSM", build+" hsm"
	}
	if o.Clock {
		variable, build = variable+"_TESTCLOCK", build+" testclock"
	}
	return binary(variable, build)
}

func newServer(vault, dir string, o Options) (*Server, error) {
	if o.LogLevel == "" {
		o.LogLevel = "info"
	}
	f, err := layOut(dir)
	if err != nil {
		return nil, err
	}
	addresses, err := freeAddresses(4)
	if err != nil {
		return nil, err
	}
	if err := f.writeConfig(o, addresses); err != nil {
		return nil, err
	}
	s := &Server{vault: vault, files: f, sealed: o.Seal != "", member: o.member > 0, address: "http://" + addresses[0], tls: "https://" + addresses[2]}
	if o.Clock {
		s.clock = &clock{path: f.clock}
	}
	transport := &http.Transport{MaxIdleConnsPerHost: clientConns}
	s.http = &http.Client{Transport: transport, Timeout: requestTimeout}
	s.client, err = newClient(s.address)
	return s, err
}

// newClient makes an api client that sends every request once.
func newClient(address string) (*api.Client, error) {
	c := api.DefaultConfig()
	c.Address = address
	c.Timeout = requestTimeout
	client, err := api.NewClient(c)
	if err != nil {
		return nil, err
	}
	client.ClearNamespace()
	client.SetMaxRetries(0)
	return client, nil
}

// run starts the process and waits until it answers.
func (s *Server) run() (err error) {
	if s.process, err = startProcess(s.files.log, s.vault, "server", "-config", s.files.config); err != nil {
		return err
	}
	return poll(startTimeout, func() error {
		if !s.process.running() {
			return errors.New("the server has ended by itself")
		}
		_, err := s.client.Sys().SealStatus()
		return err
	})
}

// Client is an api client with the root token and without retries.
func (s *Server) Client() *api.Client { return s.client }

// Address is the URL of the server.
func (s *Server) Address() string { return s.address }

// TLSAddress is the URL of the listener that [Options.TLS] asks for.
func (s *Server) TLSAddress() string { return s.tls }

// Close ends the server and every plugin process of it.
func (s *Server) Close() {
	if s.process != nil {
		_ = s.process.stop() // kill below is the answer to a server that does not stop
		s.process.kill()
	}
}

// Stop ends the server as an operator does, with SIGTERM. The storage stays.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	require.NoError(t, s.process.stop())
}

// Kill ends the server and its plugins at once with SIGKILL. The storage stays as it is at that moment.
func (s *Server) Kill() { s.process.kill() }

// Restart starts a stopped or killed server on the same storage and unseals it.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	require.False(t, s.process.running(), "Stop or Kill the server before Restart")
	require.NoError(t, s.run())
	s.Unseal(t)
}

// Log is everything the server has logged so far.
func (s *Server) Log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(s.files.log)
	require.NoError(t, err)
	return string(text)
}

// LogTail is the end of the log, for the eye.
func (s *Server) LogTail() string {
	const most = 8 << 10
	text, err := os.ReadFile(s.files.log)
	if err != nil {
		return fmt.Sprintf("no log: %v", err)
	}
	return string(text[max(0, len(text)-most):])
}
