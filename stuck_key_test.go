// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// stuck is a storage that never answers for one entry.
type stuck struct {
	logical.Storage
	path string
}

func (s stuck) Get(ctx context.Context, path string) (*logical.StorageEntry, error) {
	if path == s.path {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Storage.Get(ctx, path)
}

func TestAKeyForWhichTheStorageDoesNotAnswerHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	for _, name := range []string{"a", "k", "z"} {
		m.must(m.write("keys/"+name, "auto_rotate_period", "1h"))
	}
	m.clock.add(61 * time.Minute)
	var err error
	m.backend, err = newBackend(t.Context(), &logical.BackendConfig{
		Logger: hclog.NewNullLogger(), System: m.system, StorageView: m.storage,
	}, engine.Config{Now: m.clock.Now, Rand: m.random, KeyTime: time.Second})
	require.NoError(t, err)
	_, err = m.HandleRequest(t.Context(), &logical.Request{Operation: logical.RollbackOperation, Storage: stuck{m.storage, "keys/k"}})
	require.NoError(t, err)
	require.Equal(t, 2, m.latest("a"))
	require.Equal(t, 2, m.latest("z"))
	require.Equal(t, 1, m.latest("k"))
}

// indexOnly is a storage that takes no write of a key, but those of the due index, as one does that recovers at that moment.
type indexOnly struct{ logical.Storage }

func (i indexOnly) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if !strings.HasPrefix(entry.Key, "schedule/") && !strings.HasPrefix(entry.Key, "config/") {
		return storagetest.ErrInjected
	}
	return i.Storage.Put(ctx, entry)
}

func TestAKeyThatTheStorageTookNoWriteOfIsTriedAgainInTheNextMinute(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.must(m.write("keys/k", "auto_rotate_period", "1h"))
	m.clock.add(61 * time.Minute)
	_, err := m.HandleRequest(t.Context(), &logical.Request{Operation: logical.RollbackOperation, Storage: indexOnly{m.storage}})
	require.NoError(t, err)
	m.advance(time.Minute)
	require.Equal(t, 2, m.latest("k"))
}

func TestAVersionThatAnActCutShortHasStoredIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	for _, again := range []func(m *mount) answer{by("rotate"), by("versions/1/compromise")} {
		m := newMount(t)
		m.must(m.write("keys/k"))
		m.storage.FailWriteAs(3, storagetest.Last) // custody, version, record
		require.Equal(t, 500, m.op("rotate").status)
		m.storage.Heal()
		m.restart()
		stored := m.dump()["versions/k/2"]
		require.NotEmpty(t, stored)

		m.must(again(m))
		require.Equal(t, stored, m.dump()["versions/k/2"])
		require.Equal(t, 3, m.latest("k"))
		require.Equal(t, "retired", m.states()[1])
		require.Contains(t, m.newestRecord(2), `"abandoned_versions":"2 to 2"`)
		m.ops("versions/2/restore")
		require.Equal(t, "pre_active", m.states()[1])
	}
}

func TestWhatIsNoVersionDoesNotStopARotation(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.must(m.write("keys/k"))
	m.plant("versions/k/2", []byte("{broken"))
	m.ops("rotate")
	require.Equal(t, 2, m.latest("k"))
	require.Equal(t, "secret", m.decrypt("k", m.encrypt("k", "secret")))
}
