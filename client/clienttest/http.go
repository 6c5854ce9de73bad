// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package clienttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// answer is what Vault says: a status, and the members of its JSON that are not always there.
type answer struct {
	status int
	errors []string
	data   any
	auth   any
	raw    string // instead of JSON
}

func refusal(status int, text string) answer { return answer{status: status, errors: []string{text}} }

// text is the body.
func (a answer) text() []byte {
	if a.raw != "" {
		return []byte(a.raw)
	}
	body := map[string]any{"errors": a.errors}
	if a.errors == nil {
		body = map[string]any{
			"request_id": "", "lease_id": "", "renewable": false, "lease_duration": 0,
			"data": a.data, "wrap_info": nil, "warnings": nil, "auth": a.auth,
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return append(text, '\n')
}

// RoundTrip answers a request without a socket.
func (f *FakeVault) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close() //nolint:errcheck // a body that was read, in memory
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	a, err := f.answer(r)
	if err != nil {
		return nil, err
	}
	text := a.text()
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(bytes.NewReader(text)),
		ContentLength: int64(len(text)),
		Request:       r,
	}, nil
}

// ServeHTTP answers a request of a server. Where there is no answer it breaks the connection.
func (f *FakeVault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, err := f.answer(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.text()) //nolint:gosec // G705: JSON, and for tests
}

// asked is a request taken apart.
type asked struct {
	op    string
	key   string
	token string
	body  body
}

type body struct {
	Bits       int                           `json:"bits"`
	BatchInput []struct{ Ciphertext string } `json:"batch_input"`
	Partial    int                           `json:"partial_failure_response_code"`
}

// answer counts a request, lets it suffer the outage, and asks whom it is for.
func (f *FakeVault) answer(r *http.Request) (answer, error) {
	q := asked{token: r.Header.Get("X-Vault-Token")}
	q.op, q.key = route(r)
	f.mu.Lock()
	f.requests[q.op]++
	outage := f.outage
	f.mu.Unlock()
	if a, suffered, err := suffer(r.Context(), outage); suffered {
		return a, err
	}
	if r.Body != nil {
		if err := json.NewDecoder(r.Body).Decode(&q.body); err != nil && !errors.Is(err, io.EOF) {
			return refusal(http.StatusBadRequest, "failed to parse JSON input: "+err.Error()), nil
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch q.op {
	case Login, Renew, Lookup:
		return f.tokens.answer(q), nil
	case DataKey, Decrypt, Rewrap:
		return f.answerForKey(q), nil
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	return refusal(http.StatusNotFound, fmt.Sprintf("no handler for route %q. route entry not found.", path)), nil
}

var (
	ownTokenPath = regexp.MustCompile(`^/v1/auth/token/(renew|lookup)-self$`)
	loginPath    = regexp.MustCompile(`^/v1/auth/.+/login(/[^/]+)?$`)
	keyPath      = regexp.MustCompile(`^/v1/.+/(datakey/plaintext|decrypt|rewrap)/([^/]+)$`)
)

// route tells what a request is for. What no client of the library asks for is of no operation.
func route(r *http.Request) (op, key string) {
	write := r.Method == http.MethodPut || r.Method == http.MethodPost
	if own := ownTokenPath.FindStringSubmatch(r.URL.Path); own != nil && write == (own[1] == Renew) {
		return own[1], ""
	}
	if write && loginPath.MatchString(r.URL.Path) {
		return Login, ""
	}
	if of := keyPath.FindStringSubmatch(r.URL.Path); write && of != nil {
		return strings.TrimSuffix(of[1], "/plaintext"), of[2]
	}
	return "", ""
}

func (f *FakeVault) answerForKey(q asked) answer {
	if !f.tokens.live(q.token) {
		return invalidToken
	}
	if f.denied[right{q.key, q.op}] {
		return refusal(http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
	}
	k := f.keys[q.key]
	if k == nil {
		return refusal(http.StatusBadRequest, "encryption key not found")
	}
	if q.op == DataKey {
		return k.makeDataKey(q.body.Bits)
	}
	return k.batch(q)
}
