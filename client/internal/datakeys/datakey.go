// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package datakeys

import (
	"sync/atomic"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// DataKey is a data key with what the engine allowed it. It may be used by many goroutines at once.
type DataKey struct {
	*kle1.DataKey
	bounds *Bounds
	made   Moment

	protect  atomic.Pointer[proof] // nil: it never encrypted
	process  atomic.Pointer[proof] // nil: it may not decrypt
	opened   atomic.Int64          // when it last opened a message without asking for it; 0: never
	messages atomic.Int64          // that it encrypted
	bytes    atomic.Int64          // that it encrypted
}

// ahead is 80 %: where the next data key, or proof, is asked for.
func ahead[T ~int64](limit T) T { return limit - limit/5 }

// take counts a message, and tells whether the data key may encrypt it. crossed tells that the next one has to be asked for.
func (d *DataKey) take(n int64) (ok, crossed bool) {
	messages := d.messages.Add(1)
	before, crossed := d.count(n)
	ok = messages <= d.bounds.MaxMessages && before < d.bounds.MaxBytes && (before == 0 || before+n <= d.bounds.MaxBytes)
	return ok, crossed || messages == ahead(d.bounds.MaxMessages)
}

// count counts bytes, and tells how many there were before.
func (d *DataKey) count(n int64) (before int64, crossed bool) {
	before, soon := d.bytes.Add(n)-n, ahead(d.bounds.MaxBytes)
	return before, before < soon && before+n >= soon
}

// full tells whether the data key encrypts nothing more.
func (d *DataKey) full() bool {
	return d.messages.Load() >= d.bounds.MaxMessages || d.bytes.Load() >= d.bounds.MaxBytes
}

// worn tells whether another data key is to follow.
func (d *DataKey) worn(now Moment) bool {
	return d.messages.Load() >= ahead(d.bounds.MaxMessages) || d.bytes.Load() >= ahead(d.bounds.MaxBytes) || d.wears(now) <= 0
}

// wears is how long it takes until the data key is worn by its age.
func (d *DataKey) wears(now Moment) time.Duration {
	return ahead(d.bounds.DataKeyAge) - d.made.age(now)
}

// protects tells whether the data key may encrypt without asking.
func (d *DataKey) protects(now Moment) bool {
	return d.protect.Load().fresh(now) && d.made.age(now) < d.bounds.DataKeyAge
}

// encrypted tells whether the data key encrypted since the proof.
func (d *DataKey) encrypted(p *proof) bool { return d.messages.Load() > p.messages }

// processes tells whether the data key may decrypt without asking, and takes note that it does.
func (d *DataKey) processes(now Moment) bool {
	p := d.process.Load()
	if !p.fresh(now) {
		return false
	}
	d.touch(now, p)
	return true
}

// touch takes note of a use. It writes little: goroutines that share a data key would wait for each other's cache lines.
func (d *DataKey) touch(now Moment, p *proof) {
	if last := d.opened.Load(); last < p.at.Mono || now.Mono-last > int64(time.Second) {
		d.opened.Store(now.Mono)
	}
}

// wasOpened tells whether the data key opened something since the proof, other than what the proof was asked for.
func (d *DataKey) wasOpened(p *proof) bool {
	opened := d.opened.Load()
	return opened != 0 && opened >= p.at.Mono
}

// lastUse orders data keys by their use.
func (d *DataKey) lastUse() int64 {
	last := d.opened.Load()
	if p := d.process.Load(); p != nil {
		last = max(last, p.at.Mono)
	}
	return last
}
