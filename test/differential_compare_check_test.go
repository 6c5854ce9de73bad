// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// The comparison is what the whole suite stands on: it must see what a client sees, and nothing else.
func TestTheComparisonSeesWhatAClientSees(t *testing.T) {
	const base = `{"request_id":"a","mount_type":"x","data":{"ciphertext":"vault:v1:AAAA","keys":{"1":5},"n":1,"ok":true,"plaintext":"YQ=="},"warnings":null}`
	for _, tc := range []struct {
		name, path, from, to string // the other answer has to where base has from
		status, differ       int
	}{
		{"itself", "encrypt/k", ``, ``, 200, 0},
		{"another request id", "encrypt/k", `"request_id":"a"`, `"request_id":"b"`, 200, 0},
		{"another mount type", "encrypt/k", `"mount_type":"x"`, `"mount_type":"y"`, 200, 0},
		{"another ciphertext", "encrypt/k", `AAAA`, `BBBB`, 200, 0},
		{"another time", "encrypt/k", `{"1":5}`, `{"1":6}`, 200, 0},
		{"another status", "encrypt/k", ``, ``, 400, 1},
		{"a member less", "encrypt/k", `"n":1,`, ``, 200, 1},
		{"a member more", "encrypt/k", `"n":1,`, `"n":1,"m":1,`, 200, 1},
		{"policy in a view of a key", "keys/k", `"n":1,`, `"n":1,"policy":"",`, 200, 0},
		{"policy in an answer of encrypt", "encrypt/k", `"n":1,`, `"n":1,"policy":"",`, 200, 1},
		{"a table in a list of keys", "keys/?list=true", `"n":1,`, `"n":1,"key_info":{},`, 200, 0},
		{"a table in a view of a key", "keys/k", `"n":1,`, `"n":1,"key_info":{},`, 200, 1},
		{"another version of the ciphertext", "encrypt/k", `vault:v1:`, `vault:v2:`, 200, 1},
		{"a longer ciphertext", "encrypt/k", `AAAA`, `AAAAAAAA`, 200, 1},
		{"another set of versions", "keys/k", `{"1":5}`, `{"2":5}`, 200, 2},
		{"a time told as text", "keys/k", `{"1":5}`, `{"1":"5"}`, 200, 1},
		{"another number", "keys/k", `"n":1`, `"n":2`, 200, 1},
		{"a boolean told as text", "keys/k", `"ok":true`, `"ok":"true"`, 200, 1},
		{"another plaintext", "decrypt/k", `YQ==`, `Yg==`, 200, 1},
		{"another data key", "datakey/plaintext/k", `YQ==`, `Yg==`, 200, 0},
		{"a longer data key", "datakey/plaintext/k", `YQ==`, `YWFhYQ==`, 200, 1},
		{"a warning", "keys/k", `"warnings":null`, `"warnings":["w"]`, 200, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			other := strings.Replace(base, tc.from, tc.to, 1)
			found := compare(step{path: tc.path}, reply(t, 200, base), reply(t, tc.status, other))
			require.Len(t, found, tc.differ, "%v", found)
		})
	}
}

func TestTheComparisonSeesErrorsAndEmptyBodies(t *testing.T) {
	one, two := reply(t, 400, `{"errors":["a"]}`), reply(t, 400, `{"errors":["a","b"]}`)
	require.Empty(t, compare(step{}, one, reply(t, 400, `{"errors":["another text"]}`)))
	require.Len(t, compare(step{}, one, two), 1)
	require.Len(t, compare(step{}, one, harness.Reply{Status: 400}), 1)
	good := reply(t, 200, `{"data":{"batch_results":[{"reference":""}]}}`)
	failed := reply(t, 200, `{"data":{"batch_results":[{"reference":"","error":"e"}]}}`)
	require.Len(t, compare(step{}, good, failed), 1)
}

func reply(t *testing.T, status int, body string) harness.Reply {
	t.Helper()
	r := harness.Reply{Status: status}
	require.NoError(t, json.Unmarshal([]byte(body), &r.Body))
	return r
}
