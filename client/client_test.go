// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
)

func TestAMessageTellsKeyAndVersionWithoutAKey(t *testing.T) {
	var vectors struct {
		Valid []struct{ Name, Message, Text string }
	}
	text, err := os.ReadFile("testdata/kle1/fields.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &vectors))
	versions := map[string]int{}
	for _, v := range vectors.Valid {
		message, err := hex.DecodeString(v.Message)
		require.NoError(t, err)
		info, err := client.Inspect(message)
		require.NoError(t, err)
		versions[v.Name] = info.Version
		require.False(t, info.Stream)
		if v.Text != "" {
			same, err := client.Inspect([]byte(v.Text))
			require.NoError(t, err)
			require.Equal(t, info, same)
		}
	}
	require.Equal(t, 3, versions["a card"])
	require.Equal(t, 4, versions["rewrapped"])
	for _, none := range []string{"", "k", "KLE1", "kle1.", "vault:v1:AAAA"} {
		_, err := client.Inspect([]byte(none))
		require.ErrorIs(t, err, client.ErrInvalidMessage)
	}
}
