// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// errRefused reports that the token refused what it has to refuse. It is no error of the token's, but closes the session.
var errRefused = errors.New("refused")

// selfTest shows that the key and the token do what the suite rests on: two encryptions of one text differ and both open,
// and nothing opens under other associated data or with a changed byte. It never passes a missing IV: tokens were seen to
// take it for one of zeros. The error matches [ErrUnsupported] where the token does not pass.
func (k *tokenKey) selfTest(ctx context.Context) error {
	text, outer := []byte("keylife/self-test/v1"), k.outer([]byte("self-test data"))
	first, err := k.sealTwice(ctx, text, outer)
	if err != nil {
		return err
	}
	if err := k.mustRefuse(ctx, first, k.outer([]byte("self-test other data")), "other associated data"); err != nil {
		return err
	}
	for _, part := range [][]byte{first.iv, first.text, first.mac} {
		if len(part) == 0 {
			continue
		}
		for _, at := range []int{0, len(part) - 1} {
			part[at] ^= 1
			if err := k.mustRefuse(ctx, first, outer, "a changed byte"); err != nil {
				return err
			}
			part[at] ^= 1
		}
	}
	// What was refused for its changes opens without them: otherwise it was refused for something else.
	return k.mustOpen(ctx, first, outer, text)
}

// sealTwice returns one of two encryptions of text, which open and have nothing in common.
func (k *tokenKey) sealTwice(ctx context.Context, text, outer []byte) (wrapping, error) {
	var both [2]wrapping
	for i := range both {
		chance, err := k.draw(k.rand)
		if err != nil {
			return wrapping{}, err
		}
		sealed, err := k.run(ctx, nil, func(s cryptoki.Session, h handles, _ []byte) ([]byte, error) {
			w, err := k.seal(s, h, text, outer, chance)
			w.kekID = k.kek.ID
			return w.encode(), err
		})
		if err != nil {
			return wrapping{}, err
		}
		if both[i], err = decode(sealed); err != nil {
			return wrapping{}, fmt.Errorf("%w: self-test: the token encrypts to another size", ErrUnsupported)
		}
		if err := k.mustOpen(ctx, both[i], outer, text); err != nil {
			return wrapping{}, err
		}
	}
	if bytes.Equal(both[0].text, both[1].text) || len(both[0].iv) > 0 && bytes.Equal(both[0].iv, both[1].iv) {
		return wrapping{}, fmt.Errorf("%w: self-test: two encryptions are alike", ErrUnsupported)
	}
	return both[0], nil
}

func (k *tokenKey) mustOpen(ctx context.Context, w wrapping, outer, want []byte) error {
	w = w.clone()
	got, err := k.run(ctx, nil, func(s cryptoki.Session, h handles, _ []byte) ([]byte, error) {
		out, err := k.open(s, h, w, outer)
		if errors.Is(err, ErrCorrupt) {
			return nil, errRefused
		}
		return out, err
	})
	switch {
	case errors.Is(err, errRefused):
		return fmt.Errorf("%w: self-test: the token does not open what it encrypted", ErrUnsupported)
	case err != nil:
		return err
	case !slices.Equal(got, want):
		return fmt.Errorf("%w: self-test: the token does not give back what it encrypted", ErrUnsupported)
	}
	return nil
}

// mustRefuse shows that w does not open.
func (k *tokenKey) mustRefuse(ctx context.Context, w wrapping, outer []byte, what string) error {
	w = w.clone()
	_, err := k.run(ctx, nil, func(s cryptoki.Session, h handles, _ []byte) ([]byte, error) {
		out, err := k.open(s, h, w, outer)
		clear(out)
		if isRefusal(err) {
			return nil, errRefused
		}
		return nil, err
	})
	switch {
	case errors.Is(err, errRefused):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: self-test: a ciphertext opened under %s", ErrUnsupported, what)
}
