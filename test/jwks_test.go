// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// Vault learns once, from the mount, which paths need no token; which keys are answered there is the mount's to say.
func TestAnybodyReadsAPublishedSetAndNothingElse(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	for _, name := range []string{"tokens", "secret"} {
		s.Must(t, http.MethodPost, mount+"/keys/"+name, object("type", "ecdsa-p256"))
	}
	asAnybody := func(path string) harness.Reply {
		t.Helper()
		reply, err := s.Send(harness.Request{Method: http.MethodGet, Path: mount + "/" + path, Token: "none"})
		require.NoError(t, err)
		return reply
	}
	require.Equal(t, http.StatusNotFound, asAnybody("jwks/tokens").Status)
	s.Must(t, http.MethodPost, mount+"/config/keys", object("public_jwks", []string{"tokens"}))
	published := asAnybody("jwks/tokens")
	require.Equal(t, http.StatusOK, published.Status)
	keys := s.Must(t, http.MethodGet, mount+"/keys/tokens/jwks", nil)["keys"]
	require.Len(t, keys, 1)
	require.Equal(t, map[string]any{"keys": keys}, published.Body, "the set itself, in no envelope")
	for _, path := range []string{"jwks/secret", "jwks/missing"} {
		require.Equal(t, http.StatusNotFound, asAnybody(path).Status, path)
	}
	for _, path := range []string{"keys/tokens/jwks", "keys/tokens", "config/keys", "jwks"} {
		require.Equal(t, http.StatusForbidden, asAnybody(path).Status, path)
	}
}
