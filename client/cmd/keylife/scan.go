// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/keylife/vault-plugin-keylife/client/internal/atomicfile"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// errLink is about a link, behind which the same file could be found twice, or one outside of the folder.
var errLink = errors.New("a link: not followed")

// found is a file that was come across.
type found struct {
	path    string
	named   bool // by the caller, and not found in a folder
	text    bool // the text form
	key     string
	version int
	suite   kle1.Suite
	begin   []byte // of the binary form, up to its body
	err     error  // kle1.ErrInvalidMessage: no message
}

// walk calls see for each file that the arguments name and each in the folders that they name, in the order of names.
func walk(ctx context.Context, args []string, see func(found) error) error {
	for _, root := range args {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			f := found{path: path, named: path == root, err: err}
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err == nil && f.look(entry):
				return nil
			}
			return see(f)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// look reads what the entry is, and tells whether it is nothing to speak of.
func (f *found) look(entry fs.DirEntry) (nothing bool) {
	switch {
	case entry.IsDir(), strings.HasSuffix(f.path, atomicfile.Temporary):
		return true
	case entry.Type()&fs.ModeSymlink != 0:
		f.err = errLink
	case !entry.Type().IsRegular():
		f.err = errors.New("not a regular file")
	default:
		f.read()
	}
	return false
}

// read reads the header of the file.
func (f *found) read() {
	file, err := os.Open(f.path)
	if err != nil {
		f.err = err
		return
	}
	defer file.Close() //nolint:errcheck // read only
	f.err = f.readFrom(file)
}

func (f *found) readFrom(r io.Reader) error {
	in := bufio.NewReader(r)
	begin, err := in.Peek(5)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	f.text = string(begin) == "kle1."
	if f.text {
		return f.readText(in)
	}
	var header bytes.Buffer
	h, err := kle1.ReadHeader(io.TeeReader(in, &header))
	f.keep(h, header.Bytes())
	return err
}

// keep holds on to no memory of a message.
func (f *found) keep(h kle1.Header, begin []byte) {
	f.key, f.version, f.suite, f.begin = string(h.Name), h.Version, h.Suite, bytes.Clone(begin)
}

// readText reads the whole: a text has one form only, which the last of its characters tells.
func (f *found) readText(r io.Reader) error {
	text, err := readAll(r, maxText, "text form")
	if err != nil {
		return err
	}
	message, err := kle1.FromText(bytes.TrimRight(text, "\r\n"))
	if err != nil {
		return err
	}
	m, err := kle1.Parse(message)
	f.keep(m.Header, message[:len(message)-len(m.Body)])
	return err
}
