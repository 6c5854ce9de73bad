// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mounttest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// Answer is what an HTTP client of Vault would get.
type Answer struct {
	Status   int
	Data     map[string]any
	Err      string
	Warnings []string
}

// ToAnswer makes an answer of what a backend returned.
func ToAnswer(req *logical.Request, resp *logical.Response, err error) Answer {
	status, respErr := logical.RespondErrorCommon(req, resp, err)
	if err != nil {
		logical.AdjustErrorStatusCode(&status, err)
	}
	a := Answer{Status: status}
	if respErr != nil {
		a.Err = respErr.Error()
		return a
	}
	if resp == nil {
		a.Status = max(a.Status, http.StatusNoContent)
		return a
	}
	a.Status, a.Data, a.Warnings = max(a.Status, http.StatusOK), resp.Data, resp.Warnings
	if raw, ok := resp.Data[logical.HTTPRawBody].(string); ok {
		a.Status, _ = resp.Data[logical.HTTPStatusCode].(int)
		var body struct{ Data map[string]any }
		if json.Unmarshal([]byte(raw), &body) == nil {
			a.Data = body.Data
		}
		if a.Data == nil { // a body without Vault's envelope
			_ = json.Unmarshal([]byte(raw), &a.Data)
		}
	}
	return a
}

// Row is one result of a batch.
type Row struct {
	Ciphertext string
	Plaintext  string
	KeyVersion int `json:"key_version"`
	Error      string
	Reference  string
}

// Rows returns the results of a batch.
func Rows(t testing.TB, a Answer) (rows []Row) {
	t.Helper()
	text, err := json.Marshal(a.Data["batch_results"])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &rows))
	return rows
}

// Data are the fields of a request: name, value, name, value.
func Data(kv ...any) map[string]any {
	data := map[string]any{}
	for i := 0; i < len(kv); i += 2 {
		data[kv[i].(string)] = kv[i+1]
	}
	return data
}

// AsJSON returns a value as JSON has it, and as Vault hands it to an external plugin.
func AsJSON[T any](t testing.TB, value T) T {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	var out T
	require.NoError(t, json.Unmarshal(text, &out))
	return out
}

// B64 is a text as plaintext, context and associated data have it.
func B64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// VersionOf is the version that protected a ciphertext.
func VersionOf(ciphertext string) (version int) {
	_, _ = fmt.Sscanf(ciphertext, "vault:v%d:", &version)
	return version
}
