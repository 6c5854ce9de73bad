// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/logical"
)

// canaryPath is an entry that is written, read and deleted to see that storage works. It says nothing; one that a process which
// ended has left is overwritten by the next check.
const canaryPath = "config/canary"

// errCanary reports a storage that does not give back what it has just taken.
var errCanary = errors.New("what was written to " + canaryPath + " does not come back")

// Probe writes an entry, reads it and deletes it, one probe at a time. Its writes end with the context, unlike those of acts: nobody
// depends on what becomes of them. The error is [logical.ErrReadOnly] on a node that must not write.
func (h Handle) Probe(ctx context.Context, value []byte) error {
	unlock, err := h.s.mount.exclusive(ctx, canaryPath)
	if err != nil {
		return err
	}
	defer unlock()
	if err := h.storage.Put(ctx, &logical.StorageEntry{Key: canaryPath, Value: value}); err != nil {
		return storageError("put", canaryPath, err)
	}
	entry, err := h.storage.Get(ctx, canaryPath)
	if err != nil {
		return storageError("get", canaryPath, err)
	}
	if err := h.storage.Delete(ctx, canaryPath); err != nil {
		return storageError("delete", canaryPath, err)
	}
	if entry == nil || !bytes.Equal(entry.Value, value) {
		return errCanary
	}
	return nil
}
