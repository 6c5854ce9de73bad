// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package docs_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// endpoint is how a page writes a method and a path: `POST keys/:name/csr`.
var endpoint = regexp.MustCompile("`((?:GET|LIST|POST|DELETE) [^ `?]+)`")

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

// published are the endpoints of the mount's OpenAPI document.
func published(t *testing.T) map[string]bool {
	t.Helper()
	m := mounttest.New(t)
	m.System.PluginEnvironment = &logical.PluginEnvironment{}
	resp, err := m.HandleRequest(t.Context(), &logical.Request{Operation: logical.HelpOperation, Storage: m.Storage})
	require.NoError(t, err)
	document, ok := resp.Data["openapi"].(*framework.OASDocument)
	require.True(t, ok, "%T", resp.Data["openapi"])
	all := map[string]bool{}
	for path, item := range document.Paths {
		path = pathParameter.ReplaceAllString(strings.TrimPrefix(path, "/"), ":$1")
		for method, operation := range map[string]*framework.OASOperation{"GET ": item.Get, "POST ": item.Post, "DELETE ": item.Delete} {
			switch list := strings.TrimSuffix(path, "/"); {
			case operation == nil:
			case list != path:
				all["LIST "+list] = true
			default:
				all[method+path] = true
			}
		}
	}
	return all
}

func TestTheReferenceHasTheEndpointsOfTheMount(t *testing.T) {
	described := map[string]bool{}
	files, err := filepath.Glob("api/*.md")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range endpoint.FindAllStringSubmatch(string(text), -1) {
			described[match[1]] = true
		}
	}
	require.Equal(t, slices.Sorted(maps.Keys(published(t))), slices.Sorted(maps.Keys(described)))
}

// An answer that several paths give is described where one of them is, the view of a key with keys/:name.
func TestEveryFieldOfAnAnswerIsDescribed(t *testing.T) {
	a := readAPI(t)
	described := map[string]bool{}
	of := func(name string, schema *framework.FieldSchema) string { return name + ": " + schema.Description }
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, match := range block.FindAllStringSubmatch(string(text), -1) {
			for name, schema := range a.shown(t, match[1], strings.Fields(match[2]), strings.Fields(match[3])) {
				described[of(name, schema)] = true
			}
		}
	}
	var missing []string
	for path, fields := range a.answer {
		if fields["key_info"] != nil {
			continue // a list: api/README.md has its fields
		}
		for name, schema := range fields {
			if !described[of(name, schema)] {
				missing = append(missing, path+" "+of(name, schema))
			}
		}
	}
	require.Empty(t, missing, "fields of answers that no page describes")
}
