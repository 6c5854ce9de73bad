// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// Two mounts of one process move to one token, and live on it.
func TestMountsLiveOnAToken(t *testing.T) {
	t.Parallel()
	s := withToken(t, hsmtest.SoftHSMElsewhere(t), true)
	s.Mount(t, "second", harness.PluginName)
	mounts := []string{"keylife", "second"}
	texts := map[string][]string{}
	for _, mount := range mounts {
		s.Must(t, http.MethodPost, mount+"/keys/other", nil)
		s.Must(t, http.MethodPost, mount+"/keys/other/rotate", nil)
		s.Must(t, http.MethodPost, mount+"/keys/other/versions/1/archive", nil)
		texts[mount+"/other"] = []string{s.sealed(t, mount, "other")}
		require.Equal(t, []string{"archive/other/1", "versions/other/2"}, s.openedBySoftware(t, mount), "what the search finds")
	}
	t.Run("what is not the operator's choice is refused", func(t *testing.T) { s.requireRefusals(t) })
	for _, mount := range mounts {
		s.configure(t, mount)
		s.Must(t, http.MethodPost, mount+"/policies/p", object("owner", "o", "hsm", "required", "rotation_period", "2h", "rotation_jitter", "0s"))
		s.Must(t, http.MethodPost, mount+"/keys/k", object("policy", "p"))
		texts[mount+"/k"] = []string{s.sealed(t, mount, "k")}
	}
	require.Equal(t, 1, number(s.status(t, "second")["logins"]), "one login for all mounts")
	other := s.Do(t, http.MethodPost, "second/config/hsm", s.settings("pin", "another"))
	s.requireRefused(t, other, http.StatusBadRequest, "PIN")
	require.Equal(t, "healthy", s.status(t, "keylife")["state"], "the other mount goes on")

	s.Advance(t, 121*time.Minute)
	for _, mount := range mounts {
		s.Tick(t, mount)
		require.Equal(t, 2, number(s.Must(t, http.MethodGet, mount+"/keys/k", nil)["latest_version"]), "rotated by the policy")
		texts[mount+"/k"] = append(texts[mount+"/k"], s.sealed(t, mount, "k"))
	}
	s.requireAllOpens(t, texts)
	s.Stop(t)
	s.Restart(t)
	s.requireAllOpens(t, texts)

	for _, mount := range mounts {
		before := s.status(t, mount)["active"]
		after := s.Must(t, http.MethodPost, mount+"/hsm/keks/rotate", object("reason", lifeReason))["active"]
		require.NotEqual(t, before, after)
		s.rewrap(t, mount)
		require.Empty(t, s.openedBySoftware(t, mount), "no entry that software opens alone")
		require.Empty(t, s.sealedByOthers(t, mount), "no entry that another key than the active ones wraps")
	}
	s.requireTokenAsTold(t, mounts...)
	s.ReloadPlugin(t)
	s.requireAllOpens(t, texts)
	t.Run("what is exchanged in storage is noticed", func(t *testing.T) { s.requireExchangesNoticed(t, texts) })
}

// requireAllOpens wants ciphertexts, by mount and key, to open.
func (s tokenServer) requireAllOpens(t *testing.T, texts map[string][]string) {
	t.Helper()
	for at, ciphertexts := range texts {
		mount, key, _ := strings.Cut(at, "/")
		s.requireOpens(t, mount, key, ciphertexts...)
	}
}

func (s tokenServer) requireRefusals(t *testing.T) {
	for name, value := range map[string]any{"library": s.token.Library, "token_label": "absent", "pin": "wrong"} {
		for _, path := range []string{"keylife/config/hsm", "keylife/config/hsm/test"} {
			reply := s.Do(t, http.MethodPost, path, s.settings(name, value))
			status := map[string]int{"library": 400, "token_label": 503, "pin": 400}[name]
			require.Equal(t, status, reply.Status, "%s: %v", name, reply.Body)
			require.NotContains(t, fmt.Sprint(reply.Body), s.token.PIN)
		}
	}
	reply := s.Do(t, http.MethodPost, "keylife/config/hsm", s.settings("library", s.token.Library))
	s.requireRefused(t, reply, http.StatusBadRequest, "must be one of softhsm")
	require.Equal(t, http.StatusNotFound, s.Do(t, http.MethodGet, "keylife/config/hsm", nil).Status, "nothing is stored")
	require.Empty(t, keysOn(t, s.token), "nothing is on the token")
}

// The binary without C has all paths, and says what it lacks.
func TestTheBinaryWithoutPKCS11SaysSo(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	for _, path := range []string{"/config/hsm", "/config/hsm/test"} {
		reply := s.Do(t, http.MethodPost, mount+path, object("library", namedLibrary, "token_label", "l", "pin", "1234"))
		require.Equal(t, http.StatusBadRequest, reply.Status, "%v", reply.Body)
		require.Contains(t, fmt.Sprint(reply.Body["errors"]), "without PKCS#11")
	}
	require.Equal(t, "not_configured", s.Must(t, http.MethodGet, mount+"/hsm/status", nil)["state"])
}
