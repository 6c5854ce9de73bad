// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// TestEveryPeerAnswersEveryWorkloadRight is a bench in small: the answers of all peers are opened and verified, and sections are
// made. Its figures say nothing.
func TestEveryPeerAnswersEveryWorkloadRight(t *testing.T) {
	folder, out := t.TempDir(), &strings.Builder{}
	o, err := parse(strings.Fields("-rounds 1 -slice 1ms -warmup 0s -connections 2 -latency encrypt -out "+folder), out)
	require.NoError(t, err)
	require.NoError(t, run(o, out, out))
	for name, rows := range map[string]int{"throughput": len(workloads), "cpu": 2*len(workloads) + 1, "latency": 2} {
		sections, err := result.Load(folder + "/" + name + ".json")
		require.NoError(t, err)
		require.Len(t, sections[0].Rows, rows, name)
		require.NotEmpty(t, sections[0].Machine.Vault)
	}
	for _, p := range peers {
		require.Contains(t, out.String(), p.title)
	}
}

// TestAWrongAnswerIsNoticed has the floor, which encrypts nothing, asked whether it does.
func TestAWrongAnswerIsNoticed(t *testing.T) {
	chosen, err := chosenPeers("noop")
	require.NoError(t, err)
	server, mounts, err := start(t.TempDir(), chosen)
	if server != nil {
		defer server.Close()
	}
	require.NoError(t, err)
	echoed, err := mounts[0].ask("encrypt/aes", object{"plaintext": text(small, 0)})
	require.NoError(t, err)
	require.Equal(t, "vault:v1:"+text(small, 0), echoed["ciphertext"])
	require.ErrorContains(t, opens(small)(mounts[0], object{"ciphertext": "vault:v1:" + text(small, 1)}), "is right")
	_, err = mounts[0].ask("brew/tea", object{})
	require.ErrorContains(t, err, "404")
	_, err = server.PluginPID("nobody")
	require.Error(t, err)
	require.Error(t, server.Register(harness.Plugin{Name: "absent", Binary: "/absent"}))
}
