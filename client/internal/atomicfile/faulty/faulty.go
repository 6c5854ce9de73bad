// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package faulty is a file system for tests that crashes: from one call on nothing has an effect any more, and what was not
// synced is lost, also where it has its new name already.
package faulty

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/keylife/vault-plugin-keylife/client/internal/atomicfile"
)

// ErrCrash is what every call returns from the crash on.
var ErrCrash = errors.New("crash")

// FS crashes in its At-th call, after it or before it had its effect.
type FS struct {
	At      int
	Applied bool

	atomicfile.OS
	calls    int
	unsynced map[string]bool // files, by the names they have now
}

// New returns a file system that crashes in its at-th call. applied: after that call had its effect.
func New(at int, applied bool) *FS {
	return &FS{At: at, Applied: applied, unsynced: map[string]bool{}}
}

// Crashed tells whether the crash came.
func (f *FS) Crashed() bool { return f.calls >= f.At }

// do is one call.
func (f *FS) do(effect func() error) error {
	if f.Crashed() {
		return ErrCrash
	}
	f.calls++
	if !f.Crashed() {
		return effect()
	}
	var err error
	if f.Applied {
		err = effect()
	}
	for path := range f.unsynced {
		err = errors.Join(err, os.Truncate(path, 0))
	}
	return errors.Join(ErrCrash, err)
}

// Create implements [atomicfile.FS].
func (f *FS) Create(folder, pattern string) (atomicfile.Handle, error) {
	var h atomicfile.Handle
	err := f.do(func() (err error) {
		h, err = f.OS.Create(folder, pattern)
		if err == nil {
			f.unsynced[h.Name()] = true
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &handle{Handle: h, fs: f}, nil
}

// Rename implements [atomicfile.FS].
func (f *FS) Rename(from, to string) error {
	return f.do(func() error {
		if f.unsynced[from] {
			delete(f.unsynced, from)
			f.unsynced[to] = true
		}
		return f.OS.Rename(from, to)
	})
}

// Remove implements [atomicfile.FS].
func (f *FS) Remove(path string) error {
	return f.do(func() error {
		delete(f.unsynced, path)
		return f.OS.Remove(path)
	})
}

// SyncFolder implements [atomicfile.FS].
func (f *FS) SyncFolder(path string) error {
	return f.do(func() error { return f.OS.SyncFolder(path) })
}

type handle struct {
	atomicfile.Handle
	fs *FS
}

func (h *handle) Write(p []byte) (n int, err error) {
	err = h.fs.do(func() (err error) {
		n, err = h.Handle.Write(p)
		return err
	})
	return n, err
}

func (h *handle) Sync() error {
	return h.fs.do(func() error {
		delete(h.fs.unsynced, h.Name())
		return h.Handle.Sync()
	})
}

// Leftovers are the files beside those of which a crash left a part.
func Leftovers(folder string) ([]string, error) {
	return filepath.Glob(filepath.Join(folder, ".*"+atomicfile.Temporary))
}
