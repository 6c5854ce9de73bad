// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Attacks on what was consented to.
func TestGovernanceGuardsThePolicyThatAsks(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	rules := map[string]string{"retire": b.of(2), "policy": b.of(2)}
	b.govern("cards", rules)
	b.must("root", http.MethodPost, "keys/cards/rotate", object("reason", lifeReason))
	b.must("root", http.MethodPost, "keys/cards/versions/1/archive", object("reason", lifeReason))
	retire := "keys/cards/versions/1/retire"
	approved := b.ask("alice", http.MethodPost, retire, because)
	b.approve(approved, "bob", "carol")

	loosened := map[string]string{
		"no rules": object("approvals", map[string]string{}, "reason", ticket), "one rule less": object("approvals", map[string]string{"policy": b.of(2)}, "reason", ticket),
		"one person": object("approvals", map[string]string{"retire": b.of(1), "policy": b.of(2)}, "reason", ticket),
		"others":     object("approvals", map[string]string{"retire": "2 of " + b.group + ", anybody", "policy": b.of(2)}, "reason", ticket),
		"who asks":   object("approval_exclude", []string{"requester"}, "reason", ticket), "for longer": object("approval_ttl", "14d", "reason", ticket),
		"no delay": object("destroy_delay", "1d", "reason", ticket),
	}
	for name, body := range loosened {
		r := b.send("alice", http.MethodPost, "policies/cards", body)
		require.Equal(t, needConsent, r.Status, "%s: %v", name, r.Body)
	}
	b.refused(http.StatusBadRequest, "log in", "root", http.MethodPost, "policies/cards", loosened["no rules"])
	require.Equal(t, 1, number(b.must("root", http.MethodGet, "policies/cards", "")["revision"]))
	require.Equal(t, "approved", b.state(approved))

	b.must("alice", http.MethodPost, "policies/cards", object("min_strength_bits", 256)) // stricter: at once
	require.Equal(t, "void", b.state(approved), "another revision is another rule")
	b.noVote(approved, "dave", "is void")
	anew := b.ask("alice", http.MethodPost, retire, because)
	require.NotEqual(t, approved, anew)
	require.Equal(t, 0, number(b.approval(anew)["given"]))

	ask := b.ask("alice", http.MethodPost, "policies/cards", loosened["one person"])
	b.approve(ask, "bob", "carol")
	require.NotEqual(t, ask, b.ask("alice", http.MethodPost, "policies/cards", loosened["no rules"]), "another text is another request")
	b.must("alice", http.MethodPost, "policies/cards", loosened["one person"])
	require.Equal(t, "void", b.state(anew))
	require.Equal(t, b.of(1), b.approval(b.ask("alice", http.MethodPost, retire, because))["rule"])
}

func TestGovernanceGuardsTheEndOfAPolicy(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	b.must("root", http.MethodPost, "policies/cards", b.document(map[string]string{"policy": b.of(2)}))
	path := "policies/cards?reason=" + url.QueryEscape(ticket)
	id := b.ask("alice", http.MethodDelete, path, "")
	b.must("root", http.MethodGet, "policies/cards", "")
	b.approve(id, "bob", "carol")
	b.must("alice", http.MethodDelete, path, "")
	b.refused(http.StatusNotFound, "", "root", http.MethodGet, "policies/cards", "")
}

// A key comes under a looser policy, or under none, with consent alone.
func TestGovernanceGuardsTheBindingOfAKey(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	rules := map[string]string{"rebind": b.of(2), "configure": b.of(1)}
	b.govern("cards", rules, "exportable", true, "allow_plaintext_backup", true)
	b.must("root", http.MethodPost, "policies/loose", object("owner", "payments"))
	b.must("root", http.MethodPost, "policies/strict", b.document(map[string]string{"rebind": b.of(2), "configure": b.of(2), "retire": b.of(2)}))
	seen := map[string]bool{}
	for _, attempt := range []struct{ path, body string }{
		{"keys/cards", object("policy", "loose", "reason", ticket)},
		{"keys/cards/config", object("policy", "loose", "reason", ticket)},
		{"keys/cards/config", object("policy", "", "reason", ticket)},
		{"keys/cards/config", object("deletion_allowed", true, "reason", ticket)},
		{"keys/cards/config", object("exportable", true, "reason", ticket)},
		{"keys/cards/config", object("allow_plaintext_backup", true, "reason", ticket)},
	} {
		id := b.ask("alice", http.MethodPost, attempt.path, attempt.body)
		seen[id] = true
	}
	require.Len(t, seen, 5, "the same at two paths is asked for once")
	b.refused(http.StatusBadRequest, "one at a time", "alice", http.MethodPost, "keys/cards/config", object("policy", "", "deletion_allowed", true, "reason", ticket))
	view := b.must("root", http.MethodGet, "keys/cards", "")
	require.Equal(t, []any{"cards", false, false}, []any{view["policy"], view["deletion_allowed"], view["exportable"]})
	require.NotEqual(t, http.StatusNoContent, b.send("alice", http.MethodDelete, "keys/cards", because).Status)

	b.must("alice", http.MethodPost, "keys/cards/config", object("policy", "strict")) // stricter: at once
	detach := b.ask("alice", http.MethodPost, "keys/cards/config", object("policy", "", "reason", ticket))
	b.approve(detach, "bob", "carol")
	b.must("alice", http.MethodPost, "keys/cards/config", object("policy", "", "reason", ticket))
}

// Consent is to one content. What differs in anything is another request.
func TestGovernanceDoesNotTakeConsentForAnythingElse(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	b.govern("cards", map[string]string{"retire": b.of(2), "configure": b.of(2), "recover": b.of(2)}, "exportable", true, "allow_plaintext_backup", true)
	b.govern("coins", map[string]string{"retire": b.of(2)})
	for _, key := range []string{"cards", "coins"} {
		for version := 1; version <= 2; version++ {
			b.must("root", http.MethodPost, "keys/"+key+"/rotate", object("reason", lifeReason))
			b.must("root", http.MethodPost, fmt.Sprintf("keys/%s/versions/%d/archive", key, version), object("reason", lifeReason))
		}
	}
	approved := b.ask("alice", http.MethodPost, "keys/cards/versions/1/retire", because)
	b.approve(approved, "bob", "carol")
	for what, other := range map[string]struct{ who, path, body string }{
		"version":   {"alice", "keys/cards/versions/2/retire", because},
		"key":       {"alice", "keys/coins/versions/1/retire", because},
		"person":    {"dave", "keys/cards/versions/1/retire", because},
		"reason":    {"alice", "keys/cards/versions/1/retire", object("reason", ticket+".")},
		"operation": {"alice", "keys/cards/versions/1/recover", because},
	} {
		require.NotEqual(t, approved, b.ask(other.who, http.MethodPost, other.path, other.body), what)
	}
	configure := b.ask("alice", http.MethodPost, "keys/cards/config", object("deletion_allowed", true, "reason", ticket))
	b.approve(configure, "bob", "carol")
	for _, more := range []string{"exportable", "allow_plaintext_backup"} {
		require.NotEqual(t, configure, b.ask("alice", http.MethodPost, "keys/cards/config", object("deletion_allowed", true, more, true, "reason", ticket)), more)
	}
	require.Equal(t, "archived", b.versionState("cards", 1))
	require.Equal(t, "approved", b.state(approved))
	b.must("alice", http.MethodPost, "keys/cards/versions/1/retire", because)
	require.Equal(t, "void", b.state(configure), "the key is another than when it was asked for")
}

// What was done once was consented to once.
func TestGovernanceConsentIsUsedOnce(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	retire := b.retirable("cards")
	first := b.ask("alice", http.MethodPost, retire, because)
	b.approve(first, "bob", "carol")
	b.must("alice", http.MethodPost, retire, because)
	b.must("alice", http.MethodPost, "keys/cards/versions/1/restore", because)
	require.NotEqual(t, "retired", b.versionState("cards", 1))
	second := b.ask("alice", http.MethodPost, retire, because)
	require.NotEqual(t, first, second)
	b.noVote(first, "dave", "is executed")

	b.must("carol", http.MethodPost, "approvals/"+second+"/deny", object("reason", "it was restored for good"))
	b.noVote(second, "bob", "is denied")
	b.refused(http.StatusBadRequest, "it was restored for good", "alice", http.MethodPost, retire, because)
}

// A key of the same name is not the same key.
func TestGovernanceConsentIsToAKeyAndNotToItsName(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	retire := b.retirable("cards")
	approved := b.ask("alice", http.MethodPost, retire, because)
	b.approve(approved, "bob", "carol")
	revision := number(b.must("root", http.MethodGet, "keys/cards", "")["revision"])
	b.must("root", http.MethodPost, "keys/cards/config", object("policy", "", "deletion_allowed", true)) // the policy has no rule for it
	b.must("root", http.MethodDelete, "keys/cards", "")
	b.must("root", http.MethodPost, "keys/cards", object("policy", "cards"))
	b.must("root", http.MethodPost, "keys/cards/rotate", object("reason", lifeReason))
	b.must("root", http.MethodPost, "keys/cards/versions/1/archive", object("reason", lifeReason))
	require.Equal(t, revision, number(b.must("root", http.MethodGet, "keys/cards", "")["revision"]), "but for its id it is as it was")
	require.Equal(t, "void", b.state(approved))
	require.NotEqual(t, approved, b.ask("alice", http.MethodPost, retire, because))
}

// Nobody drowns the others' requests.
func TestGovernanceBoundsTheRequestsOfAPerson(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	retire := b.retirable("cards")
	var ids []string
	for i := range 16 {
		ids = append(ids, b.ask("alice", http.MethodPost, retire, object("reason", fmt.Sprintf("flood, request %d", i))))
	}
	before := b.s.AllStored(t, b.mount)
	b.refused(http.StatusBadRequest, "16 requests for approval are open, 16 of them yours", "alice", http.MethodPost, retire, because)
	after := b.s.AllStored(t, b.mount)
	for _, stored := range []map[string][]byte{before, after} { // a tick may have come between
		maps.DeleteFunc(stored, func(path string, _ []byte) bool {
			return strings.HasPrefix(path, "config/") || strings.HasPrefix(path, "access/")
		})
	}
	require.True(t, maps.EqualFunc(before, after, func(x, y []byte) bool { return string(x) == string(y) }), "what is refused is not kept")
	b.ask("dave", http.MethodPost, retire, because)
	b.refused(http.StatusBadRequest, "nobody else withdraws it", "dave", http.MethodPost, "approvals/"+ids[0]+"/withdraw", because)
	b.must("alice", http.MethodPost, "approvals/"+ids[0]+"/withdraw", because)
	require.Equal(t, "withdrawn", b.state(ids[0]))
	b.ask("alice", http.MethodPost, retire, because)
}

// The settings of the mount are guarded as its policies are.
func TestGovernanceGuardsTheMount(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	b.must("root", http.MethodPost, "config/engine", object("require_policy", true))
	b.must("root", http.MethodPost, "config/approvals", object("approvals", map[string]string{"config": b.of(1), "clock": b.of(1), "approvals": b.of(2), "custody-key": b.of(1)}))
	for path, body := range map[string]string{
		"config/engine": object("require_policy", false, "reason", ticket), "config/keys": object("disable_upsert", true, "reason", ticket),
		"config/clock": object("acknowledge", true, "reason", ticket), "custody/rotate-key": because,
		"config/approvals": object("approvals", map[string]string{}, "reason", ticket),
	} {
		b.refused(http.StatusBadRequest, "log in", "root", http.MethodPost, path, body)
		b.ask("alice", http.MethodPost, path, body)
	}
	require.Equal(t, true, b.must("root", http.MethodGet, "config/engine", "")["require_policy"])
	b.must("root", http.MethodPost, "config/approvals", object("approver_wait", 3600)) // only tightens
	id := b.ask("alice", http.MethodPost, "config/approvals", object("auth_mount", "", "review_within", 345600, "reason", ticket))
	b.approve(id, "bob", "carol")
	b.must("alice", http.MethodPost, "config/approvals", object("auth_mount", "", "review_within", 345600, "reason", ticket))
}

// A pipeline that writes documents (Terraform's vault_generic_endpoint) fails with what it needs, and succeeds by the same run when
// that is there.
func TestGovernanceLetsTheSameApplyPassTheSecondTime(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	roles := b.mount + "-approle"
	accessor := b.auth(roles, "approle")
	b.s.Must(t, http.MethodPost, "auth/"+roles+"/role/terraform", object("token_policies", []string{b.mount}))
	role, _ := b.s.Must(t, http.MethodGet, "auth/"+roles+"/role/terraform/role-id", nil)["role_id"].(string)
	b.alias(accessor, role, b.entity("terraform"))
	secret, _ := b.s.Must(t, http.MethodPost, "auth/"+roles+"/role/terraform/secret-id", "{}")["secret_id"].(string)
	b.tokens["terraform"] = tokenOf(t, b.s.Do(t, http.MethodPost, "auth/"+roles+"/login", object("role_id", role, "secret_id", secret)))

	document := func(strength int) string {
		return object("owner", "payments", "min_strength_bits", strength, "approvals", map[string]string{"policy": b.of(2)}, "reason", "CHG-4712: weaker types for the archive")
	}
	b.must("terraform", http.MethodPost, "policies/pci", document(192))
	b.must("terraform", http.MethodPost, "policies/pci", document(256)) // stricter
	id := b.ask("terraform", http.MethodPost, "policies/pci", document(128))
	require.Equal(t, 256, number(b.must("terraform", http.MethodGet, "policies/pci", "")["min_strength_bits"]))
	require.Equal(t, id, b.ask("terraform", http.MethodPost, "policies/pci", document(128)), "each run asks the same")
	b.approve(id, "bob", "carol")
	b.must("terraform", http.MethodPost, "policies/pci", document(128))
	written := b.must("terraform", http.MethodGet, "policies/pci", "")
	require.Equal(t, 128, number(written["min_strength_bits"]))
	b.must("terraform", http.MethodPost, "policies/pci", document(128)) // the run after: nothing to do
	require.Equal(t, written["revision"], b.must("terraform", http.MethodGet, "policies/pci", "")["revision"])
	require.Equal(t, "executed", b.state(id))
}
