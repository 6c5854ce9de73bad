// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"math/big"
	"sync"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// identity is how a key on a token is found, and told from another of its name.
type identity interface {
	// locate finds the objects of the key.
	locate(s cryptoki.Session) (handles, error)
	// checkCanary sees the key do what only this one can; one that was not made yet has nothing to show.
	checkCanary(s cryptoki.Session, h handles) error
	// exercise returns what sees the token work with the key, whichever it is. What that needs is drawn beforehand, as a call that
	// holds one session must not wait for a second.
	exercise() (func(s cryptoki.Session, h handles) error, error)
}

// epochs has the handles of a key. They mean something in one epoch only: a stale one was seen to name another key, and to
// encrypt with it. So in each epoch the key is found anew, and proves itself by its canary before it is used.
type epochs struct {
	of    identity
	token Token

	mu    sync.Mutex // not held while the token is asked: a token that hangs would hang all
	epoch uint64
	known bool
	found handles
}

// tokenKey is a key on a token that encrypts and decrypts as a suite does.
type tokenKey struct {
	*epochs
	scheme
	kek  KEK
	rand io.Reader
}

func newTokenKey(t Token, k KEK, rand io.Reader) *tokenKey {
	key := &tokenKey{scheme: scheme{k.Suite, k.OAEPHash}, kek: k, rand: rand}
	key.epochs = &epochs{of: key, token: t}
	return key
}

// errCanary reports that the key does not open its canary. That the token is not well may be the reason: [tokenKey.sure].
var errCanary = fmt.Errorf("%w: it does not open its canary", ErrKEKMismatch)

// canaryAAD is never the associated data of a secret that is wrapped: that begins with a domain of its own.
var canaryAAD = []byte("keylife/canary/v1")

func (k *tokenKey) outer(aad []byte) []byte { return outerAAD(aad, k.kek.ID, k.kek.Suite) }

// run runs f with the handles of the session's epoch, on a copy of secret that f must not keep.
func (k *epochs) run(ctx context.Context, secret []byte, f func(s cryptoki.Session, h handles, secret []byte) ([]byte, error)) ([]byte, error) {
	do := func(s cryptoki.Session, epoch uint64, secret []byte) ([]byte, error) {
		h, err := k.resolve(s, epoch)
		if err != nil {
			return nil, err
		}
		out, err := f(s, h, secret)
		if errors.Is(err, cryptoki.ErrObjectHandleInvalid) || errors.Is(err, cryptoki.ErrKeyHandleInvalid) {
			k.forget(epoch)
		}
		return out, err
	}
	return k.sure(ctx, func() ([]byte, error) { return runner(k.token.Run).run(ctx, secret, do) })
}

// opened runs open, which decrypts. Tokens answer damaged data and trouble of their own with one error, and what is called
// damaged is given up: so the key is seen to work, and the data is tried again.
func (k *epochs) opened(ctx context.Context, open func(s cryptoki.Session, h handles, _ []byte) ([]byte, error)) ([]byte, error) {
	secret, err := k.run(ctx, nil, open)
	if !isRefusal(err) {
		return secret, err
	}
	if err := k.verify(ctx); err != nil {
		return nil, err
	}
	secret, err = k.run(ctx, nil, open)
	if isRefusal(err) {
		return nil, ErrCorrupt
	}
	return secret, err
}

// verdicts is how often a call may find that its key is missing or another, and be proved wrong.
const verdicts = 3

// sure sees to it that a key is not called missing or another because the token lost its login at that moment, or is not
// well: the call is made again where the key is found to be there.
func (k *epochs) sure(ctx context.Context, call func() ([]byte, error)) (out []byte, err error) {
	for range verdicts {
		out, err = call()
		if !errors.Is(err, ErrKEKMissing) && !errors.Is(err, ErrKEKMismatch) {
			break
		}
		if err := k.verify(ctx); err != nil {
			return nil, err
		}
	}
	return out, err
}

// resolve returns the handles of an epoch. Those that come at once in a new epoch find them each for themselves: there
// are no more of them than sessions.
func (k *epochs) resolve(s cryptoki.Session, epoch uint64) (handles, error) {
	if h, ok := k.remembered(epoch); ok {
		return h, nil
	}
	h, err := k.of.locate(s)
	if err != nil {
		return handles{}, err
	}
	if err := k.of.checkCanary(s, h); err != nil {
		return handles{}, err
	}
	k.remember(epoch, h)
	return h, nil
}

func (k *epochs) remembered(epoch uint64) (handles, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.found, k.known && k.epoch == epoch
}

func (k *epochs) remember(epoch uint64, h handles) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.epoch, k.found, k.known = epoch, h, true
}

func (k *epochs) forget(epoch uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known = k.known && k.epoch != epoch
}

// locate finds the objects of the key.
func (k *tokenKey) locate(s cryptoki.Session) (h handles, err error) {
	if h.key, err = findOne(s, k.kek.key()); err != nil {
		return handles{}, err
	}
	if shapes[k.suite].mac {
		if h.mac, err = findOne(s, k.kek.macKey()); err != nil {
			return handles{}, err
		}
	}
	if k.suite == SuiteOAEP {
		h.public, err = publicKey(s, h.key, named(cryptoki.ClassPublicKey, k.kek.Label, k.kek.CKAID))
	}
	return h, err
}

// publicKey reads the public key off the private one, or off the object that stands beside it. It is never taken from
// storage, where another could be put in its place.
func publicKey(s cryptoki.Session, private cryptoki.Object, beside cryptoki.Template) (*rsa.PublicKey, error) {
	values, err := s.Attributes(private, cryptoki.AttrModulus, cryptoki.AttrPublicExponent)
	if err == nil && (len(values[0]) == 0 || len(values[1]) == 0) {
		var public cryptoki.Object
		if public, err = findOne(s, beside); err == nil {
			values, err = s.Attributes(public, cryptoki.AttrModulus, cryptoki.AttrPublicExponent)
		}
	}
	if err != nil {
		return nil, err
	}
	n, e := new(big.Int).SetBytes(values[0]), new(big.Int).SetBytes(values[1])
	size := (n.BitLen() + 7) / 8
	if size < minModulus || size > maxModulus || e.BitLen() < 2 || e.BitLen() > 31 || e.Bit(0) == 0 {
		return nil, fmt.Errorf("%w: RSA key of %d bits with an exponent of %d", ErrUnsupported, n.BitLen(), e.BitLen())
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

// checkCanary opens the canary; a key that was not made yet has none.
func (k *tokenKey) checkCanary(s cryptoki.Session, h handles) error {
	if !k.kek.isMade() {
		return nil
	}
	w, err := decode(k.kek.Canary)
	if err != nil || w.kekID != k.kek.ID {
		return fmt.Errorf("%w: its description is damaged", ErrKEKMismatch)
	}
	secret, err := k.open(s, h, w, k.outer(canaryAAD))
	defer clear(secret)
	sum := sha256.Sum256(secret)
	switch {
	case isRefusal(err):
		return errCanary
	case err != nil:
		return err
	case subtle.ConstantTimeCompare(sum[:], k.kek.CanarySum) == 0:
		return errCanary
	}
	return nil
}

// verify tells a key that is another from a token that is not well: it first sees the token encrypt and decrypt with the
// key, and returns the token's own error where it does not, for the token to recover from. The canary comes after.
func (k *epochs) verify(ctx context.Context) error {
	exercise, err := k.of.exercise()
	if err != nil {
		return err
	}
	return k.token.Run(ctx, func(s cryptoki.Session, epoch uint64) error { return k.verifyIn(s, epoch, exercise) })
}

// verifyIn is verify in a session. Handles that turn out to be another key's are not used again.
func (k *epochs) verifyIn(s cryptoki.Session, epoch uint64, exercise func(s cryptoki.Session, h handles) error) error {
	h, err := k.of.locate(s)
	if err == nil {
		err = exercise(s, h)
	}
	if err == nil {
		err = k.of.checkCanary(s, h)
	}
	if err != nil {
		k.forget(epoch)
		return err
	}
	k.remember(epoch, h)
	return nil
}

func (k *tokenKey) exercise() (func(s cryptoki.Session, h handles) error, error) {
	chance, err := k.draw(k.rand)
	return func(s cryptoki.Session, h handles) error { return k.roundTrip(s, h, chance) }, err
}

// roundTrip encrypts and decrypts a text that is no secret. A key that does not open its own is not one key: a balancer
// may stand before tokens that hold several.
func (k *tokenKey) roundTrip(s cryptoki.Session, h handles, chance []byte) error {
	text := []byte("keylife/verify/v1")
	w, err := k.seal(s, h, text, k.outer(text), chance)
	if err != nil {
		return err
	}
	got, err := k.open(s, h, w, k.outer(text))
	if errors.Is(err, ErrCorrupt) || err == nil && !bytes.Equal(got, text) {
		return fmt.Errorf("%w: it does not open what it has just encrypted", ErrKEKMismatch)
	}
	return err
}
