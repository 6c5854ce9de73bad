// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// Create makes the key that [DrawKEK] described on the token, tests it, seals its canary, and returns the description of
// the finished key. It takes up what an earlier call has made, so after a crash or an error it may be called again;
// [Destroy] removes what there is instead.
func Create(ctx context.Context, t Token, k KEK, rand io.Reader) (KEK, error) {
	if k.isMade() {
		return KEK{}, fmt.Errorf("create key %q: it was made before", k.Label)
	}
	for _, p := range k.parts() {
		if err := p.make(ctx, t); err != nil {
			return KEK{}, fmt.Errorf("create key %q: %w", k.Label, err)
		}
	}
	made, err := finish(ctx, t, k, rand)
	if err != nil {
		return KEK{}, fmt.Errorf("create key %q: %w", k.Label, err)
	}
	return made, nil
}

// make makes a part unless the token has it. CKA_ALLOWED_MECHANISMS is left out for a token that does not take it.
func (p part) make(ctx context.Context, t Token) error {
	n, err := count(ctx, t, p.find)
	if err != nil || n > 0 {
		return err
	}
	err = p.generate(ctx, t, p.limited())
	if !mayBeRefusal(err) {
		return err
	}
	if n, err := count(ctx, t, p.find); err != nil || n > 0 {
		return err
	}
	return p.generate(ctx, t, p.templates)
}

// generate makes a part. Whoever comes after finds it by its CKA_ID: handles end with their epoch.
func (p part) generate(ctx context.Context, t Token, templates []cryptoki.Template) error {
	return t.RunOnce(ctx, func(s cryptoki.Session, _ uint64) error {
		_, err := s.Generate(cryptoki.Mechanism{Type: p.mechanism}, templates...)
		return err
	})
}

func count(ctx context.Context, t Token, find cryptoki.Template) (n int, err error) {
	err = t.Run(ctx, func(s cryptoki.Session, _ uint64) error {
		found, err := s.Find(find)
		if err == nil {
			n = len(found)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// finish tests a key that is on the token and seals its canary.
func finish(ctx context.Context, t Token, k KEK, rand io.Reader) (KEK, error) {
	key := newTokenKey(t, k, rand)
	warnings, err := key.inspect(ctx)
	if err != nil {
		return KEK{}, err
	}
	if err := key.selfTest(ctx); err != nil {
		return KEK{}, err
	}
	secret := make([]byte, 32)
	defer clear(secret)
	if _, err := io.ReadFull(rand, secret); err != nil {
		return KEK{}, fmt.Errorf("read random bytes: %w", err)
	}
	if k.Canary, err = key.wrap(ctx, secret, canaryAAD); err != nil {
		return KEK{}, err
	}
	sum := sha256.Sum256(secret)
	k.CanarySum, k.Warnings = sum[:], warnings
	return k, newTokenKey(t, k, rand).verify(ctx)
}

// Destroy destroys a key on the token: what it wrapped is lost. It first sees the key open its canary, so that it does not
// destroy another. The error matches [ErrKEKMissing] where the token holds no part of the key; of a key that is half
// destroyed, Destroy destroys the rest.
func Destroy(ctx context.Context, t Token, k KEK) error {
	if k.isMade() {
		if err := newTokenKey(t, k, nil).mustBeOurs(ctx); err != nil {
			return fmt.Errorf("destroy key %q: %w", k.Label, err)
		}
	}
	finds := []cryptoki.Template{k.key()}
	if k.Suite == SuiteOAEP {
		finds = append(finds, named(cryptoki.ClassPublicKey, k.Label, k.CKAID))
	}
	if shapes[k.Suite].mac {
		finds = append(finds, k.macKey())
	}
	missing := 0
	for _, find := range finds {
		switch err := destroy(ctx, t, find); {
		case errors.Is(err, ErrKEKMissing):
			missing++
		case err != nil:
			return fmt.Errorf("destroy key %q: %w", k.Label, err)
		}
	}
	if missing == len(finds) {
		return fmt.Errorf("destroy key %q: %w", k.Label, ErrKEKMissing)
	}
	return nil
}

// destroy destroys the one object of a template (C_DestroyObject).
func destroy(ctx context.Context, t Token, find cryptoki.Template) error {
	n, err := count(ctx, t, find)
	switch {
	case err != nil:
		return err
	case n == 0:
		return ErrKEKMissing
	}
	err = t.Run(ctx, func(s cryptoki.Session, _ uint64) error {
		found, err := s.Find(find)
		switch {
		case err != nil || len(found) == 0:
			return err
		case len(found) > 1:
			return fmt.Errorf("%w: the token has %d of its label and id", ErrKEKMismatch, len(found))
		}
		return s.Destroy(found[0])
	})
	if err != nil {
		return err
	}
	if n, err = count(ctx, t, find); err == nil && n > 0 {
		err = errors.New("the token has it still")
	}
	return err
}

// mustBeOurs refuses a key that does not open its canary, for whatever reason. One that is missing is nobody's.
func (k *tokenKey) mustBeOurs(ctx context.Context) error {
	return k.epochs.mustBeOurs(ctx, k.kek.key())
}

func (k *epochs) mustBeOurs(ctx context.Context, find cryptoki.Template) error {
	n, err := count(ctx, k.token, find)
	if err != nil || n == 0 {
		return err
	}
	return k.token.Run(ctx, func(s cryptoki.Session, epoch uint64) error {
		_, err := k.resolve(s, epoch)
		return err
	})
}
