// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// Existing names a key that somebody else made on the token, by CKA_LABEL, CKA_ID or both, and the key of the MAC beside
// it: without one, only the suites of AES-GCM are possible.
type Existing struct {
	Label    string
	CKAID    []byte
	MACLabel string
	MACID    []byte
	Serial   string // of the token
}

// Adopt takes up a key that exists: an AES-256 key, or the private key of an RSA pair. It returns its description and the
// suite it was found to have. Nothing on the token is made or changed.
func Adopt(ctx context.Context, t Token, e Existing, o Options, now time.Time, rand io.Reader) (KEK, Choice, error) {
	if e.Label == "" && len(e.CKAID) == 0 {
		return KEK{}, Choice{}, errors.New("adopt key: it needs a label or an id")
	}
	k, err := e.describe(ctx, t, o, now, rand)
	if err != nil {
		return KEK{}, Choice{}, fmt.Errorf("adopt key %q: %w", e.Label, err)
	}
	var adopted KEK
	c, err := choose(ctx, t, o, false, func(s Suite) error {
		one := k
		one.Suite = s
		if err := one.suits(s, k.Suite); err != nil {
			return err
		}
		adopted, err = finish(ctx, t, one, rand)
		return err
	})
	if err != nil {
		return KEK{}, Choice{}, fmt.Errorf("adopt key %q: %w", e.Label, err)
	}
	return adopted, c, nil
}

// suits refuses a suite for which there is no key. Of the suites, found tells the type of the key.
func (k KEK) suits(s, found Suite) error {
	switch {
	case (s == SuiteOAEP) != (found == SuiteOAEP):
		return fmt.Errorf("%w: the key is of another type", ErrUnsupported)
	case shapes[s].mac && len(k.MACID) == 0 && k.MACLabel == "":
		return fmt.Errorf("%w: it needs a second key, for HMAC, by label or id", ErrUnsupported)
	}
	return nil
}

// describe finds the keys and returns their description, complete but for the suite: that is SuiteOAEP for an RSA key, and
// SuiteGCM for an AES key.
func (e Existing) describe(ctx context.Context, t Token, o Options, now time.Time, rand io.Reader) (KEK, error) {
	k := KEK{Serial: e.Serial, OAEPHash: o.OAEPHash, Created: now}
	if _, err := io.ReadFull(rand, k.ID[:]); err != nil {
		return KEK{}, fmt.Errorf("read random bytes: %w", err)
	}
	var found KEK
	err := t.Run(ctx, func(s cryptoki.Session, _ uint64) error {
		k := k
		if err := e.find(s, &k); err != nil {
			return err
		}
		found = k
		return nil
	})
	if err != nil {
		return KEK{}, err
	}
	return found, nil
}

func (e Existing) find(s cryptoki.Session, k *KEK) error {
	aes := append(named(cryptoki.ClassSecretKey, e.Label, e.CKAID), cryptoki.Attribute{Type: cryptoki.AttrKeyType, Value: cryptoki.KeyAES})
	rsa := append(named(cryptoki.ClassPrivateKey, e.Label, e.CKAID), cryptoki.Attribute{Type: cryptoki.AttrKeyType, Value: cryptoki.KeyRSA})
	key, err := findOne(s, aes)
	k.Suite = SuiteGCM
	if errors.Is(err, ErrKEKMissing) {
		key, err = findOne(s, rsa)
		k.Suite = SuiteOAEP
	}
	if err != nil {
		return err
	}
	if k.Label, k.CKAID, err = names(s, key); err != nil {
		return err
	}
	if e.MACLabel == "" && len(e.MACID) == 0 {
		return nil
	}
	mac, err := findOne(s, named(cryptoki.ClassSecretKey, e.MACLabel, e.MACID))
	if err != nil {
		return fmt.Errorf("key of the MAC: %w", err)
	}
	if mac == key {
		return fmt.Errorf("%w: the key of the MAC is the same key", ErrKEKMismatch)
	}
	k.MACLabel, k.MACID, err = names(s, mac)
	return err
}

// names returns the label and the id of an object, by which it is found again.
func names(s cryptoki.Session, o cryptoki.Object) (label string, id []byte, err error) {
	values, err := s.Attributes(o, cryptoki.AttrLabel, cryptoki.AttrID)
	switch {
	case err != nil:
		return "", nil, err
	case len(values) != 2 || len(values[0])+len(values[1]) == 0:
		return "", nil, fmt.Errorf("%w: the token tells neither label nor id of the key", ErrUnsupported)
	}
	return string(values[0]), values[1], nil
}
