// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package atomicfile replaces files whole: whoever opens the path, also after a crash at any step, finds the file before or
// the file after, and never a part.
//
// A crash can leave a file with the suffix of [Temporary] beside the path. It is never read.
package atomicfile

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// Temporary is how the name of a file ends that is not whole yet.
const Temporary = ".keylife-tmp"

// FS is what is asked of the file system.
type FS interface {
	// Create makes a file of mode 0600 in the folder. The last * of the pattern stands for what makes the name its own.
	Create(folder, pattern string) (Handle, error)
	Rename(from, to string) error
	Remove(path string) error
	// SyncFolder makes renames in the folder last.
	SyncFolder(path string) error
}

// Handle is an open file.
type Handle interface {
	io.WriteCloser
	Name() string
	Sync() error
	Chmod(mode fs.FileMode) error
	Chown(uid, gid int) error
}

// File is the next content of a path. The path changes in [File.Commit] and not before.
type File struct {
	Handle
	fs   FS
	path string
}

// New begins the next content of the path, in the same folder.
func New(fs FS, path string) (*File, error) {
	h, err := fs.Create(filepath.Dir(path), "."+filepath.Base(path)+".*"+Temporary)
	if err != nil {
		return nil, fmt.Errorf("begin %s: %w", path, err)
	}
	return &File{Handle: h, fs: fs, path: path}, nil
}

// Commit puts what was written in the place of the path. After an error the path may have either content.
func (f *File) Commit(mode fs.FileMode) error {
	if err := f.commit(mode); err != nil {
		f.Abort()
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	return nil
}

func (f *File) commit(mode fs.FileMode) error {
	if err := f.Chmod(mode.Perm()); err != nil {
		return err
	}
	if err := f.Sync(); err != nil { // before the rename: else a crash can leave the new name with no content
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := f.fs.Rename(f.Name(), f.path); err != nil {
		return err
	}
	return f.fs.SyncFolder(filepath.Dir(f.path))
}

// Abort drops what was written. After Commit it does nothing.
func (f *File) Abort() {
	_ = f.Close()
	_ = f.fs.Remove(f.Name())
}
