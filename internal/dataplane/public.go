// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// verifier returns the cipher that verifies signatures of the version. Mostly it is that of the public half, which is no secret:
// nothing is unwrapped, it has no time in memory, and it outlives the material.
func (o opening) verifier(ctx context.Context) (*envelope.Cipher, error) {
	if !lifecycle.VerifiesByPublicHalf(o.k, o.number) {
		return o.s.cipher(ctx, o.k, o.number)
	}
	h, err := o.s.plane.ciphers.LoadOnce(ctx, publicHalfOf(o.k, o.number), func() (*held, error) { return o.publicHalf(ctx) })
	return h.orNone(), o.orStale(ctx, err)
}

// publicHalfOf is where the cipher of a public half is kept: beside that of the version, and dropped with the name of its key.
func publicHalfOf(k *lifecycle.Key, number int) cipherID { return cipherOf(k, -number) }

func (o opening) publicHalf(ctx context.Context) (*held, error) {
	v, err := o.s.Material.Version(ctx, o.k.Name, o.number)
	if err != nil {
		return nil, err
	}
	if v.KeyID != o.k.ID {
		return nil, errOtherKey
	}
	c, err := envelope.NewVerifier(Spec(o.k, o.number), o.number, v.Public)
	return &held{cipher: c}, err
}
