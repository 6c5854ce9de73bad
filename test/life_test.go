// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// Vault ticks once a minute, so a key whose period is the shortest, a minute, rotates within two.
const twoTicks = 150 * time.Second

// minutely makes a key and a policy of the shortest period that governs it.
func minutely(t testing.TB, s *harness.Server, key, mode string) {
	t.Helper()
	s.Must(t, http.MethodPost, "keylife/policies/"+mode, map[string]any{
		"owner": "acceptance", "rotation_period": "1m", "rotation_jitter": "0s", "rotation_mode": mode,
	})
	s.Must(t, http.MethodPost, "keylife/keys/"+key, map[string]any{"policy": mode})
}

func latest(t testing.TB, s *harness.Server, key string) int {
	t.Helper()
	n, err := s.Must(t, http.MethodGet, "keylife/keys/"+key, nil)["latest_version"].(json.Number).Int64()
	require.NoError(t, err)
	return int(n)
}

func moment(t testing.TB, value any) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, fmt.Sprint(value))
	require.NoError(t, err)
	return at
}

func rotatedTo(t testing.TB, s *harness.Server, key string, version int) func() error {
	t.Helper()
	return func() error {
		if n := latest(t, s, key); n < version {
			return fmt.Errorf("%s is at version %d", key, n)
		}
		return nil
	}
}

func TestAPolicyRotatesItsKeys(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Standard())
	minutely(t, s, "watched", "auto")
	minutely(t, s, "left", "manual")
	s.Must(t, http.MethodPost, "keylife/keys/free", nil)
	old := sealAt(t, s, "keylife", "watched", f0(), 1, "")

	harness.Eventually(t, twoTicks, rotatedTo(t, s, "watched", 2))

	require.Equal(t, hello, openAt(t, s, "keylife", "watched", f0(), old, ""), "the first version still opens")
	sealed := s.Must(t, http.MethodPost, "keylife/encrypt/watched", map[string]any{"plaintext": hello})
	require.Contains(t, sealed["ciphertext"], "vault:v2:", "the new version protects")
	facts := s.Must(t, http.MethodGet, "keylife/keys/watched/rotation", nil)
	require.Equal(t, "schedule", facts["last_rotation_trigger"], "%v", facts)
	require.Equal(t, "auto", facts["mode"])
	require.Equal(t, "", facts["last_error"])
	requireLogged(t, s, "[INFO]", "rotated key", "key=watched", "version=2", "trigger=schedule")

	require.Equal(t, 1, latest(t, s, "free"), "a key without a policy stays")
	require.Equal(t, 1, latest(t, s, "left"), "a key whose policy says manual stays")
	require.Equal(t, "overdue", s.Must(t, http.MethodGet, "keylife/keys/left", nil)["rotation_status"])
}

// requireLogged demands one line of the log that has all the parts.
func requireLogged(t testing.TB, s *harness.Server, parts ...string) {
	t.Helper()
	log := s.Log(t)
	for line := range strings.Lines(log) {
		missing := false
		for _, part := range parts {
			missing = missing || !strings.Contains(line, part)
		}
		if !missing {
			return
		}
	}
	require.Fail(t, "no line of the log has it all", "%q\n%s", parts, s.LogTail())
}

// A key that was due several times while the server was sealed is rotated once, not once for each time.
func TestCatchUpAfterASealIsOneRotation(t *testing.T) {
	t.Parallel()
	s := clocked(t)
	s.Must(t, http.MethodPost, "keylife/policies/hourly", object("owner", "acceptance", "rotation_period", "1h", "rotation_jitter", "0s"))
	s.Must(t, http.MethodPost, "keylife/keys/missed", object("policy", "hourly"))
	first := moment(t, s.Must(t, http.MethodGet, "keylife/keys/missed", nil)["next_rotation_time"])
	s.Seal(t)
	s.Advance(t, 150*time.Minute)
	require.True(t, s.Now().After(first.Add(time.Hour)), "the second rotation is due, too")
	s.Unseal(t)
	require.Equal(t, 1, latest(t, s, "missed"))
	s.Tick(t, "keylife")
	harness.Eventually(t, twoTicks, rotatedTo(t, s, "missed", 2))
	s.Tick(t, "keylife")
	facts := s.Must(t, http.MethodGet, "keylife/keys/missed/rotation", nil)
	require.Equal(t, 2, latest(t, s, "missed"), "the rotations that were missed are one")
	require.False(t, moment(t, facts["next_rotation_time"]).Before(moment(t, facts["last_rotation_time"])), "another is due for the past: %v", facts)
}
