// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package rotation_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
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
	m := mounttest.New(t)
	for _, name := range []string{"a", "k", "z"} {
		m.Must(m.Write("keys/"+name, "auto_rotate_period", "1h"))
	}
	m.Clock.Add(61 * time.Minute)
	m.Options.KeyTime = time.Second
	m.Restart()
	_, err := m.HandleRequest(t.Context(), &logical.Request{Operation: logical.RollbackOperation, Storage: stuck{m.Storage, "keys/k"}})
	require.NoError(t, err)
	require.Equal(t, 2, m.Latest("a"))
	require.Equal(t, 2, m.Latest("z"))
	require.Equal(t, 1, m.Latest("k"))
}

// indexOnly is a storage that takes no write of a key, but those of the due index and of who uses it, as one does that recovers at that moment.
type indexOnly struct{ logical.Storage }

func (i indexOnly) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if !slices.ContainsFunc([]string{"schedule/", "config/", "access/"}, func(kind string) bool { return strings.HasPrefix(entry.Key, kind) }) {
		return storagetest.ErrInjected
	}
	return i.Storage.Put(ctx, entry)
}

func TestAKeyThatTheStorageTookNoWriteOfIsTriedAgainInTheNextMinute(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "auto_rotate_period", "1h"))
	m.Clock.Add(61 * time.Minute)
	_, err := m.HandleRequest(t.Context(), &logical.Request{Operation: logical.RollbackOperation, Storage: indexOnly{m.Storage}})
	require.NoError(t, err)
	m.Advance(time.Minute)
	require.Equal(t, 2, m.Latest("k"))
}

// stalled is a storage that takes no write until the tick has no time left for the key, refuses that one, and is well again: as a cluster
// without a majority for some seconds. It reads all the while.
type stalled struct {
	indexOnly
	patience *context.Context // of the tick, for the key
}

func (s stalled) Get(ctx context.Context, path string) (*logical.StorageEntry, error) {
	if _, bounded := ctx.Deadline(); path == "keys/k" && bounded && *s.patience == nil {
		*s.patience = ctx
	}
	return s.Storage.Get(ctx, path)
}

func (s stalled) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if *s.patience != nil {
		<-(*s.patience).Done()
	}
	return s.indexOnly.Put(ctx, entry)
}

func TestAKeyThatTheStorageStalledForIsTriedAgainInTheNextMinute(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Options.KeyTime = time.Second
	m.Restart()
	m.Advance(time.Minute) // a round over the index begins, and the next one in an hour: none is to mend anything meanwhile
	m.Clock.Add(2 * time.Minute)
	m.Must(m.Write("keys/k", "auto_rotate_period", "1h"))
	m.Advance(59 * time.Minute)
	m.Clock.Add(2 * time.Minute)
	var patience context.Context
	_, err := m.HandleRequest(t.Context(), &logical.Request{Operation: logical.RollbackOperation, Storage: stalled{indexOnly{m.Storage}, &patience}})
	require.NoError(t, err)
	require.Error(t, patience.Err(), "the tick had time left for the key")
	require.Equal(t, 1, m.Latest("k"))
	m.Advance(time.Minute)
	require.Equal(t, 2, m.Latest("k"))
}

func TestAVersionThatAnActCutShortHasStoredIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	for _, again := range []string{"rotate", "versions/1/compromise"} {
		m := mounttest.New(t)
		m.Must(m.Write("keys/k"))
		m.Storage.FailWriteAs(3, storagetest.Last) // custody, version, record
		require.Equal(t, 500, m.K.Op("rotate").Status)
		m.Storage.Heal()
		m.Restart()
		stored := m.Storage.All()["versions/k/2"]
		require.NotEmpty(t, stored)

		m.K.Ops(again)
		require.Equal(t, stored, m.Storage.All()["versions/k/2"])
		require.Equal(t, 3, m.Latest("k"))
		require.Equal(t, "retired", m.K.States()[1])
		require.Contains(t, m.Storage.JournalLine(2), `"abandoned_versions":"2 to 2"`)
		m.K.Ops("versions/2/restore")
		require.Equal(t, "pre_active", m.K.States()[1])
	}
}

func TestWhatIsNoVersionDoesNotStopARotation(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	m.Storage.Plant("versions/k/2", []byte("{broken"))
	m.K.Ops("rotate")
	require.Equal(t, 2, m.Latest("k"))
	require.Equal(t, "secret", m.Decrypt("k", m.Encrypt("k", "secret")))
}
