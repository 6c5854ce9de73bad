// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// Reply is an HTTP answer as it came. Body is nil when the answer had none; numbers in it are [json.Number].
type Reply struct {
	Status int
	Body   map[string]any
}

// Data is the "data" member of the answer, or an empty map.
func (r Reply) Data() map[string]any {
	data, _ := r.Body["data"].(map[string]any)
	if data == nil {
		return map[string]any{}
	}
	return data
}

// Request is one HTTP request. Path follows /v1/. A Body that is a string or a [json.RawMessage] is sent as it stands, and
// need not be JSON; nil sends none; anything else is marshalled.
type Request struct {
	Method, Path string
	Body         any
	Token        string          // the root token when empty
	Context      context.Context // ends the request, as a client does that gives up; nil: nothing does
}

// Send sends a request once. The error is of the transport, or of an answer that is not JSON.
func (s *Server) Send(r Request) (Reply, error) {
	body, err := encode(r.Body)
	if err != nil {
		return Reply{}, err
	}
	ctx := r.Context
	if ctx == nil {
		ctx = context.Background()
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, s.address+"/v1/"+r.Path, bytes.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	token := r.Token
	if token == "" {
		token = s.token
	}
	request.Header.Set("X-Vault-Token", token)
	response, err := s.http.Do(request)
	if err != nil {
		return Reply{}, err
	}
	defer response.Body.Close()
	reply := Reply{Status: response.StatusCode}
	reply.Body, err = decode(response.Body)
	if err != nil {
		return reply, fmt.Errorf("%s %s answered %d: %w", r.Method, r.Path, reply.Status, err)
	}
	return reply, nil
}

func encode(body any) ([]byte, error) {
	switch b := body.(type) {
	case nil:
		return nil, nil
	case string:
		return []byte(b), nil
	default: // json.RawMessage marshals to itself
		return json.Marshal(body)
	}
}

func decode(from io.Reader) (map[string]any, error) {
	d := json.NewDecoder(from)
	d.UseNumber()
	var body map[string]any
	if err := d.Decode(&body); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return body, nil
}

// Do sends a request with the root token and fails the test when there is no answer.
func (s *Server) Do(t testing.TB, method, path string, body any) Reply {
	t.Helper()
	reply, err := s.Send(Request{Method: method, Path: path, Body: body})
	require.NoError(t, err)
	return reply
}

// Must sends a request and fails the test unless the answer is a success. It returns the data of the answer.
func (s *Server) Must(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	reply := s.Do(t, method, path, body)
	require.Less(t, reply.Status, 300, "%s %s: %v", method, path, reply.Body)
	return reply.Data()
}
