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

const schedulePrefix = "schedule/"

// minuteLayout names a minute in UTC so that names sort by time.
const minuteLayout = "20060102T1504"

func minuteOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(minuteLayout)
}

func schedulePath(minute, name string) string { return schedulePrefix + minute + "/" + name }

// duePath returns the entry of a key in the due index; empty: it has none.
func duePath(k lifecycle.Key) string {
	if k.Due.IsZero() {
		return ""
	}
	return schedulePath(minuteOf(k.Due), k.Name)
}

// DueMinutes returns the minutes that have keys listed in the due index, oldest first. It reads the whole index; the
// tick asks once and then follows the clock.
func (r DueIndex) DueMinutes(ctx context.Context) ([]time.Time, error) {
	folders, err := r.list(ctx, schedulePrefix)
	if err != nil {
		return nil, err
	}
	minutes := make([]time.Time, 0, len(folders))
	for _, folder := range folders {
		if minute, err := time.Parse(minuteLayout+"/", folder); err == nil {
			minutes = append(minutes, minute)
		}
	}
	return minutes, nil
}

// KeysDue returns the names of the keys listed under the minute.
func (r DueIndex) KeysDue(ctx context.Context, minute time.Time) ([]string, error) {
	return r.list(ctx, schedulePath(minuteOf(minute), ""))
}

// IsListed reports whether the due index lists the key under the time.
func (r DueIndex) IsListed(ctx context.Context, at time.Time, name string) (bool, error) {
	path := schedulePath(minuteOf(at), name)
	entry, err := r.get(ctx, path)
	return entry != nil, storageError("get", path, err)
}

// AddDue puts the key on the due index, for one whose entry was lost.
func (r DueIndex) AddDue(ctx context.Context, at time.Time, name string) error {
	return r.mark(ctx, schedulePath(minuteOf(at), name))
}

// RemoveDue removes the entry of a key that is not to be looked at then, and leaves it where the key's record says it
// is.
func (r DueIndex) RemoveDue(ctx context.Context, minute time.Time, name string) error {
	unlock, err := r.lock(ctx, &r.s.keys, name)
	if err != nil {
		return err
	}
	defer unlock()
	k, err := Keys(r).Key(ctx, name)
	switch {
	case err == nil && minuteOf(k.Due) == minuteOf(minute):
		return nil
	case err != nil && !errors.Is(err, refusal.ErrNotFound):
		return err
	}
	return r.delete(ctx, schedulePath(minuteOf(minute), name))
}

// PostponeDue moves the entry of a key whose record cannot be read or written to a later time, so that it neither gets
// lost nor holds up the others.
func (r DueIndex) PostponeDue(ctx context.Context, minute, later time.Time, name string) error {
	if err := r.AddDue(ctx, later, name); err != nil {
		return err
	}
	return r.delete(ctx, schedulePath(minuteOf(minute), name))
}
