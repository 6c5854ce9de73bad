// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package datakeys_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/datakeys"
	"github.com/keylife/vault-plugin-keylife/client/internal/engine"
	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

var bounds = datakeys.Bounds{
	TTL: 5 * time.Minute, StaleProtect: 15 * time.Minute, MaxStale: time.Hour, DataKeyAge: time.Hour, MaxMessages: 1 << 20, MaxBytes: 64 << 30,
}

// fake is an engine whose data keys are the hashes of their EDKs.
type fake struct {
	mu      sync.Mutex
	latency time.Duration
	version int
	fails   error // all requests
	refuses map[string]error
	makes   int
	batches []int // lengths
	edks    int
}

func newFake() *fake {
	return &fake{version: 1, refuses: map[string]error{}, latency: 10 * time.Millisecond}
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// edk returns another encrypted data key.
func (f *fake) edk() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.edks++
	return fmt.Sprintf("vault:v%d:%080d", f.version, f.edks)
}

func (f *fake) answer(ctx context.Context) error {
	select {
	case <-time.After(f.latency):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fails
}

func keyOf(edk string) []byte {
	key := sha256.Sum256([]byte(edk))
	return key[:]
}

func (f *fake) Make(ctx context.Context, _ string) (engine.Made, error) {
	f.set(func() { f.makes++ })
	if err := f.answer(ctx); err != nil {
		return engine.Made{}, err
	}
	edk := f.edk()
	return engine.Made{EDK: edk, Key: keyOf(edk)}, nil
}

func (f *fake) Open(ctx context.Context, _ string, edks []string) ([]engine.Item, error) {
	f.set(func() { f.batches = append(f.batches, len(edks)) })
	if err := f.answer(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	items := make([]engine.Item, len(edks))
	for i, edk := range edks {
		if items[i].Err = f.refuses[edk]; items[i].Err == nil {
			items[i].Key = keyOf(edk)
		}
	}
	return items, nil
}

func (f *fake) Rewrap(ctx context.Context, key string, edks []string) ([]engine.Item, error) {
	items, err := f.Open(ctx, key, edks)
	for i := range items {
		items[i].EDK = edks[i]
	}
	return items, err
}

func (f *fake) requests() (makes int, batches []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.makes, append([]int(nil), f.batches...)
}

var errDown = fmt.Errorf("%w: no route", refusal.ErrUnavailable)

// newSet is one whose jitter is random, unless options say otherwise.
func newSet(t testing.TB, o datakeys.Options) *datakeys.Set {
	t.Helper()
	if o.Bounds == (datakeys.Bounds{}) {
		o.Bounds = bounds
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	s := datakeys.New(o)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func uses(edks []string) []datakeys.Use {
	all := make([]datakeys.Use, len(edks))
	for i := range edks {
		all[i].EDK = edks[i]
	}
	return all
}

func edksOf(f *fake, n int) []string {
	edks := make([]string, n)
	for i := range edks {
		edks[i] = f.edk()
	}
	return edks
}
