// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

// backlog is what the due index lists up to now when the tick has worked it off.
type backlog map[string]time.Time // by key, since when it is due

// wait notes keys that stay listed under a minute.
func (b backlog) wait(minute time.Time, names ...string) {
	for _, name := range names {
		b[name] = minute
	}
}

// oldest returns since when the key is due that is so for longest; zero: none is due.
func (b backlog) oldest() (oldest time.Time) {
	for _, minute := range b {
		if oldest.IsZero() || minute.Before(oldest) {
			oldest = minute
		}
	}
	return oldest
}

// countLeft counts what is listed under the minutes that a full tick did not come to. It lists them, as many as the status does, and
// none where time is up: what is on the board is the least that waits then.
func (t *tick) countLeft(ctx context.Context, minutes []time.Time) error {
	for _, minute := range minutes[:min(len(minutes), minutesCounted)] {
		if t.spent(ctx) {
			return nil
		}
		names, err := t.store.Due.KeysDue(ctx, minute)
		if err != nil {
			return err
		}
		t.left.wait(minute, names...)
	}
	return nil
}

// showRotation puts on the board which keys wait and which need somebody. It lists the index of alerts, a call a status, so it is
// right after a failover, too, and whoever has written the keys. Where that fails the board stays as it was.
func (t *tick) showRotation(ctx context.Context) error {
	r := observe.Rotation{Due: len(t.left), OldestDue: t.left.oldest(), Alerting: map[string]int{}}
	for _, status := range lifecycle.AlertStatuses() {
		list, err := t.store.Alerts.Alerts(ctx, status)
		if err != nil {
			return err
		}
		r.Alerting[string(status)] = len(list)
		for _, alerted := range list[:min(len(list), observe.MaxAlerts)] { // the longest first
			r.Alerts = append(r.Alerts, observe.Alert{Key: alerted.Name, Status: string(status), Since: alerted.Since})
		}
		r.Hidden += len(list)
	}
	slices.SortStableFunc(r.Alerts, func(a, b observe.Alert) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Key, b.Key)) })
	r.Alerts = slices.Clip(r.Alerts[:min(len(r.Alerts), observe.MaxAlerts)])
	r.Hidden -= len(r.Alerts)
	t.Observe.Board.Rotation.Set(r)
	t.Observe.Board.Usage.Set(t.Plane.UsageRatios())
	return nil
}
