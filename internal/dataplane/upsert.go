// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// EncryptOrCreate encrypts the items and first makes the key where there is none ("upsert"), derived if the items
// carry a context. A batch in which nothing can be encrypted makes no key. Where settings forbid it, a missing key is
// refusal.ErrNotFound.
func (s *Session) EncryptOrCreate(ctx context.Context, spec lifecycle.Key, items []Item) (outcomes []Outcome, created bool, err error) {
	if err := checkItems(items); err != nil {
		return nil, false, err
	}
	disabled, err := s.Upserts.DisableUpsert(ctx)
	if err != nil {
		return nil, false, err
	}
	switch {
	case disabled:
		outcomes, err = s.Encrypt(ctx, spec.Name, items)
		return outcomes, false, err
	case !anySound(&spec, items):
		return unsound(&spec, items), false, nil
	}
	spec.Derived = items[0].Context != ""
	for range creations {
		var existed bool
		if existed, err = s.KeyMaker.MakeKey(ctx, spec); err != nil {
			return nil, false, err
		}
		outcomes, err = s.Encrypt(ctx, spec.Name, items)
		if created = !existed; !errors.Is(err, refusal.ErrNotFound) {
			break
		}
	}
	return outcomes, created, err
}

// creations is how often a key is made anew that others delete meanwhile.
const creations = 3

// anySound reports whether an item can be encrypted.
func anySound(k *lifecycle.Key, items []Item) bool {
	for i := range items {
		if items[i].check(k) == nil {
			return true
		}
	}
	return false
}

// unsound says of each item what is wrong with it.
func unsound(k *lifecycle.Key, items []Item) []Outcome {
	outcomes := make([]Outcome, len(items))
	for i := range items {
		outcomes[i].Err = items[i].check(k)
	}
	return outcomes
}

// check finds what is wrong with an item for any key of the type.
func (i *Item) check(k *lifecycle.Key) error {
	params, err := i.params()
	if err != nil {
		return err
	}
	if _, err := decodeBase64("plaintext", i.Text); err != nil {
		return err
	}
	if err := i.checkExtras(k.Type); err != nil {
		return err
	}
	if _, err := firstVersion.Permissions(policy.EffectiveRules{}).ToProtect(i.Version); err != nil {
		return err
	}
	if params.AssociatedDataErr != nil {
		return faultError{params.AssociatedDataErr}
	}
	return nil
}

// firstVersion is a key as it will be when it has just been made.
var firstVersion = lifecycle.Key{Latest: 1, Primary: 1, MinDecryption: 1}
