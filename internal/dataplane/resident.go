// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// errOtherProtection reports material of a key on a token where there should be a secret, or the other way about.
var errOtherProtection = errors.New("stored material has another protection than its key")

// CipherOf returns the cipher of a version with its material.
func (m Materials) CipherOf(k *lifecycle.Key, number int, material envelope.Material) (*envelope.Cipher, error) {
	reference := material.Reference()
	switch {
	case k.Protection == lifecycle.Resident && material.HasPublicHalfAlone(): // the private one was destroyed
		return envelope.NewVerifier(Spec(k, number), number, material.Public())
	case (k.Protection == lifecycle.Resident) != (reference != nil):
		return nil, fmt.Errorf("key %q version %d: %w", k.Name, number, errOtherProtection)
	case reference == nil:
		return envelope.NewCipher(Spec(k, number), number, material, m.Rand)
	}
	c, err := m.cipherOnToken(Spec(k, number), number, material)
	if err != nil {
		return nil, fmt.Errorf("key %q version %d: %w", k.Name, number, err)
	}
	return c, nil
}

// cipherOnToken returns the cipher of a version whose key is on the token.
func (m Materials) cipherOnToken(spec envelope.Spec, number int, material envelope.Material) (*envelope.Cipher, error) {
	switch {
	case material.Public() != nil:
		key, err := m.Residents.ResidentPair(material.Reference())
		if err != nil {
			return nil, err
		}
		return envelope.NewResidentPairCipher(spec, number, material.Public(), key)
	case spec.Algorithm == envelope.HMAC:
		key, err := m.Residents.ResidentMAC(material.Reference())
		if err != nil {
			return nil, err
		}
		return envelope.NewResidentMACCipher(number, key)
	}
	key, err := m.Residents.ResidentKey(material.Reference())
	if err != nil {
		return nil, err
	}
	return envelope.NewResidentCipher(number, key)
}

// connected sees to it that a cipher which asks the token finds the connection to it: a cipher in memory outlives a change of
// the HSM's configuration.
func (s *Session) connected(ctx context.Context, c *envelope.Cipher) error {
	if !c.OnToken() {
		return nil
	}
	_, _, err := s.Wrappers.Wrapper(ctx, envelope.PurposeOnline, false)
	return err
}

// outcome returns the error of a cipher's use. It is [errStale] where the token does not have the key any more because the
// version was destroyed since the snapshot was taken.
func (s *Session) outcome(ctx context.Context, k *lifecycle.Key, c *envelope.Cipher, err error) error {
	if err == nil || !c.OnToken() || errors.Is(err, envelope.ErrInput) || errors.Is(err, envelope.ErrUnavailable) || ctx.Err() != nil {
		return err
	}
	if s.changed(ctx, k) {
		return fmt.Errorf("%w: %w", errStale, err)
	}
	return err
}
