// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// sealedPrefix is where material is kept: in use, or in the archive.
func sealedPrefix(at lifecycle.MaterialLocation) string {
	if at == lifecycle.InArchive {
		return archivePrefix
	}
	return versionsPrefix
}

func sealedPath(at lifecycle.MaterialLocation, name string, n int) string {
	return sealedPrefix(at) + name + "/" + strconv.Itoa(n)
}

// SealedKeys returns the names of all keys of which something is stored there, in alphabetical order; also of keys that are
// being deleted, and of some that never came to be.
func (r Sealed) SealedKeys(ctx context.Context, at lifecycle.MaterialLocation) ([]string, error) {
	names, err := r.list(ctx, sealedPrefix(at))
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, "/")
	}
	slices.Sort(names) // anew: the slash counted
	return names, err
}

// SealedVersions returns the numbers of the versions of a key that are stored there, the oldest first; also of some that no
// act committed.
func (r Sealed) SealedVersions(ctx context.Context, at lifecycle.MaterialLocation, name string) ([]int, error) {
	names, err := r.list(ctx, sealedPrefix(at)+name+"/")
	if err != nil {
		return nil, err
	}
	numbers := make([]int, 0, len(names))
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil && n > 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// SealedVersion returns one of them. The error is [refusal.ErrNotFound] where it is not there any more.
func (r Sealed) SealedVersion(ctx context.Context, at lifecycle.MaterialLocation, name string, n int) (lifecycle.Version, error) {
	return Versions(r).versionAt(ctx, sealedPath(at, name, n), n)
}

// ReplaceSealed puts the sealed material of a version in the place of what was read of it, if that is what is stored; no
// writer of the key runs meanwhile.
func (r Sealed) ReplaceSealed(
	ctx context.Context, at lifecycle.MaterialLocation, name string, was lifecycle.Version, sealed []byte,
) (replaced bool, err error) {
	unlock, err := r.lock(ctx, &r.s.keys, name)
	if err != nil {
		return false, err
	}
	defer unlock()
	path := sealedPath(at, name, was.Number)
	var rec versionRecord
	rest, found, err := read(ctx, r.conn, path, &rec)
	if err != nil || !found || rec.Number != was.Number || rec.KeyID != was.KeyID || !bytes.Equal(rec.Sealed, was.Sealed) {
		return false, err
	}
	rec.Sealed = sealed
	err = r.put(ctx, path, rec, rest)
	return err == nil, err
}
