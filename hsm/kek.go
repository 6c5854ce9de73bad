// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// KEK describes a key encryption key on a token. It holds no secret, and is for storage to keep.
type KEK struct {
	ID     [16]byte // names the key in what it wraps; it is the CKA_ID too where keylife made the key
	CKAID  []byte
	Label  string
	Serial string // of the token that the key was made or found on; replicated tokens have others
	Suite  Suite

	OAEPHash cryptoki.HashType // of SuiteOAEP
	RSABits  int               // of SuiteOAEP, where keylife makes the key

	// The key of the MAC, where the suite has one.
	MACID    []byte
	MACLabel string

	// Canary is a random secret of 32 bytes that the key wrapped, and CanarySum the SHA-256 of that secret. A key that was
	// not made yet has none.
	Canary    []byte
	CanarySum []byte

	Created  time.Time
	Warnings []string // what the token's attributes allow the key beyond what it is for
}

// Spec says what key to make.
type Spec struct {
	Label    string // CKA_LABEL
	Serial   string // of the token
	Suite    Suite
	OAEPHash cryptoki.HashType // of SuiteOAEP
	RSABits  int               // of SuiteOAEP; zero: 3072
}

const defaultRSABits = 3072 // 128 bits of strength, NIST SP 800-57 part 1 section 5.6.1

// DrawKEK returns the description of a key that is to be made: what has to be written down before [Create] makes it, so
// that a crash leaves a description of what may be on the token, and no key that nobody knows. Its CKA_ID is random, so
// that two nodes never make the same key.
func DrawKEK(spec Spec, now time.Time, rand io.Reader) (KEK, error) {
	shape, known := shapes[spec.Suite]
	switch {
	case !known:
		return KEK{}, fmt.Errorf("draw key encryption key: %w: %v", ErrUnsupported, spec.Suite)
	case spec.Label == "":
		return KEK{}, errors.New("draw key encryption key: it needs a label")
	}
	var drawn [32]byte
	if _, err := io.ReadFull(rand, drawn[:]); err != nil {
		return KEK{}, fmt.Errorf("draw key encryption key: read random bytes: %w", err)
	}
	k := KEK{
		ID: [16]byte(drawn[:16]), CKAID: drawn[:16:16], Label: spec.Label, Serial: spec.Serial, Suite: spec.Suite,
		OAEPHash: spec.OAEPHash, Created: now,
	}
	if shape.mac {
		k.MACID, k.MACLabel = drawn[16:], spec.Label+"-mac"
	}
	if spec.Suite == SuiteOAEP {
		k.RSABits = spec.RSABits
		if k.RSABits == 0 {
			k.RSABits = defaultRSABits
		}
	}
	return k, nil
}

// Fingerprint names the key in 32 hex digits by what only the key opens, so that two descriptions with one fingerprint
// are of one key. A key that was not made yet has none.
func (k KEK) Fingerprint() string {
	if len(k.CanarySum) == 0 {
		return ""
	}
	h := sha256.New()
	h.Write([]byte("keylife/kek/fingerprint/v1"))
	h.Write(k.ID[:])
	h.Write([]byte{byte(k.Suite)})
	h.Write(k.CanarySum)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// isMade reports a key that its canary was sealed with.
func (k KEK) isMade() bool { return len(k.Canary) > 0 && len(k.CanarySum) == sha256.Size }

// key finds the key that decrypts, and macKey that of the MAC.
func (k KEK) key() cryptoki.Template {
	class := cryptoki.ClassSecretKey
	if k.Suite == SuiteOAEP {
		class = cryptoki.ClassPrivateKey
	}
	return named(class, k.Label, k.CKAID)
}

func (k KEK) macKey() cryptoki.Template {
	return named(cryptoki.ClassSecretKey, k.MACLabel, k.MACID)
}

// named finds objects by class, label and id; an empty label or id finds any.
func named(class uint, label string, id []byte) cryptoki.Template {
	t := cryptoki.Template{{Type: cryptoki.AttrClass, Value: class}}
	if label != "" {
		t = append(t, cryptoki.Attribute{Type: cryptoki.AttrLabel, Value: label})
	}
	if len(id) > 0 {
		t = append(t, cryptoki.Attribute{Type: cryptoki.AttrID, Value: id})
	}
	return t
}

// findOne returns the one object that a template finds. Labels are not unique on a token, and neither is anything else.
func findOne(s cryptoki.Session, t cryptoki.Template) (cryptoki.Object, error) {
	found, err := s.Find(t)
	switch {
	case err != nil:
		return 0, err
	case len(found) == 0:
		return 0, fmt.Errorf("%w: the token has none of its label and id", ErrKEKMissing)
	case len(found) > 1:
		return 0, fmt.Errorf("%w: the token has %d of its label and id", ErrKEKMismatch, len(found))
	}
	return found[0], nil
}
