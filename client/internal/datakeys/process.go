// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package datakeys

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/client/internal/engine"
	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

// processLine is the way to the data keys of EDKs.
type processLine struct{ *Key }

func (k processLine) outage() *outage { return &k.processing }

func (k processLine) spare(edk string, now Moment) (*DataKey, Source) {
	d := k.known.get([]byte(edk))
	if d == nil {
		return nil, Nobody
	}
	p := d.process.Load()
	if !p.usable(now) {
		return nil, Nobody
	}
	if p.fresh(now) {
		return d, Local
	}
	return d, Stale
}

// ask joins the batches for EDKs, and puts those that are in none into the next one.
func (k processLine) ask(ctx context.Context, edks []string, anyway bool) []*flight {
	k.mu.Lock()
	defer k.mu.Unlock()
	flights := make([]*flight, len(edks))
	now := k.set.o.Now()
	for i, edk := range edks {
		if d := k.known.get([]byte(edk)); !anyway && d != nil && d.processes(now) {
			flights[i] = landed(d, nil)
			continue
		}
		if k.opening[edk] == nil {
			k.opening[edk] = &flight{done: make(chan struct{})}
			k.waiting = append(k.waiting, edk)
		}
		flights[i] = k.opening[edk]
	}
	if len(k.waiting) == 0 || k.batches {
		return flights
	}
	if k.batches = k.set.start(func() { k.askOpen(ctx) }); !k.batches {
		k.landWaiting(refusal.ErrClosed)
	}
	return flights
}

// landWaiting ends what waits for the next batch. The mutex is held.
func (k *Key) landWaiting(err error) {
	for _, edk := range k.waiting {
		k.opening[edk].land(nil, err)
		delete(k.opening, edk)
	}
	k.waiting = nil
}

// askOpen sends batches until nobody waits for one.
func (k *Key) askOpen(ctx context.Context) {
	ctx, cancel := k.set.lasting(ctx)
	defer cancel()
	for {
		k.mu.Lock()
		edks := k.waiting[:min(len(k.waiting), engine.MaxBatch)]
		k.waiting = k.waiting[len(edks):]
		k.batches = len(edks) > 0
		k.mu.Unlock()
		if len(edks) == 0 {
			break
		}
		k.askBatch(ctx, edks)
		k.set.trim()
	}
	k.set.wake()
}

func (k *Key) askBatch(ctx context.Context, edks []string) {
	start := k.set.o.Now()
	items, err := k.set.o.Engine.Open(ctx, k.name, edks)
	k.set.heard(err)
	k.processing.heard(err, k.set.o.Random())

	k.mu.Lock()
	defer k.mu.Unlock()
	if errors.Is(err, refusal.ErrAccessDenied) {
		k.forget(func(*DataKey) bool { return true })
	}
	for i, edk := range edks {
		one := engine.Item{Err: err}
		if err == nil {
			one = items[i]
		}
		d, err := k.open(edk, one, start)
		k.opening[edk].land(d, err)
		delete(k.opening, edk)
	}
	if errors.Is(err, refusal.ErrUnavailable) {
		k.landWaiting(err)
	}
	k.set.learned(err)
}

// open takes what the engine said of an EDK. The mutex is held.
func (k *Key) open(edk string, one engine.Item, start Moment) (d *DataKey, err error) {
	defer clear(one.Key)
	if one.Err != nil {
		k.refuseItem(edk, one.Err)
		return nil, one.Err
	}
	d = k.find(edk)
	switch {
	case d == nil:
		if d, err = k.keep(edk, one.Key, start); err != nil {
			return nil, err
		}
	case k.known.get([]byte(edk)) == nil:
		k.remember(d)
	}
	d.process.Store(k.set.prove(start, k.set.o.Bounds.MaxStale))
	return d, nil
}

// refuseItem drops the data key that the engine does not open any more. The mutex is held.
func (k *Key) refuseItem(edk string, err error) {
	if !errors.Is(err, refusal.ErrUnavailable) && !errors.Is(err, refusal.ErrAccessDenied) && !errors.Is(err, refusal.ErrClosed) {
		k.drop(k.find(edk))
	}
}
