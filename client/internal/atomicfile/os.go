// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package atomicfile

import (
	"errors"
	"os"
	"runtime"
)

// OS is the file system of the machine.
type OS struct{}

// Create implements [FS].
func (OS) Create(folder, pattern string) (Handle, error) { return os.CreateTemp(folder, pattern) }

// Rename implements [FS].
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements [FS].
func (OS) Remove(path string) error { return os.Remove(path) }

// SyncFolder implements [FS]. Windows has no such call.
func (OS) SyncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path) //nolint:gosec // G304: the folder of a path that the caller writes to
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
