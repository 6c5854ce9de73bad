// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Context is authenticated with a message and not stored in it: whoever opens the message gives it again.
type Context map[string]string

// few is how many pairs of a context are sorted without memory of their own.
const few = 8

type pair struct{ name, value string }

// after returns the prefix and behind it the serialization of the AWS Encryption SDK: the count, and each name and value
// behind its length, in the order of the names' bytes. An empty context is no bytes.
func (c Context) after(prefix []byte) ([]byte, error) {
	var some [few]pair
	pairs, size, err := c.pairs(some[:0])
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(prefix)+size), prefix...)
	if len(pairs) == 0 {
		return out, nil
	}
	slices.SortFunc(pairs, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	out = binary.BigEndian.AppendUint16(out, uint16(len(pairs))) //nolint:gosec // G115: pairs holds it below 2^16
	for _, p := range pairs {
		out = appendText(appendText(out, p.name), p.value)
	}
	return out, nil
}

// pairs appends the pairs and tells how long they are serialized. It refuses what has no serialization.
func (c Context) pairs(dst []pair) (pairs []pair, size int, err error) {
	size = 2
	for name, value := range c {
		if name == "" {
			return nil, 0, fmt.Errorf("context: a name is empty: %w", ErrInput)
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, 0, fmt.Errorf("context: a name or value is not UTF-8: %w", ErrInput)
		}
		dst = append(dst, pair{name, value})
		size += 4 + len(name) + len(value)
	}
	if size > MaxContext {
		return nil, 0, fmt.Errorf("context: %d bytes serialized, the most is %d: %w", size, MaxContext, ErrInput)
	}
	return dst, size, nil
}

func appendText(dst []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(text))), text...) //nolint:gosec // G115: pairs holds it below 2^16
}
