// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package states_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// meanwhile is a storage on which something else is done, once, between an act on the key and the look at it for the answer.
type meanwhile struct {
	logical.Storage
	ended *bool // the act has
	do    func()
}

func (m meanwhile) Put(ctx context.Context, entry *logical.StorageEntry) error {
	err := m.Storage.Put(ctx, entry)
	if strings.HasPrefix(entry.Key, "journal/k/") && strings.Contains(string(entry.Value), `"kind":"end"`) {
		*m.ended = true
	}
	return err
}

func (m meanwhile) Get(ctx context.Context, path string) (*logical.StorageEntry, error) {
	if *m.ended && !strings.HasPrefix(path, "journal/") {
		*m.ended = false
		m.do()
	}
	return m.Storage.Get(ctx, path)
}

// A key may be deleted between an act on it and the look at it for the answer. The act is done, and is not answered as one that was
// refused.
func TestAnActIsDoneWhoeverDeletesTheKeyThereafter(t *testing.T) {
	t.Parallel()
	for path, before := range map[string][]string{
		"keys/k/versions/2/promote": {"keys/k", "keys/k/rotate"},
		"keys/k/rotate":             {"keys/k"},
		"keys/k/hold":               {"keys/k"},
		"keys/k":                    nil,
	} {
		t.Run(path, func(t *testing.T) {
			m := mounttest.New(t)
			for _, p := range before {
				if strings.HasSuffix(p, "rotate") {
					m.Must(m.Write(p, "stage", true))
				} else {
					m.Must(m.Write(p, "type", "ed25519"))
				}
			}
			var ended, deleted bool
			storage := meanwhile{m.Storage, &ended, func() {
				m.Must(m.Write("keys/k/config", "deletion_allowed", true))
				if strings.HasSuffix(path, "hold") {
					m.Must(m.Write("keys/k/hold", "hold", false))
				}
				m.Must(m.Delete("keys/k"))
				deleted = true
			}}
			resp, err := m.HandleRequest(t.Context(), &logical.Request{Operation: logical.UpdateOperation, Path: path, Storage: storage, Data: map[string]any{}})
			require.NoError(t, err)
			require.True(t, deleted, "nothing was read for the answer")
			require.False(t, resp.IsError(), "%v", resp)
			require.Equal(t, 404, m.Read("keys/k").Status)
		})
	}
}
