// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"encoding/base64"
	"errors"
)

// SelfTest shows that the cipher does its work, before the version it belongs to is committed and
// data comes to depend on it. It is no proof of the primitives; it catches material, randomness and
// wiring that are broken. Errors match [ErrInternal].
func (c *Cipher) SelfTest() error {
	plaintext := base64.StdEncoding.EncodeToString([]byte("keylife/self-test/v1"))
	p := Params{Context: []byte("self-test context"), AssociatedData: []byte("self-test data")}

	first, err := c.roundTrip(plaintext, p)
	if err != nil {
		return err
	}
	second, err := c.roundTrip(plaintext, p)
	if err != nil {
		return err
	}
	// A repeated nonce gives AES-GCM away altogether; for convergent keys it is the purpose.
	if (first == second) != c.spec.Convergent {
		return internalError("self-test: nonces are not chosen as this key needs them")
	}
	p.AssociatedData = []byte("self-test other data")
	if _, err := c.Decrypt(first, p); !errors.Is(err, ErrInput) {
		return internalError("self-test: a ciphertext opened with the wrong associated data")
	}
	return nil
}

// roundTrip returns the payload of plaintext's ciphertext once it has been seen to open.
func (c *Cipher) roundTrip(plaintext string, p Params) (string, error) {
	ciphertext, err := c.Encrypt(plaintext, p)
	if err != nil {
		return "", internalError("self-test: encrypt: " + err.Error())
	}
	version, payload, err := Parse(ciphertext)
	if err != nil || version != c.version {
		return "", internalError("self-test: the ciphertext does not name its version")
	}
	got, err := c.Decrypt(payload, p)
	if err != nil || got != plaintext {
		return "", internalError("self-test: the ciphertext does not give back its plaintext")
	}
	return payload, nil
}
