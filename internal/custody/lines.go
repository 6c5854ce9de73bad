// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
)

// Line is a record as it is stored, with the number that it is stored under.
type Line struct {
	Seq  int
	Text []byte
}

// Lines returns the lines of an export for [Verify], and holds one line at a time: each is good until the next.
func Lines(export io.Reader) iter.Seq2[[]byte, error] {
	in := lines{bufio.NewReaderSize(export, maxLine+1)} // the line break
	return func(yield func([]byte, error) bool) {
		for {
			line, err := in.next()
			if errors.Is(err, io.EOF) || !yield(line, err) {
				return
			}
		}
	}
}

type lines struct{ in *bufio.Reader }

// next returns a line that is good until the next call, or io.EOF. Of a line that is too long it
// returns the beginning, which is still too long for a record.
func (l lines) next() ([]byte, error) {
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
