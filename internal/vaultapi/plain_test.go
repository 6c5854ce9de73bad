// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

func TestPlainJSONIsReadWithoutTheSDK(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"a":""}`, `{"a":"x","b":7}`, `{"a":0,"batch_input":[],"c":"<ü>"}`,
		`{"batch_input":[{},{"a":"x"},{"a":"},{","b":999999999}],"c":"y"}`,
	} {
		requireDecodes(t, text)
		_, ok := vaultapi.DecodePlain(text)
		require.True(t, ok, text)
	}
}

func TestOtherJSONIsTheSDKs(t *testing.T) {
	for what, text := range map[string]string{
		"nothing":              ``,
		"no object":            `[]`,
		"null":                 `null`,
		"a space":              `{ "a":"x"}`,
		"more behind":          `{"a":"x"}{}`,
		"an end":               `{"a":"x"`,
		"a comma":              `{"a":"x",}`,
		"no value":             `{"a":}`,
		"no name":              `{"":"x"}`,
		"twice the same":       `{"a":"x","a":"y"}`,
		"another order":        `{"b":"x","a":"y"}`,
		"a name in upper case": `{"A":"x"}`,
		"an escape":            `{"a":"\u0041"}`,
		"a quote":              `{"a":"\""}`,
		"a line break":         "{\"a\":\"\n\"}",
		"a truth value":        `{"a":true}`,
		"a null":               `{"a":null}`,
		"an object":            `{"a":{}}`,
		"a negative number":    `{"a":-1}`,
		"a fraction":           `{"a":1.0}`,
		"an exponent":          `{"a":1e2}`,
		"a leading zero":       `{"a":01}`,
		"a large number":       `{"a":1000000000}`,
		"two lists":            `{"a":[],"b":[]}`,
		"a list of texts":      `{"a":["x"]}`,
		"a list in a list":     `{"a":[{"b":[]}]}`,
		"an item that is null": `{"a":[null]}`,
		"a list without end":   `{"a":[{}`,
		"a comma in a list":    `{"a":[{},]}`,
	} {
		_, ok := vaultapi.DecodePlain(text)
		require.False(t, ok, what)
	}
}

func FuzzPlain(f *testing.F) {
	f.Add(`{"batch_input":[{},{"a":"x"},{"a":"},{","b":7}],"c":"y"}`)
	f.Add(`{"a":"\u0041","b":01}`)
	f.Fuzz(func(t *testing.T, text string) { requireDecodes(t, strings.ToValidUTF8(text, "")) }) // as a message of gRPC has it
}

// requireDecodes demands that what is read without the SDK is what encoding/json reads.
func requireDecodes(t *testing.T, text string) {
	t.Helper()
	got, ok := vaultapi.DecodePlain(text)
	if !ok {
		return
	}
	var want map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &want), text)
	require.Equal(t, want, got, text)
}

// encodedRow encodes itself as encoding/json does.
type encodedRow struct {
	A string `json:"a,omitempty"`
	B int    `json:"b,omitempty"`
	C string `json:"c"`
	D string `json:"d"`
}

type encodedRows []encodedRow

func (r encodedRows) AppendJSON(to []byte) []byte {
	return vaultapi.AppendList(to, len(r), func(i int) int { return len(r[i].A) + len(r[i].C) }, func(m *vaultapi.Members, i int) {
		m.TextUnlessEmpty("a", r[i].A)
		m.IntUnlessZero("b", r[i].B)
		m.Text("c", r[i].C)
		m.Base64("d", r[i].D)
	})
}

func FuzzEncode(f *testing.F) {
	f.Add("text", 7, true)
	f.Add("<\"\\&\n\x7f\u2028\xff", -1, false)
	f.Fuzz(func(t *testing.T, text string, number int, truth bool) {
		data := map[string]any{"text": text, text: number, "truth": truth, "rows": encodedRows{{text, number, "", "vault:v1:+/A="}, {"", 0, text, ""}}, "none": encodedRows{}}
		got, ok := vaultapi.Encode(data)
		require.True(t, ok)
		want, err := json.Marshal(data)
		require.NoError(t, err)
		require.JSONEq(t, string(want), got)
	})
}

func TestOtherAnswersAreTheSDKs(t *testing.T) {
	for _, value := range []any{nil, 1.5, []any{}, map[string]any{}, int64(1)} {
		_, ok := vaultapi.Encode(map[string]any{"a": value})
		require.False(t, ok, "%T", value)
	}
	text, ok := vaultapi.Encode(nil)
	require.True(t, ok)
	require.Equal(t, "{}", text)
}
