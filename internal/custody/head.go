// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"fmt"
	"strings"
)

// genesisHash is what the first record of a chain holds for the hash of the line before.
var genesisHash = strings.Repeat("0", 64)

// Head is the state of a chain: what is needed to go on with it. The zero Head is the empty chain's.
type Head struct {
	Count int
	Hash  string // of the last line
}

// prev is what the next record holds.
func (h Head) prev() string {
	if h.Count == 0 {
		return genesisHash
	}
	return h.Hash
}

// Append returns the line of r as the next record of the chain, and the head after it. It sets
// Format, Seq and Prev and brings Time to UTC. The error matches [ErrInvalid].
//
// Nothing is kept: whoever stores the line must see to it that no other takes the same place.
func (h Head) Append(r Record) (line []byte, next Head, err error) {
	r.Format, r.Seq, r.Prev = format, h.Count+1, h.prev()
	r.Time = r.Time.Round(0).UTC()
	if len(r.Versions) == 0 {
		r.Versions = nil
	}
	if len(r.Details) == 0 {
		r.Details = nil
	}
	if err := r.check(); err != nil {
		return nil, Head{}, fmt.Errorf("%w custody record: %w", ErrInvalid, err)
	}
	line, err = canonical(r)
	if err != nil {
		return nil, Head{}, fmt.Errorf("%w custody record: %w", ErrInvalid, err)
	}
	if len(line) > maxLine {
		return nil, Head{}, fmt.Errorf("%w custody record: %d bytes, at most %d are kept", ErrInvalid, len(line), maxLine)
	}
	return line, Head{Count: r.Seq, Hash: Hash(line)}, nil
}
