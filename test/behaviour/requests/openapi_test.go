// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// bodiless are the operations of which all fields are in the path or the query string.
var bodiless = []logical.Operation{logical.ReadOperation, logical.ListOperation, logical.DeleteOperation}

// TestTheFieldsOfARequestWithoutABodyAreQueryParameters: in OpenAPI they are nowhere otherwise. Fields are declared by
// path, so on a path that takes bodies too, those are meant that no body alone has.
func TestTheFieldsOfARequestWithoutABodyAreQueryParameters(t *testing.T) {
	m := mounttest.New(t)
	inPolicies := slices.Collect(maps.Keys(m.Must(m.Write("policies/k", "owner", "o")).Data)) // what a revision has
	onlyInBodies := map[string][]string{
		"keys/k":        {"type", "derived", "convergent_encryption", "protection", "exportable", "allow_plaintext_backup", "auto_rotate_period", "key_size", "parameter_set", "allowed_uses", "policy", "owner", "labels"},
		"policies/k":    inPolicies,
		"config/engine": {"require_policy", "default_policy", "access_ledger", "access_review_every", "scrub", "health_public", "reason"},
		"config/keys":   {"disable_upsert", "public_jwks"},
		"cache-config":  {"size"},
		"config/approvals": {
			"approvals", "duties", "acknowledge_every", "approver_wait", "auth_mount", "break_glass_groups", "break_glass_root", "break_glass_operations",
			"review_within",
		},
		"config/clock": {"acknowledge"},
		"config/hsm": {
			"enabled", "library", "token_label", "token_serial", "pin", "pin_env", "pin_file", "mechanism", "gcm_iv_mode", "rsa_oaep_hash",
			"max_sessions", "call_timeout", "acquire_timeout", "allow_generate_kek", "kek_rotation_period", "kek_min_age",
			"cache_ttl", "degraded_mode", "degraded_max_age", "health_interval", "random_source", "random_policy",
		},
	}
	for _, path := range m.Framework().Paths {
		where := m.ExampleOf(path)
		for op := range path.Operations {
			if !slices.Contains(bodiless, op) {
				continue
			}
			for name, schema := range path.Fields {
				if !strings.Contains(path.Pattern, "?P<"+name+">") && !slices.Contains(onlyInBodies[where], name) {
					require.True(t, schema.Query, "%s %s: %s", op, where, name)
				}
			}
		}
	}
}

// openAPI is the mount's document, as Vault hands it out.
func openAPI(t *testing.T) map[string]*framework.OASPathItem {
	t.Helper()
	m := mounttest.New(t)
	m.System.PluginEnvironment = &logical.PluginEnvironment{}
	resp, err := m.HandleRequest(t.Context(), &logical.Request{Operation: logical.HelpOperation, Storage: m.Storage, Data: mounttest.Data("requestResponsePrefix", "keylife")})
	require.NoError(t, err)
	doc, ok := resp.Data["openapi"].(*framework.OASDocument)
	require.True(t, ok)
	return mounttest.AsJSON(t, doc).Paths
}

// Clients that are made of the document name a function by an operation's id.
func TestNoTwoOperationsHaveOneOpenAPIName(t *testing.T) {
	named := map[string]string{}
	for path, item := range openAPI(t) {
		for method, operation := range map[string]*framework.OASOperation{"GET ": item.Get, "POST ": item.Post, "DELETE ": item.Delete} {
			if operation == nil {
				continue
			}
			id := operation.OperationID
			require.Regexp(t, `^keylife-[a-z-]+[a-z0-9]$`, id, path)
			require.Empty(t, named[id], "%s%s has the operation id %s, too", method, path, id)
			named[id] = method + path
		}
	}
}

func TestOpenAPIShowsQueryParameters(t *testing.T) {
	paths := openAPI(t)
	shown := func(op *framework.OASOperation) []string {
		names := map[string]bool{}
		for _, parameter := range op.Parameters {
			names[parameter.Name] = parameter.In == "query"
		}
		return slices.Sorted(maps.Keys(names))
	}
	require.Equal(t, []string{"cas", "context", "reason"}, shown(paths["/keys/{name}"].Delete))
	require.Equal(t, []string{"cas", "reason"}, shown(paths["/policies/{name}"].Delete))
	require.Equal(t, []string{"cas", "reason"}, shown(paths["/keys/{name}/soft-delete"].Delete))
	require.Equal(t, []string{"after", "limit", "list"}, shown(paths["/keys/{name}/versions/"].Get))
	require.Equal(t, []string{"after", "limit"}, shown(paths["/keys/{name}/history"].Get))
	require.Equal(t, []string{"after", "limit", "list"}, shown(paths["/keys/{name}/history/"].Get))
	require.Equal(t, []string{"count", "list"}, shown(paths["/keys/{name}/plan/"].Get))
	require.Equal(t, []string{"count"}, shown(paths["/keys/{name}/plan"].Get))
}

func TestEveryPathExplainsItselfToPeopleAndToTools(t *testing.T) {
	m := mounttest.New(t)
	for _, path := range m.Framework().Paths {
		require.NotEmpty(t, path.HelpSynopsis, path.Pattern)
		require.NotEmpty(t, path.HelpDescription, path.Pattern)
		require.NotNil(t, path.DisplayAttrs, path.Pattern)
		require.Equal(t, "keylife", path.DisplayAttrs.OperationPrefix, path.Pattern)
		for op, handler := range path.Operations {
			require.NotEmpty(t, handler.Properties().Summary, "%s %s", op, path.Pattern)
			require.NotEmpty(t, handler.Properties().Responses, "%s %s", op, path.Pattern)
		}
		for name, schema := range path.Fields {
			require.NotEmpty(t, schema.Description, "%s %s", path.Pattern, name)
		}
	}
}

func TestTheHelpOfTheMountNamesWhatItHas(t *testing.T) {
	m := mounttest.New(t)
	for path := range openAPI(t) {
		first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		require.Contains(t, strings.FieldsFunc(m.Framework().Help, func(r rune) bool { return strings.ContainsRune(" ,.:/\n", r) }), first)
	}
}

// documented are the fields that OpenAPI publishes of what a read, or else a write, of the path answers.
func documented(m *mounttest.Mount, path string) map[string]*framework.FieldSchema {
	operations := m.Framework().Route(path).Operations
	operation, reads := operations[logical.ReadOperation]
	if !reads {
		operation = operations[logical.UpdateOperation]
	}
	return operation.Properties().Responses[http.StatusOK][0].Fields
}

// TestAnswersHaveOnlyDocumentedFields holds the response schemas, which OpenAPI publishes, to what is answered.
func TestAnswersHaveOnlyDocumentedFields(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("keys/d", "derived", true, "convergent_encryption", true, "policy", "p"))
	for _, path := range []string{"keys/d", "keys/d/rotation", "policies/p"} {
		for name := range m.Must(m.Read(path)).Data {
			require.Contains(t, documented(m, path), name, path)
		}
	}
}

func TestReportsHaveOnlyDocumentedFields(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "100h"))
	m.Must(m.Write("keys/k", "policy", "p"))
	for path, a := range map[string]mounttest.Answer{
		"policies/p/plan": m.Write("policies/p/plan", "rotation_period", "8h"), "policies/p/drift": m.Read("policies/p/drift"),
		"keys/k/plan": m.Read("keys/k/plan"), "policies/p/revisions/1": m.Read("policies/p/revisions/1"), "config/engine": m.Read("config/engine"),
	} {
		require.ElementsMatch(t, slices.Collect(maps.Keys(documented(m, path))), slices.Collect(maps.Keys(m.Must(a).Data)), path)
	}
}
