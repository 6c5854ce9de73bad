// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// What Prometheus is answered is no JSON, and takes another way through Vault than other answers.
func TestVaultHandsOnTheTextOfMetrics(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	s.Must(t, http.MethodPost, mount+"/keys/orders", nil)
	s.Must(t, http.MethodPost, mount+"/encrypt/orders", object("plaintext", hello))
	client, err := s.Client().Clone()
	require.NoError(t, err)
	client.SetToken(roleToken(t, s, scraper, mount))
	reply, err := client.Logical().ReadRaw(mount + "/metrics")
	require.NoError(t, err)
	defer func() { require.NoError(t, reply.Body.Close()) }()
	require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", reply.Header.Get("Content-Type"))
	body, err := io.ReadAll(reply.Body)
	require.NoError(t, err)
	require.Regexp(t, `\nkeylife_operations_total\{mount="`+mount+`",node="[^"]+",operation="encrypt",result="ok"\} 1\n`, string(body))
	require.Regexp(t, `\nkeylife_active\{mount="`+mount+`",node="[^"]+"\} 1\n`, string(body))
	check := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	check.Stdin = strings.NewReader(string(body))
	out, err := check.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Empty(t, string(out))

	forPeople := s.Must(t, http.MethodGet, mount+"/metrics?format=json&prefix=keylife_keys_due", nil)
	require.Equal(t, map[string]any{"metrics": map[string]any{"keylife_keys_due": json.Number("0")}}, forPeople)
}
