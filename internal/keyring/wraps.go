// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keyring

import (
	"context"
	"maps"
	"sync"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// wraps counts what the keys on the token wrapped since somebody stored the counts.
type wraps struct {
	mu sync.Mutex
	of map[[16]byte]uint64
}

func (w *wraps) add(kek [16]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[[16]byte]uint64{}
	}
	w.of[kek]++
}

// Wraps returns how often each key on the token has wrapped since the counts were stored.
func (k *Keyring) Wraps() map[[16]byte]uint64 {
	k.wraps.mu.Lock()
	defer k.wraps.mu.Unlock()
	return maps.Clone(k.wraps.of)
}

// WrapsStored says that counts were stored: what was counted since stays.
func (k *Keyring) WrapsStored(stored map[[16]byte]uint64) {
	k.wraps.mu.Lock()
	defer k.wraps.mu.Unlock()
	for kek, n := range stored {
		if k.wraps.of[kek] -= n; k.wraps.of[kek] == 0 {
			delete(k.wraps.of, kek)
		}
	}
}

// counted is a wrapper whose wraps are counted, those too that fail: the token may have used an IV.
type counted struct {
	envelope.KeyWrapper
	kek   [16]byte
	wraps *wraps
}

// Wrap is envelope.KeyWrapper's.
func (c *counted) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	c.wraps.add(c.kek)
	return c.KeyWrapper.Wrap(ctx, dek, aad)
}

// Hardware reports whether the wrapper keeps its key in a hardware security module.
func (c *counted) Hardware() bool {
	h, ok := c.KeyWrapper.(interface{ Hardware() bool })
	return ok && h.Hardware()
}
