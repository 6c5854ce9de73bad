// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package datakeys

import (
	"context"
	"errors"
	"slices"

	"github.com/keylife/vault-plugin-keylife/client/internal/engine"
	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

// Rewrap asks for EDKs under the newest version, and answers for each. Outages are waited out until the context ends.
func (k *Key) Rewrap(ctx context.Context, edks []string) []engine.Item {
	ctx, cancel := k.set.timed(ctx)
	defer cancel()
	items := make([]engine.Item, 0, len(edks))
	for batch := range slices.Chunk(edks, engine.MaxBatch) {
		items = append(items, k.rewrapBatch(ctx, batch)...)
	}
	return items
}

func (k *Key) rewrapBatch(ctx context.Context, edks []string) []engine.Item {
	for {
		if pause, last := k.rewrapping.pause(); pause > 0 {
			if err := k.set.sleep(ctx, pause); err != nil {
				return slices.Repeat([]engine.Item{{Err: unavailable(last, err)}}, len(edks))
			}
		}
		items, err := k.rewrapOnce(ctx, edks)
		if err == nil {
			return items
		}
		if ctx.Err() != nil || !errors.Is(err, refusal.ErrUnavailable) {
			return slices.Repeat([]engine.Item{{Err: err}}, len(edks))
		}
	}
}

// rewrapOnce sends one request. What the engine refuses to rewrap it would not open either.
func (k *Key) rewrapOnce(ctx context.Context, edks []string) ([]engine.Item, error) {
	if k.set.life.Err() != nil {
		return nil, refusal.ErrClosed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(k.set.life, func() { cancel(refusal.ErrClosed) })()
	items, err := k.set.o.Engine.Rewrap(ctx, k.name, edks)
	if ctx.Err() == nil { // else it tells nothing of Vault
		k.set.heard(err)
		k.rewrapping.heard(err, k.set.o.Random())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, edk := range edks {
		one := err
		if err == nil {
			one = items[i].Err
		}
		if one != nil {
			k.refuseItem(edk, one)
		}
	}
	k.set.learned(err)
	return items, err
}
