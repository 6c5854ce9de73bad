// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	ticket      = "CHG-4711: table dropped, nothing left to rewrap"
	needConsent = 428
)

// askedID finds the id of a request in a refusal.
var askedID = regexp.MustCompile(`ap-[a-z2-7]{26}`)

// bureau is a mount with people in Vault's identity: alice, who asks, and bob, carol and dave, who approve. Names of entities and
// groups are those of a whole server, so the mount's is in front of each.
type bureau struct {
	t        *testing.T
	s        *harness.Server
	mount    string
	accessor string // of the auth mount at which all of them log in; its path is the mount's
	group    string
	members  []string // of the group
	entities map[string]string
	tokens   map[string]string
}

// openBureau makes the people of a mount. Approvers who enrol after a rule stands wait for nothing here.
func openBureau(t *testing.T, s *harness.Server) *bureau {
	t.Helper()
	b := peopleAt(t, s, freshMount(t, s, harness.PluginName))
	s.Must(t, http.MethodPost, b.mount+"/config/approvals", object("duties", "I look at what I approve.", "approver_wait", 0))
	b.employ("alice")
	for _, name := range []string{"bob", "carol", "dave"} {
		b.appoint(name)
	}
	return b
}

func peopleAt(t *testing.T, s *harness.Server, mount string) *bureau {
	t.Helper()
	b := &bureau{t: t, s: s, mount: mount, group: mount + "-approvers", entities: map[string]string{}, tokens: map[string]string{}}
	s.Must(t, http.MethodPut, "sys/policies/acl/"+b.mount, object("policy", fmt.Sprintf(
		"path \"%s/*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\"] }\npath \"auth/token/create\" { capabilities = [\"update\"] }", b.mount)))
	b.accessor = b.auth(b.mount, "userpass")
	t.Cleanup(b.close)
	return b
}

// close takes the people from the server.
func (b *bureau) close() {
	for _, name := range slices.Sorted(maps.Keys(b.entities)) {
		b.s.Must(b.t, http.MethodDelete, "identity/entity/id/"+b.entities[name], nil)
	}
	b.s.Must(b.t, http.MethodDelete, "identity/group/name/"+b.group, nil)
}

// auth enables an auth method for the length of the test, and returns its accessor.
func (b *bureau) auth(path, kind string) string {
	b.t.Helper()
	b.s.Must(b.t, http.MethodPost, "sys/auth/"+path, object("type", kind))
	b.t.Cleanup(func() { b.s.Must(b.t, http.MethodDelete, "sys/auth/"+path, nil) })
	accessor, _ := b.s.Must(b.t, http.MethodGet, "sys/auth/"+path, nil)["accessor"].(string)
	require.NotEmpty(b.t, accessor)
	return accessor
}

// entity makes an entity that may do everything on the mount.
func (b *bureau) entity(name string) string {
	b.t.Helper()
	made := b.s.Must(b.t, http.MethodPost, "identity/entity", object("name", b.mount+"-"+name, "policies", []string{b.mount}))
	b.entities[name], _ = made["id"].(string)
	return b.entities[name]
}

// alias lets an entity log in at an auth mount as a user of a name.
func (b *bureau) alias(accessor, user, entity string) {
	b.t.Helper()
	b.s.Must(b.t, http.MethodPost, "identity/entity-alias", object("name", user, "canonical_id", entity, "mount_accessor", accessor))
}

// account makes a user of a userpass mount, and returns the token of a login.
func (b *bureau) account(path, user string, more ...any) string {
	b.t.Helper()
	b.s.Must(b.t, http.MethodPost, "auth/"+path+"/users/"+user, object(append(more, "password", "a password")...))
	return b.login(path, user)
}

func (b *bureau) login(path, user string) string {
	b.t.Helper()
	return tokenOf(b.t, b.s.Do(b.t, http.MethodPost, "auth/"+path+"/login/"+user, object("password", "a password")))
}

func tokenOf(t *testing.T, r harness.Reply) string {
	t.Helper()
	auth, _ := r.Body["auth"].(map[string]any)
	token, _ := auth["client_token"].(string)
	require.NotEmpty(t, token, "%v", r.Body)
	return token
}

// employ makes a person: an entity that can log in.
func (b *bureau) employ(name string) {
	b.t.Helper()
	b.alias(b.accessor, name, b.entity(name))
	b.tokens[name] = b.account(b.mount, name)
}

// appoint makes a person who is an approver: of the group, and enrolled.
func (b *bureau) appoint(name string) {
	b.t.Helper()
	b.employ(name)
	b.admit(name)
	b.enrol(name)
}

// admit puts a person into the group of approvers.
func (b *bureau) admit(name string) {
	b.t.Helper()
	b.members = append(b.members, b.entities[name])
	b.setMembers()
}

func (b *bureau) dismiss(name string) {
	b.t.Helper()
	b.forget(name)
	b.setMembers()
}

// forget leaves a person out when the group is written next: Vault refuses a member that is not there.
func (b *bureau) forget(name string) {
	b.members = slices.DeleteFunc(b.members, func(id string) bool { return id == b.entities[name] })
}

func (b *bureau) setMembers() {
	b.t.Helper()
	b.s.Must(b.t, http.MethodPost, "identity/group", object("name", b.group, "member_entity_ids", b.members))
}

func (b *bureau) enrol(name string) {
	b.t.Helper()
	hash := b.must(name, http.MethodGet, "approvers/duties", "")["duties_hash"]
	b.must(name, http.MethodPost, "approvers/acknowledge", object("duties_hash", hash))
}

// send is a request of a person; root has no entity.
func (b *bureau) send(who, method, path, body string) harness.Reply {
	b.t.Helper()
	token, known := b.tokens[who]
	require.True(b.t, known || who == "root", who)
	return b.with(token, method, path, body)
}

func (b *bureau) with(token, method, path, body string) harness.Reply {
	b.t.Helper()
	r, err := b.s.Send(harness.Request{Method: method, Path: b.mount + "/" + path, Body: body, Token: token})
	require.NoError(b.t, err)
	return r
}

func (b *bureau) must(who, method, path, body string) map[string]any {
	b.t.Helper()
	r := b.send(who, method, path, body)
	require.Less(b.t, r.Status, 300, "%s: %s %s %s: %v", who, method, path, body, r.Body)
	return r.Data()
}

// refused sends what is to be refused with a status and a text.
func (b *bureau) refused(status int, says, who, method, path, body string) {
	b.t.Helper()
	b.refusal(b.send(who, method, path, body), status, says)
}

func (b *bureau) refusal(r harness.Reply, status int, says string) {
	b.t.Helper()
	require.Equal(b.t, status, r.Status, "%v", r.Body)
	require.Contains(b.t, fmt.Sprint(r.Body["errors"]), says)
}

// ask asks for what needs consent, and returns the id of the request.
func (b *bureau) ask(who, method, path, body string) string {
	b.t.Helper()
	r := b.send(who, method, path, body)
	require.Equal(b.t, needConsent, r.Status, "%s: %s %s %s: %v", who, method, path, body, r.Body)
	id := askedID.FindString(fmt.Sprint(r.Body["errors"]))
	require.NotEmpty(b.t, id, "%v", r.Body)
	return id
}

func (b *bureau) approve(id string, names ...string) {
	b.t.Helper()
	for _, name := range names {
		b.must(name, http.MethodPost, "approvals/"+id+"/approve", "{}")
	}
}

// noVote has an approval of a person refused, for a reason.
func (b *bureau) noVote(id, who, says string) {
	b.t.Helper()
	b.refused(http.StatusBadRequest, says, who, http.MethodPost, "approvals/"+id+"/approve", "{}")
}

func (b *bureau) approval(id string) map[string]any {
	b.t.Helper()
	return b.must("root", http.MethodGet, "approvals/"+id, "")
}

func (b *bureau) state(id string) any {
	b.t.Helper()
	return b.approval(id)["state"]
}

// govern writes a policy with rules, and makes a key under it that is called as the policy.
func (b *bureau) govern(name string, rules map[string]string, more ...any) {
	b.t.Helper()
	b.must("root", http.MethodPost, "policies/"+name, b.document(rules, more...))
	b.must("root", http.MethodPost, "keys/"+name, object("policy", name))
}

func (b *bureau) document(rules map[string]string, more ...any) string {
	return object(append(more, "owner", "payments", "approvals", rules, "rollback_window", "0", "staging_time", "0", "min_versions_kept", 1, "quiet_period", "0")...)
}

func (b *bureau) of(n int) string { return fmt.Sprintf("%d of %s", n, b.group) }

// retirable makes a key of which version 1 is archived, and retiring it takes the consent of two. It returns the path that retires it.
func (b *bureau) retirable(name string) string {
	b.t.Helper()
	b.govern(name, map[string]string{"retire": b.of(2)})
	b.must("root", http.MethodPost, "keys/"+name+"/rotate", object("reason", lifeReason))
	b.must("root", http.MethodPost, "keys/"+name+"/versions/1/archive", object("reason", lifeReason))
	return "keys/" + name + "/versions/1/retire"
}

func (b *bureau) versionState(name string, n int) any {
	b.t.Helper()
	return b.must("root", http.MethodGet, fmt.Sprintf("keys/%s/versions/%d", name, n), "")["state"]
}

func requestOf(token, path, body string) harness.Request {
	return harness.Request{Method: http.MethodPost, Path: path, Body: body, Token: token}
}
