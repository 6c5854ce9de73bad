// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/ui"
	"github.com/keylife/vault-plugin-keylife/client/internal/ui/mount"
)

const (
	token   = "hvs.CAESIJ-the-token-that-no-browser-sees"
	hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> \u202eevil\u200f"
)

// kit is a server over a Vault in memory.
type kit struct {
	t       *testing.T
	server  *ui.Server
	handler http.Handler
	host    string
	secret  string
	cookie  *http.Cookie // of whoever opened the link
	sent    bytes.Buffer // all bytes that browsers got

	mu      sync.Mutex
	answers map[string]string // path below the mount, with LIST in front of those of lists, to data or a status
	asked   []string
}

// clock is when all answers were given.
var clock = time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{t: t, answers: map[string]string{}}
	for path, data := range wholeMount {
		k.answers[path] = strings.ReplaceAll(data, "HOSTILE", strings.ReplaceAll(hostile, `"`, `\"`))
	}
	vault := httptest.NewServer(http.HandlerFunc(k.vault))
	t.Cleanup(vault.Close)
	config := api.DefaultConfig()
	config.Address = vault.URL
	client, err := api.NewClient(config)
	require.NoError(t, err)
	client.SetToken(token)
	client.ClearNamespace()
	k.server, err = ui.New(mount.New(client, "keylife"), "127.0.0.1:0", strings.NewReader("0123456789abcdef"), func() time.Time { return clock })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.server.Close()) })
	k.handler = k.server.Handler()
	link, err := url.Parse(k.server.Link())
	require.NoError(t, err)
	k.host, k.secret = link.Host, link.Query().Get("secret")
	return k
}

// vault answers as a mount does.
func (k *kit) vault(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1/keylife/")
	if r.URL.Query().Get("list") == "true" {
		path = "LIST " + path
	}
	k.asked = append(k.asked, r.Method+" "+path)
	if r.Header.Get("X-Vault-Token") != token {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	data, ok := k.answers[path]
	switch {
	case !ok:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"errors":[]}`)
	case data == "403":
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"errors":["permission denied"]}`)
	default:
		_, _ = io.WriteString(w, `{"data":`+data+`}`)
	}
}

// send is a request of a browser, of whoever opened the link.
func (k *kit) send(r *http.Request) (status int, body string, header http.Header) {
	k.t.Helper()
	if r.Host == "example.com" { // httptest's
		r.Host = k.host
	}
	if k.cookie != nil {
		r.AddCookie(k.cookie)
	}
	w := httptest.NewRecorder()
	k.handler.ServeHTTP(w, r)
	require.NoError(k.t, w.Result().Header.Write(&k.sent))
	k.sent.WriteString(w.Body.String())
	return w.Code, w.Body.String(), w.Result().Header
}

func (k *kit) get(path string) (status int, body string) {
	k.t.Helper()
	status, body, _ = k.send(httptest.NewRequest(http.MethodGet, path, nil))
	return status, body
}

// ok is a page that is there.
func (k *kit) ok(path string) string {
	k.t.Helper()
	status, body := k.get(path)
	require.Equal(k.t, http.StatusOK, status, "%s: %s", path, body)
	return body
}

// open opens the link.
func (k *kit) open() *kit {
	k.t.Helper()
	_, _, header := k.send(httptest.NewRequest(http.MethodGet, "/open?secret="+k.secret, nil))
	response := http.Response{Header: header}
	require.Len(k.t, response.Cookies(), 1)
	k.cookie = response.Cookies()[0]
	return k
}

// opened is a kit whose link was opened.
func opened(t *testing.T) *kit {
	t.Helper()
	return newKit(t).open()
}

// wholeMount is a mount with something of everything. HOSTILE is a text of whoever could write one.
var wholeMount = map[string]string{
	"config/clock":                `{"now":"2026-03-01T12:00:30Z","frozen":true,"why":"HOSTILE"}`,
	"health":                      `{"status":"degraded","checks":[{"check":"clock","status":"degraded","problem":"HOSTILE"}],"damaged_versions":[{"key":"orders","version":2,"problem":"HOSTILE","since":"2026-03-01T12:00:30Z"}],"broken_chains":["policy:HOSTILE"],"checkpoint_time":"2026-02-28T12:00:30Z"}`,
	"rotation/status":             `{"due":3,"due_complete":false,"failed":1,"stalled":0,"overdue":1,"stopped":0,"ending":2,"ungoverned":1,"progress":{"started_time":"2026-03-01T11:59:30Z","took":0.25,"seen":7}}`,
	"LIST rotation/status":        `{"keys":["orders"],"key_info":{"orders":{"status":"failed","since":"2026-02-27T12:00:00Z","policy":"pci","why":"HOSTILE"}}}`,
	"LIST approvals":              `{"keys":["ap-1","ap-2"],"key_info":{"ap-1":{"operation":"rotate","subject":"key HOSTILE","state":"pending","requester":"HOSTILE","rule":"2 of HOSTILE","given":1,"approve_by":"2026-03-04T12:00:30Z"},"ap-2":{"operation":"retire","state":"executed"}}}`,
	"approvals/ap-1":              `{"id":"ap-1","operation":"rotate","subject":"key orders","state":"pending","requester":"HOSTILE","reason":"HOSTILE","effect":"HOSTILE","rule":"HOSTILE","policy":"HOSTILE","parameters":{"HOSTILE":"HOSTILE"},"created_time":"2026-03-01T12:00:30Z","votes":[{"name":"HOSTILE","vote":"approve","comment":"HOSTILE","counts":false,"why_not":"HOSTILE","time":"2026-03-01T12:00:30Z"}]}`,
	"LIST reviews":                `{"keys":["rv-1"],"key_info":{"rv-1":{"operation":"promote","subject":"key HOSTILE","state":"overdue","actor":"HOSTILE","rule":"HOSTILE","due_time":"2026-02-27T12:00:00Z"}}}`,
	"reviews/rv-1":                `{"operation":"promote","subject":"key orders","state":"overdue","actor":"HOSTILE","reason":"HOSTILE","rule":"HOSTILE","policy":"HOSTILE","created_time":"2026-02-26T12:00:30Z","due_time":"2026-02-27T12:00:00Z","closed_time":"2026-02-28T12:00:00Z","reviewer":"HOSTILE","closing_reason":"HOSTILE"}`,
	"LIST policies":               `{"keys":["pci"],"key_info":{"pci":{"owner":"HOSTILE","revision":2,"keys_bound":1,"rotation_period":"30d"}}}`,
	"policies/pci":                `{"name":"pci","owner":"HOSTILE","description":"HOSTILE","revision":2,"rotation_period":"30d","labels":{"HOSTILE":"HOSTILE"},"reason_pattern":"${a}%{b}","document":"","hash":"00"}`,
	"LIST policies/pci/revisions": `{"keys":["1","2"],"key_info":{"1":{"changes":"owner","created_time":"2026-01-01T00:00:00Z","owner":"HOSTILE"},"2":{"changes":"rotation_period","created_time":"2026-02-01T00:00:00Z","owner":"x"}}}`,
	"policies/pci/revisions/1":    `{"owner":"HOSTILE","rotation_period":"90d","revision":1}`,
	"policies/pci/revisions/2":    `{"owner":"HOSTILE","rotation_period":"30d","revision":2}`,
	"policies/pci/drift":          `{"checked":1,"keys_bound":1,"findings":[{"field":"approvals","value":"HOSTILE","rule":"HOSTILE"}],"keys":[{"name":"orders","findings":[{"field":"rotation","value":"overdue","rule":"HOSTILE"}]}]}`,
	"policies/pci/history":        `{"records":[{"seq":1,"kind":"begin","act":"write","actor":{"display_name":"HOSTILE"},"reason":"HOSTILE","details":{"owner":"a -> HOSTILE"},"time":"2026-01-01T00:00:00Z"},{"seq":2,"kind":"end","of":1,"outcome":"done"}]}`,
	"policies/pci/plan":           `{"revision":3,"keys_bound":1,"changes":{"owner":{"from":"HOSTILE","to":"HOSTILE2"}},"looser":{"owner":"HOSTILE"},"needs":"2 of HOSTILE","due_now":1,"keys":[{"name":"orders","due_now":true,"next_rotation_time":{"from":"2026-03-02T00:00:00Z","to":""},"rotation_status":{"from":"scheduled","to":"overdue"},"next_event":{"from":null,"to":{"time":"2026-03-02T00:00:00Z","act":"destroy","version":1}},"becomes_non_compliant":[{"field":"type","value":"HOSTILE","rule":"HOSTILE"}]}]}`,
	"keys/orders":                 `{"name":"orders","type":"aes256-gcm96","policy":"pci","owner":"HOSTILE","labels":{"HOSTILE":"HOSTILE"},"state":"enabled","primary_version":2,"latest_version":2,"rotation_status":"scheduled","protection":"software","legal_hold":true}`,
	"keys/orders/rotation":        `{"status":"scheduled","why":"HOSTILE","mode":"auto","period":2592000,"failures":2,"last_error":"HOSTILE","last_error_time":"2026-03-01T00:00:00Z","retry_time":"2026-03-01T13:00:00Z","encryptions":999,"max_encryptions":1000,"bytes":2048,"max_bytes":0,"on_limit":"block"}`,
	"LIST keys/orders/versions":   `{"keys":["1","2"],"key_info":{"1":{"state":"retired","created_time":"2026-01-01T00:00:00Z","destroy_time":"2026-03-05T00:00:00Z","denied_uses":4,"last_denied_time":"2026-02-20T00:00:00Z"},"2":{"state":"active","created_time":"2026-02-01T00:00:00Z","destroy_time":"","denied_uses":0,"last_denied_time":""}}}`,
	"keys/orders/versions/2":      `{"version":2,"used_by":[{"entity":"HOSTILE","name":"HOSTILE","operation":"encrypt","time":"2026-03-01T11:00:00Z"}]}`,
	"keys/orders/plan":            `{"events":[{"time":"2026-03-05T00:00:00Z","act":"destroy","version":1,"why":"HOSTILE","irreversible":true},{"time":"2026-03-09T00:00:00Z","act":"rotate","version":3,"why":"HOSTILE"}]}`,
	"keys/orders/history":         `{"records":[{"seq":1,"kind":"begin","act":"create","to":"active","versions":[1],"actor":{"display_name":"HOSTILE"},"reason":"HOSTILE","time":"2026-01-01T00:00:00Z"},{"seq":2,"kind":"end","of":1,"outcome":"done"},{"seq":3,"kind":"begin","act":"rotate","to":"active","versions":[2],"details":{"superseded":"1","approval":"ap-2"},"actor":{"system":true},"time":"2026-02-01T00:00:00Z"},{"seq":4,"kind":"end","of":3,"outcome":"done"},{"seq":5,"kind":"begin","act":"retire","to":"retired","versions":[1],"actor":{"system":true},"time":"2026-02-10T00:00:00Z"}]}`,
	"access-review":               `{"due":true,"due_time":"2026-02-01T00:00:00Z","attested_time":"2025-11-01T00:00:00Z","entities":[{"entity":"e1","name":"HOSTILE","stale":true,"keys":[{"key":"orders","protect":{"count":7,"first":"2026-01-01","last":"2026-02-01"}}]}]}`,
	"inventory":                   `{"keys":[{"name":"orders","type":"aes256-gcm96","state":"enabled","status":"overdue","primary_version":2,"primary_age":86400,"policy":"pci","legal_hold":true,"owner":"=HOSTILE","labels":{"HOSTILE":"HOSTILE"},"drift":[{"field":"rotation","value":"overdue","rule":"HOSTILE"}],"next_event":{"at":"2026-03-05T00:00:00Z","what":"destroy","version":1,"why":"HOSTILE","irreversible":true}},{"name":"torn","error":"HOSTILE"}],"scanned":2,"next":"","time":"2026-03-01T12:00:30Z","uses_since":"2026-02-01T00:00:00Z"}`,
	"calendar":                    `{"events":[{"at":"2026-03-05T00:00:00Z","key":"orders","policy":"pci","version":1,"what":"destroy","why":"HOSTILE","irreversible":true},{"at":"2026-03-05T01:00:00Z","id":"rv-1","what":"review","why":"HOSTILE"},{"at":"2026-03-05T02:00:00Z","id":"ap-1","what":"approve","why":"HOSTILE"},{"at":"2026-03-06T02:00:00Z","what":"access-review","why":"HOSTILE"}],"cut":["orders"],"unread":[{"name":"torn","error":"HOSTILE"}],"next":""}`,
	"config/history":              `{"records":[{"seq":1,"kind":"begin","act":"rotate-signing-key","actor":{"display_name":"HOSTILE"},"reason":"HOSTILE","time":"2026-01-01T00:00:00Z"},{"seq":2,"kind":"end","of":1,"outcome":"failed"}]}`,
	"custody/export":              `{"records":["{\"key\":\"mount:\",\"seq\":1,\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\"}","{\"key\":\"HOSTILE\",\"seq\":2,\"prev\":\"00\"}"],"next_after":""}`,
}

// pages are all that the server has.
var pages = []string{
	"/", "/keys", "/keys?count=all", "/keys/orders", "/keys/orders?acts=all", "/calendar", "/calendar?month=2026-05", "/policies", "/policies/pci",
	"/policies/pci?from=1&to=2", "/approvals", "/approvals/ap-1", "/reviews/rv-1", "/custody", "/custody?verify=all",
}
