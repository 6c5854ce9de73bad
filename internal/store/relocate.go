// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"math"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

const relocationIntents = "intents/settle/"

// relocationRecord is intents/settle/<name>: the material of these versions may not be where the key's record says it
// belongs. The record is the truth; settling moves and erases until it holds.
type relocationRecord struct {
	Schema int `json:"schema"`
	From   int `json:"from"`
	To     int `json:"to"`
}

// relocationIntent reads the intent. One that is damaged is read as one over the whole key: the record says where the material
// of each version belongs, so that is always safe.
func (r Relocations) relocationIntent(ctx context.Context, name string) (rec relocationRecord, found bool, err error) {
	_, found, err = read(ctx, r.conn, relocationIntents+name, &rec)
	if errors.Is(err, ErrCorrupt) || (found && (rec.From < 1 || rec.To < rec.From)) {
		return relocationRecord{Schema: schema, From: 1, To: math.MaxInt32}, true, nil
	}
	return rec, found, err
}

// intendRelocation opens the intent, or widens the one that is open.
func (r Relocations) intendRelocation(ctx context.Context, name string, versions lifecycle.Range) error {
	rec, found, err := r.relocationIntent(ctx, name)
	if err != nil {
		return err
	}
	if found {
		versions.From, versions.To = min(versions.From, rec.From), max(versions.To, rec.To)
	}
	return r.put(ctx, relocationIntents+name, relocationRecord{Schema: schema, From: versions.From, To: versions.To}, nil)
}

// Displaced returns the versions of the key whose material may not be where it belongs; zero: none. An intent is there
// before the revision that it is for, so none comes back to a revision that was seen without.
func (r Relocations) Displaced(ctx context.Context, k lifecycle.Key) (lifecycle.Range, error) {
	if revision, ok := r.s.placed.Get(k.ID); ok && revision == k.Revision {
		return lifecycle.Range{}, nil
	}
	rec, found, err := r.relocationIntent(ctx, k.Name)
	if err == nil && !found {
		r.s.placed.Add(k.ID, k.Revision)
	}
	return lifecycle.Range{From: rec.From, To: rec.To}, err
}

// PendingRelocations returns the names of keys that have material to move or erase.
func (r Relocations) PendingRelocations(ctx context.Context) ([]string, error) {
	return r.list(ctx, relocationIntents)
}

// relocatedAtOnce is how many versions one call of Settle works off.
const relocatedAtOnce = 64

// Relocate calls place for the versions of a key whose material may be in the wrong place, oldest first, some at a
// time; left: there are more. No writer of the key runs meanwhile. Where nothing is to be settled, place is not called.
// Place is prepared and asked again as an act is, see [Keys.UpdateKey].
func (r Relocations) Relocate(ctx context.Context, name string, place func(k lifecycle.Key, n int) error) (left bool, err error) {
	var w relocation
	err = r.prepared(ctx, name, func(anew bool) (err error) {
		if anew {
			if w, err = r.toRelocate(ctx, name); err != nil {
				left = w.open
				return err
			}
		}
		left, err = r.relocate(ctx, &w, place)
		return err
	})
	return left, err
}

// relocation is the work that an intent leaves.
type relocation struct {
	key  lifecycle.Key
	rec  relocationRecord
	next int  // the version that has its turn
	open bool // there is something to do
}

// toRelocate reads it.
func (r Relocations) toRelocate(ctx context.Context, name string) (w relocation, err error) {
	if w.rec, w.open, err = r.relocationIntent(ctx, name); err != nil || !w.open {
		return relocation{}, err
	}
	w.next = w.rec.From
	w.key, err = Keys(r).Key(ctx, name)
	if errors.Is(err, refusal.ErrNotFound) { // deleted: its erasure sees to the rest
		return relocation{}, r.delete(ctx, relocationIntents+name)
	}
	return w, err
}

// relocate goes on with it.
func (r Relocations) relocate(ctx context.Context, w *relocation, place func(k lifecycle.Key, n int) error) (left bool, err error) {
	if !w.open {
		return false, nil
	}
	last := min(w.rec.To, w.rec.From+relocatedAtOnce-1)
	for ; w.next <= min(last, w.key.Latest); w.next++ {
		if err := place(w.key, w.next); err != nil {
			return true, err
		}
	}
	if last >= min(w.rec.To, w.key.Latest) {
		return false, r.delete(ctx, relocationIntents+w.key.Name)
	}
	w.rec.From = last + 1
	return true, r.put(ctx, relocationIntents+w.key.Name, w.rec, nil)
}
