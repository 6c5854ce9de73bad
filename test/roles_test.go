// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// The roles are the files of examples/acl.
const (
	author    = "policy-author"
	operator  = "key-operator"
	custodian = "key-custodian"
	responder = "incident-responder"
	user      = "key-user"
	auditor   = "auditor"
	approver  = "approver"
	viewer    = "viewer"
	scraper   = "metrics"
)

var roles = []string{author, operator, custodian, responder, user, auditor, approver, viewer, scraper}

// permit is a request and the roles that may send it; all others may not.
type permit struct {
	method, path, body string
	to                 []string
}

func permits() []permit {
	return slices.Concat(usePermits(), keyPermits(), inAndOutPermits(), versionPermits(), mountPermits(), consentPermits())
}

func usePermits() []permit {
	to := func(roles ...string) []string { return roles }
	return []permit{
		{"POST", "encrypt/orders", object("plaintext", hello), to(user)},
		{"POST", "encrypt/orders", items(object("plaintext", hello)), to(user)},
		{"POST", "decrypt/orders", object("ciphertext", "$sealed"), to(user)},
		{"POST", "rewrap/orders", object("ciphertext", "$sealed"), to(user)},
		{"POST", "datakey/plaintext/orders", "{}", to(user)},
		{"POST", "datakey/wrapped/orders", "{}", to(user)},
		{"POST", "datakeys/plaintext/orders", object("count", 2), to(user)},
		{"POST", "sign/orders", object("input", hello), to(user)},
		{"POST", "sign/orders/sha2-256", object("input", hello), to(user)},
		{"POST", "verify/orders", object("input", hello, "signature", "vault:v1:"), to(user)},
		{"POST", "verify/orders/sha2-256", object("input", hello, "hmac", "vault:v1:"), to(user)},
		{"POST", "hmac/orders", object("input", hello), to(user)},
		{"POST", "hmac/orders/sha2-512", object("input", hello), to(user)},
		{"POST", "cmac/orders", object("input", hello), to(user)},
		{"POST", "cmac/orders/8", object("input", hello), to(user)},
		{"POST", "encrypt/other", object("plaintext", hello), nil},
		{"POST", "encrypt/misspelt", object("plaintext", hello), nil},
		{"POST", "decrypt/other", object("ciphertext", "$sealed"), nil},
		{"POST", "datakey/plaintext/other", "{}", nil},
		{"POST", "datakeys/plaintext/other", object("count", 2), nil},
		{"POST", "sign/other", object("input", hello), nil},
		{"POST", "hmac/other", object("input", hello), nil},
		{"POST", "hash", object("input", hello), nil},
		{"POST", "random", "{}", nil},
	}
}

func keyPermits() []permit {
	to := func(roles ...string) []string { return roles }
	because := object("reason", lifeReason)
	everyone := to(operator, custodian, responder, auditor, viewer)
	looking := slices.Concat(everyone, to(approver))
	return []permit{
		{"LIST", "keys", "", everyone},
		{"GET", "keys/orders", "", looking},
		{"GET", "keys/orders/history", "", everyone},
		{"LIST", "keys/orders/history", "", everyone},
		{"LIST", "keys/orders/versions", "", looking},
		{"GET", "keys/orders/versions/1", "", looking},
		{"GET", "keys/orders/versions/1/attestation", "", to(auditor)},
		{"GET", "keys/orders/rotation", "", to(operator, auditor, viewer)},
		{"GET", "keys/orders/plan", "", to(operator, custodian, auditor, approver, viewer)},
		{"LIST", "keys/orders/plan", "", to(operator, custodian, auditor, approver, viewer)},
		{"GET", "keys/orders/compromise-report", "", to(responder, auditor)},
		{"GET", "keys/orders/jwks", "", to(auditor)},
		{"GET", "keys/orders/check", "", to(operator, auditor)},
		{"POST", "keys/orders/drill", object("record", true, "reason", lifeReason), to(responder)},

		{"POST", "keys/new", object("policy", "pci"), to(operator)},
		{"POST", "keys/free", "{}", to(operator)},
		{"POST", "keys/free", object("policy", ""), nil},
		{"POST", "keys/orders", object("policy", ""), nil},
		{"POST", "keys/orders", object("policy", "pci"), to(operator)},
		{"POST", "keys/orders/config", object("owner", "payments"), to(operator, custodian)},
		{"POST", "keys/orders/config", object("min_encryption_version", 1), to(operator, custodian)},
		{"POST", "keys/orders/config", object("min_decryption_version", 1), to(custodian)},
		{"POST", "keys/orders/config", object("deletion_allowed", false), to(custodian)},
		{"POST", "keys/orders/config", object("exportable", false), to(custodian)},
		{"POST", "keys/orders/config", object("policy", "pci"), to(custodian)},
		{"POST", "keys/orders/rotate", because, to(operator)},
		{"POST", "keys/orders/rollback", because, to(operator)},
		{"POST", "keys/orders/suspend", because, to(operator, responder)},
		{"POST", "keys/orders/resume", because, to(operator)},
		{"POST", "keys/orders/recover", because, to(custodian)},
		{"POST", "keys/orders/retire", because, to(custodian)},
		{"POST", "keys/orders/restore", because, to(custodian)},
		{"POST", "keys/orders/hold", object("hold", true, "reason", lifeReason), to(custodian)},
		{"POST", "keys/orders/hold", object("hold", false, "reason", lifeReason), to(custodian)},
		{"POST", "keys/orders/trim", object("min_available_version", 1), to(custodian)},
		{"DELETE", "keys/orders", "", to(custodian)},
		{"DELETE", "keys/orders/soft-delete", "", nil},
		{"POST", "keys/orders/soft-delete-restore", "", nil},
		{"POST", "keys/spare/archive", because, to(custodian)},
	}
}

// inAndOutPermits are those of what lets material in, or out. No role gets any out: who does is named where it is allowed.
func inAndOutPermits() []permit {
	to := func(roles ...string) []string { return roles }
	twoKeys := object("ciphertext", hello, "public_key", "-")
	return []permit{
		{"GET", "export/public-key/leaving", "", to(auditor)},
		{"GET", "export/public-key/leaving/1", "", to(auditor)},
		{"GET", "export/encryption-key/leaving", "", nil},
		{"GET", "export/signing-key/leaving/1", "", nil},
		{"GET", "export/hmac-key/leaving", "", nil},
		{"GET", "backup/leaving", "", nil},
		{"GET", "byok-export/leaving/leaving", "", nil},
		{"GET", "byok-export/leaving/leaving/1", "", nil},
		{"GET", "wrapping_key", "", to(custodian)},
		{"POST", "keys/orders/import", twoKeys, to(custodian)},
		{"POST", "keys/orders/import_version", twoKeys, to(custodian)},
		{"POST", "restore", "{}", to(custodian)},
		{"POST", "restore/orders", "{}", to(custodian)},
		{"POST", "keys/leaving/csr", "{}", to(operator)},
		{"POST", "keys/leaving/set-certificate", "{}", to(operator)},
	}
}

func versionPermits() []permit {
	to := func(roles ...string) []string { return roles }
	because := object("reason", lifeReason)
	return []permit{
		{"POST", "keys/orders/versions/1/promote", because, to(operator)},
		{"POST", "keys/orders/versions/1/suspend", because, to(operator, responder)},
		{"POST", "keys/orders/versions/1/resume", because, to(operator)},
		{"POST", "keys/orders/versions/1/archive", because, to(operator, custodian)},
		{"POST", "keys/orders/versions/1/recover", because, to(custodian)},
		{"POST", "keys/orders/versions/1/retire", because, to(custodian)},
		{"POST", "keys/orders/versions/1/restore", because, to(custodian)},
		{"POST", "keys/orders/versions/1/compromise", object("reason", lifeReason), to(responder)},
	}
}

func mountPermits() []permit {
	to := func(roles ...string) []string { return roles }
	return []permit{
		{"LIST", "policies", "", to(author, operator, auditor, viewer)},
		{"GET", "policies/pci", "", to(author, operator, auditor, approver, viewer)},
		{"POST", "policies/pci", object("description", "card data"), to(author)},
		{"POST", "policies/new", object("owner", "payments"), to(author)},
		{"DELETE", "policies/new", "", to(author)},
		{"POST", "policies/pci/plan", object("rotation_period", "1d"), to(author, viewer)},
		{"GET", "policies/pci/drift", "", to(author, operator, auditor, viewer)},
		{"LIST", "policies/pci/drift", "", to(author, operator, auditor, viewer)},
		{"LIST", "policies/pci/revisions", "", to(author, auditor, viewer)},
		{"GET", "policies/pci/revisions/1", "", to(author, auditor, viewer)},
		{"GET", "policies/pci/history", "", to(author, auditor, viewer)},
		{"LIST", "policies/pci/history", "", to(author, auditor, viewer)},
		{"GET", "config/history", "", to(auditor, viewer)},
		{"LIST", "config/history", "", to(auditor)},
		{"GET", "compliance/report", "", to(auditor)},
		{"GET", "inventory", "", to(operator, auditor, viewer)},
		{"GET", "calendar", "", to(operator, auditor, viewer)},
		{"GET", "rotation/status", "", to(operator, auditor, viewer)},
		{"LIST", "rotation/status", "", to(operator, auditor, viewer)},
		{"GET", "config/engine", "", to(author, auditor)},
		{"POST", "config/engine", object("require_policy", false), to(author)},
		{"GET", "config/keys", "", to(auditor)},
		{"POST", "config/keys", object("disable_upsert", true), nil},
		{"GET", "cache-config", "", to(auditor)},
		{"POST", "cache-config", object("size", 1000), nil},
		{"GET", "hsm/status", "", to(auditor)},
		{"GET", "health", "", to(operator, auditor, viewer)},
		{"POST", "health", "{}", to(operator)},
		{"GET", "config/clock", "", to(custodian, auditor, viewer)},
		{"POST", "config/clock", object("acknowledge", true), to(custodian)},
		{"GET", "metrics?format=json", "", to(scraper, viewer)},
		{"GET", "custody/export", "", to(auditor, viewer)},
		{"GET", "custody/public-key", "", to(auditor)},
		{"POST", "custody/checkpoint", "{}", to(auditor)},
		{"POST", "custody/verify", "{}", to(auditor)},
		{"POST", "custody/rotate-key", "{}", to(custodian)},
	}
}

// consentPermits name a request, $approval, a review, $review, and an approver, $entity, that are there.
func consentPermits() []permit {
	to := func(roles ...string) []string { return roles }
	because := object("reason", lifeReason)
	asking := to(author, operator, custodian)
	looking := slices.Concat(asking, to(auditor, approver, viewer))
	return []permit{
		{"LIST", "approvals", "", looking},
		{"GET", "approvals/$approval", "", looking},
		{"POST", "approvals/$approval/approve", "{}", to(approver)},
		{"POST", "approvals/$approval/deny", because, to(approver)},
		{"POST", "approvals/$approval/withdraw", because, asking},
		{"GET", "approvers/duties", "", to(approver, auditor)},
		{"POST", "approvers/acknowledge", object("duties_hash", "-"), to(approver)},
		{"LIST", "approvers", "", to(approver, auditor)},
		{"GET", "approvers/$entity", "", to(approver, auditor)},
		{"DELETE", "approvers/$entity", "", nil},
		{"LIST", "reviews", "", to(approver, auditor, viewer)},
		{"GET", "reviews/$review", "", to(approver, auditor, viewer)},
		{"POST", "reviews/$review/close", object("verdict", "justified", "reason", lifeReason), to(approver)},
		{"GET", "access-review", "", to(auditor)},
		{"POST", "access-review/attest", because, nil},
		{"GET", "config/approvals", "", to(auditor)},
		{"POST", "config/approvals", object("approver_wait", 0), nil},
	}
}

// consented makes a request, an act by break-glass and approvers, and returns what stands for them in permits.
func consented(t *testing.T, s *harness.Server, mount string) *strings.Replacer {
	t.Helper()
	b := peopleAt(t, s, mount)
	b.appoint("bob")
	b.appoint("carol")
	b.govern("guarded", map[string]string{"rotate": b.of(1)})
	b.govern("urgent", map[string]string{"promote": b.of(1)})
	b.must("root", http.MethodPost, "config/approvals", object("break_glass_root", true))
	b.must("root", http.MethodPost, "keys/urgent/rotate", object("stage", true, "reason", lifeReason))
	b.must("root", http.MethodPost, "keys/urgent/versions/2/promote", object("break_glass", true, "reason", "INC-2044: version 1 is blocked, payments are down"))
	return strings.NewReplacer(
		"$approval", b.ask("bob", http.MethodPost, "keys/guarded/rotate", object("reason", lifeReason)), "$entity", b.entities["bob"],
		"$review", b.must("root", "LIST", "reviews", "")["keys"].([]any)[0].(string),
	)
}

// What the engine answers depends on the state of the key, which the requests before have changed: a refusal by the engine
// is an answer to one who may ask.
func TestEveryRoleMayDoItsWorkAndNoMore(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	s.Must(t, http.MethodPost, mount+"/policies/pci", object("owner", "payments"))
	for _, name := range []string{"orders", "other", "spare"} {
		s.Must(t, http.MethodPost, mount+"/keys/"+name, object("policy", "pci"))
	}
	s.Must(t, http.MethodPost, mount+"/keys/leaving", object("type", "rsa-2048", "exportable", true, "allow_plaintext_backup", true))
	fill := strings.NewReplacer("$sealed", sealAt(t, s, mount, "orders", f0(), 1, ""))
	named := consented(t, s, mount)
	for _, role := range roles {
		token := roleToken(t, s, role, mount)
		for _, p := range permits() {
			answer, err := s.Send(harness.Request{Method: p.method, Path: mount + "/" + named.Replace(p.path), Body: fill.Replace(p.body), Token: token})
			require.NoError(t, err)
			allowed := []int{http.StatusOK, http.StatusNoContent, http.StatusBadRequest}
			if !slices.Contains(p.to, role) {
				allowed = []int{http.StatusForbidden}
			}
			require.Contains(t, allowed, answer.Status, "%s: %s %s %s: %v", role, p.method, p.path, p.body, answer.Body)
		}
	}
}

// A policy that could be shaken off would bind nobody.
func TestAnOperatorCannotFreeAKeyOfItsPolicy(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	s.Must(t, http.MethodPost, mount+"/policies/pci", object("owner", "payments"))
	s.Must(t, http.MethodPost, mount+"/keys/orders", object("policy", "pci"))
	token := roleToken(t, s, operator, mount)
	for _, path := range []string{"", "/config"} {
		for _, body := range []string{`{"policy":""}`, `{"policy":null}`, `{"Policy":""}`, `{"policy":false}`, `{"policy":[]}`, `{"policy":" "}`} {
			_, err := s.Send(harness.Request{Method: http.MethodPost, Path: mount + "/keys/orders" + path, Body: body, Token: token})
			require.NoError(t, err)
			require.Equal(t, "pci", s.Must(t, http.MethodGet, mount+"/keys/orders", nil)["policy"], "after %s %s", path, body)
		}
	}
}

// An approver ends his own enrolment, and nobody else's.
func TestAnApproverMayLayDownHisDuties(t *testing.T) {
	s := server(t)
	b := peopleAt(t, s, freshMount(t, s, harness.PluginName))
	roleToken(t, s, approver, b.mount)
	for _, name := range []string{"bob", "carol"} {
		b.appoint(name)
		s.Must(t, http.MethodPost, "identity/entity/id/"+b.entities[name], object("policies", []string{approver + "-" + b.mount}))
	}
	b.refused(http.StatusForbidden, "", "bob", http.MethodDelete, "approvers/"+b.entities["carol"], "")
	b.must("bob", http.MethodDelete, "approvers/"+b.entities["bob"], "")
	b.refused(http.StatusForbidden, "", "bob", http.MethodPost, "keys/new", "{}")
}

// The table above would pass with a path that does not exist.
func TestEveryPermittedRequestIsOneOfTheMount(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	s.Must(t, http.MethodPost, mount+"/keys/leaving", object("type", "rsa-2048", "exportable", true, "allow_plaintext_backup", true))
	s.Must(t, http.MethodGet, mount+"/custody/public-key", nil) // the first act on the mount: LIST answers 404 to an empty history
	named := consented(t, s, mount)
	for _, p := range permits() {
		s.Do(t, http.MethodPost, mount+"/policies/pci", object("owner", "payments"))
		for _, name := range []string{"orders", "other", "spare"} {
			s.Do(t, http.MethodPost, mount+"/keys/"+name, "{}")
		}
		answer := s.Do(t, p.method, mount+"/"+named.Replace(p.path), p.body)
		require.Contains(t, []int{http.StatusOK, http.StatusNoContent, http.StatusBadRequest}, answer.Status, "%s %s: %v", p.method, p.path, answer.Body)
	}
}

func TestEveryExampleIsARole(t *testing.T) {
	files, err := filepath.Glob("../examples/acl/*.hcl")
	require.NoError(t, err)
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".hcl"))
	}
	require.ElementsMatch(t, roles, names)
}

// roleToken makes a token that holds one example, for a mount of another name.
func roleToken(t *testing.T, s *harness.Server, role, mount string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "examples", "acl", role+".hcl"))
	require.NoError(t, err)
	name := role + "-" + mount
	s.Must(t, http.MethodPut, "sys/policies/acl/"+name, object("policy", strings.ReplaceAll(string(text), `"keylife/`, `"`+mount+`/`)))
	secret, err := s.Client().Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{name}, NoDefaultPolicy: true})
	require.NoError(t, err)
	return secret.Auth.ClientToken
}
