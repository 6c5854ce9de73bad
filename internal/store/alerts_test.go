// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/store"
)

// alert makes the key one that needs attention; no status is none.
func alert(status lifecycle.Status, since time.Time) store.Act {
	return func(k lifecycle.Key) (lifecycle.Commit, error) {
		k.Alerts = lifecycle.Alerts{{Status: status, Since: since}}
		if status == "" {
			k.Alerts = nil
		}
		return lifecycle.Commit{Key: k}, nil
	}
}

func (w *world) alerts(t testing.TB) (paths []string) {
	t.Helper()
	for path := range w.entries(t) {
		if strings.HasPrefix(path, "alerts/") {
			paths = append(paths, path)
		}
	}
	return paths
}

func TestAlertsAreListedTheLongestFirst(t *testing.T) {
	w := newWorld()
	for i, name := range []string{"c-3", "a.1", "b_2"} {
		w.create(t, name, "")
		_, err := w.UpdateKey(ctx, name, alert(lifecycle.Stalled, start.Add(-time.Duration(i)*time.Hour+59*time.Second)))
		require.NoError(t, err)
	}
	list, err := w.Alerts(ctx, lifecycle.Stalled)
	require.NoError(t, err)
	require.Equal(t, []lifecycle.Alerted{
		{Name: "b_2", Since: start.Add(-2 * time.Hour)}, {Name: "a.1", Since: start.Add(-time.Hour)}, {Name: "c-3", Since: start},
	}, list)
	list, err = w.Alerts(ctx, lifecycle.Retrying)
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestAnAlertMovesWithItsStatusAndGoesWithIt(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	for _, step := range []struct {
		status lifecycle.Status
		want   []string
		cost   storagetest.Counts
	}{
		{lifecycle.Retrying, []string{"alerts/retrying/20260301T1200-orders"}, storagetest.Counts{Gets: 1, Puts: 2}},
		{lifecycle.Stalled, []string{"alerts/stalled/20260301T1200-orders"}, storagetest.Counts{Gets: 1, Puts: 2, Deletes: 1}},
		{"", nil, storagetest.Counts{Gets: 1, Puts: 1, Deletes: 1}},
	} {
		w.disk.Reset()
		_, err := w.UpdateKey(ctx, "orders", alert(step.status, start))
		require.NoError(t, err)
		require.Equal(t, step.cost, w.disk.Reset())
		require.Equal(t, step.want, w.alerts(t))
	}
}

func TestAnAlertGoesWithItsKeyWhateverIsLost(t *testing.T) {
	for _, applied := range []bool{false, true} {
		for at := 1; ; at++ {
			w := newWorld()
			w.create(t, "orders", "")
			_, err := w.UpdateKey(ctx, "orders", alert(lifecycle.Overdue, start))
			require.NoError(t, err)
			w.disk.FailWrite(at, applied)
			_, _ = w.DeleteKey(ctx, "orders", anyKey, "")
			fired := w.disk.Fired()
			w.disk.Heal()
			w.finish(t)
			if _, err := w.DeleteKey(ctx, "orders", anyKey, ""); err != nil {
				require.ErrorIs(t, err, refusal.ErrNotFound)
			}
			require.Empty(t, w.alerts(t))
			if !fired {
				break
			}
		}
	}
}

func TestWhatIsLostOfAnAlertIsMended(t *testing.T) {
	for _, applied := range []bool{false, true} {
		for at := 1; ; at++ {
			t.Run(fmt.Sprintf("applied=%v/%d", applied, at), func(t *testing.T) {
				w := newWorld()
				w.create(t, "orders", "")
				_, err := w.UpdateKey(ctx, "orders", alert(lifecycle.Retrying, start))
				require.NoError(t, err)
				w.disk.FailWrite(at, applied)
				_, _ = w.UpdateKey(ctx, "orders", alert(lifecycle.Stalled, start))
				w.disk.Heal()
				for _, status := range []lifecycle.Status{lifecycle.Retrying, lifecycle.Stalled} {
					list, err := w.Alerts(ctx, status)
					require.NoError(t, err)
					for _, listed := range list {
						require.NoError(t, w.RepairAlert(ctx, status, listed))
					}
				}
				k, err := w.Key(ctx, "orders")
				require.NoError(t, err)
				require.Equal(t, []string{"alerts/" + string(k.Alerts[0].Status) + "/20260301T1200-orders"}, w.alerts(t))
				lost, err := w.RestoreAlerts(ctx, k)
				require.NoError(t, err)
				require.False(t, lost)
				require.NoError(t, w.disk.Delete(ctx, w.alerts(t)[0]))
				lost, err = w.RestoreAlerts(ctx, k)
				require.NoError(t, err)
				require.True(t, lost)
				require.Len(t, w.alerts(t), 1)
			})
			if at > 3 {
				break
			}
		}
	}
}

func TestAVersionThatDoesNotComeBackIsNotCommitted(t *testing.T) {
	for name, alter := range map[string]func(path string, value []byte) []byte{
		"gone": func(path string, value []byte) []byte {
			if path == "versions/orders/2" {
				return nil
			}
			return value
		},
		"another": func(path string, value []byte) []byte {
			if path == "versions/orders/2" {
				return []byte(strings.Replace(string(value), `"fp"`, `"other"`, 1))
			}
			return value
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.create(t, "orders", "")
			verified := func(k lifecycle.Key) (lifecycle.Commit, error) {
				c, err := rotate("first")(k)
				c.Verify = true
				return c, err
			}
			w.disk.AlterGets(alter)
			_, err := w.UpdateKey(ctx, "orders", verified)
			require.ErrorIs(t, err, refusal.ErrReadBack)
			require.ErrorContains(t, err, "what was written does not come back")
			require.ErrorContains(t, err, "versions/orders/2")
			w.disk.Heal()
			k, err := w.Key(ctx, "orders")
			require.NoError(t, err)
			require.Equal(t, 1, k.Latest)
			k, err = w.UpdateKey(ctx, "orders", verified)
			require.NoError(t, err)
			require.Equal(t, 2, k.Latest)
		})
	}
}
