// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package rewrap_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// TestWhatWasWrappedBeforeAChangeAndIsCommittedAfterTheSweepIsWrappedAnew is about acts that come to commit when all else is
// wrapped with another key already.
func TestWhatWasWrappedBeforeAChangeAndIsCommittedAfterTheSweepIsWrappedAnew(t *testing.T) {
	for name, act := range map[string]func(w *world) error{
		"create": func(w *world) error { return w.create("new") },
		"rotate": func(w *world) error { return w.rotate("k") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			require.NoError(t, w.create("k"))
			swept := false
			w.keks[envelope.PurposeOnline].after = func() {
				require.NoError(t, w.rotateKEK(envelope.PurposeOnline, nil))
				w.finish()
				swept = true
			}
			require.NoError(t, act(w))
			require.True(t, swept)
			require.Empty(t, w.open(), "the sweep has come to its end")
			require.Zero(t, w.references())
			w.destroyOld()
			_, err := w.encrypt("k", "secret")
			require.NoError(t, err)
		})
	}
}
