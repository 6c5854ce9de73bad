// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"time"
)

const (
	publicKeyContext = "keylife/custody-key/v1\n"
	redacted         = "[redacted signing key]"
)

// SigningKey signs checkpoints, and the public part of the generation after it. It is immutable; the
// zero SigningKey signs nothing.
type SigningKey struct {
	public PublicKey

	// A function, because neither fmt nor JSON nor the printers of test failures look into one, where
	// they print unexported fields without asking our methods. It also makes == an error of compilation.
	seed func() []byte
}

// NewSigningKey draws a key from rand. Without previous it is the first, generation 1; else previous
// signs it and generation must be the next, so that a caller with a stale previous is refused. The
// error matches [ErrInvalid], or is that of rand.
func NewSigningKey(rand io.Reader, at time.Time, generation int, previous *SigningKey) (SigningKey, error) {
	want := 1
	if previous != nil {
		want = previous.public.Generation + 1
	}
	if generation != want {
		return SigningKey{}, fmt.Errorf("%w signing key: generation %d, the next is %d", ErrInvalid, generation, want)
	}
	if at.IsZero() {
		return SigningKey{}, fmt.Errorf("%w signing key: time is needed", ErrInvalid)
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return SigningKey{}, fmt.Errorf("generate signing key: %w", err)
	}
	key := own(seed, PublicKey{Generation: generation, Created: at.Round(0).UTC()})
	raw := publicOf(seed)
	key.public.ID, key.public.Key = idOf(raw), base64.StdEncoding.EncodeToString(raw)
	if previous == nil {
		return key, nil
	}
	return key.signedBy(*previous)
}

func (k SigningKey) signedBy(previous SigningKey) (SigningKey, error) {
	k.public.SignedBy = previous.public.ID
	body, err := k.public.body()
	if err != nil {
		return SigningKey{}, fmt.Errorf("%w signing key: %w", ErrInvalid, err)
	}
	k.public.Signature, err = previous.sign(publicKeyContext, body)
	if err != nil {
		return SigningKey{}, fmt.Errorf("sign the next signing key: %w", err)
	}
	return k, nil
}

// RestoreSigningKey returns the key that [SigningKey.Seed] and [SigningKey.Public] were taken from.
// The error matches [ErrInvalid] if the two do not belong together.
func RestoreSigningKey(seed []byte, public PublicKey) (SigningKey, error) {
	if len(seed) != ed25519.SeedSize {
		return SigningKey{}, fmt.Errorf("%w signing key: seed of %d bytes", ErrInvalid, len(seed))
	}
	raw := publicOf(seed)
	if public.ID != idOf(raw) || public.Key != base64.StdEncoding.EncodeToString(raw) {
		return SigningKey{}, fmt.Errorf("%w signing key: the seed is not that of public key %q", ErrInvalid, public.ID)
	}
	return own(bytes.Clone(seed), public), nil
}

func own(seed []byte, public PublicKey) SigningKey {
	return SigningKey{public: public, seed: func() []byte { return seed }}
}

func publicOf(seed []byte) ed25519.PublicKey {
	return ed25519.PublicKey(ed25519.NewKeyFromSeed(seed)[ed25519.SeedSize:])
}

func (k SigningKey) sign(context string, message []byte) (string, error) {
	if k.seed == nil {
		return "", fmt.Errorf("%w signing key: it is empty", ErrInvalid)
	}
	signature := ed25519.Sign(ed25519.NewKeyFromSeed(k.seed()), append([]byte(context), message...))
	return base64.StdEncoding.EncodeToString(signature), nil
}

// StoredKey is a signing key as it is stored.
type StoredKey struct {
	Public PublicKey
	Sealed []byte     // its seed, wrapped as key material is; empty: it is not
	Plain  SigningKey // of one whose seed is not sealed; otherwise it signs nothing
}

// Public returns what may be shown to everyone.
func (k SigningKey) Public() PublicKey { return k.public }

// Seed returns a copy of the secret. It is the one way out, meant for storage behind a barrier.
func (k SigningKey) Seed() []byte {
	if k.seed == nil {
		return nil
	}
	return bytes.Clone(k.seed())
}

// String returns a fixed text in place of the secret.
func (k SigningKey) String() string { return redacted }

// GoString returns a fixed text in place of the secret.
func (k SigningKey) GoString() string { return redacted }

// Format prints a fixed text for every verb.
func (k SigningKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON returns a fixed text in place of the secret.
func (k SigningKey) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns a fixed text in place of the secret.
func (k SigningKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }
