// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"context"
	"encoding/base64"
	"io"
)

// extended encrypts with XChaCha20-Poly1305 under a key per context, which keysutil derives as it does for its own types. The
// cipher itself keysutil does not have; what comes out is OpenBao's.
type extended struct {
	prefix string
	keys   *derived
	rand   io.Reader
}

func newExtended(spec Spec, version int, m Material, rand io.Reader) (mode, error) {
	like := spec
	like.Algorithm = ChaCha20Poly1305 // has keys of the same size
	keys, err := newDerived(like, version, m, rand)
	if err != nil {
		return nil, err
	}
	return &extended{prefix(version), keys.(*derived), rand}, nil //nolint:forcetypeassert // it makes no other
}

// under returns the cipher of a context. Of two faults the caller is told about the one of the text, as by keysutil.
func (e *extended) under(p Params, text string, malformed func(error) error) (*direct, error) {
	key, err := e.keys.policy.DeriveKey(p.Context, nil, e.keys.version, e.keys.keySize)
	if err != nil {
		if _, broken := base64.StdEncoding.DecodeString(text); broken != nil {
			return nil, malformed(broken)
		}
		return nil, classify(err)
	}
	defer clear(key)
	aead, err := XChaCha20Poly1305.aead(key)
	if err != nil {
		return nil, internalError("new cipher: " + err.Error())
	}
	return &direct{prefix: e.prefix, aead: aead, nonce: aead.NonceSize(), rand: e.rand}, nil
}

func (e *extended) encrypt(ctx context.Context, plaintext string, p Params) (string, error) {
	d, err := e.under(p, plaintext, plaintextError)
	if err != nil {
		return "", err
	}
	return d.encrypt(ctx, plaintext, p)
}

func (e *extended) decrypt(ctx context.Context, payload string, p Params) (string, error) {
	d, err := e.under(p, payload, func(error) error { return errPayload })
	if err != nil {
		return "", err
	}
	return d.decrypt(ctx, payload, p)
}
