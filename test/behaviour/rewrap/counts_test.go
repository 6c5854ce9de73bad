// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package rewrap_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// TestWhatASweepCosts is about five versions in use of two keys, and another one that is in the archive.
func TestWhatASweepCosts(t *testing.T) {
	w, _ := prepared(t)
	cost := func(after time.Duration) storagetest.Counts {
		w.disk.Reset()
		require.NoError(t, w.tick(after))
		return w.disk.Reset()
	}
	cost(9 * time.Minute) // the clock guard remembers the time
	cost(time.Second)
	idle := cost(time.Second)
	require.NoError(t, w.rotateKEK(envelope.PurposeOnline, nil))
	first := cost(time.Second)
	require.Equal(t, storagetest.Counts{
		Gets:  1 + 2 + 6 + 5 + 1, // the progress; two keys, six entries, five of them once more; the progress, as it is stored
		Lists: 1 + 2,             // the names; the versions of two keys
		Puts:  5 + 1,
	}, minus(first, idle))
	require.Equal(t, storagetest.Counts{Gets: 1}, minus(cost(time.Second), idle), "between two passes")
}

func minus(a, b storagetest.Counts) storagetest.Counts {
	return storagetest.Counts{Gets: a.Gets - b.Gets, Lists: a.Lists - b.Lists, Puts: a.Puts - b.Puts, Deletes: a.Deletes - b.Deletes}
}
