// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math"
)

const (
	saltSize    = 32
	prefixSize  = 7
	nonceLast   = prefixSize + 4 // the byte that says so of the last segment
	lastSegment = math.MaxUint32 - 1
)

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
	return newReader(s, &source{r: r})
}

// reader opens a segment where it was read to, and hands it on from there. Tink's reader copies each twice on the way.
type reader struct {
	source    *source
	aead      cipher.AEAD
	nonce     [nonceSize]byte
	count     uint32
	buffer    []byte // a segment, and a byte of the next: without one, the segment is the last
	after     []byte // that byte
	plaintext []byte // of the segment, what was not read yet
	err       error  // what comes after it
}

func newReader(s streaming, source *source) (*reader, error) {
	var header [streamHeaderSize]byte
	if _, err := io.ReadFull(source, header[:]); err != nil || header[0] != streamHeaderSize {
		return nil, source.cause()
	}
	salt, prefix := header[1:1+saltSize], header[1+saltSize:]
	key, err := hkdf.Key(sha256.New, s.key, salt, string(s.aad), KeySize)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	r := &reader{source: source, buffer: make([]byte, segmentSize+1)}
	copy(r.nonce[:], prefix)
	r.aead, err = newGCM(key)
	return r, err
}

func (r *reader) Read(p []byte) (n int, err error) {
	if !r.fill() {
		return 0, r.err
	}
	n = copy(p, r.plaintext)
	r.plaintext = r.plaintext[n:]
	return n, nil
}

// WriteTo is what io.Copy calls: plaintext goes to w without a copy.
func (r *reader) WriteTo(w io.Writer) (written int64, err error) {
	for err == nil && r.fill() {
		var n int
		n, err = w.Write(r.plaintext)
		if err == nil && n < len(r.plaintext) {
			err = io.ErrShortWrite
		}
		r.plaintext = r.plaintext[n:]
		written += int64(n)
	}
	if err == nil && !errors.Is(r.err, io.EOF) {
		err = r.err
	}
	return written, err
}

// fill reports whether there is plaintext to read.
func (r *reader) fill() bool {
	if len(r.plaintext) == 0 && r.err == nil {
		r.open()
	}
	return len(r.plaintext) > 0
}

// open reads the next segment and opens it.
func (r *reader) open() {
	segment := r.buffer[:segmentSize]
	if r.count == 0 {
		segment = r.buffer[:segmentSize-streamHeaderSize]
	}
	whole := r.buffer[:len(segment)+1]
	n := copy(whole, r.after)
	more, err := io.ReadFull(r.source, whole[n:])
	if err != nil {
		segment = whole[:n+more]
		r.nonce[nonceLast] = 1
		r.err = io.EOF
	}
	binary.BigEndian.PutUint32(r.nonce[prefixSize:], r.count)
	r.plaintext, err = r.aead.Open(segment[:0], r.nonce[:], segment, nil)
	if err != nil || r.source.err != nil || r.count > lastSegment {
		r.plaintext, r.err = nil, r.source.cause()
	}
	r.after = whole[len(segment):]
	r.count++
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
