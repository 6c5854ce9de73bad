// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// Rotation must not be felt by those who encrypt: no request fails, no version is skipped, every ciphertext opens.
func TestRotationWhileEncryptingEndsAsInTransit(t *testing.T) {
	s := server(t)
	const workers, encrypts, rotations = 4, 50, 20
	var latest []string
	transit, keylife := freshPair(t, s)
	for _, mount := range []string{transit, keylife} {
		s.Must(t, http.MethodPost, mount+"/keys/race", nil)
		sealed := encryptAndRotate(t, s, mount, workers, encrypts, rotations)
		require.Len(t, sealed, workers*encrypts)
		for _, ciphertext := range sealed {
			opened := s.Must(t, http.MethodPost, mount+"/decrypt/race", map[string]any{"ciphertext": ciphertext})
			require.Equal(t, hello, opened["plaintext"])
		}
		latest = append(latest, fmt.Sprint(s.Must(t, http.MethodGet, mount+"/keys/race", nil)["latest_version"]))
	}
	require.Equal(t, []string{"21", "21"}, latest)
}

func encryptAndRotate(t *testing.T, s *harness.Server, mount string, workers, encrypts, rotations int) []string {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	var sealed, failed []string
	request := func(path string, body any) {
		reply, err := s.Send(harness.Request{Method: http.MethodPost, Path: mount + "/" + path, Body: body})
		mu.Lock()
		defer mu.Unlock()
		if err != nil || reply.Status != http.StatusOK {
			failed = append(failed, fmt.Sprintf("%s: %d %v %v", path, reply.Status, reply.Body, err))
		} else if ciphertext, ok := reply.Data()["ciphertext"].(string); ok {
			sealed = append(sealed, ciphertext)
		}
	}
	for range workers {
		all.Go(func() {
			for range encrypts {
				request("encrypt/race", map[string]any{"plaintext": hello})
			}
		})
	}
	all.Go(func() {
		for range rotations {
			request("keys/race/rotate", json.RawMessage("{}"))
		}
	})
	all.Wait()
	require.Empty(t, failed)
	return sealed
}
