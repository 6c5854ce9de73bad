// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package apps_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/test/apps/worker"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// revocation is an application whose key, token or right is to be taken away.
type revocation struct {
	server             *harness.Server
	key, policy, token string
}

// act sends a request about the key.
func (r revocation) act(t testing.TB, path string) {
	t.Helper()
	r.server.Must(t, http.MethodPost, "keylife/keys/"+r.key+"/"+path, map[string]any{"reason": "drill"})
}

// revocations are what is done, and what uses come to within the ttl of a proof.
var revocations = map[string]struct {
	act              func(t testing.TB, r revocation)
	encrypt, decrypt client.Outcome
}{
	"token revoked": {func(t testing.TB, r revocation) {
		r.server.Must(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": r.token})
	}, client.AccessDenied, client.AccessDenied},
	"right taken": {func(t testing.TB, r revocation) {
		allow(t, r.server, r.policy, usesOf("keylife", "another")...)
	}, client.AccessDenied, client.AccessDenied},
	"version suspended":   {func(t testing.TB, r revocation) { r.act(t, "versions/1/suspend") }, client.KeyState, client.KeyState},
	"key suspended":       {func(t testing.TB, r revocation) { r.act(t, "suspend") }, client.KeyState, client.KeyState},
	"version compromised": {func(t testing.TB, r revocation) { r.act(t, "versions/1/compromise") }, client.OK, client.OK},
}

func TestARevocationIsFeltWithinTheTTL(t *testing.T) {
	t.Parallel()
	for name, is := range revocations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEachLanguage(t, func(t *testing.T, start func(placed, worker.Settings) *application) {
				s := server(t)
				r := revocation{server: s, key: createKey(t, s, "keylife"), policy: unique("revoked")}
				allow(t, s, r.policy, usesOf("keylife", r.key)...)
				r.token = token(t, s, r.policy)
				app := start(placed{address: s.Address(), token: r.token}, worker.Settings{Mount: "keylife"})
				l := startLoad(t, app, r.key, app.mustEncrypt(t, r.key, "some plaintext"))
				pause(ttl)
				is.act(t, r)
				done := time.Now()
				pause(3 * ttl)
				bound := done.Add(ttl + slowness(t, app))
				requireFelt(t, l.of(t, "encrypt"), done, bound, is.encrypt)
				requireFelt(t, l.of(t, "decrypt"), done, bound, is.decrypt)
				if is.encrypt == client.OK {
					requireVersion(t, l.of(t, "encrypt"), done, bound, 2)
				}
			})
		})
	}
}

// slowness is zero, unless the application said that Vault did not answer in time: then it may have gone on with a stale proof.
func slowness(t testing.TB, app *application) time.Duration {
	t.Helper()
	for operation := range app.report(t).Operations {
		if strings.Contains(operation, " "+string(client.Stale)+" ") {
			t.Log("Vault has been too slow for this machine")
			return staleProtect
		}
	}
	return 0
}

// requireFelt wants uses that began after the bound to come to an outcome, and no use to come to a third one. It prints when the first did.
func requireFelt(t testing.TB, uses []use, done, bound time.Time, outcome client.Outcome) {
	t.Helper()
	requireOnly(t, uses, time.Time{}, client.OK, outcome)
	after := slices.DeleteFunc(slices.Clone(uses), func(u use) bool { return !u.begun.After(bound) })
	require.NotEmpty(t, after)
	for _, u := range after {
		require.Equal(t, outcome, u.outcome, "begun %s after: %v", u.begun.Sub(done), u)
	}
	if first := slices.IndexFunc(uses, func(u use) bool { return u.outcome == outcome }); outcome != client.OK {
		t.Logf("%s: felt after %s: %s", uses[first].op, max(0, uses[first].ended.Sub(done).Round(time.Millisecond)), uses[first].said)
	}
}

// requireVersion wants messages begun after the bound to be of a version, and prints when the first was.
func requireVersion(t testing.TB, uses []use, done, bound time.Time, version int) {
	t.Helper()
	first := time.Time{}
	for _, u := range uses {
		info, err := client.Inspect([]byte(u.said))
		require.NoError(t, err)
		if u.begun.After(bound) {
			require.Equal(t, version, info.Version, "begun %s after", u.begun.Sub(done))
		}
		if info.Version == version && first.IsZero() {
			first = u.ended
		}
	}
	t.Logf("encrypt: version %d after %s", version, max(0, first.Sub(done).Round(time.Millisecond)))
}

// TestALostTokenIsReplaced revokes the tokens of applications that can log in, and then what they log in with.
func TestALostTokenIsReplaced(t *testing.T) {
	t.Parallel()
	s := server(t)
	s.Must(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	inEachLanguage(t, func(t *testing.T, start func(placed, worker.Settings) *application) {
		name, key := unique("worker"), createKey(t, s, "keylife")
		allow(t, s, name, usesOf("keylife", key)...)
		role := "auth/approle/role/" + name
		s.Must(t, http.MethodPost, role, map[string]any{"token_policies": name, "token_ttl": "1h"})
		id := s.Must(t, http.MethodGet, role+"/role-id", nil)["role_id"].(string)
		secret := s.Must(t, http.MethodPost, role+"/secret-id", map[string]any{})["secret_id"].(string)
		app := start(placed{address: s.Address()}, worker.Settings{Mount: "keylife", RoleID: id, SecretID: secret})
		l := startLoad(t, app, key, app.mustEncrypt(t, key, "some plaintext"))
		pause(ttl)
		revokeTokensOf(t, s, name)
		pause(2 * ttl)
		requireOnly(t, append(l.of(t, "encrypt"), l.of(t, "decrypt")...), time.Time{}, client.OK)
		require.Equal(t, 2, app.report(t).Requests["login ok"])

		s.Must(t, http.MethodDelete, role, nil)
		revokeTokensOf(t, s, name)
		done := time.Now()
		pause(3 * ttl)
		bound := done.Add(ttl + slowness(t, app))
		requireFelt(t, l.of(t, "encrypt"), done, bound, client.AccessDenied)
		requireFelt(t, l.of(t, "decrypt"), done, bound, client.AccessDenied)
	})
}

// revokeTokensOf revokes all tokens that have a policy.
func revokeTokensOf(t testing.TB, s *harness.Server, policy string) {
	t.Helper()
	accessors := s.Must(t, "LIST", "auth/token/accessors", nil)["keys"].([]any)
	revoked := 0
	for _, accessor := range accessors {
		asked := map[string]any{"accessor": accessor}
		found := s.Do(t, http.MethodPost, "auth/token/lookup-accessor", asked)
		if policies, _ := found.Data()["policies"].([]any); slices.Contains(policies, any(policy)) {
			s.Must(t, http.MethodPost, "auth/token/revoke-accessor", asked)
			revoked++
		}
	}
	require.Positive(t, revoked)
}
