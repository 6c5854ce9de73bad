// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrInvalid is matched by the refusal to write a record, a checkpoint or a signing key.
	ErrInvalid = errors.New("invalid")

	// ErrMalformed is matched when a line is not, byte for byte, what this package writes.
	ErrMalformed = errors.New("malformed")

	// ErrNewer is matched when a record or checkpoint is of a format this release does not know.
	ErrNewer = errors.New("written by a newer release of keylife: run that release, or a later one")

	// ErrEdited is matched when bytes do not have the hash that was recorded of them.
	ErrEdited = errors.New("edited")

	// ErrGap is matched when records are missing between two others, or before the first.
	ErrGap = errors.New("missing")

	// ErrOrder is matched when a record comes again, or after a later one.
	ErrOrder = errors.New("out of order")

	// ErrOutcome is matched when a record ends an act that was not begun or has ended already.
	ErrOutcome = errors.New("ends an act that is not open")

	// ErrConsent is matched when an act counted a vote that nobody has cast, as far as its chain says.
	ErrConsent = errors.New("consent without a vote")

	// ErrBroken is matched by errors that say that the end of a stored chain was altered or lost.
	ErrBroken = errors.New("broken custody chain")

	// ErrForeign is matched when a record or checkpoint belongs to another key or mount.
	ErrForeign = errors.New("foreign")

	// ErrCut is matched when there are fewer records than a checkpoint states.
	ErrCut = errors.New("the export, or the storage it came from, is behind the checkpoint: cut, or restored from an older snapshot")

	// ErrSignature is matched when a checkpoint is not signed by a key that is trusted.
	ErrSignature = errors.New("signature does not verify")

	// ErrKeys is matched when public keys do not vouch for each other, or not from the pinned one on.
	ErrKeys = errors.New("public keys are not to be trusted")
)

// Problem is one thing that is wrong, and where. Err matches one of the errors above. What is not
// known is zero.
type Problem struct {
	Line       int    // of the export, from 1
	Checkpoint int    // in the order given, from 1
	Key        string // name of the key
	Seq        int    // the record
	Through    int    // for ErrGap, the last of the records
	Err        error
}

// Error says where and what. Names are quoted, as they come from a file nobody vouches for.
func (p *Problem) Error() string {
	var out strings.Builder
	for _, part := range []struct {
		name   string
		number int
	}{{"line", p.Line}, {"checkpoint", p.Checkpoint}} {
		if part.number > 0 {
			fmt.Fprintf(&out, "%s %d: ", part.name, part.number)
		}
	}
	if p.Key != "" {
		out.WriteString(p.record() + ": ")
	}
	return out.String() + p.Err.Error()
}

func (p *Problem) record() string {
	switch {
	case p.Seq == 0:
		return fmt.Sprintf("key %q", p.Key)
	case p.Through > p.Seq:
		return fmt.Sprintf("key %q: records %d to %d", p.Key, p.Seq, p.Through)
	default:
		return fmt.Sprintf("key %q: record %d", p.Key, p.Seq)
	}
}

// Unwrap returns p.Err.
func (p *Problem) Unwrap() error { return p.Err }
