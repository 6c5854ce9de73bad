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
	header   Header
	aad      []byte
	segments *subtle.AESGCMHKDF
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
	if s.aad, err = c.after(prefix[:]); err != nil {
		return streaming{}, err
	}
	s.segments, err = subtle.NewAESGCMHKDF(expand(prk, streamLabel), "SHA256", KeySize, segmentSize, 0)
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
	segments, err := s.segments.NewEncryptingWriter(w, s.aad)
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

// NewReader opens the stream whose header was read from r. What it returns was authenticated, also that it is the
// beginning; that nothing is missing at the end is known at io.EOF only.
func (k *DataKey) NewReader(h Header, r io.Reader, c Context) (io.Reader, error) {
	s, err := k.stream(c)
	if err != nil {
		return nil, err
	}
	if h.Suite != Stream || !sameCommitment(h.commitment[:], s.header.commitment[:]) {
		return nil, ErrInvalidMessage
	}
	source := &source{r: r}
	segments, err := s.segments.NewDecryptingReader(source, s.aad)
	if err != nil {
		return nil, source.cause()
	}
	return &reader{segments: segments, source: source}, nil
}

// reader keeps the first error: Tink's answers io.EOF after the last segment failed.
type reader struct {
	segments io.Reader
	source   *source
	err      error
}

func (r *reader) Read(p []byte) (n int, err error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err = r.segments.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		n, err = 0, r.source.cause()
	}
	r.err = err
	return n, err
}

// source remembers why it ended, so that an error of the reader below is not taken for an altered message.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (n int, err error) {
	n, err = s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *source) cause() error {
	if s.err != nil {
		return s.err
	}
	return ErrInvalidMessage
}
