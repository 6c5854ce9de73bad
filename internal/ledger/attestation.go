// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Attested is a version that is to be attested.
type Attested struct {
	Key, KeyID         string
	Number             int
	Type               string
	Fingerprint        string
	Created, Activated time.Time // activated: zero, it never was active

	FingerprintOf func(ctx context.Context, number int) (string, error) // of another version; empty: it is not known any more
}

// mostSearched is how many custody records are searched for the one that made a version, where dates do not lead to it.
const mostSearched = 10_000

// Attest signs how a version was made: what custody keeps of the act, and what the version is. An act of the key that was cut short
// is ended, and the first signing key is made where there is none.
func (l Ledger) Attest(ctx context.Context, v Attested) (custody.Envelope, error) {
	head, err := l.store.Journals.JournalHead(ctx, v.Key)
	if err != nil {
		return custody.Envelope{}, err
	}
	record, line, err := l.making(ctx, v, head.Count)
	if err != nil {
		return custody.Envelope{}, err
	}
	making, err := v.completed(ctx, record)
	if err != nil {
		return custody.Envelope{}, err
	}
	making.Chain = custody.ChainHead(head)
	keys, err := l.signingKeys(ctx)
	if err != nil {
		return custody.Envelope{}, err
	}
	key, err := l.open(ctx, keys[len(keys)-1])
	if err != nil {
		return custody.Envelope{}, err
	}
	return custody.SignStatement(making, line, key)
}

// completed adds what the record does not say. What both say has to be the same.
func (v Attested) completed(ctx context.Context, r custody.Record) (custody.Making, error) {
	m, _ := custody.MakingOf(r, v.Number)
	if m.Fingerprint != "" && v.Fingerprint != m.Fingerprint {
		return m, refusal.Refusedf("version %d of key %q is not attested: its fingerprint is another than custody has recorded", v.Number, v.Key)
	}
	m.Type, m.Fingerprint, m.Created, m.Activated = v.Type, v.Fingerprint, v.Created, v.Activated
	if lifecycle.IsStagedText(r.To) && v.Activated.Unix() == v.Created.Unix() { // the date that it was staged
		m.Activated = time.Time{}
	}
	if m.Predecessor == nil && v.Number > 1 {
		m.Predecessor = &custody.Predecessor{Version: v.Number - 1}
	}
	if m.Predecessor == nil {
		return m, nil
	}
	fingerprint, err := v.FingerprintOf(ctx, m.Predecessor.Version)
	m.Predecessor = &custody.Predecessor{Version: m.Predecessor.Version, Fingerprint: fingerprint}
	return m, err
}

// making returns the record that begins the act which made the version, with its line. The date of the version leads there; where
// it does not, as of a version that was restored or by a clock that went back, the journal is searched.
func (l Ledger) making(ctx context.Context, v Attested, count int) (custody.Record, []byte, error) {
	start, err := l.firstSince(ctx, v, count)
	if err != nil {
		return custody.Record{}, nil, err
	}
	for _, after := range []int{start - 1, 0} {
		r, line, err := l.searchMaking(ctx, v, after)
		if err != nil || line != nil {
			return r, line, err
		}
		if start <= 1 {
			break
		}
	}
	return custody.Record{}, nil, refusal.NotFoundf("custody has no record of how version %d of key %q was made", v.Number, v.Key)
}

// firstSince returns the first record that is not older than the version, if times only grow.
func (l Ledger) firstSince(ctx context.Context, v Attested, count int) (seq int, err error) {
	seq = 1 + sort.Search(count, func(i int) bool {
		if err != nil {
			return true
		}
		var r *custody.Record
		r, err = l.record(ctx, v.Key, i+1)
		return r == nil || !r.Time.Before(v.Created)
	})
	return seq, err
}

// searchMaking looks through records behind number after for the first act that made the version, and did not fail; no line: there
// is none.
func (l Ledger) searchMaking(ctx context.Context, v Attested, after int) (making custody.Record, begun []byte, err error) {
	searched := 0
	for line, err := range l.store.Journals.Lines(ctx, v.Key, after) {
		if searched++; err != nil || searched > mostSearched {
			return custody.Record{}, nil, err
		}
		r, err := custody.Decode(line.Text)
		if err != nil {
			return custody.Record{}, nil, fmt.Errorf("record %d of key %q: %w", line.Seq, v.Key, err)
		}
		if begun != nil && r.Of == making.Seq && r.Outcome == custody.Done {
			return making, begun, nil
		}
		begun = nil
		if _, made := custody.MakingOf(r, v.Number); made && r.KeyID == v.KeyID {
			making, begun = r, line.Text
		}
	}
	return custody.Record{}, nil, nil
}
