// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// DataKey is a key to encrypt with elsewhere: in the clear, and as the outcome of its encryption.
type DataKey struct {
	Plaintext string
	Outcome
}

// Datakeys draws as many keys of that many bits, each protected with item's parameters. Where one of them cannot be protected there is none at all.
func (s *Session) Datakeys(ctx context.Context, name string, count, bits int, item Item) ([]DataKey, error) {
	if _, err := s.Key(ctx, name); err != nil {
		return nil, err
	}
	if item.Nonce != "" {
		return nil, faultError{errNonce}
	}
	if err := checkAssociatedData(item.AssociatedData); err != nil {
		return nil, err
	}
	items, err := s.plane.draw(count, bits, item)
	if err != nil {
		return nil, err
	}
	outcomes, err := s.each(ctx, &s.plane.Observe.Datakey, name, items, allowed(lifecycle.UseDatakey, (*snapshot).datakey))
	if err != nil {
		return nil, err
	}
	keys := make([]DataKey, count)
	for i, outcome := range outcomes {
		if outcome.Err != nil {
			return nil, outcome.Err
		}
		keys[i] = DataKey{items[i].Text, outcome}
	}
	return keys, nil
}

// draw returns items like the one given, each with a random text of that many bits.
func (p *Plane) draw(count, bits int, like Item) ([]Item, error) {
	raw, items := make([]byte, bits/8), make([]Item, count)
	defer clear(raw)
	for i := range items {
		if _, err := io.ReadFull(p.Rand, raw); err != nil {
			return nil, fmt.Errorf("draw data key: %w", err)
		}
		items[i] = like
		items[i].Text = base64.StdEncoding.EncodeToString(raw)
	}
	return items, nil
}
