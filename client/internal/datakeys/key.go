// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package datakeys

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// Key has the data keys of one key of the engine.
type Key struct {
	set     *Set
	name    string
	current atomic.Pointer[DataKey] // encrypts; nil: none
	known   known                   // those that decrypt, the encrypting one among them

	protecting, processing, rewrapping outage

	mu      sync.Mutex // of what follows, and of changes to current and known
	making  *flight
	opening map[string]*flight // by EDK: waiting, and of the batch under way
	waiting []string           // EDKs of the next batch
	batches bool               // are under way
}

func newKey(s *Set, name string) *Key {
	return &Key{set: s, name: name, known: known{seed: maphash.MakeSeed()}, opening: map[string]*flight{}}
}

// Source tells by what a use may be made.
type Source string

// Sources.
const (
	Local  Source = "local"  // a fresh proof
	Asked  Source = "engine" // a request that the use waited for
	Stale  Source = "stale"  // a proof that is over, while Vault does not answer
	Nobody Source = ""       // it may not be made
)

// Protecting returns the data key to encrypt so many bytes with, and counts them.
func (k *Key) Protecting(ctx context.Context, n int) (*DataKey, Source, error) {
	if d := k.current.Load(); d != nil && d.protects(k.set.o.Now()) && k.take(d, n) {
		return d, Local, nil
	}
	for {
		uses := []Use{{}}
		k.await(ctx, protectLine{k}, uses)
		u := uses[0]
		if u.Err != nil || k.take(u.DataKey, n) {
			return u.DataKey, u.Source, u.Err
		}
	}
}

// Version returns the version that Protecting gives a data key of.
func (k *Key) Version(ctx context.Context) (int, error) {
	if d := k.current.Load(); d != nil && d.protects(k.set.o.Now()) {
		return d.Version(), nil
	}
	uses := []Use{{}}
	k.await(ctx, protectLine{k}, uses)
	if uses[0].Err != nil {
		return 0, uses[0].Err
	}
	return uses[0].DataKey.Version(), nil
}

func (k *Key) take(d *DataKey, n int) bool {
	ok, crossed := d.take(int64(n))
	if crossed {
		k.set.wake()
	}
	return ok
}

// Count counts what a stream encrypts as it is written.
func (k *Key) Count(d *DataKey, n int) {
	if _, crossed := d.count(int64(n)); crossed {
		k.set.wake()
	}
}

// Processing returns the data key that an EDK is of. The slice is not kept.
func (k *Key) Processing(ctx context.Context, edk []byte) (*DataKey, Source, error) {
	if d := k.known.get(edk); d != nil && d.processes(k.set.o.Now()) {
		return d, Local, nil
	}
	uses := []Use{{EDK: string(edk)}}
	k.await(ctx, processLine{k}, uses)
	return uses[0].DataKey, uses[0].Source, uses[0].Err
}

// ProcessingMany fills in the data keys that EDKs are of. Those that have to be asked for are in as few requests as can be.
func (k *Key) ProcessingMany(ctx context.Context, uses []Use) { k.await(ctx, processLine{k}, uses) }

// Stats are how a key stands.
type Stats struct {
	Name     string
	Version  int
	DataKeys int
	ProofAge time.Duration // of the oldest proof that still opens messages
}

// Stats tells how the keys that were used stand.
func (s *Set) Stats() []Stats {
	now := s.o.Now()
	var all []Stats
	for _, k := range s.all() {
		one := Stats{Name: k.name}
		current := k.current.Load()
		if current != nil {
			one.Version = current.Version()
		}
		k.known.each(func(d *DataKey) {
			one.DataKeys++
			if p := d.process.Load(); p.usable(now) {
				one.ProofAge = max(one.ProofAge, p.at.age(now))
			}
		})
		if current != nil && k.known.get([]byte(current.EDK())) == nil {
			one.DataKeys++
		}
		all = append(all, one)
	}
	return all
}

// keep puts a new data key into memory. The mutex is held.
func (k *Key) keep(edk string, key []byte, made Moment) (*DataKey, error) {
	data, err := kle1.New(k.name, edk, key)
	if err != nil {
		return nil, err
	}
	d := &DataKey{DataKey: data, bounds: &k.set.o.Bounds, made: made}
	k.remember(d)
	return d, nil
}

func (k *Key) remember(d *DataKey) {
	k.known.put(d)
	k.set.known.Add(1)
}

// find returns the data key of an EDK. The mutex is held.
func (k *Key) find(edk string) *DataKey {
	if d := k.current.Load(); d != nil && d.EDK() == edk {
		return d
	}
	return k.known.get([]byte(edk))
}

// forget takes data keys out of what decrypts, and wipes them but the one that encrypts. The mutex is held.
func (k *Key) forget(f func(*DataKey) bool) {
	k.set.known.Add(-k.known.remove(func(d *DataKey) bool {
		if !f(d) {
			return false
		}
		if d == k.current.Load() {
			d.process.Store(nil)
		} else {
			d.Wipe()
		}
		return true
	}))
}

// drop takes one data key out of everything. The mutex is held.
func (k *Key) drop(d *DataKey) {
	if d == nil {
		return
	}
	k.current.CompareAndSwap(d, nil)
	k.forget(func(other *DataKey) bool { return other == d })
	d.Wipe()
}

// dropAll takes all data keys out of everything. The mutex is held.
func (k *Key) dropAll() {
	k.drop(k.current.Load())
	k.forget(func(*DataKey) bool { return true })
}

// encryptWith makes a data key the encrypting one. The mutex is held.
func (k *Key) encryptWith(d *DataKey) {
	old := k.current.Swap(d)
	if old != nil && k.known.get([]byte(old.EDK())) != old {
		old.Wipe()
	}
}
