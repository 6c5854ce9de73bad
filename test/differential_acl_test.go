// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// Vault asks the engine whether a key exists to choose between the capabilities create and update. Only encrypt tells.
func TestCapabilitiesAreThoseOfTransit(t *testing.T) {
	s := server(t)
	requests := []step{
		post("encrypt/$K", object("plaintext", hello)), post("keys/$K-2", "{}"), post("encrypt/$K-2", object("plaintext", hello)),
		post("encrypt/$K", items(object("plaintext", hello))), post("keys/$K/config", `{"deletion_allowed":true}`), post("keys/$K/rotate", ""),
		post("keys/$K/trim", `{"min_available_version":1}`),
		post("decrypt/$K", object("ciphertext", "vault:v1:AAAA")), post("rewrap/$K", object("ciphertext", "vault:v1:AAAA")),
		post("datakey/plaintext/$K", ""), get("keys/$K"), list("keys"), post("config/keys", "{}"), get("config/keys"), del("keys/$K"),
	}
	for _, capability := range []string{"create", "update", "read", "list", "delete", "deny"} {
		t.Run(capability, func(t *testing.T) {
			transit, keylife := freshPair(t, s)
			token := tokenFor(t, s, capability, transit, keylife)
			for _, key := range []string{"absent", "present"} {
				a, b := newSide(transit, key), newSide(keylife, key)
				if key == "present" {
					a.send(t, s, post("keys/$K", "{}"))
					b.send(t, s, post("keys/$K", "{}"))
				}
				for _, r := range requests {
					send := func(d *side) harness.Reply { return sendAs(t, s, token, d, r) }
					require.Empty(t, compare(r, send(a), send(b)), "%s %s, key %s", r.method, r.path, key)
				}
			}
		})
	}
}

// TestWhoMayOnlyUpdateIsToldWhatIsWrong: a wrong field must not make Vault take the key for a missing one, and ask for the
// capability to create it.
func TestWhoMayOnlyUpdateIsToldWhatIsWrong(t *testing.T) {
	s := server(t)
	transit, keylife := freshPair(t, s)
	token := tokenFor(t, s, "update", transit, keylife)
	a, b := newSide(transit, "k"), newSide(keylife, "k")
	a.send(t, s, post("keys/$K", "{}"))
	b.send(t, s, post("keys/$K", "{}"))
	for _, body := range []string{
		`{"plaintext":"","key_version":1.5}`, `{"plaintext":"","key_version":99999999999}`, `{"plaintext":"","key_version":"x"}`,
		`{"plaintext":"","convergent_encryption":5}`, `{"plaintext":{"a":1}}`, `{"plaintext":"","context":[1]}`,
	} {
		r := post("encrypt/$K", body)
		answer := sendAs(t, s, token, b, r)
		require.Equal(t, http.StatusBadRequest, answer.Status, body)
		require.Empty(t, compare(r, sendAs(t, s, token, a, r), answer), body)
	}
	b.send(t, s, post("policies/$K", `{"owner":"o"}`))
	require.Equal(t, http.StatusBadRequest, sendAs(t, s, token, b, post("policies/$K", `{"min_strength_bits":1.5}`)).Status)
}

// tokenFor makes a token that has one capability on everything below two mounts.
func tokenFor(t *testing.T, s *harness.Server, capability, one, two string) string {
	t.Helper()
	rule := fmt.Sprintf("path \"%s/*\" { capabilities = [%q] }\npath \"%s/*\" { capabilities = [%q] }", one, capability, two, capability)
	name := "acceptance-" + one
	s.Must(t, http.MethodPut, "sys/policies/acl/"+name, map[string]any{"policy": rule})
	secret, err := s.Client().Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{name}})
	require.NoError(t, err)
	return secret.Auth.ClientToken
}

func sendAs(t *testing.T, s *harness.Server, token string, d *side, r step) harness.Reply {
	t.Helper()
	reply, err := s.Send(harness.Request{Method: r.method, Path: d.mount + "/" + d.fill(r.path), Body: d.fill(r.body), Token: token})
	require.NoError(t, err)
	return reply
}
