// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mounttest

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// Material opens what is stored of a version of a key, wherever it is, and reports whether there is any.
func (m *Mount) Material(key string, version int) (material envelope.Material, found bool) {
	m.T.Helper()
	ctx, k := context.Background(), m.Storage.Key(key)
	ring, found, err := m.Storage.Store().KEKs().Keyring(ctx)
	require.NoError(m.T, err)
	require.True(m.T, found)
	blob, purpose, kek := m.Storage.Sealed(fmt.Sprintf("versions/%s/%d", key, version)), envelope.PurposeOnline, ring.Use
	if len(blob) == 0 {
		blob, purpose, kek = m.Storage.Sealed(fmt.Sprintf("archive/%s/%d", key, version)), envelope.PurposeArchive, ring.Archive
	}
	if len(blob) == 0 {
		return material, false
	}
	wrapper, err := hsm.NewSoftware(kek.ID, kek.Key, rand.Reader)
	require.NoError(m.T, err)
	material, err = envelope.Open(ctx, wrapper, blob, envelope.Binding{
		Instance: ring.Instance, KeyID: k.ID, Version: version, Algorithm: envelope.Algorithm(k.Type), Purpose: purpose,
	})
	require.NoError(m.T, err)
	return material, true
}
