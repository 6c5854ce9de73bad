// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

const (
	keysPrefix  = "keys/"
	boundPrefix = "bound/"
)

func keyPath(name string) string           { return keysPrefix + name }
func boundPath(policy, name string) string { return boundPrefix + policy + "/" + name }

// KeyOf returns the key whose cached snapshot a change of the storage path makes stale.
func KeyOf(path string) (name string, ok bool) { return strings.CutPrefix(path, keysPrefix) }

// PolicyOf returns the policy whose cached snapshot a change of the storage path makes stale.
func PolicyOf(path string) (name string, ok bool) { return strings.CutPrefix(path, policiesPrefix) }

// Key returns the committed key. The error is [lifecycle.ErrNotFound] where there is none.
func (r Repo) Key(ctx context.Context, name string) (lifecycle.Key, error) {
	k, _, _, err := r.key(ctx, name)
	return k, err
}

// key returns the key, its chain of custody up to the act that wrote it, and the fields this release does not know.
func (r Repo) key(ctx context.Context, name string) (lifecycle.Key, custody.Head, unknown, error) {
	var rec keyRecord
	rest, found, err := read(ctx, r, keyPath(name), &rec)
	if err != nil {
		return lifecycle.Key{}, custody.Head{}, nil, err
	}
	if !found {
		return lifecycle.Key{}, custody.Head{}, nil, lifecycle.NoKey(name)
	}
	k, err := rec.key(name)
	if err != nil {
		return lifecycle.Key{}, custody.Head{}, nil, fmt.Errorf("%s: %w", keyPath(name), err)
	}
	return k, custody.Head{Count: rec.JournalCount, Hash: rec.JournalHash}, rest, nil
}

// KeyNames returns the names of all keys in alphabetical order.
func (r Repo) KeyNames(ctx context.Context) ([]string, error) { return r.list(ctx, keysPrefix) }

// CreateKey commits a new key with its first version. The error is [lifecycle.ErrExists] where the name is taken.
func (r Repo) CreateKey(ctx context.Context, c lifecycle.Commit) error {
	name := c.Key.Name
	defer r.s.keys.exclusive(name)()
	var rec keyRecord
	if _, found, err := read(ctx, r, keyPath(name), &rec); err != nil {
		return err
	} else if found {
		return lifecycle.Existsf("key %s already existed", name)
	}
	if err := r.finishErasure(ctx, name, allOfIt); err != nil {
		return err
	}
	_, err := r.record(ctx, change{Commit: c}, false)
	return err
}

// Act decides what becomes of a key.
type Act = func(lifecycle.Key) (lifecycle.Commit, error)

// UpdateKey replaces the key by what act makes of it, as one commit, and returns the committed key. No other writer
// of the key runs meanwhile. An error of act comes back as it is and nothing is written; after any other error the
// outcome is unknown until the key is read again.
func (r Repo) UpdateKey(ctx context.Context, name string, act Act) (lifecycle.Key, error) {
	defer r.s.keys.exclusive(name)()
	current, head, rest, err := r.key(ctx, name)
	if err != nil {
		return lifecycle.Key{}, err
	}
	c, err := act(current)
	if err != nil {
		return lifecycle.Key{}, err
	}
	if c.Version == nil && reflect.DeepEqual(c.Key, current) {
		return current, nil
	}
	return r.record(ctx, change{Commit: c, current: current, rest: rest, head: head}, true)
}

// change is one commit: from current (zero for a new key) to the commit's key.
type change struct {
	lifecycle.Commit
	current lifecycle.Key
	rest    unknown
	head    custody.Head
}

// record commits the change between the two custody records of the act, if it is one that custody keeps. Once the key
// record is written the act has happened: what cannot be written after it is left to recovery.
func (r Repo) record(ctx context.Context, c change, exists bool) (lifecycle.Key, error) {
	if c.Event.Act == "" {
		return r.commit(ctx, c)
	}
	at, event, err := r.tailOf(ctx, c, exists)
	if err != nil {
		return lifecycle.Key{}, err
	}
	if at, err = r.begin(ctx, c.Key, event, at); err != nil {
		return lifecycle.Key{}, err
	}
	c.head = at.head
	next, err := r.commit(ctx, c)
	if err != nil {
		return lifecycle.Key{}, err
	}
	_, _ = r.end(ctx, c.Key.Name, at, custody.Done, false)
	return next, nil
}

// entry is where an index lists a key; empty: nowhere.
type entry struct{ was, now string }

// commit writes what the next record refers to, then the record, then removes what only the old record referred to.
// A crash before the Put of the record leaves leavings that the next act overwrites or the tick removes; a crash
// after it leaves stale index entries that the tick removes. The last step therefore cannot fail the act.
func (r Repo) commit(ctx context.Context, c change) (lifecycle.Key, error) {
	next, err := r.prepare(ctx, c)
	if err != nil {
		return lifecycle.Key{}, err
	}
	entries := []entry{{duePath(c.current), duePath(next)}, {alertPath(c.current), alertPath(next)}}
	for _, e := range entries {
		if e.now != "" && e.now != e.was {
			if err := r.mark(ctx, e.now); err != nil {
				return lifecycle.Key{}, err
			}
		}
	}
	if err := r.putRecord(ctx, c, next); err != nil {
		return lifecycle.Key{}, err
	}
	for _, e := range entries {
		if e.was != "" && e.was != e.now {
			_ = r.delete(ctx, e.was)
		}
	}
	if c.current.Policy != "" && c.current.Policy != next.Policy {
		_ = r.delete(ctx, boundPath(c.current.Policy, next.Name))
	}
	return next, nil
}

// prepare writes what is harmless should the commit not come: a version above the latest, a page of dates, and the
// intent to move material to where the record says it belongs.
func (r Repo) prepare(ctx context.Context, c change) (lifecycle.Key, error) {
	if c.Version != nil {
		if err := r.putNew(ctx, c.Key.Name, *c.Version, c.Verify); err != nil {
			return lifecycle.Key{}, err
		}
	}
	if c.Settle != (lifecycle.Range{}) {
		if err := r.intendSettle(ctx, c.Key.Name, c.Settle); err != nil {
			return lifecycle.Key{}, err
		}
	}
	return r.page(ctx, c.Key)
}

// putRecord is the commit point. A key that is being bound holds its policy against deletion until the record says
// so.
func (r Repo) putRecord(ctx context.Context, c change, next lifecycle.Key) error {
	if next.Policy != "" && next.Policy != c.current.Policy {
		defer r.s.policies.shared(next.Policy)()
		if _, err := r.Policy(ctx, next.Policy); err != nil {
			return err
		}
		if err := r.mark(ctx, boundPath(next.Policy, next.Name)); err != nil {
			return err
		}
	}
	rec := recordOfKey(next)
	rec.JournalCount, rec.JournalHash = c.head.Count, c.head.Hash
	return r.put(ctx, keyPath(next.Name), rec, c.rest)
}
