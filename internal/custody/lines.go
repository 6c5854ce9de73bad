// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// lines reads an export line by line, and holds one line at a time.
type lines struct {
	in     *bufio.Reader
	number int
}

func newLines(in io.Reader) *lines {
	return &lines{in: bufio.NewReaderSize(in, maxLine+1)} // the line break
}

// next returns a line that is good until the next call, or io.EOF. Of a line that is too long it
// returns the beginning, which is still too long for a record.
func (l *lines) next() ([]byte, error) {
	l.number++
	line, err := l.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line = bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = l.in.ReadSlice('\n')
		}
	}
	if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
		return nil, err
	}
	return bytes.TrimSuffix(line, []byte("\n")), nil
}

// each calls f with every line that is not empty. An error is of the reader.
func (l *lines) each(f func(line []byte)) error {
	for {
		line, err := l.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read line %d: %w", l.number, err)
		}
		if len(line) > 0 {
			f(line)
		}
	}
}
