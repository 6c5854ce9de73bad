// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
)

const redacted = "[redacted key material]"

// Material is what is sealed of one key version. Mostly that is the secret: its key and the
// independent HMAC key that Transit gives every version. Of a version whose key stays on a token it is
// a reference to that key, and no secret. It is immutable but for [Material.Wipe], and its copies share
// one secret. The zero Material holds none.
type Material struct {
	// public is the public half in PKIX DER, of a key that has one. A version that was imported without its private half has
	// no key.
	public []byte

	// A function, because fmt does not call our methods on an unexported field of somebody else's
	// struct but prints what it finds there, through pointers too if the verb is a wrong one. Into a
	// function it does not see, nor do JSON and the printers of test failures. It also makes == on
	// materials an error of compilation, where it would compare in variable time.
	reveal func() (key, hmacKey []byte)

	reference []byte
}

// NewMaterial returns the material made of copies of key and hmacKey.
func NewMaterial(key, hmacKey []byte) Material {
	return own(bytes.Clone(key), bytes.Clone(hmacKey))
}

func own(key, hmacKey []byte) Material {
	return Material{reveal: func() ([]byte, []byte) { return key, hmacKey }}
}

// NewReference returns the material of a version whose key stays on a token. The reference is the
// token's affair; no two keys may have the same. Of a pair, public is the public half in PKIX DER.
func NewReference(reference, public []byte) Material {
	return Material{reference: bytes.Clone(reference), public: bytes.Clone(public)}
}

// Reference returns what names a key on a token; nil where the material is a secret.
func (m Material) Reference() []byte { return m.reference }

// NewKeyPair returns the material of a key with a public half: copies of the private one in PKCS#8, which may be missing, of the
// public one in PKIX, and of hmacKey.
func NewKeyPair(private, public, hmacKey []byte) Material {
	m := NewMaterial(private, hmacKey)
	m.public = bytes.Clone(public)
	return m
}

// Public returns the public half in PKIX DER; nil where there is none. It is no secret.
func (m Material) Public() []byte { return m.public }

// HasPublicHalfAlone reports whether it is a public half, and nothing else is there or on a token.
func (m Material) HasPublicHalfAlone() bool {
	key, _ := m.Reveal()
	return m.public != nil && m.reference == nil && len(key) == 0
}

// WithoutPrivate returns copies of the public half and of the HMAC key alone.
func (m Material) WithoutPrivate() Material {
	_, hmacKey := m.Reveal()
	return NewKeyPair(nil, m.public, hmacKey)
}

// Generate draws new material for spec from rand.
func Generate(spec Spec, rand io.Reader) (Material, error) {
	if spec.Algorithm.isAsymmetric() {
		return generateKeyPair(spec.Algorithm, rand)
	}
	at := spec.Algorithm.KeySize()
	if spec.Algorithm == HMAC {
		at = spec.Size
	}
	if at == 0 {
		return Material{}, internalError(fmt.Sprintf("generate key: unknown algorithm %q", string(spec.Algorithm)))
	}
	both := make([]byte, at+spec.Algorithm.hmacKeySize())
	if err := fill(rand, both); err != nil {
		clear(both)
		return Material{}, fmt.Errorf("generate key: %w", err)
	}
	if spec.Algorithm == HMAC {
		return own(both, both), nil // as in Transit
	}
	return own(both[:at:at], both[at:]), nil
}

// fill reads exactly len(buffer) bytes: a short read must never pass for randomness.
func fill(rand io.Reader, buffer []byte) error {
	if _, err := io.ReadFull(rand, buffer); err != nil {
		return fmt.Errorf("%w: read random bytes: %w", ErrInternal, err)
	}
	return nil
}

// Reveal returns the secret itself, not a copy. It is the one way out: call it where the bytes are
// used, and neither keep nor change them.
func (m Material) Reveal() (key, hmacKey []byte) {
	if m.reveal == nil {
		return nil, nil
	}
	return m.reveal()
}

// Fingerprint names the key without giving it away, in 32 hex digits. The HMAC key is left out, so
// that a key imported twice is recognized although Transit draws a new HMAC key for each import.
// Half the output of HMAC-SHA256 is shown, so for a key that makes HMACs it is no valid tag.
//
// The fingerprint of a key with a public half is the first half of SHA-256 of that, in PKIX DER.
//
// The fingerprint of any other reference is of its bytes, and says which object of a token it names. It says
// nothing of the key, which nobody but the token knows.
func (m Material) Fingerprint() string {
	if m.public != nil {
		sum := sha256.Sum256(m.public)
		return hex.EncodeToString(sum[:16])
	}
	if m.reference != nil {
		sum := sha256.Sum256(append([]byte("keylife/reference/fingerprint/v1"), m.reference...))
		return hex.EncodeToString(sum[:16])
	}
	key, _ := m.Reveal()
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("keylife/fingerprint/v1"))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// Equal tells in constant time whether m and o hold the same two keys. Only lengths may leak.
func (m Material) Equal(o Material) bool {
	key, hmacKey := m.Reveal()
	otherKey, otherHMACKey := o.Reveal()
	same := subtle.ConstantTimeCompare(key, otherKey) & subtle.ConstantTimeCompare(hmacKey, otherHMACKey)
	return same == 1 && bytes.Equal(m.reference, o.reference) && bytes.Equal(m.public, o.public)
}

// Wipe zeroes the secret for m and all its copies. Nobody may be using them meanwhile; a [Cipher]
// made from m lives on, as it took what it needs.
func (m Material) Wipe() {
	key, hmacKey := m.Reveal()
	clear(key)
	clear(hmacKey)
}

// String returns a fixed text in place of the secret.
func (m Material) String() string { return redacted }

// GoString returns a fixed text in place of the secret.
func (m Material) GoString() string { return redacted }

// Format prints a fixed text for every verb.
func (m Material) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON returns a fixed text in place of the secret.
func (m Material) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns a fixed text in place of the secret.
func (m Material) MarshalText() ([]byte, error) { return []byte(redacted), nil }
