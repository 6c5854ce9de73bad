// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/clienttest"
)

// rotating rotates the key when the program waits for it.
type rotating struct {
	bytes.Buffer
	vault *clienttest.FakeVault
}

func (r *rotating) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "waiting") {
		r.vault.Rotate("orders")
	}
	return r.Buffer.Write(p)
}

func TestTheExampleRuns(t *testing.T) {
	vault := clienttest.New(t)
	vault.CreateKey("orders")
	kl, err := client.New(client.Config{Vault: vault.Client(), Auth: vault.Auth()})
	require.NoError(t, err)
	out := &rotating{vault: vault}
	require.NoError(t, run(t.Context(), kl.Key("orders"), out, time.Millisecond))
	require.Equal(t, "encrypted 16 bytes under version 1\nwaiting for a rotation\nthe message is under version 2 now\na stream of 5242880 bytes\n", out.String())
	require.NoError(t, kl.Close())
}
