// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// journalPrefix is journal/<name>/<seq>: the custody records of a key, as the exact bytes that are hashed. They are
// never rewritten or deleted, also not with their key; a name that is used again goes on with its chain.
//
// Policies and the settings of the mount have journals too, under names that no key has (see [custody.MountChain]).
//
// Every act begins with a record before it takes effect, and ends with one after. The record that the act commits with holds
// the chain up to the beginning of the act that wrote it: that is how an act that was cut short is told from one that
// committed.
const journalPrefix = "journal/"

func journalPath(name string, seq int) string {
	return fmt.Sprintf("%s%s/%010d", journalPrefix, name, seq)
}

// Caller is on whose behalf a request acts.
type Caller struct {
	Actor     custody.Actor
	RequestID string
	Accessor  func() string // digest of the token accessor; nil: none. Asked for only where a record is written
}

func (w Caller) actor() custody.Actor {
	actor := w.Actor
	if w.Accessor != nil {
		actor.TokenAccessorHMAC = w.Accessor()
	}
	return actor
}

// begin records that an act is about to take effect. The first act of a mount, of whatever kind, gives it its identity.
func (r Journals) begin(ctx context.Context, a act, at chain) (chain, error) {
	if _, err := KEKs(r).instance(ctx); errors.Is(err, errNoInstance) && r.identifier != nil {
		if err := r.identifier.Identify(ctx); err != nil {
			return chain{}, err
		}
	}
	e := a.event
	return r.append(ctx, a.chain, at, custody.Record{
		Kind: custody.Begin, KeyID: a.keyID, Act: e.Act, Versions: e.Versions, From: e.From, To: e.To, Actor: r.caller.actor(),
		Reason: custody.Clip(e.Reason), Policy: e.Policy, PolicyRevision: e.PolicyRevision, RequestID: r.caller.RequestID, Details: clipped(e.Details),
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
func (r Journals) end(ctx context.Context, name string, at chain, outcome custody.Outcome, recovered bool) (chain, error) {
	return r.append(ctx, name, at, custody.Record{
		Kind: custody.End, Of: at.head.Count, Outcome: outcome, Recovered: recovered,
	})
}

func (r Journals) append(ctx context.Context, name string, at chain, rec custody.Record) (chain, error) {
	instance, err := KEKs(r).instance(ctx)
	if err != nil {
		return chain{}, err
	}
	rec.Instance, rec.Key, rec.Time = instance, name, r.s.now()
	line, head, err := at.head.Append(rec)
	if err != nil {
		return chain{}, fmt.Errorf("custody record of %q: %w", name, err)
	}
	r.s.chains.Remove(name) // until it is known that the write arrived
	if err := r.putEntry(ctx, journalPath(name, head.Count), line); err != nil {
		return chain{}, err
	}
	r.s.observe.CustodyRecords.Add(1)
	next := at.with(rec, head)
	if next.open == nil {
		r.s.remember(name, next)
	}
	return next, nil
}
