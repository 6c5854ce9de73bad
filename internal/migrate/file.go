// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package migrate

import (
	"encoding/json"
	"errors"
	"io"
	"os"
)

// File is a report: JSON, a line for each key, behind those of the runs before.
type File struct{ *os.File }

// OpenFile opens a report to go on with, or begins one.
func OpenFile(path string) (File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return File{}, err
	}
	if err := endLine(file); err != nil {
		return File{}, errors.Join(err, file.Close())
	}
	return File{file}, nil
}

// endLine ends a line that a run was cut short in.
func endLine(file *os.File) error {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := file.ReadAt(last, size-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = file.Write([]byte("\n"))
	return err
}

// Line writes a line, and returns when it is on the disk.
func (f File) Line(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(text, '\n')); err != nil {
		return err
	}
	return f.Sync()
}
