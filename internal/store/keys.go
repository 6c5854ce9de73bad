// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
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

// Key returns the committed key. The error is [refusal.ErrNotFound] where there is none.
func (r Keys) Key(ctx context.Context, name string) (lifecycle.Key, error) {
	k, _, _, err := r.key(ctx, name)
	return k, err
}

// key returns the key, its chain of custody up to the act that wrote it, and the fields this release does not know.
func (r Keys) key(ctx context.Context, name string) (lifecycle.Key, custody.Head, unknown, error) {
	var rec keyRecord
	rest, found, err := read(ctx, r.conn, keyPath(name), &rec)
	if err != nil {
		return lifecycle.Key{}, custody.Head{}, nil, err
	}
	if !found {
		return lifecycle.Key{}, custody.Head{}, nil, refusal.NoKey(name)
	}
	k, err := rec.key(name)
	if err != nil {
		return lifecycle.Key{}, custody.Head{}, nil, fmt.Errorf("%s: %w", keyPath(name), err)
	}
	return k, custody.Head{Count: rec.JournalCount, Hash: rec.JournalHash}, rest, nil
}

// LookAt calls look with the committed key, while no act on it runs. The error is [refusal.ErrNotFound] where there is none, or look's.
func (r Keys) LookAt(ctx context.Context, name string, look func(k lifecycle.Key) error) error {
	unlock, err := r.s.keys.exclusive(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	k, err := r.Key(ctx, name)
	if err != nil {
		return err
	}
	return look(k)
}

// KeyNames returns the names of all keys in alphabetical order, but that of the wrapping key.
func (r Keys) KeyNames(ctx context.Context) ([]string, error) {
	names, err := r.list(ctx, keysPrefix)
	return slices.DeleteFunc(names, func(name string) bool { return name == lifecycle.WrappingKey }), err
}

// CreateKey commits a new key with its first version, or a restored one with all of its versions. The error is [refusal.ErrExists] where the name is taken.
func (r Keys) CreateKey(ctx context.Context, c lifecycle.Commit) error {
	name := c.Key.Name
	unlock, err := r.lock(ctx, &r.s.keys, name)
	if err != nil {
		return err
	}
	defer unlock()
	var rec keyRecord
	if _, found, err := read(ctx, r.conn, keyPath(name), &rec); err != nil {
		return err
	} else if found {
		return refusal.Existsf("key %s already existed", name)
	}
	if err := r.finishErasure(ctx, name, allOfIt); err != nil {
		return err
	}
	c.Key.CreatedBy = r.caller.Actor.EntityID
	made := change{Commit: c}
	next, err := r.record(ctx, made, false)
	r.s.tell(name, nil, &next, err)
	r.restored(ctx, made, err)
	return err
}

// Act decides what becomes of a key. It may be asked more than once.
type Act = func(lifecycle.Key) (lifecycle.Commit, error)

// UpdateKey replaces the key by what act makes of it, as one commit, and returns the committed key. No other writer
// of the key runs meanwhile. An error of act comes back as it is and nothing is written; after any other error the
// outcome is unknown until the key is read again. A request that custody knows to be carried out is not carried out again:
// the error is [refusal.ErrRepeated] then, beside the key as it is.
//
// An act whose error has the methods Prepare and Overtaken is prepared while other writers may run, and asked again: about the
// same key where none did, else about the key as it is then.
func (r Keys) UpdateKey(ctx context.Context, name string, act Act) (lifecycle.Key, error) {
	var next lifecycle.Key
	var c change
	err := r.prepared(ctx, name, func(anew bool) (err error) {
		if anew {
			if c.current, c.head, c.rest, err = r.key(ctx, name); err != nil {
				return err
			}
			if Journals(r).repeated(ctx, name, c.head, true) {
				next = c.current
				return refusal.ErrRepeated
			}
		}
		if c.Commit, err = act(c.current); err != nil {
			return err
		}
		if c.Version == nil && !c.KeyStays && reflect.DeepEqual(c.Key, c.current) {
			next = c.current
			return nil
		}
		next, err = r.record(ctx, c, true)
		r.s.tell(name, &c.current, &next, err)
		return err
	})
	return next, err
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
func (r Keys) record(ctx context.Context, c change, exists bool) (lifecycle.Key, error) {
	if err := Objects(r).claim(ctx, c.Version); err != nil {
		return lifecycle.Key{}, err
	}
	if c.Event.Act == "" {
		return r.commit(ctx, c)
	}
	at, event, err := Journals(r).headForAct(ctx, c, exists)
	if err != nil {
		return lifecycle.Key{}, err
	}
	var next lifecycle.Key
	outcome, err := Journals(r).recorded(ctx, act{c.Key.Name, c.Key.ID, event}, at, func(ctx context.Context, begun custody.Head) (err error) {
		c.head = begun
		if !c.KeyStays {
			c.Key.LastActs = c.current.LastActs.After(begun.Count, event, c.current, c.Key)
		}
		next, err = r.commit(ctx, c)
		return err
	})
	switch {
	case outcome == custody.Failed && c.Version != nil && c.Version.Number > c.current.Latest: // nothing refers to it, and nothing will
		err := r.delete(context.WithoutCancel(ctx), versionPath(c.Key.Name, c.Version.Number))
		r.dropped("version of an act that failed is left", err)
	case outcome == custody.Done && next.ID == "": // the write of the record was reported as failed
		return r.Key(ctx, c.Key.Name)
	}
	return next, err
}

// entriesOf returns where the indexes list a key: in that of what is due, and in that of alerts.
func entriesOf(k lifecycle.Key) []string {
	entries := alertPaths(k)
	if due := duePath(k); due != "" {
		entries = append([]string{due}, entries...)
	}
	return entries
}

// commit writes what the next record refers to, then the record, then removes what only the old record referred to.
// A crash before the Put of the record leaves orphans that the next act overwrites or the tick removes; a crash
// after it leaves stale index entries that the tick removes. The last step therefore cannot fail the act.
func (r Keys) commit(ctx context.Context, c change) (lifecycle.Key, error) {
	next, err := r.prepare(ctx, c)
	if err != nil {
		return lifecycle.Key{}, err
	}
	was, now := entriesOf(c.current), entriesOf(next)
	for _, entry := range now {
		if slices.Contains(was, entry) {
			continue
		}
		if err := r.mark(ctx, entry); err != nil {
			return lifecycle.Key{}, err
		}
	}
	if err := r.putRecord(ctx, c, next); err != nil {
		return lifecycle.Key{}, err
	}
	for _, entry := range was {
		if !slices.Contains(now, entry) {
			r.dropped("stale index entry is left", r.delete(ctx, entry))
		}
	}
	r.dropChains(ctx, c)
	if c.current.Policy != "" && c.current.Policy != next.Policy {
		r.dropped("stale index entry is left", r.delete(ctx, boundPath(c.current.Policy, next.Name)))
	}
	return next, nil
}

// prepare writes what is harmless should the commit not come: a version above the latest, a page of dates, and the
// intent to move material to where the record says it belongs.
func (r Keys) prepare(ctx context.Context, c change) (lifecycle.Key, error) {
	if err := r.prepareRestored(ctx, c); err != nil {
		return lifecycle.Key{}, err
	}
	if c.Version != nil {
		if err := Versions(r).putNew(ctx, c.Key.Name, *c.Version, c.Verify); err != nil {
			return lifecycle.Key{}, err
		}
	}
	if err := r.putChains(ctx, c); err != nil {
		return lifecycle.Key{}, err
	}
	if c.Relocate != (lifecycle.Range{}) {
		if err := Relocations(r).intendRelocation(ctx, c.Key.Name, c.Relocate); err != nil {
			return lifecycle.Key{}, err
		}
	}
	return Versions(r).page(ctx, c.Key)
}

// putRecord is the commit point. A key that is being bound holds its policy against deletion until the record says
// so.
func (r Keys) putRecord(ctx context.Context, c change, next lifecycle.Key) error {
	if next.Policy != "" && next.Policy != c.current.Policy {
		unlock, err := r.s.policies.shared(ctx, next.Policy)
		if err != nil {
			return err
		}
		defer unlock()
		if _, err := Policies(r).Policy(ctx, next.Policy); err != nil {
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
