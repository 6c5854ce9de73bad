// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// journalPrefix is journal/<name>/<seq>: the custody records of a key, as the exact bytes that are hashed. They are
// never rewritten or deleted, also not with their key; a name that is used again goes on with its chain.
//
// Every act begins with a record before it takes effect, and ends with one after. The key record holds the chain up
// to the beginning of the act that wrote it: that is how an act that was cut short is told from one that committed.
const journalPrefix = "journal/"

func journalPath(name string, seq int) string {
	return fmt.Sprintf("%s%s/%010d", journalPrefix, name, seq)
}

// Who is on whose behalf a request acts.
type Who struct {
	Actor     custody.Actor
	RequestID string
	Accessor  func() string // digest of the token accessor; nil: none. Asked for only where a record is written
}

func (w Who) actor() custody.Actor {
	actor := w.Actor
	if w.Accessor != nil {
		actor.TokenAccessorHMAC = w.Accessor()
	}
	return actor
}

// chain is the end of a key's journal as it is known.
type chain struct {
	head custody.Head
	open *custody.Record // the last record, if it begins an act that has no end
}

// begin records that an act is about to take effect.
func (r Repo) begin(ctx context.Context, k lifecycle.Key, e lifecycle.Event, at chain) (chain, error) {
	return r.append(ctx, k.Name, at, custody.Record{
		Kind: custody.Begin, KeyID: k.ID, Act: e.Act, Versions: e.Versions, From: e.From, To: e.To, Actor: r.who.actor(),
		Reason: custody.Clip(e.Reason), Policy: e.Policy, PolicyRevision: e.PolicyRevision, RequestID: r.who.RequestID, Details: clipped(e.Details),
	})
}

// clipped makes details fit a record.
func clipped(details map[string]string) map[string]string {
	out := make(map[string]string, len(details))
	for name, text := range details {
		out[name] = custody.Clip(text)
	}
	return out
}

// end records how the act that is open in the chain went.
func (r Repo) end(ctx context.Context, name string, at chain, outcome custody.Outcome, recovered bool) (chain, error) {
	return r.append(ctx, name, at, custody.Record{
		Kind: custody.End, Of: at.head.Count, Outcome: outcome, Recovered: recovered,
	})
}

func (r Repo) append(ctx context.Context, name string, at chain, rec custody.Record) (chain, error) {
	instance, err := r.instance(ctx)
	if err != nil {
		return chain{}, err
	}
	rec.Instance, rec.Key, rec.Time = instance, name, r.s.now()
	line, head, err := at.head.Append(rec)
	if err != nil {
		return chain{}, fmt.Errorf("custody record of %q: %w", name, err)
	}
	r.s.chains.Remove(name) // until it is known that the write arrived
	path := journalPath(name, head.Count)
	if err := r.storage.Put(ctx, &logical.StorageEntry{Key: path, Value: line}); err != nil {
		return chain{}, storageError("put", path, err)
	}
	next := chain{head: head}
	if rec.Kind == custody.Begin {
		next.open = &rec
	} else {
		r.s.chains.Add(name, head)
	}
	return next, nil
}

// tail returns the end of a key's journal, having ended an act that was cut short. The caller holds the lock of the
// key; from is what the key record says of the chain, zero where there is no record.
func (r Repo) tail(ctx context.Context, name string, from custody.Head, exists bool) (chain, error) {
	if head, ok := r.s.chains.Get(name); ok {
		return chain{head: head}, nil
	}
	at := chain{head: from}
	if !exists {
		last, err := r.lastSeq(ctx, name)
		if err != nil {
			return chain{}, err
		}
		at.head = custody.Head{Count: max(last-1, 0)}
	}
	at, err := r.follow(ctx, name, at)
	if err != nil {
		return chain{}, asBreak(err)
	}
	if at.open == nil {
		r.s.chains.Add(name, at.head)
		return at, nil
	}
	return r.end(ctx, name, at, settled(at, from, exists), true)
}

// settled tells whether an act that was cut short took effect: the key record names the beginning of the act that
// wrote it, and a deletion took effect if the record is gone.
func settled(at chain, from custody.Head, exists bool) custody.Outcome {
	if (exists && from.Count >= at.head.Count) || (!exists && at.open.Act == actDelete) {
		return custody.Done
	}
	return custody.Failed
}

// actDelete is the one act that a missing key record completes.
const actDelete = "delete"

// follow reads the records behind a known point of the chain.
func (r Repo) follow(ctx context.Context, name string, at chain) (chain, error) {
	known := at.head
	if known.Count > 0 { // the record at the point tells whether an act is open
		at.head.Count--
	}
	for {
		line, err := r.line(ctx, name, at.head.Count+1)
		if err != nil {
			return at, err
		}
		if at.head.Count+1 == known.Count && known.Hash != "" && custody.Hash(line) != known.Hash {
			return at, fmt.Errorf("%s: %w: the key's record names another", journalPath(name, known.Count), ErrCorrupt)
		}
		if line == nil {
			return at, nil
		}
		rec, err := custody.Decode(line)
		if err != nil {
			return at, fmt.Errorf("%s: %w", journalPath(name, at.head.Count+1), err)
		}
		at = chain{head: custody.Head{Count: rec.Seq, Hash: custody.Hash(line)}}
		if rec.Kind == custody.Begin {
			at.open = &rec
		}
	}
}
