// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package states_test

import (
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// deleteBehind deletes the key where the caches do not notice, as another request does at that moment.
func deleteBehind(m *mounttest.Mount, name string) {
	m.T.Helper()
	_, err := m.Storage.Store().Keys().DeleteKey(m.T.Context(), name, func(lifecycle.Key) error { return nil }, "")
	require.NoError(m.T, err)
	require.NoError(m.T, m.Storage.Store().Keys().FinishErasure(m.T.Context(), name))
}

func TestADeletedKeyEncryptsNothingWhileItsMaterialIsErased(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	m.Must(m.Write("keys/k/config", "deletion_allowed", true))
	m.Must(m.Write("config/keys", "disable_upsert", true))
	m.Encrypt("k", "x")
	var meanwhile mounttest.Answer
	m.Storage.During("intents/erase/k", func() { meanwhile = m.Write("encrypt/k", "plaintext", mounttest.B64("x")) })
	m.Must(m.Delete("keys/k"))
	require.Equal(t, 400, meanwhile.Status, "what it protects is lost: %v", meanwhile)
	require.Contains(t, meanwhile.Err, "encryption key not found")
}

func TestAKeyThatIsDeletedUnderACreationIsMadeAnew(t *testing.T) {
	for name, create := range map[string]func(m *mounttest.Mount) mounttest.Answer{
		"create": func(m *mounttest.Mount) mounttest.Answer { return m.Write("keys/k") },
		"upsert": func(m *mounttest.Mount) mounttest.Answer {
			return m.Do(logical.CreateOperation, "encrypt/k", mounttest.Data("plaintext", mounttest.B64("x")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := mounttest.New(t)
			m.Must(m.Write("keys/k"))
			m.Must(m.Write("keys/k/rotate"))
			m.Encrypt("k", "x")
			deleteBehind(m, "k")
			m.Must(create(m))
			require.Equal(t, 1, m.Latest("k"))
		})
	}
}

func TestARequestWhoseKeyIsGoneWhenItNeedsTheMaterialSaysSo(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	sealed := m.Encrypt("k", "x")
	m.Restart()
	m.Storage.During("keys/k", func() { deleteBehind(m, "k") })
	a := m.Write("decrypt/k", "ciphertext", sealed)
	require.Equal(t, 400, a.Status, a.Err)
	require.Contains(t, a.Err, "encryption key not found")
	require.NotContains(t, a.Err, "versions/")
}

func TestARequestFollowsAKeyThatIsMadeAnewUnderIt(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	m.Restart()
	m.Storage.During("keys/k", func() {
		deleteBehind(m, "k")
		m.Must(m.Write("keys/k", "type", "aes128-gcm96"))
	})
	sealed := m.Encrypt("k", "x")
	require.Equal(t, "x", m.Decrypt("k", sealed))
	require.Equal(t, "aes128-gcm96", m.Must(m.Read("keys/k")).Data["type"])
}
