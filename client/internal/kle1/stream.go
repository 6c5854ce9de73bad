// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1

import (
	"errors"
	"io"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"
)

// The body of a stream is what Tink's AES256_GCM_HKDF_1MB writes:
//
//	40 | salt 32 | nonce prefix 7 | segments of 2^20 bytes, the first shorter by these 40, the last by any number
const (
	segmentSize      = 1 << 20
	streamHeaderSize = 1 + 32 + 7
)

// streaming is what a stream of a data key and a context needs.
type streaming struct {
	header Header
	key    []byte
	aad    []byte
}

// stream derives a stream's commitment, and its key. The commitment is of the context too: Tink derives a key for the segments from
// the associated data, and AES-GCM alone lets one body open under two such keys to two plaintexts.
func (k *DataKey) stream(c Context) (s streaming, err error) {
	info, err := c.after([]byte(commitStreamLabel))
	if err != nil {
		return streaming{}, err
	}
	prk, err := k.prk()
	if err != nil {
		return streaming{}, err
	}
	defer clear(prk)
	s.header, _ = parseHeader(Stream, []byte(k.head[fixedLen:]))
	s.header.commitment = [commitmentSize]byte(expand(prk, string(info)))
	prefix := s.header.associatedData()
	s.aad, err = c.after(prefix[:])
	s.key = expand(prk, streamLabel)
	return s, err
}

// NewWriter begins a stream and returns where its plaintext goes. The stream is whole when Close returned nil. A caller
// that cannot finish the plaintext must not close it: what was written does not open to its end then.
func (k *DataKey) NewWriter(w io.Writer, c Context) (io.WriteCloser, error) {
	s, err := k.stream(c)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(s.header.appendTo(nil)); err != nil {
		return nil, err
	}
	tink, err := subtle.NewAESGCMHKDF(s.key, "SHA256", KeySize, segmentSize, 0)
	if err != nil {
		return nil, err
	}
	segments, err := tink.NewEncryptingWriter(w, s.aad)
	if err != nil {
		return nil, err
	}
	return &writer{segments: segments}, nil
}

// writer closes no stream of which a part was not written. Tink's would: it ends the stream at the part before.
type writer struct {
	segments io.WriteCloser
	err      error
}

func (w *writer) Write(p []byte) (n int, err error) {
	if w.err != nil {
		return 0, w.err
	}
	n, w.err = w.segments.Write(p)
	return n, w.err
}

func (w *writer) Close() error {
	if w.err != nil {
		return w.err
	}
	w.err = w.segments.Close()
	if w.err != nil {
		return w.err
	}
	w.err = errors.New("write to a closed stream")
	return nil
}
