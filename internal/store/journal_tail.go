// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// chain is the end of a key's journal as it is known. A chain is a value: [chain.with] returns another one.
type chain struct {
	head     custody.Head
	open     *custody.Record // the act that has begun and not ended; nil: none
	begun    custody.Head    // the record that begins the open act, else the newest
	outcome  custody.Outcome // of the newest act that has ended
	done     custody.Head    // the record that begins the newest act that took effect, which the key's record names
	requests []string        // by which the newest acts were asked for that took effect, the oldest first
}

// What is remembered of the requests that were carried out. Vault sends a request again at once when the plugin's process
// ends under it, so few acts can lie between both.
const (
	requestsKept = 32
	requestsFor  = 5 * time.Minute
)

// with returns the chain with one record more.
func (c chain) with(rec custody.Record, head custody.Head) chain {
	next := chain{head: head, done: c.done, requests: c.requests}
	if rec.Kind == custody.Begin {
		next.open, next.begun = &rec, head
		return next
	}
	if c.open == nil || rec.Of != c.begun.Count {
		return next
	}
	next.begun, next.outcome = c.begun, rec.Outcome
	if rec.Outcome != custody.Done {
		return next
	}
	if apartOf(*c.open) == "" {
		next.done = c.begun
	}
	if id := c.open.RequestID; id != "" {
		next.requests = append(slices.Clone(c.requests[max(0, len(c.requests)-requestsKept+1):]), id)
	}
	return next
}

// did reports whether the request is known to have been carried out.
func (c chain) did(request string) bool { return request != "" && slices.Contains(c.requests, request) }

// chainHead returns the end of a key's journal, having ended an act that was cut short. The caller holds the lock of the key
// and is certain of what it reads; from is what the key record says of the chain, zero where there is no record.
func (r Journals) chainHead(ctx context.Context, name string, from custody.Head, exists bool) (chain, error) {
	at, err := r.known(ctx, name, from, exists)
	switch {
	case err != nil:
		return at, err
	case at.head.Count+custody.ActRecords > custody.MaxSeq:
		return at, asChainBroken(name, fmt.Errorf("%s: %w: no number is left for the records of another act", journalPath(name, at.head.Count), ErrCorrupt))
	case at.open == nil:
		return at, nil
	}
	outcome, err := r.outcomeOf(ctx, at, from, exists)
	if err != nil {
		return at, err
	}
	return r.end(ctx, name, at, outcome, true)
}

// known returns the end of a key's journal from memory or from storage. The error matches [custody.ErrBroken] where the journal and
// the key's record contradict each other.
func (r Journals) known(ctx context.Context, name string, from custody.Head, exists bool) (chain, error) {
	if at, ok := r.s.chains.Get(name); ok && at.done.Count >= from.Count {
		return at, r.judged(name, checkDone(name, at, from, exists), false)
	}
	certain := r.s.doubts.none() // else a record may still land behind what is read
	at, err := r.readForward(ctx, name, from, exists)
	if err = r.judged(name, err, true); err != nil {
		return chain{}, err
	}
	if at.open == nil && certain {
		r.s.remember(name, at)
	}
	return at, nil
}

// checkDone holds that the key's record is that of the newest act that took effect: an older one that was put back denies
// what came after it.
func checkDone(name string, at chain, from custody.Head, exists bool) error {
	if !exists || at.done == from || at.done.Count < from.Count { // of the last: an act that recovery once took for failed
		return nil
	}
	return fmt.Errorf("%s: %w: record %d took effect, and the key's record names record %d", recordOf(name), ErrCorrupt, at.done.Count, from.Count)
}

// outcomeOf tells whether an act that was cut short took effect: the key record names the beginning of the act that
// wrote it, and a deletion took effect if the record is gone. An act that commits apart is told by that record.
func (r Journals) outcomeOf(ctx context.Context, at chain, from custody.Head, exists bool) (custody.Outcome, error) {
	if path := apartOf(*at.open); path != "" {
		var err error
		if from, exists, err = journaledAt(ctx, r.conn, path); err != nil {
			return "", err
		}
	}
	if (exists && from == at.begun) || (!exists && at.open.Act == string(acts.Delete)) {
		return custody.Done, nil
	}
	return custody.Failed, nil
}

// readForward reads the records from the one that the key's record names to the end, and before it as many as may be of
// requests that come again.
func (r Journals) readForward(ctx context.Context, name string, from custody.Head, exists bool) (chain, error) {
	start := from.Count
	if !exists {
		last, err := lastSeq(ctx, r, name)
		if err != nil {
			return chain{}, err
		}
		start = max(last-1, 0) // an act has two records
	}
	at, err := r.recent(ctx, name, start)
	if err != nil {
		return chain{}, err
	}
	if exists && at.head != from {
		return chain{}, fmt.Errorf("%s: %w: the key's record names another", journalPath(name, from.Count), ErrCorrupt)
	}
	for {
		next, err := r.link(ctx, name, at.head.Count+1)
		switch {
		case err != nil:
			return chain{}, err
		case next == nil:
			return at, checkDone(name, at, from, exists)
		case !next.follows(at.head):
			return chain{}, fmt.Errorf("%s: %w: the record belongs elsewhere", journalPath(name, at.head.Count+1), ErrCorrupt)
		}
		at = at.with(next.Record, next.head)
	}
}

// recent returns the chain up to record start. It begins far enough before it to know the requests that may come again, as
// far as these records can be read: nothing else depends on them.
func (r Journals) recent(ctx context.Context, name string, start int) (chain, error) {
	var links []*link // the newest first
	for seq := start; seq > 0 && len(links) < 2*requestsKept; seq-- {
		l, err := r.link(ctx, name, seq)
		if seq == start && err != nil {
			return chain{}, err
		}
		if err != nil || l == nil || len(links) > 0 && !links[len(links)-1].follows(l.head) {
			break
		}
		if links = append(links, l); r.s.now().Sub(l.Time) > requestsFor {
			break
		}
	}
	at := chain{}
	for _, l := range slices.Backward(links) {
		at = at.with(l.Record, l.head)
	}
	return at, nil
}

// link is a stored custody record, and the head of a chain that ends with it.
type link struct {
	custody.Record
	head custody.Head
}

// follows reports whether the record is the next one behind a head.
func (l *link) follows(before custody.Head) bool {
	return l.Seq == before.Count+1 && (before.Count == 0 || l.Prev == before.Hash)
}

// link returns the record of a number; nil: there is none. The error is [ErrCorrupt] or [custody.ErrMalformed] for one that
// does not belong there.
func (r Journals) link(ctx context.Context, name string, seq int) (*link, error) {
	line, err := r.Line(ctx, name, seq)
	if err != nil || line == nil {
		return nil, err
	}
	rec, err := custody.Decode(line)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", journalPath(name, seq), err)
	}
	instance, err := KEKs(r).instance(ctx)
	if err != nil {
		return nil, err
	}
	if rec.Seq != seq || rec.Key != name || rec.Instance != instance {
		return nil, fmt.Errorf("%s: %w: the record belongs elsewhere", journalPath(name, seq), ErrCorrupt)
	}
	return &link{rec, custody.Head{Count: seq, Hash: custody.Hash(line)}}, nil
}
