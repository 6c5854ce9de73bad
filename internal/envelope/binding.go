// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import "encoding/binary"

// The purposes that material is sealed for: each has a key encryption key of its own.
const (
	PurposeOnline  = "use"
	PurposeArchive = "archive"
)

// Binding is what a sealed blob belongs to. A blob opens only where all of it is the same, so none
// can stand in for another. It names no wrapping key: that may change without the blob being sealed
// anew.
type Binding struct {
	Instance  string // the mount, by an identifier that outlives remounting
	KeyID     string // the key, by an identifier that outlives renaming
	Version   int
	Algorithm Algorithm
	Purpose   string // what the material is kept for
}

// complete refuses a binding that leaves something open: an empty field binds to nothing, and nobody
// would notice until two blobs were exchanged.
func (b Binding) complete() bool {
	return b.Instance != "" && b.KeyID != "" && b.Version > 0 && b.Algorithm != "" && b.Purpose != ""
}

// innerAAD is the domain-separated context of a blob:
//
//	"keylife/inner/v1" | u32 instance | u32 key id | version u64 | u32 algorithm | u32 purpose
//
// where u32 x is x behind its length in four bytes, big endian, so that no two bindings run together.
func (b Binding) innerAAD() ([]byte, error) {
	if !b.complete() {
		return nil, internalError("seal key material: incomplete binding")
	}
	aad := []byte("keylife/inner/v1")
	aad = appendField(aad, b.Instance)
	aad = appendField(aad, b.KeyID)
	aad = binary.BigEndian.AppendUint64(aad, uint64(b.Version)) //nolint:gosec // positive, see complete
	aad = appendField(aad, string(b.Algorithm))
	return appendField(aad, b.Purpose), nil
}

func appendField(dst []byte, field string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(field))) //nolint:gosec // names, never 4 GiB
	return append(dst, field...)
}
