// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// publicKeys returns the public halves of the versions from the floor on. Those of derived keys belong to no context, and are not
// shown.
func (s Keys) publicKeys(ctx context.Context, k lifecycle.Key) (map[int]string, error) {
	public := make(map[int]string, k.Latest-k.MinDecryption+1)
	if k.Derived {
		return public, nil
	}
	for n := k.MinDecryption; n <= k.Latest; n++ {
		v, err := s.store.Versions.Version(ctx, k.Name, n)
		switch {
		case errors.Is(err, refusal.ErrNotFound) || err == nil && (v.KeyID != k.ID || len(v.Public) == 0):
			continue
		case err != nil:
			return nil, err
		}
		if public[n], err = envelope.FormatPublic(v.Public); err != nil {
			return nil, err
		}
	}
	return public, nil
}
