// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mounttest

import (
	"reflect"
	"regexp"
	"strings"
	"sync"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// Latest is the number of the newest version of a key.
func (m *Mount) Latest(key string) int {
	m.T.Helper()
	return m.Must(m.Read("keys/" + key)).Data["latest_version"].(int)
}

// Rotation is how the rotation of a key stands.
func (m *Mount) Rotation(key string) map[string]any {
	m.T.Helper()
	return m.Must(m.Read("keys/" + key + "/rotation")).Data
}

// Status is how the rotations of the mount stand.
func (m *Mount) Status() map[string]any {
	m.T.Helper()
	return m.Must(m.Read("rotation/status")).Data
}

// StatesOf returns the states of all versions of a key, the oldest first.
func (m *Mount) StatesOf(key string) []string {
	m.T.Helper()
	listed := m.Must(m.List("keys/" + key + "/versions")).Data
	states := []string{}
	for _, number := range listed["keys"].([]string) {
		states = append(states, listed["key_info"].(map[string]any)[number].(map[string]any)["state"].(string))
	}
	return states
}

// Framework is the SDK's part of the mount: paths, fields and schemas. Every backend that is built on the SDK embeds it.
func (m *Mount) Framework() *framework.Backend {
	m.T.Helper()
	embedded, ok := reflect.ValueOf(m.Backend).Elem().FieldByName("Backend").Interface().(*framework.Backend)
	require.True(m.T, ok)
	return embedded
}

// ExampleOf is a request path that the pattern of a path matches; what the pattern captures is k, or version 1.
func (m *Mount) ExampleOf(path *framework.Path) string {
	m.T.Helper()
	text := strings.Trim(path.Pattern, "^$")
	text = regexp.MustCompile(`\(/\(\?P<\w+>[^/]+\)\)\?`).ReplaceAllString(text, "") // may be left out
	text = strings.NewReplacer(framework.GenericNameRegex("name"), "k", framework.GenericNameRegex("destination"), "k", framework.GenericNameRegex("source"), "k", framework.GenericNameRegex("version"), "1", framework.GenericNameRegex("plaintext"), "wrapped", framework.GenericNameRegex("type"), "encryption-key", framework.GenericNameRegex("id"), "0f1e2d3c4b5a69788796a5b4c3d2e1f0", framework.GenericNameRegex("entity"), "k", "/?", "/").Replace(text)
	text = regexp.MustCompile(`\(\?P<\w+>\\d\+\)`).ReplaceAllString(text, "1")
	require.Equal(m.T, path.Pattern, m.Framework().Route(text).Pattern, text)
	return text
}

// Cached lists the versions whose opened material is in the memory of the mount. Nothing that a client sees tells, so it
// looks into the backend itself.
func Cached(m *Mount) (versions []int) {
	m.T.Helper()
	value := reflect.ValueOf(m.Backend)
	for _, field := range []string{"plane", "ciphers", "lru", "items"} {
		value = value.Elem().FieldByName(field)
		require.True(m.T, value.IsValid(), "the backend keeps ciphers elsewhere: no %s", field)
	}
	for _, id := range value.MapKeys() {
		versions = append(versions, int(id.FieldByName("number").Int()))
	}
	return versions
}

// AtOnce sends the same write from so many clients, so often each, and returns the answers.
func AtOnce(m *Mount, clients, each int, path string, kv ...any) []Answer {
	var mu sync.Mutex
	var wait sync.WaitGroup
	var all []Answer
	for range clients {
		wait.Go(func() {
			for range each {
				got := m.Do(logical.UpdateOperation, path, Data(kv...))
				mu.Lock()
				all = append(all, got)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return all
}

// PlanPolicy writes a plan of policy p and returns it, and its keys by their names. It holds that a plan writes nothing.
func PlanPolicy(m *Mount, kv ...any) (plan map[string]any, keys map[string]map[string]any) {
	m.T.Helper()
	before := m.Storage.All()
	m.Storage.Reset()
	plan = m.Must(m.Write("policies/p/plan", kv...)).Data
	require.Zero(m.T, m.Storage.Reset().Writes())
	require.Equal(m.T, before, m.Storage.All())
	keys = map[string]map[string]any{}
	for _, key := range plan["keys"].([]map[string]any) {
		keys[key["name"].(string)] = key
	}
	return plan, keys
}

// FromTo is a difference in a plan.
func FromTo(from, to any) map[string]any { return map[string]any{"from": from, "to": to} }
