// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

const (
	versionsPrefix = "versions/"
	datesPrefix    = "dates/"
)

// pageSize is how many creation times leave the key record at once. It bounds the record, and with it the cost of a
// rotation, whatever the number of versions.
const pageSize = 256

func versionPath(name string, n int) string { return versionsPrefix + name + "/" + strconv.Itoa(n) }
func datesPath(name string, page int) string {
	return datesPrefix + name + "/" + strconv.Itoa(page)
}

// Version returns one version of the key. The caller checks its KeyID: an entry above the key's latest version may
// be a leaving of an act that did not commit. The error is [refusal.ErrNotFound] where there is none.
func (r Versions) Version(ctx context.Context, name string, n int) (lifecycle.Version, error) {
	return r.versionAt(ctx, versionPath(name, n), n)
}

// IsStored reports whether a version of this very key is stored under the number. What cannot be read is none: nothing was
// ever encrypted with it.
func (r Versions) IsStored(ctx context.Context, k lifecycle.Key, n int) (bool, error) {
	v, err := r.Version(ctx, k.Name, n)
	switch {
	case errors.Is(err, refusal.ErrNotFound), errors.Is(err, ErrCorrupt):
		return false, nil
	default:
		return v.KeyID == k.ID, err
	}
}

func (r Versions) versionAt(ctx context.Context, path string, n int) (lifecycle.Version, error) {
	var rec versionRecord
	_, found, err := read(ctx, r.conn, path, &rec)
	if err != nil {
		return lifecycle.Version{}, err
	}
	if !found || rec.Number != n {
		return lifecycle.Version{}, fmt.Errorf("%s: %w", path, refusal.ErrNotFound)
	}
	return lifecycle.Version{
		KeyID: rec.KeyID, Number: rec.Number, Created: rec.Created, Fingerprint: rec.Fingerprint, Sealed: rec.Sealed, Public: rec.Public, PublicOnly: rec.PublicOnly, Object: rec.Object, CreatedBy: rec.CreatedBy,
	}, nil
}

func (r Versions) putVersion(ctx context.Context, name string, v lifecycle.Version) error {
	return r.putVersionAt(ctx, versionPath(name, v.Number), v)
}

// verifyTime bounds writing a version and reading it back.
const verifyTime = 5 * time.Second

// putNew writes a new version and, with verify, reads it back: what the storage took and cannot give again must not
// come into force.
func (r Versions) putNew(ctx context.Context, name string, v lifecycle.Version, verify bool) error {
	v.CreatedBy = r.caller.Actor.EntityID
	if !verify {
		return r.putVersion(ctx, name, v)
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTime)
	defer cancel()
	if err := r.putVersion(ctx, name, v); err != nil {
		return err
	}
	stored, err := r.Version(ctx, name, v.Number)
	switch {
	case errors.Is(err, refusal.ErrNotFound):
		return fmt.Errorf("%w: %s is not there", refusal.ErrReadBack, versionPath(name, v.Number))
	case err != nil:
		return err
	}
	if stored.KeyID != v.KeyID || stored.Fingerprint != v.Fingerprint || !stored.Created.Equal(v.Created) || !bytes.Equal(stored.Sealed, v.Sealed) || !bytes.Equal(stored.Public, v.Public) || stored.Object != v.Object {
		return fmt.Errorf("%w: %s is another", refusal.ErrReadBack, versionPath(name, v.Number))
	}
	return nil
}

func (r Versions) putVersionAt(ctx context.Context, path string, v lifecycle.Version) error {
	return r.put(ctx, path, versionRecord{
		Schema: schema, KeyID: v.KeyID, Number: v.Number, Created: v.Created, Fingerprint: v.Fingerprint, Sealed: v.Sealed, Public: v.Public, PublicOnly: v.PublicOnly, Object: v.Object, CreatedBy: v.CreatedBy,
	}, nil)
}

// page moves full pages of creation times out of the key record: more than one for a restored key. The page of an act that does not commit is
// written again, as it will then be, by the one that does.
func (r Versions) page(ctx context.Context, k lifecycle.Key) (lifecycle.Key, error) {
	k.Recent = times(seconds(k.Recent)) // as it will be read back
	for len(k.Recent) >= pageSize {
		rec := datesRecord{Schema: schema, KeyID: k.ID, Created: seconds(k.Recent[:pageSize])}
		if err := r.put(ctx, datesPath(k.Name, Pages(k)), rec, nil); err != nil {
			return lifecycle.Key{}, err
		}
		k.Recent = k.Recent[pageSize:]
	}
	return k, nil
}

// Pages returns how many full pages of creation times the key has.
func Pages(k lifecycle.Key) int { return (k.Latest - len(k.Recent)) / pageSize }

// Dates returns when the versions from..latest of the key were made, by version number, in whole seconds. It reads
// one entry per full page from that of the version from on, once.
func (r Versions) Dates(ctx context.Context, k lifecycle.Key, from int) (map[int]time.Time, error) {
	return r.DatesOf(ctx, k, lifecycle.Range{From: from, To: k.Latest})
}

// DatesOf returns when versions of the key were made, as Dates does; it may return those of others.
func (r Versions) DatesOf(ctx context.Context, k lifecycle.Key, of lifecycle.Range) (map[int]time.Time, error) {
	from := of.From
	dates := map[int]time.Time{} // grown page by page: the record may be wrong about how many there are
	for page := (max(from, 1) - 1) / pageSize; page < Pages(k) && page*pageSize < of.To; page++ {
		list, err := r.datesPage(ctx, k, page)
		if err != nil {
			return nil, err
		}
		addDates(dates, page*pageSize+1, from, list)
	}
	addDates(dates, Pages(k)*pageSize+1, from, k.Recent)
	return dates, nil
}

func addDates(dates map[int]time.Time, first, from int, list []time.Time) {
	for i, at := range list {
		if first+i >= from {
			dates[first+i] = at
		}
	}
}

// pageID names a committed page: its content never changes, as a key's id is never used again.
type pageID struct {
	keyID string
	page  int
}

func (r Versions) datesPage(ctx context.Context, k lifecycle.Key, page int) ([]time.Time, error) {
	if list, ok := r.s.pages.Get(pageID{k.ID, page}); ok {
		return list, nil
	}
	var rec datesRecord
	path := datesPath(k.Name, page)
	_, found, err := read(ctx, r.conn, path, &rec)
	if err != nil {
		return nil, err
	}
	if !found || rec.KeyID != k.ID || len(rec.Created) != pageSize {
		return nil, fmt.Errorf("%s: %w", path, ErrCorrupt)
	}
	list := times(rec.Created)
	r.s.pages.Add(pageID{k.ID, page}, list)
	return list, nil
}
