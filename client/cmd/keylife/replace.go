// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/keylife/vault-plugin-keylife/client/internal/atomicfile"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// stubBody is as long as the shortest body of any suite.
var stubBody = make([]byte, 56)

var errChanged = errors.New("changed while it was put under the newest version: left as it is")

// stub is a message with the header of the file.
func (f *found) stub() []byte { return slices.Concat(f.begin, stubBody) }

// replace puts the file under another header, whole or not at all. Mode and owner stay. The time of the last change does not:
// by it backups tell that there is something new to keep, and the old form may soon not open any more.
func (f *found) replace(files atomicfile.FS, begin []byte) error {
	old, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer old.Close() //nolint:errcheck // read only
	before, err := old.Stat()
	if err != nil {
		return err
	}
	next, err := atomicfile.New(files, f.path)
	if err != nil {
		return err
	}
	err = f.fill(next, old, begin)
	if err == nil {
		err = keepOwner(next, before)
	}
	if err == nil {
		err = f.unchanged(before)
	}
	if err != nil {
		next.Abort()
		return err
	}
	return next.Commit(before.Mode())
}

// fill writes the header and copies the body.
func (f *found) fill(w io.Writer, old io.Reader, begin []byte) error {
	if f.text {
		return f.fillText(w, old, begin)
	}
	same := make([]byte, len(f.begin))
	if _, err := io.ReadFull(old, same); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if !bytes.Equal(same, f.begin) {
		return errChanged
	}
	if _, err := w.Write(begin); err != nil {
		return err
	}
	_, err := io.Copy(w, old)
	return err
}

// fillText keeps what stands behind the text form.
func (f *found) fillText(w io.Writer, old io.Reader, begin []byte) error {
	text, err := readAll(old, maxText, "text form")
	if err != nil {
		return err
	}
	trimmed := bytes.TrimRight(text, "\r\n")
	message, err := kle1.FromText(trimmed)
	body, same := bytes.CutPrefix(message, f.begin)
	if err != nil || !same {
		return errChanged
	}
	_, err = io.WriteString(w, kle1.Text(slices.Concat(begin, body))+string(text[len(trimmed):]))
	return err
}

// unchanged refuses a file that somebody else wrote meanwhile.
func (f *found) unchanged(before fs.FileInfo) error {
	now, err := os.Lstat(f.path)
	if err != nil {
		return err
	}
	if !os.SameFile(before, now) || now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()) {
		return errChanged
	}
	return nil
}
