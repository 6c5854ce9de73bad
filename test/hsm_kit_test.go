// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// tokenServer is a server of which the plugin has a token of SoftHSM, for all its mounts.
type tokenServer struct {
	*harness.Server
	token hsmtest.Fixture
	pins  string // the folder that pin_file is looked for in
}

// withToken starts a server. With clock, its time can be moved.
func withToken(t *testing.T, token hsmtest.Fixture, clock bool) tokenServer {
	t.Helper()
	pins := t.TempDir()
	env := append([]string{"KEYLIFE_PKCS11_LIBS=softhsm=" + token.Library, "KEYLIFE_PIN_DIR=" + pins}, token.Environment...)
	s := harness.Start(t, harness.Options{PKCS11: true, Clock: clock, Env: env, Mounts: map[string]string{"keylife": harness.PluginName}})
	return tokenServer{s, token, pins}
}

// settings are what config/hsm takes.
func (s tokenServer) settings(namesAndValues ...any) string {
	of := map[string]any{"library": "softhsm", "token_label": s.token.Label, "pin": s.token.PIN}
	order := []any{}
	for i := 0; i < len(namesAndValues); i += 2 {
		of[namesAndValues[i].(string)] = namesAndValues[i+1]
	}
	for name, value := range of {
		order = append(order, name, value)
	}
	return object(order...)
}

func (s tokenServer) configure(t testing.TB, mount string, namesAndValues ...any) {
	t.Helper()
	s.Must(t, http.MethodPost, mount+"/config/hsm", s.settings(namesAndValues...))
}

func (s tokenServer) status(t testing.TB, mount string) map[string]any {
	t.Helper()
	return s.Must(t, http.MethodGet, mount+"/hsm/status", nil)
}

// sealed encrypts with the newest version of a key.
func (s tokenServer) sealed(t testing.TB, mount, key string) string {
	t.Helper()
	text, _ := s.Must(t, http.MethodPost, mount+"/encrypt/"+key, object("plaintext", hello))["ciphertext"].(string)
	return text
}

func (s tokenServer) requireOpens(t testing.TB, mount, key string, ciphertexts ...string) {
	t.Helper()
	for _, c := range ciphertexts {
		require.Equal(t, hello, openAt(t, s.Server, mount, key, f0(), c, ""))
	}
}

// respawned waits until a mount answers again.
func (s tokenServer) respawned(t testing.TB, mount string) {
	t.Helper()
	harness.Eventually(t, backAfter, func() error {
		reply, err := s.Send(harness.Request{Method: http.MethodGet, Path: mount + "/hsm/status"})
		if err != nil || reply.Status != http.StatusOK {
			return fmt.Errorf("the mount answers %d %v %w", reply.Status, reply.Body, err)
		}
		return nil
	})
}

// rewrap has ticks come until all material is wrapped by the active keys. A pass that may be the last one begins five minutes after they
// came into force.
func (s tokenServer) rewrap(t testing.TB, mount string) {
	t.Helper()
	const ticks = 10
	for range ticks {
		s.Advance(t, 3*time.Minute)
		s.Tick(t, mount)
		if len(s.StoredKeys(t, mount, "intents/rewrap/")) == 0 {
			return
		}
	}
	require.Fail(t, "material is still to be wrapped anew", "%v", s.StoredKeys(t, mount, "intents/rewrap/"))
}

// kek is a key encryption key as hsm/keks/:id tells it.
type kek struct {
	id, purpose, state, label, ckaID string
	onToken                          bool
}

func (s tokenServer) keks(t testing.TB, mount string) (all []kek) {
	t.Helper()
	ids, _ := s.Must(t, "LIST", mount+"/hsm/keks", nil)["keys"].([]any)
	for _, id := range ids {
		k := s.Must(t, http.MethodGet, fmt.Sprintf("%s/hsm/keks/%v", mount, id), nil)
		text := func(name string) string { return fmt.Sprint(k[name]) }
		all = append(all, kek{text("id"), text("purpose"), text("state"), text("label"), text("cka_id"), k["on_token"] == true})
	}
	return all
}

// requireTokenAsTold demands that the token holds the keys that the mounts say are on it, and no others; and that each purpose of a mount
// has one key that is active.
func (s tokenServer) requireTokenAsTold(t testing.TB, mounts ...string) {
	t.Helper()
	var told []string
	for _, mount := range mounts {
		active := map[string]int{}
		for _, k := range s.keks(t, mount) {
			if k.onToken {
				told = append(told, k.label+" "+k.ckaID)
			}
			if k.state == "active" {
				active[k.purpose]++
			}
		}
		require.Equal(t, map[string]int{"use": 1, "archive": 1}, active, mount)
	}
	onToken := slices.DeleteFunc(keysOn(t, s.token), leftover)
	require.ElementsMatch(t, told, onToken, "keys on the token")
}

// leftover reports keys that may be left of a plugin that was killed: of a self-test, and, as SoftHSM makes an object before it gives it
// what it has, one without a label, id and value.
func leftover(key string) bool { return strings.HasPrefix(key, "keylife-self-test ") || key == " " }

// writePIN puts a PIN where pin_file finds it, and returns its name.
func (s tokenServer) writePIN(t testing.TB, pin string) (name string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(s.pins, "pin"), []byte(pin), 0o600))
	return "pin"
}

// requireRefused demands an answer that says why.
func (s tokenServer) requireRefused(t testing.TB, reply harness.Reply, status int, why string) {
	t.Helper()
	require.Equal(t, status, reply.Status, "%v", reply.Body)
	require.Contains(t, strings.ToLower(fmt.Sprint(reply.Body["errors"])), strings.ToLower(why))
}
