// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

func TestADestroyedVersionVerifiesAndDoesNotSign(t *testing.T) {
	for _, of := range []keytype.Type{keytype.Ed25519, keytype.ECDSAP256, keytype.RSA2048} {
		w := enginetest.New(t)
		w.Policy("p", func(d *policy.Document) { d.MinVersionsKept = 1 })
		w.CreateOf("k", "p", of)
		signed, err := cipherOf(t, w, 1).Sign(t.Context(), digest, envelope.SignParams{})
		require.NoError(t, err)
		w.Rotate("k")
		for _, op := range []lifecycle.Op{lifecycle.Archive, lifecycle.Retire} {
			w.Clock.Add(100 * 24 * time.Hour)
			_, err := w.Session().Versions().Transition(t.Context(), "k", engine.Operation{Op: op, Version: 1})
			require.NoError(t, err)
		}
		w.Clock.Add(31 * 24 * time.Hour)
		w.Tick() // the first one, so that there is no step of the clock to doubt
		require.Equal(t, lifecycle.Destroyed, w.Stored("k").State(1), of)
		inUse, archived, _ := w.StoredVersion("k", 1)
		require.Empty(t, inUse)
		require.Empty(t, archived)

		_, before := w.Token.Calls()
		c := cipherOf(t, w, 1)
		_, after := w.Token.Calls()
		require.Equal(t, before, after, "there is nothing to unwrap")
		_, payload, err := envelope.Parse(signed.Text)
		require.NoError(t, err)
		valid, err := c.Verify(t.Context(), digest, payload, envelope.SignParams{})
		require.NoError(t, err)
		require.True(t, valid, of)
		valid, _ = c.Verify(t.Context(), append([]byte{1}, digest[1:]...), payload, envelope.SignParams{})
		require.False(t, valid, of)
		_, err = c.Sign(t.Context(), digest, envelope.SignParams{})
		require.ErrorIs(t, err, envelope.ErrInput)
	}
}

var digest = []byte("32 bytes which pass for a digest")

func cipherOf(t *testing.T, w *enginetest.World, version int) *envelope.Cipher {
	t.Helper()
	k := w.Stored("k")
	c, err := w.Data().Materials().Cipher(t.Context(), &k, version)
	require.NoError(t, err)
	return c
}
