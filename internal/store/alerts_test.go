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

// goldenKeyWithTwoAlerts is the golden key, which is near its end, too.
func goldenKeyWithTwoAlerts() lifecycle.Key {
	k := goldenKey()
	k.Name = "two-alerts"
	k.Alerts = lifecycle.Alerts{k.Alerts[0], {Status: lifecycle.Ending, Since: start.Add(5 * time.Hour)}}
	return k
}

func TestGoldenKeyWithTwoAlertsDecodes(t *testing.T) {
	w := load(t, map[string]string{"keys/two-alerts": golden(t, "key-two-alerts")})
	k, err := w.Key(ctx, "two-alerts")
	require.NoError(t, err)
	require.Equal(t, goldenKeyWithTwoAlerts(), k)
}

// TestWhatAnEarlierReleaseLeavesOfAlertsIsRead is about records that a release wrote which knows one alert, and keeps the others as
// they were.
func TestWhatAnEarlierReleaseLeavesOfAlertsIsRead(t *testing.T) {
	for status, want := range map[string]lifecycle.Alerts{
		"stalled":  goldenKeyWithTwoAlerts().Alerts,
		"ending":   {{Status: lifecycle.Ending, Since: start.Add(7 * time.Hour)}},
		"retrying": {{Status: lifecycle.Retrying, Since: start.Add(7 * time.Hour)}, {Status: lifecycle.Ending, Since: start.Add(5 * time.Hour)}},
		"":         nil,
	} {
		record := strings.Replace(golden(t, "key-two-alerts"), `"alert_status": "stalled"`, `"alert_status": "`+status+`"`, 1)
		k, err := load(t, map[string]string{"keys/two-alerts": record}).Key(ctx, "two-alerts")
		require.NoError(t, err)
		require.Equal(t, want, k.Alerts, status)
	}
}

// twoAlerts gives the key two alerts.
func twoAlerts(k lifecycle.Key) (lifecycle.Commit, error) {
	k.Alerts = goldenKeyWithTwoAlerts().Alerts
	return lifecycle.Commit{Key: k}, nil
}

func TestEachAlertOfAKeyMovesByItself(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	w.disk.Reset()
	_, err := w.UpdateKey(ctx, "orders", twoAlerts)
	require.NoError(t, err)
	require.Equal(t, storagetest.Counts{Gets: 1, Puts: 3}, w.disk.Reset())
	require.ElementsMatch(t, []string{"alerts/stalled/20260301T1900-orders", "alerts/ending/20260301T1700-orders"}, w.alerts(t))
	_, err = w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		k.Alerts = k.Alerts[1:]
		return lifecycle.Commit{Key: k}, nil
	})
	require.NoError(t, err)
	require.Equal(t, storagetest.Counts{Gets: 1, Puts: 1, Deletes: 1}, w.disk.Reset(), "the record, and the entry that goes")
	require.Equal(t, []string{"alerts/ending/20260301T1700-orders"}, w.alerts(t))
}

func TestTwoAlertsAreMendedAndGoWithTheirKeyWhateverIsLost(t *testing.T) {
	for _, applied := range []bool{false, true} {
		for at := 1; ; at++ {
			w := newWorld()
			w.create(t, "orders", "")
			w.disk.FailWrite(at, applied)
			_, _ = w.UpdateKey(ctx, "orders", twoAlerts)
			fired := w.disk.Fired()
			w.disk.Heal()
			for _, status := range lifecycle.AlertStatuses() {
				list, err := w.Alerts(ctx, status)
				require.NoError(t, err)
				for _, listed := range list {
					require.NoError(t, w.RepairAlert(ctx, status, listed))
				}
			}
			k, err := w.Key(ctx, "orders")
			require.NoError(t, err)
			require.Len(t, w.alerts(t), len(k.Alerts))
			if _, err = w.UpdateKey(ctx, "orders", twoAlerts); err != nil {
				require.NoError(t, err)
			}
			for _, path := range w.alerts(t) { // one is lost
				require.NoError(t, w.disk.Delete(ctx, path))
				k, err = w.Key(ctx, "orders")
				require.NoError(t, err)
				lost, err := w.RestoreAlerts(ctx, k)
				require.NoError(t, err)
				require.True(t, lost)
				require.Len(t, w.alerts(t), 2)
			}
			w.disk.FailWrite(at, applied)
			_, _ = w.DeleteKey(ctx, "orders", anyKey, "")
			fired = w.disk.Fired() || fired
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
