// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"context"
	"crypto"
	"encoding/base64"
	"io"

	"filippo.io/mldsa"
)

// lattices are the parameter sets of the algorithms with ML-DSA (FIPS 204).
var lattices = map[Algorithm]mldsa.Parameters{MLDSA44: mldsa.MLDSA44(), MLDSA65: mldsa.MLDSA65(), MLDSA87: mldsa.MLDSA87()}

// isLattice reports whether keys of a sign with ML-DSA.
func (a Algorithm) isLattice() bool { _, ok := lattices[a]; return ok }

// lattice signs with ML-DSA: texts and no digests, without a context string, and with randomness in each signature. Without a
// private half it verifies only.
type lattice struct {
	noMode
	prefix  string
	private crypto.Signer
	public  *mldsa.PublicKey
}

func newLattice(spec Spec, version int, m Material, _ io.Reader) (mode, error) {
	private, public, err := spec.Algorithm.KeyPair(m)
	if err != nil {
		return nil, err
	}
	return &lattice{noMode{spec.Algorithm}, prefix(version), private, public.(*mldsa.PublicKey)}, nil //nolint:forcetypeassert // KeyPair saw that it fits
}

func (l *lattice) canSign() bool { return l.private != nil }

// encoding is that of signatures, by the name that Transit gives it.
func encoding(marshaling string) *base64.Encoding {
	if marshaling == "jws" {
		return base64.RawURLEncoding
	}
	return base64.StdEncoding
}

func (l *lattice) sign(_ context.Context, input []byte, p SignParams) (Signature, error) {
	raw, err := l.private.Sign(nil, input, crypto.Hash(0))
	if err != nil {
		return Signature{}, internalError("sign: " + err.Error())
	}
	return Signature{Text: l.prefix + encoding(p.Marshaling).EncodeToString(raw)}, nil
}

func (l *lattice) verify(input []byte, payload string, p SignParams) (bool, error) {
	raw, err := encoding(p.Marshaling).DecodeString(payload)
	if err != nil {
		return false, inputError("invalid base64 signature value")
	}
	return mldsa.Verify(l.public, input, raw, nil) == nil, nil
}

// generateLattice draws a key, which is its seed.
func generateLattice(alg Algorithm, rand io.Reader) (crypto.Signer, error) {
	seed := make([]byte, mldsa.PrivateKeySize)
	defer clear(seed)
	if err := fill(rand, seed); err != nil {
		return nil, err
	}
	return mldsa.NewPrivateKey(lattices[alg], seed)
}
