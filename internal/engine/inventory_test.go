// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

func inventory(w *enginetest.World) engine.Inventory {
	w.T.Helper()
	names, err := w.Session().Keys().Names(w.T.Context())
	require.NoError(w.T, err)
	page, err := w.Session().Keys().Inventory(w.T.Context(), names, engine.InventoryQuery{Page: engine.Page{Limit: 100}, Scan: 100})
	require.NoError(w.T, err)
	return page
}

func TestTheInventoryTellsWhereKeysAreWithoutReadingVersions(t *testing.T) {
	w := enginetest.New(t)
	w.Create("a", "")
	protection := func() (levels []lifecycle.Protection) {
		w.Calls()
		for _, k := range inventory(w).Keys {
			levels = append(levels, k.Protection)
		}
		calls := w.Calls()
		require.NotContains(t, calls, "SealedVersion")
		require.LessOrEqual(t, calls["PendingRewraps"], 1, "once a page")
		return levels
	}
	require.Equal(t, []lifecycle.Protection{lifecycle.Software}, protection())
	w.Token.Activate(1, true)
	w.Create("b", "")
	require.NoError(t, makeResident(w, ""))
	require.Equal(t, []lifecycle.Protection{lifecycle.HSMWrapped, lifecycle.HSMWrapped, lifecycle.Resident}, protection(), "without a rewrap the active key wraps all")
	w.RotateKEK(2, false)
	require.Equal(t, []lifecycle.Protection{"", "", lifecycle.Resident}, protection(), "while material is wrapped anew its versions would have to tell")
	for len(w.Rewraps()) > 0 {
		w.Clock.Add(time.Minute)
		w.Tick()
	}
	require.Equal(t, []lifecycle.Protection{lifecycle.Software, lifecycle.Software, lifecycle.Resident}, protection())
}

func TestTheInventoryEndsWithItsRequest(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.Session().Keys().Inventory(ctx, []string{"k"}, engine.InventoryQuery{Page: engine.Page{Limit: 1}, Scan: 1})
	require.ErrorIs(t, err, context.Canceled)
}
