// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger

import (
	"context"
	"errors"
	"slices"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Checkpoint states, signed, how far journals have come.
type Checkpoint struct {
	custody.Signed
	Broken []string // journals whose end was altered or lost: nobody can vouch for them
	Next   string   // the last journal of this checkpoint, if others follow
}

// Checkpoint signs the ends of journals: that of name or, where name is empty, of the first ones behind after, at most
// limit.
func (l Ledger) Checkpoint(ctx context.Context, name, after string, limit int) (Checkpoint, error) {
	instance, err := l.store.Identity.Instance(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	if name != "" { // or a key would be made for nothing
		if _, _, err := l.namesBehind(ctx, name, after, limit); err != nil {
			return Checkpoint{}, err
		}
	}
	keys, err := l.signingKeys(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	key, err := l.open(ctx, keys[len(keys)-1])
	if err != nil {
		return Checkpoint{}, err
	}
	names, next, err := l.namesBehind(ctx, name, after, limit) // of which one may hold that the key was made
	if err != nil {
		return Checkpoint{}, err
	}
	heads, broken, err := l.heads(ctx, names)
	if err != nil {
		return Checkpoint{}, err
	}
	at := l.Now()
	signed, err := custody.SignCheckpoint(custody.Checkpoint{Instance: instance, Time: at, Heads: heads}, key)
	if err == nil && name == "" {
		l.Observe.CheckpointMade(at, after, next)
	}
	return Checkpoint{Signed: signed, Broken: broken, Next: next}, err
}

// namesBehind returns the journals that a checkpoint is to cover, and where the next one begins.
func (l Ledger) namesBehind(ctx context.Context, name, after string, limit int) (names []string, next string, err error) {
	if names, err = l.store.Journals.JournalNames(ctx); err != nil {
		return nil, "", err
	}
	if name != "" {
		return only(names, name)
	}
	start, found := slices.BinarySearch(names, after)
	if found {
		start++
	}
	if names = names[start:]; len(names) > limit {
		names, next = names[:limit], names[limit-1]
	}
	return names, next, nil
}

// only returns the one name, if it is among the names.
func only(names []string, name string) (one []string, next string, err error) {
	if _, found := slices.BinarySearch(names, name); !found {
		return nil, "", refusal.NoKey(name)
	}
	return []string{name}, "", nil
}

func (l Ledger) heads(ctx context.Context, names []string) (heads []custody.KeyHead, broken []string, err error) {
	heads, broken = []custody.KeyHead{}, []string{}
	for _, name := range names {
		head, err := l.store.Journals.JournalHead(ctx, name)
		switch {
		case errors.Is(err, custody.ErrBroken):
			broken = append(broken, name)
		case err != nil:
			return nil, nil, err
		default:
			heads = append(heads, custody.KeyHead{Key: name, Count: head.Count, Hash: head.Hash})
		}
	}
	return heads, broken, nil
}
