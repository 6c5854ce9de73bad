// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// A declarative client (Terraform's vault_generic_endpoint) writes fields, reads them back and compares. What is written
// must come back as it was written, and writing it again must change nothing.
func TestAPolicyReadsBackAsItWasWritten(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	documents := map[string]string{
		"all":       `{"owner":"payments","description":"PCI keys","allowed_types":["aes256-gcm96","chacha20-poly1305"],"min_strength_bits":128,"rotation_period":"90d","rotation_jitter":"5%","rotation_mode":"auto"}`,
		"owner":     `{"owner":"payments"}`,
		"empty":     `{"owner":"payments","description":"","allowed_types":[],"min_strength_bits":0,"rotation_jitter":"0s"}`,
		"seconds":   `{"owner":"payments","rotation_period":86400,"rotation_mode":"manual"}`,
		"hours":     `{"owner":"payments","rotation_period":"36h","rotation_jitter":"1h","rotation_mode":"notify"}`,
		"never":     `{"owner":"payments","rotation_period":0}`,
		"odd-text":  `{"owner":"Größe & Co <a@b>","description":"line\nline\t\"quoted\"","rotation_period":"24h0m0s","rotation_jitter":"2.5%"}`,
		"one-type":  `{"owner":"payments","allowed_types":["aes128-gcm96"]}`,
		"unordered": `{"owner":"payments","allowed_types":["chacha20-poly1305","aes128-gcm96"]}`,
	}
	for name, document := range documents {
		t.Run(name, func(t *testing.T) {
			readsBack(t, s, mount+"/policies/"+name, document, "revision", "hash", "created_time")
		})
	}
}

// readsBack writes a document twice and demands the written fields, types included, and the same constants both times.
func readsBack(t *testing.T, s *harness.Server, path, document string, constant ...string) {
	t.Helper()
	written := reply(t, 0, document).Body
	s.Must(t, http.MethodPost, path, document)
	first := s.Must(t, http.MethodGet, path, nil)
	requireFields(t, written, first)
	s.Must(t, http.MethodPost, path, document)
	second := s.Must(t, http.MethodGet, path, nil)
	for _, field := range constant {
		require.Contains(t, first, field)
	}
	require.Equal(t, first, second, "the second write of the same data changed something")
}

func requireFields(t *testing.T, written, read map[string]any) {
	t.Helper()
	for field, value := range written {
		want, err := json.Marshal(value)
		require.NoError(t, err)
		got, err := json.Marshal(read[field])
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "%s", field)
	}
}

func TestAPolicyChangesOnlyWhatIsWritten(t *testing.T) {
	s := server(t)
	path := freshMount(t, s, harness.PluginName) + "/policies/p"
	s.Must(t, http.MethodPost, path, `{"owner":"a","description":"d","rotation_period":"12h"}`)
	before := s.Must(t, http.MethodGet, path, nil)
	s.Must(t, http.MethodPost, path, `{"description":"e"}`)
	after := s.Must(t, http.MethodGet, path, nil)
	want := maps.Clone(before)
	for _, field := range []string{"description", "revision", "hash", "created_time"} {
		want[field] = after[field]
	}
	require.Equal(t, want, after)
	require.Equal(t, "e", after["description"])
	require.Equal(t, number(before["revision"])+1, number(after["revision"]))
	require.NotEqual(t, before["hash"], after["hash"])
}

func TestAPolicyIsDeletedOnceOrTwiceAlike(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	path := mount + "/policies/p"
	require.Equal(t, http.StatusNoContent, s.Do(t, http.MethodDelete, path, nil).Status, "one that never was")
	s.Must(t, http.MethodPost, path, `{"owner":"a"}`)
	s.Must(t, http.MethodPost, mount+"/keys/k", `{"policy":"p"}`)
	require.Equal(t, http.StatusBadRequest, s.Do(t, http.MethodDelete, path, nil).Status, "a key is bound")
	require.Equal(t, http.StatusOK, s.Do(t, http.MethodGet, path, nil).Status)
	s.Must(t, http.MethodPost, mount+"/keys/k/config", `{"policy":""}`)
	require.Equal(t, http.StatusNoContent, s.Do(t, http.MethodDelete, path, nil).Status)
	require.Equal(t, http.StatusNotFound, s.Do(t, http.MethodGet, path, nil).Status)
	require.Equal(t, http.StatusNoContent, s.Do(t, http.MethodDelete, path, nil).Status, "the second time")
	require.Equal(t, http.StatusNotFound, s.Do(t, "LIST", mount+"/policies", nil).Status)
}

func TestAPolicyThatIsWrongIsRefusedAndNotKept(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	for i, document := range []string{
		`{}`, `{"description":"no owner"}`, `{"owner":""}`, `{"owner":"a","nonsense":1}`, `{"owner":"a","rotation_period":"1s"}`,
		`{"owner":"a","rotation_period":"soon"}`, `{"owner":"a","rotation_period":"-1h"}`, `{"owner":"a","rotation_jitter":"26%"}`,
		`{"owner":"a","rotation_period":"1h","rotation_jitter":"30m"}`, `{"owner":"a","rotation_mode":"sometimes"}`,
		`{"owner":"a","allowed_types":["des"]}`, `{"owner":"a","min_strength_bits":-1}`, `{"owner":"a","min_strength_bits":"many"}`,
	} {
		t.Run(document, func(t *testing.T) {
			path := fmt.Sprintf("%s/policies/p%d", mount, i)
			answer := s.Do(t, http.MethodPost, path, document)
			require.Equal(t, http.StatusBadRequest, answer.Status, "%v", answer.Body)
			require.Equal(t, http.StatusNotFound, s.Do(t, http.MethodGet, path, nil).Status)
		})
	}
}

func TestAKeyReadsBackAsItWasWritten(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	s.Must(t, http.MethodPost, mount+"/policies/p", `{"owner":"a"}`)
	for name, document := range map[string]string{
		"governed": `{"type":"chacha20-poly1305","policy":"p","owner":"payments","labels":{"team":"a","tier":"1"}}`,
		"plain":    `{"type":"aes256-gcm96","derived":true,"convergent_encryption":true,"exportable":true,"allow_plaintext_backup":true,"auto_rotate_period":86400}`,
		"bare":     `{"labels":{},"owner":"","policy":""}`,
	} {
		t.Run(name, func(t *testing.T) {
			readsBack(t, s, mount+"/keys/"+name, document, "revision", "latest_version")
		})
	}
}

// A key's configuration is written at keys/:name/config and read with the key.
func TestAKeyConfigurationReadsBackAsItWasWritten(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	key := mount + "/keys/k"
	s.Must(t, http.MethodPost, mount+"/policies/p", `{"owner":"a"}`)
	s.Must(t, http.MethodPost, key, "{}")
	for _, document := range []string{
		`{"labels":{"a":"b"},"owner":"payments","policy":"p"}`, `{"policy":"","auto_rotate_period":86400}`, `{"labels":{}}`,
		`{"deletion_allowed":true,"exportable":true,"allow_plaintext_backup":true,"min_decryption_version":1,"min_encryption_version":1}`,
	} {
		t.Run(document, func(t *testing.T) {
			s.Must(t, http.MethodPost, key+"/config", document)
			first := s.Must(t, http.MethodGet, key, nil)
			requireFields(t, reply(t, 0, document).Body, first)
			s.Must(t, http.MethodPost, key+"/config", document)
			require.Equal(t, first, s.Must(t, http.MethodGet, key, nil), "the second write of the same data changed something")
		})
	}
}
