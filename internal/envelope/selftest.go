// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// SelfTest shows that the cipher does its work, before the version it belongs to is committed and
// data comes to depend on it. It is no proof of the primitives; it catches material, randomness and
// wiring that are broken. Errors match [ErrInternal].
func (c *Cipher) SelfTest(ctx context.Context) error {
	switch m := c.mode.(type) {
	case cmacMode:
		_, err := c.CMAC([]byte("keylife/self-test/v1"), 0)
		return err
	case noMode, residentMAC:
		_, err := c.HMAC(ctx, "sha2-256", []byte("keylife/self-test/v1"))
		return err
	case signer:
		if !m.canSign() {
			return nil // it was not made here
		}
		return c.signatureTest(ctx)
	default:
		return c.cipherTest(ctx)
	}
}

// signatureTest signs, and sees that the signature is one of its text and of no other.
func (c *Cipher) signatureTest(ctx context.Context) error {
	digest, other := sha256.Sum256([]byte("keylife/self-test/v1")), sha256.Sum256([]byte("keylife/self-test other text"))
	p := SignParams{Context: []byte("self-test context"), SaltLength: rsa.PSSSaltLengthEqualsHash}
	signature, err := c.Sign(ctx, digest[:], p)
	if err != nil {
		return selfTestError("sign", err)
	}
	version, payload, err := Parse(signature.Text)
	if err != nil || version != c.version {
		return internalError("self-test: the signature does not name its version")
	}
	for text, want := range map[[sha256.Size]byte]bool{digest: true, other: false} {
		if valid, err := c.Verify(ctx, text[:], payload, p); err != nil || valid != want {
			return internalError("self-test: the signature does not verify as it should")
		}
	}
	return nil
}

func (c *Cipher) cipherTest(ctx context.Context) error {
	plaintext := base64.StdEncoding.EncodeToString([]byte("keylife/self-test/v1"))
	p := Params{Context: []byte("self-test context"), AssociatedData: []byte("self-test data")}

	first, err := c.roundTrip(ctx, plaintext, p)
	if err != nil {
		return err
	}
	second, err := c.roundTrip(ctx, plaintext, p)
	if err != nil {
		return err
	}
	// A repeated nonce gives AES-GCM away altogether; for convergent keys it is the purpose.
	if (first == second) != c.spec.Convergent {
		return internalError("self-test: nonces are not chosen as this key needs them")
	}
	p.AssociatedData = []byte("self-test other data")
	switch _, err := c.Decrypt(ctx, first, p); {
	case errors.Is(err, ErrInput):
		return nil
	case err != nil:
		return selfTestError("decrypt", err)
	default:
		return internalError("self-test: a ciphertext opened with the wrong associated data")
	}
}

// selfTestError is that of a step. It is [ErrUnavailable] if err is: that says nothing of the key.
func selfTestError(step string, err error) error {
	if errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("self-test: %s: %w", step, err)
	}
	return internalError("self-test: " + step + ": " + err.Error())
}

// roundTrip returns the payload of plaintext's ciphertext once it has been seen to open.
func (c *Cipher) roundTrip(ctx context.Context, plaintext string, p Params) (string, error) {
	ciphertext, err := c.Encrypt(ctx, plaintext, p)
	if err != nil {
		return "", selfTestError("encrypt", err)
	}
	version, payload, err := Parse(ciphertext)
	if err != nil || version != c.version {
		return "", internalError("self-test: the ciphertext does not name its version")
	}
	got, err := c.Decrypt(ctx, payload, p)
	if errors.Is(err, ErrUnavailable) {
		return "", selfTestError("decrypt", err)
	}
	if err != nil || got != plaintext {
		return "", internalError("self-test: the ciphertext does not give back its plaintext")
	}
	return payload, nil
}
