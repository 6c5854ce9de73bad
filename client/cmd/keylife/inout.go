// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/keylife/vault-plugin-keylife/client/internal/atomicfile"
)

const standard = "-" // input or output

// input opens the only file of a command, or standard input.
func (a *app) input(args []string) (io.ReadCloser, error) {
	switch {
	case len(args) > 1:
		return nil, usagef("one file at a time: got %d", len(args))
	case len(args) == 0 || args[0] == standard:
		return io.NopCloser(a.stdin), nil
	}
	return os.Open(args[0])
}

// output writes to the file, which has its name at the end only, or to standard output.
func (a *app) output(path string, write func(w io.Writer) error) error {
	if path == "" || path == standard {
		return write(a.stdout)
	}
	mode, err := modeOf(path)
	if err != nil {
		return err
	}
	file, err := atomicfile.New(a.fs, path)
	if err != nil {
		return err
	}
	if err := write(file); err != nil {
		file.Abort()
		return err
	}
	return file.Commit(mode)
}

// modeOf is the mode of the file that is replaced; a new one is its owner's alone.
func modeOf(path string) (fs.FileMode, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0o600, nil
	case err != nil:
		return 0, err
	case !info.Mode().IsRegular():
		return 0, fmt.Errorf("%s is not a regular file, and is not replaced", path)
	}
	return info.Mode().Perm(), nil
}

// isTerminal tells whether a person would see what is written.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
