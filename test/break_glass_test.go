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

// TestBreakGlassIsDoneByWhoIsOnCallAndReviewedByAnotherPerson is about Vault's own entities, groups and tokens.
func TestBreakGlassIsDoneByWhoIsOnCallAndReviewedByAnotherPerson(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	people := map[string]harness.Request{}
	entities := map[string]string{}
	for _, name := range []string{"erin", "bob", "carol"} {
		token, entity, _ := caller(t, s, mount+"-"+name)
		people[name], entities[name] = harness.Request{Method: http.MethodPost, Token: token}, entity
	}
	as := func(name, path string, body any) harness.Reply {
		r := people[name]
		r.Path, r.Body = mount+"/"+path, body
		reply, err := s.Send(r)
		require.NoError(t, err)
		return reply
	}
	for name := range people {
		s.Must(t, http.MethodPut, "sys/policies/acl/role-"+mount+"-"+name, object("policy", `path "`+mount+`/*" { capabilities = ["create", "read", "update", "list"] }`))
	}
	s.Must(t, http.MethodPost, "identity/group", object("name", "on-call-"+mount, "member_entity_ids", []string{entities["erin"]}))
	s.Must(t, http.MethodPost, "identity/group", object("name", "approvers-"+mount, "member_entity_ids", []string{entities["bob"], entities["carol"], entities["erin"]}))

	hash := s.Must(t, http.MethodGet, mount+"/approvers/duties", nil)["duties_hash"]
	for name := range people {
		require.Equal(t, http.StatusOK, as(name, "approvers/acknowledge", object("duties_hash", hash)).Status)
	}
	s.Must(t, http.MethodPost, mount+"/config/approvals", object("break_glass_groups", []string{"on-call-" + mount}))
	s.Must(t, http.MethodPost, mount+"/policies/p", object("owner", "o", "approvals", map[string]any{"promote": "1 of approvers-" + mount}))
	s.Must(t, http.MethodPost, mount+"/keys/k", object("policy", "p", "reason", "a key for the test"))
	s.Must(t, http.MethodPost, mount+"/keys/k/rotate", object("stage", true, "reason", "a version to promote"))

	promote := object("break_glass", true, "reason", "INC-2044: version 1 is blocked, payments are down")
	refused := as("bob", "keys/k/versions/2/promote", promote)
	require.Equal(t, http.StatusBadRequest, refused.Status, "%v", refused.Body)
	done := as("erin", "keys/k/versions/2/promote", promote)
	require.Equal(t, http.StatusOK, done.Status, "%v", done.Body)

	reviews := s.Must(t, "LIST", mount+"/reviews", nil)["keys"].([]any)
	require.Len(t, reviews, 1)
	review := "reviews/" + reviews[0].(string)
	closing := object("verdict", "justified", "reason", "the incident was real")
	refused = as("erin", review+"/close", closing)
	require.Equal(t, http.StatusBadRequest, refused.Status, "%v", refused.Body)
	require.Equal(t, http.StatusBadRequest, s.Do(t, http.MethodPost, mount+"/"+review+"/close", closing).Status, "a root token has no entity")
	closed := as("carol", review+"/close", closing)
	require.Equal(t, http.StatusOK, closed.Status, "%v", closed.Body)
	shown := s.Must(t, http.MethodGet, mount+"/"+review, nil)
	require.Equal(t, "justified", shown["state"])
	require.Contains(t, shown["reviewer"], entities["carol"])
	require.Contains(t, shown["actor"], entities["erin"])
	require.Equal(t, true, s.Must(t, http.MethodPost, mount+"/custody/verify", nil)["valid"])
}
