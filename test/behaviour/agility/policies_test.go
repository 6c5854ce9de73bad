// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package agility_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

const period = 30 * 24 * time.Hour

// governed returns a mount with key k under a policy.
func governed(t *testing.T, keyType string, settings ...any) *mounttest.Mount {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", append([]any{"owner", "o", "rotation_period", "30d", "rotation_jitter", "0"}, settings...)...))
	m.Must(m.Write("keys/k", "type", keyType, "policy", "p"))
	return m
}

// rotate makes a version of k of that type.
func rotate(m *mounttest.Mount, to string) mounttest.Answer {
	return m.Write("keys/k/rotate", "type", to, "reason", "because of a test")
}

func TestAPolicyRefusesATypeThatItDoesNotAdmit(t *testing.T) {
	m := governed(t, "aes256-gcm96", "allowed_types", "aes256-gcm96,aes128-gcm96")
	before := m.Storage.All()
	m.Refused(rotate(m, "chacha20-poly1305"), `type: "chacha20-poly1305": policy "p" (revision 1) does not allow this type in allowed_types`)
	require.Equal(t, before, m.Storage.All())
	m.Must(rotate(m, "aes128-gcm96"))

	m = governed(t, "rsa-2048", "next_type", "rsa-2048=ed25519")
	m.Refused(rotate(m, "ecdsa-p256"), `type: "ecdsa-p256": policy "p" (revision 1) has next_type ed25519 for keys of type rsa-2048`)
	require.Equal(t, "ed25519", m.Must(rotate(m, "")).Data["type"])
	require.Equal(t, "ecdsa-p256", m.Must(rotate(m, "ecdsa-p256")).Data["type"], "it says nothing of ed25519")
}

// TestATypeIsGivenUpByAChangeOfPolicy: with the type denied, the clock goes on rotating.
func TestATypeIsGivenUpByAChangeOfPolicy(t *testing.T) {
	m := governed(t, "aes128-gcm96")
	first := m.Encrypt("k", "text")
	day := m.Clock.Now().Format(time.DateOnly)
	m.Must(m.Write("policies/p", "deny_after", "aes128-gcm96="+day, "next_type", "aes128-gcm96=aes256-gcm96"))
	events := m.Must(m.Read("keys/k/plan", "count", 2)).Data["events"].([]map[string]any)
	require.Contains(t, events[0]["why"], "; type aes128-gcm96 -> aes256-gcm96")
	for _, event := range events[1:] {
		require.NotContains(t, event["why"], "; type")
	}
	m.Leap(period + time.Hour)
	require.NoError(t, m.Tick())
	view := m.Must(m.Read("keys/k")).Data
	require.Equal(t, "aes256-gcm96", view["type"])
	require.Equal(t, 2, view["primary_version"])
	require.Equal(t, "text", m.Decrypt("k", first))
	require.Equal(t, "text", m.Decrypt("k", m.Encrypt("k", "text")))
}

func TestWithoutANextTypeADeniedOneIsOverdue(t *testing.T) {
	m := governed(t, "aes128-gcm96")
	m.Must(m.Write("policies/p", "deny_after", "aes128-gcm96="+m.Clock.Now().Format(time.DateOnly)))
	m.Leap(period + time.Hour)
	require.NoError(t, m.Tick())
	require.Equal(t, "overdue", m.Rotation("k")["status"])
	require.Equal(t, "aes256-gcm96", m.Must(rotate(m, "aes256-gcm96")).Data["type"], "an operator may name another type")
}

// TestASuccessorAtALimitHasTheNextType: the request that reaches the limit goes on with the version that it has made.
func TestASuccessorAtALimitHasTheNextType(t *testing.T) {
	m := governed(t, "ecdsa-p256", "next_type", "ecdsa-p256=ed25519", "max_encryptions", 1)
	digest := mounttest.B64("32 bytes which pass for a digest")
	m.Must(m.Write("sign/k", "input", digest, "prehashed", true))
	m.Refused(m.Write("sign/k", "input", digest, "prehashed", true), "prehashed: true: must be false: Ed25519")
	require.Equal(t, "ed25519", m.Must(m.Read("keys/k/versions/2")).Data["type"])
	m.Must(m.Write("sign/k", "input", digest))
}

// TestPrivateHalvesEndUpToAVersionThatEncrypts: that of an RSA key is needed longer than to sign.
func TestPrivateHalvesEndUpToAVersionThatEncrypts(t *testing.T) {
	m := governed(t, "ecdsa-p256", "erase_private_key", true, "rollback_window", "1d")
	for _, to := range []string{"ed25519", "rsa-2048", "ed25519"} {
		m.Must(rotate(m, to))
	}
	m.Leap(2 * 24 * time.Hour)
	for range 3 {
		require.NoError(t, m.Tick())
	}
	for version, erased := range map[string]bool{"1": true, "2": true, "3": false, "4": false} {
		require.Equal(t, erased, m.Must(m.Read("keys/k/versions/" + version)).Data["private_key_erased"], version)
	}
}
