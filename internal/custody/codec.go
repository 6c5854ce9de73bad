// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Hash returns the hex SHA-256 of a line, as the next record and checkpoints hold it.
func Hash(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// canonical returns the one JSON text of v: fields in the order of the struct, names of maps sorted,
// nothing escaped for HTML, no space and no line break.
func canonical(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// decode reads text into v, whose format it points to, and demands that it is the one JSON text of v.
// That also rules out unknown and repeated fields, other spellings of a field and trailing data.
func decode(text []byte, v any, got *int) error {
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%w: not the JSON expected", ErrMalformed) // the cause would quote the text
	}
	if *got > format {
		return fmt.Errorf("format %d, this release reads up to %d: %w", *got, format, ErrNewer)
	}
	if *got != format {
		return fmt.Errorf("%w: format %d", ErrMalformed, *got)
	}
	again, err := canonical(v)
	if err != nil || !bytes.Equal(text, again) {
		return fmt.Errorf("%w: not in the form it was written in", ErrMalformed)
	}
	return nil
}

// Decode returns the record of a line. The error matches [ErrMalformed] or [ErrNewer].
func Decode(line []byte) (Record, error) {
	if len(line) > maxLine {
		return Record{}, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxLine)
	}
	var r Record
	if err := decode(line, &r, &r.Format); err != nil {
		return Record{}, err
	}
	if err := r.check(); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return r, nil
}

// hint is what a line says of itself that does not decode. It is good for naming the line in a
// problem, and for nothing else.
type hint struct {
	key string
	seq int
}

// peek reads a line as far as it goes: key and seq come early.
func peek(line []byte) hint {
	var h hint
	in := json.NewDecoder(bytes.NewReader(line))
	_, err := in.Token() // the opening brace
	for err == nil {
		var name, value json.Token
		if name, err = in.Token(); err != nil {
			break
		}
		if value, err = in.Token(); err == nil && !h.take(name, value) {
			break
		}
	}
	return h
}

// take tells whether to go on: nothing that we look for is inside another value.
func (h *hint) take(name, value json.Token) bool {
	switch v := value.(type) {
	case json.Delim:
		return false
	case string:
		if name == "key" && len(v) <= maxKeyName {
			h.key = v
		}
	case float64:
		if name == "seq" && v >= 1 && v <= MaxSeq {
			h.seq = int(v)
		}
	}
	return true
}
