// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// cas is what keeps a client that retries from rotating twice.
func TestAChangeForAnotherRevisionIsAConflict(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	key := mount + "/keys/k"
	s.Must(t, http.MethodPost, mount+"/policies/p", `{"owner":"a","cas":0}`)
	revision := number(s.Must(t, http.MethodPost, key, `{"cas":0}`)["revision"])
	stale := map[string]any{"cas": revision + 7}
	for _, path := range []string{key + "/rotate", key + "/config", key, mount + "/policies/p"} {
		answer := s.Do(t, http.MethodPost, path, stale)
		require.Equal(t, http.StatusConflict, answer.Status, "%s: %v", path, answer.Body)
	}
	require.Equal(t, http.StatusConflict, s.Do(t, http.MethodPost, key, `{"cas":0}`).Status, "the key exists")
	view := s.Must(t, http.MethodGet, key, nil)
	require.Equal(t, revision, number(view["revision"]))
	require.Equal(t, 1, number(view["latest_version"]))

	rotate := map[string]any{"cas": revision, "reason": "the first attempt"}
	view = s.Must(t, http.MethodPost, key+"/rotate", rotate)
	require.Equal(t, 2, number(view["latest_version"]))
	require.Greater(t, number(view["revision"]), revision)
	require.Equal(t, http.StatusConflict, s.Do(t, http.MethodPost, key+"/rotate", rotate).Status, "the retry of a rotation that happened")
	require.Equal(t, "the first attempt", s.Must(t, http.MethodGet, key+"/rotation", nil)["last_rotation_reason"])
}

// Leaving a policy is a change of configuration that the policy may ask a reason for.
func TestAPolicyAsksForReasons(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	key := mount + "/keys/k"
	s.Must(t, http.MethodPost, mount+"/policies/p", `{"owner":"a","require_reason":["create","configure","promote"]}`)
	s.Must(t, http.MethodPost, key, object("policy", "p", "reason", lifeReason))
	s.Must(t, http.MethodPost, key+"/rotate", `{"stage":true}`)
	for _, change := range []struct{ path, name, value string }{
		{"/config", "owner", "payments"}, {"", "owner", "payments"}, {"/versions/2/promote", "", ""}, {"/config", "policy", ""}, {"", "policy", ""},
	} {
		for _, reason := range []string{"", "too short", strings.Repeat(" ", 20)} {
			body := map[string]any{"reason": reason}
			if change.name != "" {
				body[change.name] = change.value
			}
			answer := s.Do(t, http.MethodPost, key+change.path, body)
			require.Equal(t, http.StatusBadRequest, answer.Status, "%s %v: %v", change.path, body, answer.Body)
		}
	}
	require.Equal(t, "p", s.Must(t, http.MethodGet, key, nil)["policy"])
	s.Must(t, http.MethodPost, key+"/versions/2/promote", object("reason", lifeReason))
	s.Must(t, http.MethodPost, key+"/config", object("policy", "", "reason", lifeReason))
}

func TestListsComeInPages(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		s.Must(t, http.MethodPost, mount+"/keys/"+name, nil)
		s.Must(t, http.MethodPost, mount+"/policies/"+name, `{"owner":"a"}`)
	}
	for query, want := range map[string][]any{
		"": {"a", "b", "c", "d", "e"}, "?limit=2": {"a", "b"}, "?after=b&limit=2": {"c", "d"}, "?after=d": {"e"}, "?after=bb": {"c", "d", "e"},
	} {
		for _, list := range []string{"/keys", "/policies"} {
			require.Equal(t, want, s.Must(t, "LIST", mount+list+query, nil)["keys"], "%s%s", list, query)
		}
	}
}

// operations are all that keylife answers to.
var operations = map[string][]string{
	"/config/clock":                         {"get", "post"},
	"/config/engine":                        {"get", "post"},
	"/config/keys":                          {"get", "post"},
	"/custody/checkpoint":                   {"post"},
	"/custody/export":                       {"get"},
	"/custody/public-key":                   {"get"},
	"/custody/rotate-key":                   {"post"},
	"/custody/verify":                       {"post"},
	"/datakey/{plaintext}/{name}":           {"post"},
	"/decrypt/{name}":                       {"post"},
	"/encrypt/{name}":                       {"post"},
	"/jwks/{name}":                          {"get"},
	"/keys/":                                {"get"},
	"/keys/{name}":                          {"delete", "get", "post"},
	"/keys/{name}/archive":                  {"post"},
	"/keys/{name}/compromise-report":        {"get"},
	"/keys/{name}/config":                   {"post"},
	"/keys/{name}/drill":                    {"post"},
	"/keys/{name}/history":                  {"get"},
	"/keys/{name}/history/":                 {"get"},
	"/keys/{name}/hold":                     {"post"},
	"/keys/{name}/jwks":                     {"get"},
	"/keys/{name}/recover":                  {"post"},
	"/keys/{name}/restore":                  {"post"},
	"/keys/{name}/resume":                   {"post"},
	"/keys/{name}/retire":                   {"post"},
	"/keys/{name}/rollback":                 {"post"},
	"/keys/{name}/rotate":                   {"post"},
	"/keys/{name}/rotation":                 {"get"},
	"/keys/{name}/soft-delete":              {"delete", "post"},
	"/keys/{name}/soft-delete-restore":      {"post"},
	"/keys/{name}/suspend":                  {"post"},
	"/keys/{name}/trim":                     {"post"},
	"/keys/{name}/versions/":                {"get"},
	"/keys/{name}/versions/{version}":       {"get"},
	"/policies/":                            {"get"},
	"/policies/{name}":                      {"delete", "get", "post"},
	"/policies/{name}/drift":                {"get"},
	"/policies/{name}/drift/":               {"get"},
	"/policies/{name}/history":              {"get"},
	"/policies/{name}/history/":             {"get"},
	"/config/history":                       {"get"},
	"/config/history/":                      {"get"},
	"/config/hsm":                           {"delete", "get", "post"},
	"/config/hsm/test":                      {"post"},
	"/hsm/keks/":                            {"get"},
	"/hsm/keks/rotate":                      {"post"},
	"/hsm/keks/{id}":                        {"get"},
	"/hsm/keks/{id}/destroy":                {"post"},
	"/hsm/keks/{id}/retire":                 {"post"},
	"/hsm/status":                           {"get"},
	"/policies/{name}/plan":                 {"post"},
	"/policies/{name}/revisions/":           {"get"},
	"/policies/{name}/revisions/{revision}": {"get"},
	"/rotation/status":                      {"get"},
	"/rotation/status/":                     {"get"},
	"/keys/{name}/plan":                     {"get"},
	"/keys/{name}/plan/":                    {"get"},
	"/rewrap/{name}":                        {"post"},

	"/access-review":                      {"get"},
	"/access-review/attest":               {"post"},
	"/approvals/":                         {"get"},
	"/approvals/{id}":                     {"get"},
	"/approvals/{id}/approve":             {"post"},
	"/approvals/{id}/deny":                {"post"},
	"/approvals/{id}/withdraw":            {"post"},
	"/approvers/":                         {"get"},
	"/approvers/acknowledge":              {"post"},
	"/approvers/duties":                   {"get"},
	"/approvers/{entity}":                 {"delete", "get"},
	"/calendar":                           {"get"},
	"/compliance/report":                  {"get"},
	"/config/approvals":                   {"get", "post"},
	"/inventory":                          {"get"},
	"/reviews/":                           {"get"},
	"/reviews/{id}":                       {"get"},
	"/reviews/{id}/close":                 {"post"},
	"/backup/{name}":                      {"get"},
	"/byok-export/{destination}/{source}": {"get"},
	"/byok-export/{destination}/{source}/{version}": {"get"},
	"/cache-config":                   {"get", "post"},
	"/cmac/{name}":                    {"post"},
	"/cmac/{name}/{url_mac_length}":   {"post"},
	"/datakeys/{plaintext}/{name}":    {"post"},
	"/export/{type}/{name}":           {"get"},
	"/export/{type}/{name}/{version}": {"get"},
	"/hash":                           {"post"},
	"/health":                         {"get", "post"},
	"/health/live":                    {"get"},
	"/keys/{name}/check":              {"get"},
	"/hash/{urlalgorithm}":            {"post"},
	"/hmac/{name}":                    {"post"},
	"/hmac/{name}/{urlalgorithm}":     {"post"},
	"/keys/{name}/csr":                {"post"},
	"/keys/{name}/import":             {"post"},
	"/keys/{name}/import_version":     {"post"},
	"/keys/{name}/set-certificate":    {"post"},
	"/metrics":                        {"get"},
	"/random":                         {"post"},
	"/random/{source}":                {"post"},
	"/random/{source}/{urlbytes}":     {"post"},
	"/random/{urlbytes}":              {"post"},
	"/restore":                        {"post"},
	"/restore/{name}":                 {"post"},
	"/sign/{name}":                    {"post"},
	"/sign/{name}/{urlalgorithm}":     {"post"},
	"/verify/{name}":                  {"post"},
	"/verify/{name}/{urlalgorithm}":   {"post"},
	"/wrapping_key":                   {"get"},

	"/keys/{name}/versions/{version}/archive":     {"post"},
	"/keys/{name}/versions/{version}/attestation": {"get"},
	"/keys/{name}/versions/{version}/compromise":  {"post"},
	"/keys/{name}/versions/{version}/promote":     {"post"},
	"/keys/{name}/versions/{version}/recover":     {"post"},
	"/keys/{name}/versions/{version}/restore":     {"post"},
	"/keys/{name}/versions/{version}/resume":      {"post"},
	"/keys/{name}/versions/{version}/retire":      {"post"},
	"/keys/{name}/versions/{version}/suspend":     {"post"},
}

func TestOpenAPIDescribesEveryOperation(t *testing.T) {
	s := server(t)
	document := s.Do(t, http.MethodGet, "sys/internal/specs/openapi", nil).Body
	paths, _ := document["paths"].(map[string]any)
	found := map[string][]string{}
	ids := map[string]string{}
	for path, value := range paths {
		short, ours := strings.CutPrefix(path, "/keylife/")
		if !ours {
			continue
		}
		for _, method := range []string{"delete", "get", "post"} {
			operation, ok := value.(map[string]any)[method].(map[string]any)
			if !ok {
				continue
			}
			found["/"+short] = append(found["/"+short], method)
			id, _ := operation["operationId"].(string)
			require.NotEmpty(t, id, "%s %s has no operation id", method, path)
			require.Empty(t, ids[id], "%s %s and %s have the operation id %s", method, path, ids[id], id)
			ids[id] = method + " " + path
			responses, _ := operation["responses"].(map[string]any)
			_, ok = responses["200"]
			_, done := responses["204"]
			require.True(t, ok || done, "%s %s tells no success: %v", method, path, responses)
		}
	}
	require.Equal(t, operations, found)
}

// examples are parameters of paths as requests have them.
var examples = strings.NewReplacer("{name}", "x", "{version}", "1", "{revision}", "1", "{plaintext}", "wrapped", "{entity}", "e", "{id}", strings.Repeat("0f", 16),
	"{source}", "all", "{destination}", "x", "{type}", "hmac-key", "{urlalgorithm}", "sha2-256", "{urlbytes}", "16", "{url_mac_length}", "16")

func TestPathHelpAnswersForEveryPath(t *testing.T) {
	s := server(t)
	paths := []string{""}
	for path := range operations {
		paths = append(paths, examples.Replace(strings.Trim(path, "/")))
	}
	for _, path := range paths {
		answer := s.Do(t, http.MethodGet, "keylife/"+path+"?help=1", nil)
		require.Equal(t, http.StatusOK, answer.Status, "%q: %v", path, answer.Body)
		require.Greater(t, len(fmt.Sprint(answer.Body["help"])), 40, "%q: %v", path, answer.Body)
	}
}
