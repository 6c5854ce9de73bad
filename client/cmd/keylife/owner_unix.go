// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/keylife/vault-plugin-keylife/client/internal/atomicfile"
)

// keepOwner gives the file the owner and group of the one that it will replace, or refuses.
func keepOwner(h atomicfile.Handle, before fs.FileInfo) error {
	owner, ok := before.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() && int(owner.Gid) == os.Getegid() {
		return nil
	}
	if err := h.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
		return fmt.Errorf("keep owner %d and group %d: %w", owner.Uid, owner.Gid, err)
	}
	return nil
}
