// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mount_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/ui/mount"
)

// vaultWith is a mount that answers with texts, by method and path with query, and what it was asked.
func vaultWith(t *testing.T, answers map[string]string) (m *mount.Mount, asked *[]string) {
	t.Helper()
	asked = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Method + " " + r.URL.RequestURI()
		*asked = append(*asked, request)
		answer, ok := answers[request]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"errors":[]}`
		}
		if status := w.Header(); len(answer) > 3 && answer[:3] == "403" {
			status.Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			answer = answer[3:]
		}
		if len(answer) > 3 && answer[:3] == "503" {
			w.WriteHeader(http.StatusServiceUnavailable)
			answer = answer[3:]
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	config := api.DefaultConfig()
	config.Address = server.URL
	client, err := api.NewClient(config)
	require.NoError(t, err)
	client.SetToken("hvs.secret")
	client.ClearNamespace()
	return mount.New(client, "/team/keylife/"), asked
}

func TestOnlyRequestsOfTheTableAreSent(t *testing.T) {
	m, asked := vaultWith(t, nil)
	for _, name := range []string{"..", "a/../../sys/raw", "a/b", "", "x/rotate", "a%2fb", "a?b", "."} {
		require.NotNil(t, m.Key(t.Context(), name).Missing, name)
		require.NotNil(t, m.PlanPolicy(t.Context(), name, "").Missing, name)
	}
	require.Empty(t, *asked)
	m.Key(t.Context(), "orders")
	m.PlanPolicy(t.Context(), "pci", "owner = \"x\"")
	require.Equal(t, []string{"GET /v1/team/keylife/keys/orders", "PUT /v1/team/keylife/policies/pci/plan"}, *asked)
}

// Reads that give out material or make something stay out of the table, whoever adds a page.
func TestTheTableHasNoReadThatGivesOutMaterialOrMakesSomething(t *testing.T) {
	for _, path := range []string{
		"export/encryption-key/orders", "backup/orders", "wrapping_key", "custody/public-key", "keys/orders/versions/1/attestation", "datakey/plaintext/orders",
		"byok-export/a/b", "random",
	} {
		for _, op := range []string{"read", "list", "update"} {
			require.False(t, mount.IsAllowed(op, path), "%s %s", op, path)
		}
	}
	for _, path := range []string{"keys/orders", "policies/pci", "keys/orders/rotate", "policies/pci/plan/x", "approvals/a/approve", "custody/verify"} {
		require.False(t, mount.IsAllowed("update", path), path)
	}
	require.True(t, mount.IsAllowed("update", "policies/pci/plan"))
	require.Equal(t, 1, mount.Updates())
}

func TestWhyThereIsNoAnswer(t *testing.T) {
	m, _ := vaultWith(t, map[string]string{
		"GET /v1/team/keylife/keys/denied":     `403{"errors":["permission denied"]}`,
		"GET /v1/team/keylife/keys/odd":        `{"data":{"labels":7}}`,
		"GET /v1/team/keylife/rotation/status": `503{"errors":["Vault is sealed \u202e"]}`,
	})
	require.True(t, m.Key(t.Context(), "denied").Missing.Denied())
	require.True(t, m.Key(t.Context(), "none").Missing.Absent())
	odd := m.Key(t.Context(), "odd").Missing
	require.False(t, odd.Absent() || odd.Denied())
	require.Contains(t, odd.Text, "not of the form")
	require.Contains(t, m.Status(t.Context()).Missing.Text, "Vault is sealed [U+202E]")
	require.Empty(t, m.Reviews(t.Context(), "open").Value.Keys) // 404: an empty list
	require.Nil(t, m.Reviews(t.Context(), "open").Missing)
}

func TestHealthIsReadAlsoWhereItFails(t *testing.T) {
	m, _ := vaultWith(t, map[string]string{
		"GET /v1/team/keylife/health": `503{"data":{"status":"failing","checks":[{"check":"storage","status":"failing","problem":"no answer"},{"check":"tick","status":"ok"}]}}`,
	})
	health := m.Health(t.Context())
	require.Nil(t, health.Missing)
	require.Equal(t, "failing", health.Value.Status)
	require.Equal(t, []mount.Check{{Check: "storage", Status: "failing", Problem: "no answer"}}, health.Value.Problems())
	sealed, _ := vaultWith(t, map[string]string{"GET /v1/team/keylife/health": `503{"errors":["Vault is sealed"]}`})
	require.Equal(t, http.StatusServiceUnavailable, sealed.Health(t.Context()).Missing.Status)
	older, _ := vaultWith(t, nil)
	require.True(t, older.Health(t.Context()).Missing.Absent())
}

func TestTextsAreVisibleAndPoliciesAreAsTheyWereWritten(t *testing.T) {
	const hidden = `\u202ea\u200fb\u0007\u2066c`
	m, _ := vaultWith(t, map[string]string{
		"GET /v1/team/keylife/keys/k":     `{"data":{"owner":"` + hidden + `","labels":{"\u202ex":"é\n"}}}`,
		"GET /v1/team/keylife/policies/p": `{"data":{"owner":"\u202e"}}`,
	})
	key := m.Key(t.Context(), "k").Value
	require.Equal(t, "[U+202E]a[U+200F]b[U+0007][U+2066]c", key.Owner)
	require.Equal(t, map[string]string{"[U+202E]x": "é\n"}, key.Labels)
	require.Equal(t, "\u202e", m.Policy(t.Context(), "p").Value["owner"])
	require.Equal(t, `a\u202E\U000E0001`, mount.Escaped("a\u202e\U000E0001"))
}

func TestAHistoryIsReadPageByPageAndItsRecordsAreJoined(t *testing.T) {
	m, _ := vaultWith(t, map[string]string{
		"GET /v1/team/keylife/keys/k/history?after=0&limit=1000": `{"data":{"records":[{"seq":1,"kind":"begin","act":"create","to":"active","versions":[1],"actor":{"display_name":"token"},"time":"2026-01-01T00:00:00.123Z"},
			{"seq":2,"kind":"end","of":1,"outcome":"done"},{"seq":3,"kind":"begin","act":"configure","details":{"owner":"a -> b","approval":"ap-1"},"actor":{"system":true}}],"next_after":3}}`,
		"GET /v1/team/keylife/keys/k/history?after=3&limit=1000": `{"data":{"records":[{"seq":4,"kind":"end","of":3,"outcome":"failed"}],"next_after":4}}`,
	})
	acts, more := m.Acts(t.Context(), "k", 2)
	require.True(t, more)
	require.Len(t, acts.Value, 2)
	require.Equal(t, []string{"done", "failed"}, []string{acts.Value[0].Outcome, acts.Value[1].Outcome})
	require.Equal(t, "token", acts.Value[0].Actor.String())
	require.Equal(t, "the clock", acts.Value[1].Actor.String())
	require.Equal(t, []string{"owner a -> b"}, acts.Value[1].Changes())
	require.Equal(t, "ap-1", acts.Value[1].Approval)
}

func TestACalendarIsInOrderOverItsPages(t *testing.T) {
	m, _ := vaultWith(t, map[string]string{
		"GET /v1/team/keylife/calendar?from=x":         `{"data":{"events":[{"at":"2026-02-02T00:00:00Z","key":"b"}],"cut":["b"],"next":"n"}}`,
		"GET /v1/team/keylife/calendar?after=n&from=x": `{"data":{"events":[{"at":"2026-02-01T00:00:00Z","key":"a"}],"unread":[{"name":"c","error":"e"}],"next":""}}`,
	})
	all := m.Events(t.Context(), url.Values{"from": {"x"}}, 9).Value
	require.Equal(t, []string{"a", "b"}, []string{all.Events[0].Key, all.Events[1].Key})
	require.Equal(t, []string{"b"}, all.Cut)
	require.Len(t, all.Unread, 1)
	require.Empty(t, all.Next)
}
