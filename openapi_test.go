// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// bodiless are the operations of which all fields are in the path or the query string.
var bodiless = []logical.Operation{logical.ReadOperation, logical.ListOperation, logical.DeleteOperation}

// TestTheFieldsOfARequestWithoutABodyAreQueryParameters: in OpenAPI they are nowhere otherwise. Fields are declared by
// path, so on a path that takes bodies too, those are meant that no body alone has.
func TestTheFieldsOfARequestWithoutABodyAreQueryParameters(t *testing.T) {
	onlyInBodies := map[string][]string{
		"keys/k":        {"type", "derived", "convergent_encryption", "exportable", "allow_plaintext_backup", "auto_rotate_period", "key_size", "policy", "owner", "labels"},
		"policies/k":    append(sorted(contentFields), "document"),
		"config/engine": {"require_policy", "default_policy", "reason"},
		"config/keys":   {"disable_upsert"},
		"config/clock":  {"acknowledge"},
	}
	m := newMount(t)
	for _, path := range m.Paths {
		where := example(t, m, path)
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

func TestOpenAPIShowsQueryParameters(t *testing.T) {
	m := newMount(t)
	m.system.PluginEnvironment = &logical.PluginEnvironment{}
	resp, err := m.HandleRequest(t.Context(), &logical.Request{Operation: logical.HelpOperation, Storage: m.storage, Data: dataOf("requestResponsePrefix", "keylife")})
	require.NoError(t, err)
	doc, ok := resp.Data["openapi"].(*framework.OASDocument)
	require.True(t, ok)
	paths := plain(t, doc).Paths
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
	require.Equal(t, []string{"count"}, shown(paths["/keys/{name}/plan"].Get))
}
