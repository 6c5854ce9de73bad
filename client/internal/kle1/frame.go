// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// The frame of a message, numbers big-endian:
//
//	magic 4 | suite 1 | header length 2 | header | body
//	header = name length 1 | name | edk length 2 | edk | commitment 32
const (
	magic          = "KLE1"
	fixedLen       = len(magic) + 1 + 2
	commitmentSize = 32
	nonceSize      = 12
	tagSize        = 16
)

// Header is what a message tells without a key. Nothing of it is authenticated before the message is opened, and the name
// never is: it is a hint for people, not a key to ask for.
type Header struct {
	Suite   Suite
	Name    []byte // of the key; empty where the name is too long
	EDK     []byte // the data key as the engine encrypted it
	Version int    // of the key that encrypted the data key

	commitment [commitmentSize]byte
}

// Message is a message in memory, taken apart.
type Message struct {
	Header
	Body []byte
}

// Parse takes a message apart. Name, EDK and body are parts of the message's memory: nothing is allocated.
func Parse(message []byte) (Message, error) {
	suite, n, ok := parseFixed(message)
	if !ok || len(message) < fixedLen+n {
		return Message{}, ErrInvalidMessage
	}
	h, ok := parseHeader(suite, message[fixedLen:fixedLen+n])
	body := message[fixedLen+n:]
	if !ok || !fits(suite, len(body)) {
		return Message{}, ErrInvalidMessage
	}
	return Message{Header: h, Body: body}, nil
}

// ReadHeader reads the header of a message and nothing behind it. An error of the reader is returned as it is.
func ReadHeader(r io.Reader) (Header, error) {
	fixed := make([]byte, fixedLen)
	if err := readFull(r, fixed); err != nil {
		return Header{}, err
	}
	suite, n, ok := parseFixed(fixed)
	if !ok {
		return Header{}, ErrInvalidMessage
	}
	header := make([]byte, n)
	if err := readFull(r, header); err != nil {
		return Header{}, err
	}
	h, ok := parseHeader(suite, header)
	if !ok {
		return Header{}, ErrInvalidMessage
	}
	return h, nil
}

func readFull(r io.Reader, p []byte) error {
	_, err := io.ReadFull(r, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrInvalidMessage
	}
	return err
}

// parseFixed reads what is before the header, and how long that is.
func parseFixed(b []byte) (suite Suite, headerLen int, ok bool) {
	if len(b) < fixedLen || string(b[:len(magic)]) != magic {
		return 0, 0, false
	}
	suite = Suite(b[len(magic)])
	return suite, int(binary.BigEndian.Uint16(b[len(magic)+1:])), suite == Field || suite == Stream
}

func parseHeader(suite Suite, b []byte) (h Header, ok bool) {
	name, b, ok := cutCounted(b, 1)
	if !ok {
		return Header{}, false
	}
	edk, b, ok := cutCounted(b, 2)
	if !ok || len(b) != commitmentSize || !isName(name) {
		return Header{}, false
	}
	version, ok := versionOf(edk)
	if !ok {
		return Header{}, false
	}
	return Header{Suite: suite, Name: name, EDK: edk, Version: version, commitment: [commitmentSize]byte(b)}, true
}

// cutCounted cuts off a text behind its length, a number of so many bytes.
func cutCounted(b []byte, width int) (text, rest []byte, ok bool) {
	if len(b) < width {
		return nil, nil, false
	}
	n := 0
	for _, digit := range b[:width] {
		n = n<<8 | int(digit)
	}
	b = b[width:]
	if len(b) < n {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

// fits tells whether a body of the suite can be so long.
func fits(suite Suite, n int) bool {
	if suite == Field {
		return n >= nonceSize+tagSize && n <= nonceSize+MaxPlaintext+tagSize
	}
	return n >= streamHeaderSize+tagSize
}

// isName tells whether the text is empty or a name of a key. A name that was put into a path can lead nowhere else.
func isName(s []byte) bool {
	if len(s) == 0 {
		return true
	}
	if len(s) > MaxName || !isWord(s[0]) || !isWord(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !isWord(s[i]) && s[i] != '-' && s[i] != '.' {
			return false
		}
	}
	return true
}

func isWord(b byte) bool {
	return isAlphanumeric(b) || b == '_'
}

func isAlphanumeric(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z'
}

// versionOf reads the version of a ciphertext of Transit, and refuses what is none. What stands behind the colon is the
// engine's: only its alphabet is looked at.
func versionOf(edk []byte) (version int, ok bool) {
	rest, ok := bytes.CutPrefix(edk, []byte("vault:v"))
	digits, text, found := bytes.Cut(rest, []byte(":"))
	if !ok || !found || len(edk) > MaxEDK || !isBase64(text) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(digits), 10, 31) // takes digits alone, no sign
	return int(n), err == nil && digits[0] != '0'
}

func isBase64(text []byte) bool {
	for _, b := range text {
		if !isAlphanumeric(b) && b != '+' && b != '/' && b != '=' {
			return false
		}
	}
	return len(text) > 0
}

// appendTo appends the message up to its body.
func (h *Header) appendTo(dst []byte) []byte {
	n := 1 + len(h.Name) + 2 + len(h.EDK) + commitmentSize
	dst = append(append(slices.Grow(dst, fixedLen+n), magic...), byte(h.Suite))
	dst = binary.BigEndian.AppendUint16(dst, uint16(n))                            //nolint:gosec // G115: name and EDK have limits
	dst = append(append(dst, byte(len(h.Name))), h.Name...)                        //nolint:gosec // G115: at most MaxName
	dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(h.EDK))), h.EDK...) //nolint:gosec // G115: at most MaxEDK
	return append(dst, h.commitment[:]...)
}

// check refuses a name or an encrypted data key that has no place in a header.
func (h *Header) check() error {
	if !isName(h.Name) {
		return fmt.Errorf("key name: at most %d letters, digits, '_', and inside '-' and '.': %w", MaxName, ErrInput)
	}
	version, ok := versionOf(h.EDK)
	if !ok {
		return fmt.Errorf("encrypted data key: not vault:v<version>:<base64> of at most %d bytes: %w", MaxEDK, ErrInput)
	}
	h.Version = version
	return nil
}

// Rewrapped returns the message with another encrypted data key, which has to hold the same data key: the engine's
// rewrap of the one before. The body is not looked at.
func Rewrapped(message []byte, edk string) ([]byte, error) {
	m, err := Parse(message)
	if err != nil {
		return nil, err
	}
	head, err := m.Rewrapped(edk)
	if err != nil {
		return nil, err
	}
	return append(head, m.Body...), nil
}

// Rewrapped returns what stands before the body of the message, with another encrypted data key.
func (h Header) Rewrapped(edk string) ([]byte, error) {
	h.EDK = []byte(edk)
	if err := h.check(); err != nil {
		return nil, err
	}
	return h.appendTo(nil), nil
}
