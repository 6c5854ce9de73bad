// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package fuzz_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// endpoint is one operation of one path, as the mount's OpenAPI document has it.
type endpoint struct {
	path   string // with {parameters}
	op     logical.Operation
	fields []string // in the body or the query, in alphabetical order
}

// surface asks the backend for all of its endpoints, in an order that does not change.
func surface(t testing.TB, b logical.Backend) []endpoint {
	t.Helper()
	resp, err := b.HandleRequest(context.Background(), &logical.Request{Operation: logical.HelpOperation, Storage: &logical.InmemStorage{}})
	require.NoError(t, err)
	document, ok := resp.Data["openapi"].(*framework.OASDocument)
	require.True(t, ok, "%T", resp.Data["openapi"])
	var all []endpoint
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		item := document.Paths[path]
		path = strings.TrimPrefix(path, "/")
		if item.Get != nil {
			all = append(all, endpoint{path, logical.ReadOperation, fieldsOf(document, item.Get)})
		}
		if item.Get != nil && isListed(item.Get) {
			all = append(all, endpoint{path, logical.ListOperation, []string{"after", "limit"}})
		}
		if item.Post != nil {
			all = append(all, endpoint{path, logical.UpdateOperation, fieldsOf(document, item.Post)})
		}
		if item.Delete != nil {
			all = append(all, endpoint{path, logical.DeleteOperation, []string{"cas", "reason"}})
		}
	}
	require.NotEmpty(t, all)
	return all
}

func isListed(op *framework.OASOperation) bool {
	return slices.ContainsFunc(op.Parameters, func(p framework.OASParameter) bool { return p.Name == "list" })
}

// fieldsOf returns the names in the body and the query.
func fieldsOf(document *framework.OASDocument, op *framework.OASOperation) []string {
	names := map[string]bool{}
	for _, p := range op.Parameters {
		if p.In == "query" {
			names[p.Name] = true
		}
	}
	if op.RequestBody != nil {
		for _, media := range op.RequestBody.Content {
			schema := media.Schema
			if name, ok := strings.CutPrefix(schema.Ref, "#/components/schemas/"); ok {
				schema = document.Components.Schemas[name]
			}
			for name := range schema.Properties {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}
