// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keks_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

func (r *references) Residents(context.Context) (keys, left int, err error) {
	return r.residents, r.left, nil
}

func TestATokenThatHoldsKeysIsNotTakenAway(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		disable := func() error {
			_, err := w.Configure(t.Context(), func(s tokens.Settings) (tokens.Settings, bool) {
				s.Enabled = false
				return s, false
			}, "")
			return err
		}
		for _, c := range []struct {
			residents, left int
			says            string
		}{{3, 1, "3 keys have protection=hsm"}, {0, 2, "2 keys on the token have still to be destroyed"}} {
			w.counted.residents, w.counted.left = c.residents, c.left
			err := disable()
			require.ErrorIs(t, err, refusal.ErrRefused)
			require.ErrorContains(t, err, "enabled: false")
			require.ErrorContains(t, err, c.says)
			_, err = w.Delete(t.Context(), "")
			require.ErrorIs(t, err, refusal.ErrRefused)
			require.ErrorContains(t, err, c.says)
			require.True(t, w.stored(t).Settings.Enabled)
		}
		w.counted.residents, w.counted.left = 0, 0
		require.NoError(t, disable())
	})
}
