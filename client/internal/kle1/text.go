// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1

import (
	"bytes"
	"encoding/base64"
)

// prefix of the text form. The binary form begins with capitals.
const prefix = "kle1."

// Text is the text form of a message in one piece: for columns and files that take no bytes.
func Text(message []byte) string {
	text := make([]byte, len(prefix)+base64.RawURLEncoding.EncodedLen(len(message)))
	copy(text, prefix)
	base64.RawURLEncoding.Encode(text[len(prefix):], message)
	return string(text)
}

// FromText returns the message of a text form. A message has one text form: padding, line breaks and bits that do not
// count are refused, and so are streams.
func FromText(text []byte) ([]byte, error) {
	encoded, ok := bytes.CutPrefix(text, []byte(prefix))
	if !ok || bytes.ContainsAny(encoded, "\r\n") { // encoding/base64 passes over these, also where it is strict
		return nil, ErrInvalidMessage
	}
	message := make([]byte, base64.RawURLEncoding.DecodedLen(len(encoded)))
	if _, err := base64.RawURLEncoding.Strict().Decode(message, encoded); err != nil {
		return nil, ErrInvalidMessage
	}
	if suite, _, ok := parseFixed(message); !ok || suite != Field {
		return nil, ErrInvalidMessage
	}
	return message, nil
}
