// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"strconv"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

const archivePrefix = "archive/"

func archivePath(name string, n int) string { return archivePrefix + name + "/" + strconv.Itoa(n) }

// Archived returns a version from the archive. The error is [refusal.ErrNotFound] where it is not there.
func (r Versions) Archived(ctx context.Context, name string, n int) (lifecycle.Version, error) {
	return r.versionAt(ctx, archivePath(name, n), n)
}

// PutArchived puts the material of a version, sealed for the archive, into the archive.
func (r Versions) PutArchived(ctx context.Context, name string, v lifecycle.Version) error {
	return r.putVersionAt(ctx, archivePath(name, v.Number), v)
}

// DropArchived erases a version from the archive.
func (r Versions) DropArchived(ctx context.Context, name string, n int) error {
	return r.delete(ctx, archivePath(name, n))
}

// PutVersion replaces a committed version: with its material sealed anew, or without.
func (r Versions) PutVersion(ctx context.Context, name string, v lifecycle.Version) error {
	return r.putVersion(ctx, name, v)
}
