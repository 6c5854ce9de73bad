// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package datakeys

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/client/internal/sealed"
)

const (
	saveAtMostEvery = time.Second
	// restoredPart of what a data key may encrypt is left to it after a start from the file: what it encrypted after the file was
	// written is not known.
	restoredPart = 16
)

// file is where data keys are kept for a start without Vault. Only the refresher and Close write it.
type file struct {
	*sealed.File             // nil: none
	first        sync.Once   // request of the process
	changed      atomic.Bool // since it was written
	written      Moment
	used         bool // there was something to write
}

// learned takes note that an answer changed what is in memory. A refusal does too: what it dropped must not come back from the file.
func (s *Set) learned(err error) {
	if !errors.Is(err, refusal.ErrUnavailable) && !errors.Is(err, refusal.ErrClosed) {
		s.file.changed.Store(true)
	}
}

// saveSoon writes the file if it is time, and returns when it will be.
func (s *Set) saveSoon() time.Duration {
	if s.file.File == nil || !s.file.changed.Load() {
		return never
	}
	now := s.o.Now()
	if since := s.file.written.age(now); s.file.used && since < saveAtMostEvery {
		return saveAtMostEvery - since
	}
	s.file.changed.Store(false)
	s.file.written, s.file.used = now, true
	if s.file.Save(now.time(), s.content(now)) != nil {
		s.file.changed.Store(true)
		return saveAtMostEvery
	}
	return never
}

// saveLast writes the file at the end, with what was counted since. Where nothing was heard, the file stays as it is.
func (s *Set) saveLast() error {
	if s.file.File == nil || !s.file.used && !s.file.changed.Load() {
		return nil
	}
	now := s.o.Now()
	return s.file.Save(now.time(), s.content(now))
}

// content is all that may still be used.
func (s *Set) content(now Moment) (keys []sealed.DataKey) {
	for _, k := range s.all() {
		k.mu.Lock()
		current := k.current.Load()
		add := func(d *DataKey) {
			if one, ok := s.stored(k.name, d, d == current, now); ok {
				keys = append(keys, one)
			}
		}
		k.known.each(add)
		if current != nil && k.known.get([]byte(current.EDK())) == nil {
			add(current)
		}
		k.mu.Unlock()
	}
	return keys
}

func (s *Set) stored(name string, d *DataKey, encrypts bool, now Moment) (one sealed.DataKey, ok bool) {
	one = sealed.DataKey{
		Name: name, EDK: d.EDK(), Key: d.Bytes(), Messages: d.messages.Load(), Bytes: d.bytes.Load(), Made: d.made.unix(),
	}
	if p := d.process.Load(); p != nil && p.at.age(now) < s.file.For {
		one.Process = p.at.unix()
	}
	if p := d.protect.Load(); encrypts && p.usable(now) {
		one.Protect = p.at.unix()
	}
	return one, one.Key != nil && one.Process+one.Protect > 0
}

// restore takes what the file has. A file that is not there, or not believed, is as none.
func (s *Set) restore() {
	if s.file.File == nil {
		return
	}
	now := s.o.Now()
	stored, err := s.file.Load(now.time())
	if err != nil {
		return
	}
	for _, one := range stored {
		k := s.Key(one.Name)
		k.mu.Lock()
		k.restore(one, now)
		k.mu.Unlock()
		clear(one.Key)
	}
}

// restore takes one data key of the file. Its proofs are over, so that Vault is asked when it answers. The mutex is held.
func (k *Key) restore(one sealed.DataKey, now Moment) {
	data, err := kle1.New(k.name, one.EDK, one.Key)
	if err != nil || k.find(one.EDK) != nil {
		return
	}
	bounds := &k.set.o.Bounds
	d := &DataKey{DataKey: data, bounds: bounds, made: now.at(one.Made)}
	d.messages.Store(max(one.Messages, bounds.MaxMessages-bounds.MaxMessages/restoredPart))
	d.bytes.Store(max(one.Bytes, bounds.MaxBytes-bounds.MaxBytes/restoredPart))
	if one.Process > 0 {
		d.process.Store(&proof{at: now.at(one.Process), stale: k.set.file.For})
		k.remember(d)
	}
	if one.Protect > 0 && k.current.Load() == nil {
		d.protect.Store(&proof{at: now.at(one.Protect), stale: bounds.StaleProtect, messages: d.messages.Load()})
		k.current.Store(d)
	}
}
