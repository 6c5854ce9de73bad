// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// alertsPrefix is alerts/<status>/<minute>-<name>: which keys need attention, and since when. It is a cache of
// lifecycle.Key.Alerts, written with the record as the due index is. Keys that are well have no entry.
const alertsPrefix = "alerts/"

// alertPaths returns the entries of a key in the index of alerts, the most urgent first.
func alertPaths(k lifecycle.Key) (paths []string) {
	for _, alert := range k.Alerts {
		paths = append(paths, alertEntry(alert.Status, alert.Since, k.Name))
	}
	return paths
}

func alertEntry(status lifecycle.Status, since time.Time, name string) string {
	return alertsPrefix + string(status) + "/" + since.UTC().Format(minuteLayout) + "-" + name
}

// Alerts returns the keys listed under the status, the longest first.
func (r AlertIndex) Alerts(ctx context.Context, status lifecycle.Status) ([]lifecycle.Alerted, error) {
	entries, err := r.list(ctx, alertsPrefix+string(status)+"/")
	if err != nil {
		return nil, err
	}
	list := make([]lifecycle.Alerted, 0, len(entries))
	for _, entry := range entries {
		if len(entry) < len(minuteLayout)+2 || entry[len(minuteLayout)] != '-' {
			continue
		}
		if since, err := time.Parse(minuteLayout, entry[:len(minuteLayout)]); err == nil {
			list = append(list, lifecycle.Alerted{Name: entry[len(minuteLayout)+1:], Since: since})
		}
	}
	return list, nil
}

// RepairAlert makes the index say of a key what its record says: listed is an entry that it has.
func (r AlertIndex) RepairAlert(ctx context.Context, status lifecycle.Status, listed lifecycle.Alerted) error {
	unlock, err := r.lock(ctx, &r.s.keys, listed.Name)
	if err != nil {
		return err
	}
	defer unlock()
	k, err := Keys(r).Key(ctx, listed.Name)
	if err != nil && !errors.Is(err, refusal.ErrNotFound) {
		return err
	}
	entry := alertEntry(status, listed.Since, listed.Name)
	if err == nil && slices.Contains(alertPaths(k), entry) {
		return nil
	}
	return r.delete(ctx, entry)
}

// RestoreAlerts lists the key again where an entry of it was lost, and reports whether one was.
func (r AlertIndex) RestoreAlerts(ctx context.Context, k lifecycle.Key) (lost bool, err error) {
	for _, path := range alertPaths(k) {
		entry, err := r.get(ctx, path)
		if err != nil {
			return lost, storageError("get", path, err)
		}
		if entry != nil {
			continue
		}
		lost = true
		if err := r.mark(ctx, path); err != nil {
			return lost, err
		}
	}
	return lost, nil
}
