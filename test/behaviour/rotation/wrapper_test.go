// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package rotation_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// meddled is a wrapper during whose calls something else happens.
type meddled struct {
	envelope.KeyWrapper
	meddle func()
}

func (w meddled) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	w.meddle()
	return w.KeyWrapper.Wrap(ctx, dek, aad)
}

func (w meddled) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	w.meddle()
	return w.KeyWrapper.Unwrap(ctx, wrapped, aad)
}

// TestAKeyIsChangedWhileAWrapperWorksForIt is about a token that is slow: for no act that needs it is anybody locked out, and
// both acts are done.
func TestAKeyIsChangedWhileAWrapperWorksForIt(t *testing.T) {
	t.Parallel()
	for _, act := range []string{"rotate", "versions/2/promote", "versions/1/compromise", "versions/1/archive", "versions/1/recover"} {
		t.Run(act, func(t *testing.T) {
			t.Parallel()
			m := mounttest.Governed(t, "auto")
			m.Must(m.Write("policies/p", "min_versions_kept", 1))
			m.Advance(time.Minute) // the keys of the policy are looked at
			switch act {
			case "versions/2/promote":
				m.Must(m.K.Op("rotate", "stage", true))
			case "versions/1/archive":
				m.K.Ops("rotate")
			case "versions/1/recover":
				m.K.Ops("rotate", "versions/1/archive")
			}
			changes, inside := 0, false
			m.WrapKeys(func(w envelope.KeyWrapper) envelope.KeyWrapper {
				return meddled{w, func() {
					if inside || changes == 3 {
						return
					}
					inside = true
					changes++
					ctx, stop := context.WithTimeout(t.Context(), time.Minute) // it ends a test that fails
					defer stop()
					got := m.DoWith(ctx, logical.UpdateOperation, "keys/k/config",
						mounttest.Data("owner", fmt.Sprint("team-", changes), "reason", mounttest.Reason))
					require.Less(t, got.Status, 300, got.Err)
					inside = false
				}}
			})
			m.K.Ops(act)
			require.Positive(t, changes)
			require.Equal(t, fmt.Sprint("team-", changes), m.Must(m.Read("keys/k")).Data["owner"])
			m.WrapKeys(nil)
			require.Equal(t, "secret", m.Decrypt("k", m.Encrypt("k", "secret")))
			mounttest.RequireCustodyWhole(t, m)
			mounttest.RequireNothingOpen(t, m)
			mounttest.RequireIndexed(t, m.Storage.All())
		})
	}
}

// TestATokenThatIsAwayForAnHourDefersRotationsAndTheNextTickCatchesUp is about automatic rotation over storage.
func TestATokenThatIsAwayForAnHourDefersRotationsAndTheNextTickCatchesUp(t *testing.T) {
	t.Parallel()
	m := mounttest.Governed(t, "auto")
	m.Encrypt("k", "in memory from now on")
	m.Advance(59 * time.Minute)
	m.WrapKeys(func(w envelope.KeyWrapper) envelope.KeyWrapper {
		return wrapperOf{w, func([]byte, error) ([]byte, error) { return nil, fmt.Errorf("token: %w", envelope.ErrUnavailable) }}
	})
	due := m.Storage.All()
	m.Advance(30 * time.Minute)
	require.Equal(t, 1, m.Latest("k"))
	require.Equal(t, due["keys/k"], m.Storage.All()["keys/k"], "no attempt is counted, and nothing is written")
	r := m.Rotation("k")
	require.Equal(t, "due", r["status"], r["why"])
	require.Equal(t, 0, r["failures"])
	status := m.Status()
	require.Equal(t, 1, status["due"])
	require.Equal(t, 0, status["failed"])
	progress, _ := status["progress"].(map[string]any)
	require.Equal(t, 1, progress["deferred"])
	require.Contains(t, m.Log.String(), "[WARN]  deferred: keys wait for the wrapper of key material; the next tick tries again: first=k")
	m.WrapKeys(nil)
	m.Advance(time.Minute)
	require.Equal(t, 2, m.Latest("k"))
	require.Equal(t, 0, m.Status()["due"])
}
