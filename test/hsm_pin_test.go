// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
)

// A token may lock after a few wrong PINs, so one is tried once: whatever asks for the token, and whatever begins anew.
func TestAWrongPINIsTriedOnce(t *testing.T) {
	t.Parallel()
	token, faults := hsmtest.Faulty(t, hsmtest.SoftHSMElsewhere(t))
	s := withToken(t, token, false)
	logins := func() int { return faults.Calls("C_Login") }
	for n := 1; n <= 2; n++ { // each write is a new word of the operator's
		s.requireRefused(t, s.Do(t, http.MethodPost, "keylife/config/hsm", s.settings("pin", "wrong")), http.StatusBadRequest, "rejected the PIN")
		require.Equal(t, n, logins())
	}
	require.Equal(t, http.StatusNotFound, s.Do(t, http.MethodGet, "keylife/config/hsm", nil).Status)

	file := s.writePIN(t, token.PIN)
	s.Must(t, http.MethodPost, "keylife/config/hsm", object("library", "softhsm", "token_label", token.Label, "pin_file", file))
	s.Must(t, http.MethodPost, "keylife/keys/k", nil)
	text := s.sealed(t, "keylife", "k")

	s.writePIN(t, "changed by somebody")
	before := logins()
	s.ReloadPlugin(t)
	for range 20 {
		reply := s.Do(t, http.MethodPost, "keylife/decrypt/k", object("ciphertext", text))
		s.requireRefused(t, reply, http.StatusServiceUnavailable, "rejected the PIN")
	}
	require.Equal(t, before+1, logins(), "one login with the wrong PIN")
	require.Equal(t, "pin_rejected", s.status(t, "keylife")["state"])
	s.Tick(t, "keylife")

	for name, again := range map[string]func(){
		"reload":  func() { s.ReloadPlugin(t) },
		"death":   func() { s.KillPlugin(t) },
		"restart": func() { s.Stop(t); s.Restart(t) },
	} {
		again()
		s.respawned(t, "keylife")
		reply := s.Do(t, http.MethodPost, "keylife/decrypt/k", object("ciphertext", text))
		s.requireRefused(t, reply, http.StatusServiceUnavailable, "PIN")
		require.Equal(t, http.StatusServiceUnavailable, s.Do(t, http.MethodPost, "keylife/keys/k/rotate", nil).Status)
		s.Tick(t, "keylife")
		require.Equal(t, before+1, logins(), "after a %s", name)
	}

	s.writePIN(t, token.PIN)
	reply := s.Do(t, http.MethodPost, "keylife/decrypt/k", object("ciphertext", text))
	require.Equal(t, http.StatusServiceUnavailable, reply.Status, "not before somebody writes config/hsm: %v", reply.Body)
	s.Must(t, http.MethodPost, "keylife/config/hsm", object("pin_file", file))
	s.requireOpens(t, "keylife", "k", text)
	require.Greater(t, logins(), before+1)
	require.Equal(t, "healthy", s.status(t, "keylife")["state"])
}
