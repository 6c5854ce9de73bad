// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// PublishedKey is the public half of a version as verifiers read it. A verifier ignores members that it does not know (RFC 7517,
// section 4).
type PublishedKey struct {
	envelope.WebKey
	Version int `json:"key_version"`
}

// JWKS returns the public halves of the versions that verify and are not out of use, the newest first. The error is
// refusal.ErrInvalid for a key of which no public half can be published.
func (s PublicHalves) JWKS(ctx context.Context, name string) ([]PublishedKey, error) {
	k, err := s.data.Key(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case lifecycle.TypesOf(k).Any(keytype.Type.IsAsymmetric) && k.Derived:
		return nil, refusal.Invalidf("key %q is derived: its public keys belong to contexts", name)
	case !lifecycle.TypesOf(k).Any(keytype.Type.SupportsSigning):
		return nil, refusal.Invalidf("key %q is of type %s, which does not sign", name, lifecycle.TypesOf(k).Active())
	}
	published := []PublishedKey{}
	for _, n := range lifecycle.Published(k) {
		v, err := s.store.Versions.Version(ctx, name, n)
		if err != nil {
			return nil, err
		}
		if v.KeyID != k.ID {
			return nil, refusal.NoKey(name) // deleted since, and made anew
		}
		j, err := envelope.WebKeyOf(v.Public)
		if err != nil {
			return nil, err
		}
		published = append(published, PublishedKey{j, n})
	}
	return published, nil
}

// PublicJWKS is JWKS for anybody. For a key that the settings do not name it is refusal.ErrNotFound, as for one that is not there
// or has nothing to publish: nobody learns which keys there are.
func (s PublicHalves) PublicJWKS(ctx context.Context, name string) ([]PublishedKey, error) {
	settings, err := s.store.Settings.KeysSettings(ctx)
	if err != nil {
		return nil, err
	}
	if !settings.Publishes(name) {
		return nil, errNotPublished
	}
	keys, err := s.JWKS(ctx, name)
	if errors.Is(err, refusal.ErrNotFound) || errors.Is(err, refusal.ErrInvalid) {
		return nil, errNotPublished
	}
	return keys, err
}

var errNotPublished = refusal.NotFoundf("no public keys are published under this name")
