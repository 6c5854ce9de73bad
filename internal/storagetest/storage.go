// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package storagetest is a Vault storage in memory for tests. It counts calls, and it fails a chosen write in the ways
// a real one does, see [Fate].
package storagetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/vault/sdk/logical"
)

// ErrInjected is what a write fails with.
var ErrInjected = errors.New("injected storage failure")

// Fate is what becomes of a write that is reported as failed.
type Fate string

// The fates of a failed write.
const (
	Lost    Fate = "lost"    // it never happens
	Applied Fate = "applied" // it has happened
	Late    Fate = "late"    // it happens right before the next write, as from the log of raft; reads do not see it until then
	Last    Fate = "last"    // it never happens, nor does any after it until Heal: the process has ended
)

// Fates lists all fates, for tests to go through.
func Fates() []Fate { return []Fate{Lost, Applied, Late, Last} }

// Counts says how often the storage was called since the last Reset.
type Counts struct{ Gets, Lists, Puts, Deletes int }

// Total is the number of calls.
func (c Counts) Total() int { return c.Gets + c.Lists + c.Puts + c.Deletes }

// Writes is the number of calls that change something.
func (c Counts) Writes() int { return c.Puts + c.Deletes }

// Storage is a logical.Storage. It is safe for concurrent use.
type Storage struct {
	inner logical.InmemStorage

	writing sync.Mutex     // held over a write and those that land before it; taken before mu
	late    []func() error // writes that are still to land, in the order they were made

	mu     sync.Mutex
	counts Counts
	until  int // writes until the one that fails; 0: none fails
	always bool
	fate   Fate
	fired  bool
	unread string // prefix of the paths that cannot be read
	alter  func(path string, value []byte) []byte
}

// New returns an empty storage.
func New() *Storage { return &Storage{} }

// FailWrite makes the n-th write from now fail, n counted from 1. With applied it takes effect nevertheless.
func (s *Storage) FailWrite(n int, applied bool) {
	fate := Lost
	if applied {
		fate = Applied
	}
	s.FailWriteAs(n, fate)
}

// FailWriteLate makes the n-th write from now fail and take effect later: before the next write, or at [Storage.Land].
func (s *Storage) FailWriteLate(n int) { s.FailWriteAs(n, Late) }

// FailWriteAs makes the n-th write from now fail, n counted from 1, and meet the fate.
func (s *Storage) FailWriteAs(n int, fate Fate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until, s.fate, s.always, s.fired = n, fate, false, false
}

// Land applies the writes that are late.
func (s *Storage) Land() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.land()
}

// FailWrites makes every write fail, unapplied, until Heal.
func (s *Storage) FailWrites() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always, s.fate, s.fired = true, Lost, false
}

// FailGets makes every Get below the prefix fail until Heal.
func (s *Storage) FailGets(prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unread = prefix
}

// AlterGets makes every Get return what alter makes of the value, until Heal. What is stored stays as it is; nil is an
// entry that is not there.
func (s *Storage) AlterGets(alter func(path string, value []byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alter = alter
}

// Heal ends the failures. What is late still lands.
func (s *Storage) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until, s.always, s.unread, s.alter = 0, false, "", nil
}

// Fired reports whether a write has failed since FailWrite.
func (s *Storage) Fired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fired
}

// Reset returns the counts and starts them anew.
func (s *Storage) Reset() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.counts
	s.counts = Counts{}
	return counts
}

// Dump returns all that is stored.
func (s *Storage) Dump(ctx context.Context) (map[string][]byte, error) {
	paths, err := logical.CollectKeys(ctx, &s.inner)
	if err != nil {
		return nil, err
	}
	all := make(map[string][]byte, len(paths))
	for _, path := range paths {
		entry, err := s.inner.Get(ctx, path)
		if err != nil {
			return nil, err
		}
		all[path] = entry.Value
	}
	return all, nil
}

// List is logical.Storage's. It promises no order, and this one keeps none.
func (s *Storage) List(ctx context.Context, prefix string) ([]string, error) {
	s.count(func(c *Counts) { c.Lists++ })
	names, err := s.inner.List(ctx, prefix)
	slices.Reverse(names)
	return names, err
}

// Get is logical.Storage's.
func (s *Storage) Get(ctx context.Context, path string) (*logical.StorageEntry, error) {
	s.count(func(c *Counts) { c.Gets++ })
	if s.unreadable(path) {
		return nil, ErrInjected
	}
	entry, err := s.inner.Get(ctx, path)
	if err == nil && entry != nil {
		return s.altered(entry), nil
	}
	return entry, err
}

// Put is logical.Storage's.
func (s *Storage) Put(ctx context.Context, entry *logical.StorageEntry) error {
	s.count(func(c *Counts) { c.Puts++ })
	return s.write(ctx, func(ctx context.Context) error { return s.inner.Put(ctx, entry) })
}

// Delete is logical.Storage's.
func (s *Storage) Delete(ctx context.Context, path string) error {
	s.count(func(c *Counts) { c.Deletes++ })
	return s.write(ctx, func(ctx context.Context) error { return s.inner.Delete(ctx, path) })
}

func (s *Storage) unreadable(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unread != "" && strings.HasPrefix(path, s.unread)
}

func (s *Storage) altered(entry *logical.StorageEntry) *logical.StorageEntry {
	s.mu.Lock()
	alter := s.alter
	s.mu.Unlock()
	if alter == nil {
		return entry
	}
	value := alter(entry.Key, entry.Value)
	if value == nil {
		return nil
	}
	return &logical.StorageEntry{Key: entry.Key, Value: value, SealWrap: entry.SealWrap}
}

func (s *Storage) count(add func(*Counts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add(&s.counts)
}

// write runs do, unless this is the write that fails, and before it what is late.
func (s *Storage) write(ctx context.Context, do func(context.Context) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	fate, fails := s.next()
	if fails && fate == Late {
		s.late = append(s.late, func() error { return do(context.WithoutCancel(ctx)) })
	}
	if fails && fate != Applied {
		return ErrInjected
	}
	if err := s.land(); err != nil {
		return err
	}
	if err := do(ctx); err != nil || !fails {
		return err
	}
	return ErrInjected
}

// land is Land for who holds the writing lock.
func (s *Storage) land() error {
	late := s.late
	s.late = nil
	for _, do := range late {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Storage) next() (fate Fate, fails bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until > 0 {
		s.until--
		fails = s.until == 0
	}
	s.always = s.always || fails && s.fate == Last
	fails = fails || s.always
	s.fired = s.fired || fails
	return s.fate, fails
}
