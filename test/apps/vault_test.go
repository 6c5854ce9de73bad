// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package apps_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

var names atomic.Int64

// unique makes a name that no other test has.
func unique(name string) string { return fmt.Sprintf("%s-%d", name, names.Add(1)) }

// createKey makes a key of the mount, under a name of its own.
func createKey(t testing.TB, s *harness.Server, mount string) string {
	t.Helper()
	name := unique("orders")
	s.Must(t, http.MethodPost, mount+"/keys/"+name, map[string]any{})
	return name
}

func rotate(t testing.TB, s *harness.Server, mount, key string) {
	t.Helper()
	s.Must(t, http.MethodPost, mount+"/keys/"+key+"/rotate", map[string]any{})
}

// allow writes a policy that lets its holder update the paths, and nothing else but what Vault's default policy does.
func allow(t testing.TB, s *harness.Server, policy string, paths ...string) {
	t.Helper()
	var text strings.Builder
	for _, path := range paths {
		fmt.Fprintf(&text, "path %q { capabilities = [\"update\"] }\n", path)
	}
	s.Must(t, http.MethodPut, "sys/policies/acl/"+policy, map[string]any{"policy": text.String()})
}

// usesOf are the paths of a key that an application needs.
func usesOf(mount, key string) []string {
	return []string{mount + "/datakey/plaintext/" + key, mount + "/decrypt/" + key}
}

// token makes a token with a policy. Its parent's end is not its own.
func token(t testing.TB, s *harness.Server, policy string) string {
	t.Helper()
	secret, err := s.Client().Auth().Token().CreateOrphan(&api.TokenCreateRequest{Policies: []string{policy}, TTL: "1h"})
	require.NoError(t, err)
	return secret.Auth.ClientToken
}

// vault is a client of Vault with a token.
func vault(t testing.TB, s *harness.Server, token string) *api.Client {
	t.Helper()
	c, err := s.Client().Clone()
	require.NoError(t, err)
	c.SetToken(token)
	return c
}
