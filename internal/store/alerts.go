// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// alertsPrefix is alerts/<status>/<minute>-<name>: which keys need attention, and since when. It is a cache of
// lifecycle.Key.Alert, written with the record as the due index is. Keys that are well have no entry.
const alertsPrefix = "alerts/"

// alertPath returns the entry of a key in the index of alerts; empty: it has none.
func alertPath(k lifecycle.Key) string {
	if k.Alert.Status == "" {
		return ""
	}
	return alertEntry(k.Alert.Status, k.Alert.Since, k.Name)
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
	if err == nil && alertPath(k) == entry {
		return nil
	}
	return r.delete(ctx, entry)
}

// RestoreAlert lists the key again, if its entry was lost, and reports whether it was.
func (r AlertIndex) RestoreAlert(ctx context.Context, k lifecycle.Key) (lost bool, err error) {
	path := alertPath(k)
	if path == "" {
		return false, nil
	}
	entry, err := r.get(ctx, path)
	if err != nil || entry != nil {
		return false, storageError("get", path, err)
	}
	return true, r.mark(ctx, path)
}
