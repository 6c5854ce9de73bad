// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// during runs do once, when the storage is asked for the path.
func (m *mount) during(path string, do func()) {
	done := false
	m.storage.AlterGets(func(asked string, value []byte) []byte {
		if !done && strings.HasPrefix(asked, path) {
			done = true
			do()
		}
		return value
	})
}

// deleteBehind deletes the key where the caches do not notice, as another request does at that moment.
func (m *mount) deleteBehind(name string) {
	m.t.Helper()
	_, err := m.repoOf().DeleteKey(m.t.Context(), name, func(lifecycle.Key) error { return nil }, "")
	require.NoError(m.t, err)
	require.NoError(m.t, m.repoOf().FinishErasure(m.t.Context(), name))
}

func TestADeletedKeyEncryptsNothingWhileItsMaterialIsErased(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	m.must(m.write("keys/k/config", "deletion_allowed", true))
	m.must(m.write("config/keys", "disable_upsert", true))
	m.encrypt("k", "x")
	var meanwhile answer
	m.during("intents/erase/k", func() { meanwhile = m.write("encrypt/k", "plaintext", b64("x")) })
	m.must(m.delete("keys/k"))
	require.Equal(t, 400, meanwhile.status, "what it protects is lost: %v", meanwhile)
	require.Contains(t, meanwhile.err, "encryption key not found")
}

func TestAKeyThatIsDeletedUnderACreationIsMadeAnew(t *testing.T) {
	for name, create := range map[string]func(m *mount) error{
		"create": func(m *mount) error {
			_, _, err := m.engine.Create(m.t.Context(), m.repoOf(), engine.Creation{Spec: lifecycle.Key{Name: "k", Type: lifecycle.DefaultType}})
			return err
		},
		"upsert": func(m *mount) error {
			spec, items := lifecycle.Key{Name: "k", Type: lifecycle.DefaultType}, []engine.Item{{Text: b64("x")}}
			outcomes, _, err := m.engine.EncryptOrCreate(m.t.Context(), m.repoOf(), spec, items)
			require.Len(m.t, outcomes, 1)
			return errors.Join(err, outcomes[0].Err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMount(t)
			m.must(m.write("keys/k"))
			m.must(m.write("keys/k/rotate"))
			m.encrypt("k", "x")
			m.deleteBehind("k")
			require.NoError(t, create(m))
			require.Equal(t, 1, m.latest("k"))
		})
	}
}

func TestARequestWhoseKeyIsGoneWhenItNeedsTheMaterialSaysSo(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	sealed := m.encrypt("k", "x")
	m.restart()
	m.during("keys/k", func() { m.deleteBehind("k") })
	a := m.write("decrypt/k", "ciphertext", sealed)
	require.Equal(t, 400, a.status, a.err)
	require.Contains(t, a.err, "encryption key not found")
	require.NotContains(t, a.err, "versions/")
}

func TestARequestFollowsAKeyThatIsMadeAnewUnderIt(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	m.restart()
	m.during("keys/k", func() {
		m.deleteBehind("k")
		m.must(m.write("keys/k", "type", "aes128-gcm96"))
	})
	sealed := m.encrypt("k", "x")
	require.Equal(t, "x", m.decrypt("k", sealed))
	require.Equal(t, "aes128-gcm96", m.must(m.read("keys/k")).data["type"])
}
