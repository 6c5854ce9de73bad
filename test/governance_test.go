// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var because = object("reason", ticket)

// These tests attack the separation of duties on a real Vault, with its identities. Here the attacks are on who a person is.
func TestGovernanceTakesThreePeople(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	retire := b.retirable("cards")
	id := b.ask("alice", http.MethodPost, retire, because)
	b.approve(id, "bob")
	require.Equal(t, id, b.ask("alice", http.MethodPost, retire, because), "one is not enough")
	b.noVote(id, "alice", "asked for it, and is not counted")
	b.approve(id, "bob", "carol")
	require.Equal(t, "approved", b.state(id))
	require.NotEqual(t, id, b.ask("dave", http.MethodPost, retire, because), "what is approved for alice is not for dave")
	require.Equal(t, "archived", b.versionState("cards", 1))
	b.must("alice", http.MethodPost, retire, because)
	require.Equal(t, "retired", b.versionState("cards", 1))
	require.Equal(t, "executed", b.state(id))
	history := fmt.Sprint(b.must("root", http.MethodGet, "keys/cards/history", ""))
	for _, kept := range []string{id, b.entities["bob"], b.entities["carol"]} {
		require.Contains(t, history, kept)
	}
}

// However often, and wherever, somebody logs in: it is one person. An approver who asks is one who may not approve.
func TestGovernanceCountsAnEntityOnce(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	second := b.mount + "-second"
	accessor := b.auth(second, "userpass")
	others := map[string][]string{}
	for _, name := range []string{"dave", "bob"} {
		b.alias(accessor, name+"-elsewhere", b.entities[name])
		child, err := b.s.Send(requestOf(b.tokens[name], "auth/token/create", "{}"))
		require.NoError(t, err)
		others[name] = []string{
			b.login(b.mount, name), tokenOf(t, child), b.account(second, name+"-elsewhere"),
			b.batchToken(name), // one that is not stored
		}
	}
	retire := b.retirable("cards")
	id := b.ask("dave", http.MethodPost, retire, because)
	for _, token := range others["dave"] {
		b.refusal(b.with(token, http.MethodPost, "approvals/"+id+"/approve", "{}"), http.StatusBadRequest, "asked for it")
	}
	for _, token := range append(others["bob"], b.tokens["bob"]) {
		require.Equal(t, http.StatusOK, b.with(token, http.MethodPost, "approvals/"+id+"/approve", "{}").Status)
	}
	require.Equal(t, 1, number(b.approval(id)["given"]))
	require.Equal(t, "pending", b.state(id))
	b.approve(id, "carol")
	require.Less(t, b.with(others["dave"][2], http.MethodPost, retire, because).Status, 300, "dave asked, and it is dave who acts")
}

// batchToken logs a person in anew, with a batch token.
func (b *bureau) batchToken(name string) string {
	b.t.Helper()
	token := b.account(b.mount, name, "token_type", "batch")
	require.Contains(b.t, token, "hvb.")
	b.account(b.mount, name, "token_type", "service")
	return token
}

// Nobody knows who has a token without an entity.
func TestGovernanceDoesNotCountATokenWithoutAnEntity(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	retire := b.retirable("cards")
	b.refused(http.StatusBadRequest, "log in", "root", http.MethodPost, retire, because)
	id := b.ask("alice", http.MethodPost, retire, because)
	b.noVote(id, "root", "log in")
	for _, end := range []string{"deny", "withdraw"} {
		b.refused(http.StatusBadRequest, "log in", "root", http.MethodPost, "approvals/"+id+"/"+end, because)
	}
	b.refused(http.StatusBadRequest, "entity", "root", http.MethodPost, "approvers/acknowledge",
		object("duties_hash", b.must("root", http.MethodGet, "approvers/duties", "")["duties_hash"]))
	require.Equal(t, "pending", b.state(id))
}

// An entity has one alias at an auth mount: a second entity of the same person is a second account there.
func TestGovernanceCountsAccountsOfTheAuthMount(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	second := b.mount + "-second"
	b.alias(b.auth(second, "userpass"), "bob", b.entity("shadow"))
	b.tokens["shadow"] = b.account(second, "bob")
	b.admit("shadow")
	b.enrol("shadow")
	b.must("root", http.MethodPost, "config/approvals", object("auth_mount", b.accessor))
	id := b.ask("alice", http.MethodPost, b.retirable("cards"), because)
	b.approve(id, "bob")
	b.noVote(id, "shadow", "has no alias at the auth mount")
	require.Equal(t, "pending", b.state(id))
}

// Who administers identities can make an account elsewhere one of an approver's, and vote by it. The setting auth_mount does not stop
// that: the approver has an alias there. Custody says by which account each vote was cast.
func TestGovernanceSaysByWhichAccountAPersonVoted(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	b.must("root", http.MethodPost, "config/approvals", object("auth_mount", b.accessor))
	second := b.mount + "-second"
	b.alias(b.auth(second, "userpass"), "mallory", b.entities["carol"])
	b.tokens["carol by mallory"] = b.account(second, "mallory")
	id := b.ask("alice", http.MethodPost, b.retirable("cards"), because)
	b.approve(id, "bob", "carol by mallory")
	require.Equal(t, "approved", b.state(id))
	accounts := map[string]string{}
	for _, act := range stories(t, b.s, b.mount)["cards"] {
		if act.Act == "approve" {
			accounts[act.Actor.EntityID] = act.Actor.DisplayName
		}
	}
	require.Equal(t, map[string]string{b.entities["bob"]: b.mount + "-bob", b.entities["carol"]: second + "-mallory"}, accounts)
}

// Who administers identities can put anybody into the group, and that is not enough.
func TestGovernanceDoesNotCountWhoCameAfterwards(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	retire := b.retirable("cards")
	id := b.ask("alice", http.MethodPost, retire, because)
	b.employ("mallory")
	b.noVote(id, "mallory", "has not enrolled")
	b.admit("mallory")
	b.noVote(id, "mallory", "has not enrolled")
	b.enrol("mallory")
	b.noVote(id, "mallory", "has enrolled after it was asked for")
	b.approve(id, "bob")
	require.Equal(t, id, b.ask("alice", http.MethodPost, retire, because))
	later := b.ask("alice", http.MethodPost, retire, object("reason", ticket+", again"))
	b.approve(later, "mallory", "bob")
	b.employ("outsider")
	b.enrol("outsider")
	b.noVote(b.ask("alice", http.MethodPost, retire, object("reason", ticket+", once more")), "outsider", "is in none of the groups")

	b.must("root", http.MethodPost, "config/approvals", object("approvals", map[string]string{"enrol": b.of(1)}))
	b.employ("accomplice")
	b.admit("accomplice")
	hash := b.must("accomplice", http.MethodGet, "approvers/duties", "")["duties_hash"]
	enrolment := object("duties_hash", hash, "reason", "I join the approvers")
	asked := b.ask("accomplice", http.MethodPost, "approvers/acknowledge", enrolment)
	b.refused(http.StatusNotFound, "", "root", http.MethodGet, "approvers/"+b.entities["accomplice"], "")
	b.approve(asked, "bob")
	b.must("accomplice", http.MethodPost, "approvers/acknowledge", enrolment)
}

// A vote is worth what the voter is when it is used.
func TestGovernanceAsksWhoIsLeftWhenItIsDone(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	for name, attack := range map[string]struct {
		end func(name string)
		why string
	}{
		"disabled": {func(name string) {
			b.s.Must(t, http.MethodPost, "identity/entity/id/"+b.entities[name], object("disabled", true))
		}, "is disabled"},
		"deleted": {func(name string) {
			b.s.Must(t, http.MethodDelete, "identity/entity/id/"+b.entities[name], nil)
		}, "is no entity of this Vault any more"},
		"merged": {func(name string) {
			b.s.Must(t, http.MethodPost, "identity/entity/merge", object("from_entity_ids", []string{b.entities[name]}, "to_entity_id", b.entity("heir")))
		}, "is no entity of this Vault any more"},
		"dismissed": {b.dismiss, "is in none of the groups"},
		"resigned": {func(name string) {
			b.must(name, http.MethodDelete, "approvers/"+b.entities[name], object("reason", "has left the team"))
		}, "has not enrolled"},
	} {
		b.appoint(name)
		retire := b.retirable("key-" + name)
		id := b.ask("alice", http.MethodPost, retire, because)
		b.approve(id, name, "bob")
		require.Equal(t, "approved", b.state(id), name)
		attack.end(name)
		b.forget(name)
		require.Equal(t, id, b.ask("alice", http.MethodPost, retire, because), name)
		require.Equal(t, "pending", b.state(id), name)
		votes, _ := b.approval(id)["votes"].([]any)
		require.Contains(t, fmt.Sprint(votes[0]), attack.why, name)
		b.approve(id, "carol")
		b.must("alice", http.MethodPost, retire, because)
	}
}

// A member of a group in a group is a member, and so is one whom the identity provider names.
func TestGovernanceCountsMembersOfGroupsThatVaultKnows(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	b.employ("erin")
	inner := b.groupOf("inner", "member_entity_ids", []string{b.entities["erin"]})
	middle := b.groupOf("middle", "member_group_ids", []string{inner})
	b.groupOf("outer", "member_group_ids", []string{middle})
	b.enrol("erin")

	provider := b.mount + "-jwt"
	accessor := b.auth(provider, "jwt")
	sign := b.provider(provider)
	b.alias(accessor, "frank", b.entity("frank"))
	external := b.groupOf("external", "type", "external")
	b.s.Must(t, http.MethodPost, "identity/group-alias", object("name", "security", "mount_accessor", accessor, "canonical_id", external))
	b.tokens["frank"] = b.jwtLogin(provider, sign("frank", "security"))
	b.enrol("frank")

	b.govern("cards", map[string]string{"rotate": fmt.Sprintf("2 of %s-outer, %s-external, %s", b.mount, b.mount, b.group)})
	rotate := object("reason", ticket)
	id := b.ask("alice", http.MethodPost, "keys/cards/rotate", rotate)
	b.approve(id, "erin", "frank")
	require.Equal(t, "approved", b.state(id))

	b.jwtLogin(provider, sign("frank")) // the provider does not name the group any more
	require.Equal(t, "pending", b.state(id))
	b.s.Must(t, http.MethodPost, "identity/group", object("name", b.mount+"-middle", "member_group_ids", []string{}))
	require.Equal(t, 0, number(b.approval(id)["given"]))
	b.approve(id, "bob", "carol")
	b.must("alice", http.MethodPost, "keys/cards/rotate", rotate)
}

// groupOf makes a group for the length of the test, and returns its id.
func (b *bureau) groupOf(name string, more ...any) string {
	b.t.Helper()
	id, _ := b.s.Must(b.t, http.MethodPost, "identity/group", object(append(more, "name", b.mount+"-"+name)...))["id"].(string)
	b.t.Cleanup(func() { b.s.Must(b.t, http.MethodDelete, "identity/group/id/"+id, nil) })
	return id
}

// provider is an identity provider: it signs who somebody is, and in which groups.
func (b *bureau) provider(path string) func(user string, groups ...string) string {
	b.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(b.t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(b.t, err)
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	b.s.Must(b.t, http.MethodPost, "auth/"+path+"/config", object("jwt_validation_pubkeys", []string{public}, "default_role", "people"))
	b.s.Must(b.t, http.MethodPost, "auth/"+path+"/role/people", object("role_type", "jwt", "user_claim", "sub", "groups_claim", "groups", "bound_audiences", []string{"vault"}))
	return func(user string, groups ...string) string {
		b.t.Helper()
		claims := object("sub", user, "aud", "vault", "groups", append([]string{}, groups...), "nbf", time.Now().Add(-time.Hour).Unix(), "exp", time.Now().Add(time.Hour).Unix())
		head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
		sum := sha256.Sum256([]byte(head))
		x, y, err := ecdsa.Sign(rand.Reader, key, sum[:])
		require.NoError(b.t, err)
		return head + "." + base64.RawURLEncoding.EncodeToString(append(x.FillBytes(make([]byte, 32)), y.FillBytes(make([]byte, 32))...))
	}
}

func (b *bureau) jwtLogin(path, jwt string) string {
	b.t.Helper()
	return tokenOf(b.t, b.s.Do(b.t, http.MethodPost, "auth/"+path+"/login", object("jwt", jwt)))
}
