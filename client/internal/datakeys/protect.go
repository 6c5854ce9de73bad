// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package datakeys

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/client/internal/engine"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

// protectLine is the way to the encrypting data key.
type protectLine struct{ *Key }

func (k protectLine) outage() *outage { return &k.protecting }

// spare ends by the proof, and by messages and bytes; not by age.
func (k protectLine) spare(_ string, now Moment) (*DataKey, Source) {
	d := k.current.Load()
	if d == nil || d.full() {
		return nil, Nobody
	}
	switch p := d.protect.Load(); {
	case p.fresh(now):
		return d, Local
	case p.usable(now):
		return d, Stale
	}
	return nil, Nobody
}

func (k protectLine) ask(ctx context.Context, _ []string, anyway bool) []*flight {
	return []*flight{k.make(ctx, anyway)}
}

// make joins the request for a data key, or begins one.
func (k *Key) make(ctx context.Context, anyway bool) *flight {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.making != nil {
		return k.making
	}
	if d := k.current.Load(); !anyway && d != nil && d.protects(k.set.o.Now()) && !d.full() {
		return landed(d, nil)
	}
	f := &flight{done: make(chan struct{})}
	if !k.set.start(func() { k.askMake(ctx, f) }) {
		return landed(nil, refusal.ErrClosed)
	}
	k.making = f
	return f
}

func (k *Key) askMake(ctx context.Context, f *flight) {
	ctx, cancel := k.set.lasting(ctx)
	defer cancel()
	start := k.set.o.Now()
	made, err := k.set.o.Engine.Make(ctx, k.name)
	k.set.heard(err)
	k.protecting.heard(err, k.set.o.Random())

	k.mu.Lock()
	var d *DataKey
	if err == nil {
		d, err = k.adopt(made, start)
	} else {
		k.refuseMake(err)
	}
	k.making = nil
	k.mu.Unlock()
	k.set.learned(err)
	f.land(d, err)
	k.set.trim()
	k.set.wake()
}

// adopt takes what the engine made. Where the version is still the same, and the data key there is good for more, it stays: the
// answer proves that it may encrypt, and the world has a data key less. The mutex is held.
func (k *Key) adopt(made engine.Made, start Moment) (*DataKey, error) {
	defer clear(made.Key)
	bounds := &k.set.o.Bounds
	protect := k.set.prove(start, bounds.StaleProtect)
	version, _ := kle1.Version(made.EDK)
	if d := k.current.Load(); d != nil && d.Version() == version && !d.worn(k.set.o.Now()) {
		protect.messages = d.messages.Load()
		d.protect.Store(protect)
		return d, nil
	}
	d, err := k.keep(made.EDK, made.Key, start)
	if err != nil {
		return nil, err
	}
	d.protect.Store(protect)
	d.process.Store(k.set.prove(start, bounds.MaxStale))
	k.encryptWith(d)
	return d, nil
}

// refuseMake drops what a refusal is about. The mutex is held.
func (k *Key) refuseMake(err error) {
	var state *refusal.KeyStateError
	switch {
	case errors.Is(err, refusal.ErrAccessDenied):
		k.dropAll()
	case errors.As(err, &state):
		k.drop(k.current.Load())
	}
}
