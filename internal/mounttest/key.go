// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mounttest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Reason is one that every policy takes.
const Reason = "change 4711"

// Key is key k of a mount.
type Key struct{ m *Mount }

// Op does an operation on the key, or on a version of it: Op("versions/2/archive").
func (k *Key) Op(path string, kv ...any) Answer {
	k.m.T.Helper()
	return k.m.Write("keys/k/"+path, append([]any{"reason", Reason}, kv...)...)
}

// Ops does operations one after another; "31d" lets so many days go by.
func (k *Key) Ops(paths ...string) {
	k.m.T.Helper()
	for _, path := range paths {
		if path == "31d" {
			k.m.Leap(31 * 24 * time.Hour)
			continue
		}
		k.m.Must(k.Op(path))
	}
}

// State is the state of a version.
func (k *Key) State(version int) string {
	k.m.T.Helper()
	return k.m.Must(k.m.Read(fmt.Sprintf("keys/k/versions/%d", version))).Data["state"].(string)
}

// States returns the states of all versions, the oldest first.
func (k *Key) States() []string {
	k.m.T.Helper()
	return k.m.StatesOf("k")
}

// Letters returns the states of all versions by their letters: Pre-active, Active, deactivated = Old, Suspended,
// aRchived = R, Compromised, reTired = T, Destroyed.
func (k *Key) Letters() string {
	k.m.T.Helper()
	letters := map[string]string{
		"pre_active": "P", "active": "A", "deactivated": "O", "suspended": "S", "archived": "R", "compromised": "C", "retired": "T", "destroyed": "D",
	}
	var out strings.Builder
	for _, state := range k.States() {
		require.Contains(k.m.T, letters, state)
		out.WriteString(letters[state])
	}
	return out.String()
}

// Kept is Letters without the versions whose numbers were given up, as an act that was cut short had stored them.
func (k *Key) Kept() string {
	k.m.T.Helper()
	all := []byte(k.Letters())
	for _, record := range slices.Backward(k.m.Storage.Journal()) {
		var from, to int
		if n, _ := fmt.Sscanf(record.Details["abandoned_versions"], "%d to %d", &from, &to); n == 2 {
			require.Equal(k.m.T, strings.Repeat("T", to-from+1), string(all[from-1:to]))
			all = slices.Delete(all, from-1, to)
		}
	}
	return string(all)
}

// Make makes the key, with so many versions.
func (k *Key) Make(versions int) {
	k.m.T.Helper()
	k.m.Must(k.m.Write("keys/k"))
	for range versions - 1 {
		k.m.Must(k.Op("rotate"))
	}
}

// RotateTo rotates up to version n. The floor follows, as every answer lists all versions above it.
func (k *Key) RotateTo(n int) {
	k.m.T.Helper()
	for {
		latest := k.m.Must(k.Op("rotate")).Data["latest_version"].(int)
		if latest%200 == 0 {
			k.m.Must(k.m.Write("keys/k/config", "min_decryption_version", latest))
		}
		if latest >= n {
			k.m.Must(k.m.Write("keys/k/config", "min_decryption_version", 1, "reason", Reason))
			return
		}
	}
}

// KeyOf3 has key k with versions 1 and 2 deactivated and 3 active, and a ciphertext of each.
func KeyOf3(t testing.TB, kv ...any) (m *Mount, ciphertexts map[int]string) {
	t.Helper()
	m = New(t)
	m.Must(m.Write("keys/k", kv...))
	ciphertexts = map[int]string{1: m.Encrypt("k", "secret")}
	for v := 2; v <= 3; v++ {
		m.K.Ops("rotate")
		ciphertexts[v] = m.Encrypt("k", "secret")
	}
	return m, ciphertexts
}

// UnderPolicy is [KeyOf3] under policy p, which does nothing by the clock unless told.
func UnderPolicy(t testing.TB, settings ...any) (m *Mount, ciphertexts map[int]string) {
	t.Helper()
	m, ciphertexts = KeyOf3(t)
	m.Must(m.Write("policies/p", append([]any{
		"owner", "o", "rotation_period", 0, "destroy_delay", "24h", "quiet_period", 0, "min_versions_kept", 0,
	}, settings...)...))
	m.Must(m.Write("keys/k/config", "policy", "p"))
	return m, ciphertexts
}

// Governed is key k under policy p, with a period of an hour and no jitter.
func Governed(t testing.TB, rotationMode string) *Mount {
	t.Helper()
	m := New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s", "rotation_mode", rotationMode))
	m.Must(m.Write("keys/k", "policy", "p"))
	return m
}

// Clockwork is key k, whose versions live by the clock: rotated after 1h, archived 2h later, retired 6h later, destroyed
// 24h later.
func Clockwork(t testing.TB, settings ...any) *Mount {
	t.Helper()
	m := New(t)
	m.Must(m.Write("policies/p", append([]any{
		"owner", "o", "rotation_period", "1h", "rotation_jitter", "0s", "archive_after", "2h", "retire_after", "6h", "quiet_period", "6h",
		"destroy_delay", "24h", "min_versions_kept", 1,
	}, settings...)...))
	m.Must(m.Write("keys/k", "policy", "p"))
	return m
}
