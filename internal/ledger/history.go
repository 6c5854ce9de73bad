// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// History is a page of the records of one journal.
type History struct {
	Records []custody.Record
	Next    int // what the next page begins behind; 0: this was the last one
}

// History returns records of a chain behind number after, at most limit. The history of a name outlives the key or the policy;
// the error is refusal.ErrNotFound where there never was one of the name.
func (l Ledger) History(ctx context.Context, name string, after, limit int) (History, error) {
	page, err := firstLines(l.store.Journals.Lines(ctx, name, after), limit)
	if err != nil {
		return History{}, err
	}
	if len(page.lines) == 0 {
		if err := l.checkKnown(ctx, name); err != nil {
			return History{}, err
		}
	}
	h := History{Records: make([]custody.Record, len(page.lines))}
	for i, line := range page.lines {
		if h.Records[i], err = custody.Decode(line.Text); err != nil {
			return History{}, err
		}
	}
	if page.more {
		h.Next = page.last()
	}
	return h, nil
}

// checkKnown reports whether there ever was a key or a policy of the name. The chain of the mount is there before its first act.
func (l Ledger) checkKnown(ctx context.Context, name string) error {
	page, err := firstLines(l.store.Journals.Lines(ctx, name, 0), 1)
	policy, isPolicy := custody.PolicyOf(name)
	switch {
	case err != nil || len(page.lines) > 0 || name == custody.MountChain:
		return err
	case isPolicy:
		return refusal.NoPolicy(policy)
	default:
		return refusal.NoKey(name)
	}
}

// Act is an act as its beginning tells it, with how it ended.
type Act struct {
	custody.Record
	Outcome custody.Outcome // empty: no record says so
}

// Acts returns acts of a chain whose beginnings are behind number after, the oldest first, at most limit; more: others follow.
// The error is that of [Ledger.History].
func (l Ledger) Acts(ctx context.Context, name string, after, limit int) (acts []Act, more bool, err error) {
	page, err := firstLines(l.store.Journals.Lines(ctx, name, after), 2*limit+1) // the first may be the end of an act before
	if err == nil && len(page.lines) == 0 {
		err = l.checkKnown(ctx, name)
	}
	if err != nil {
		return nil, false, err
	}
	acts, err = actsOf(page.lines)
	more = page.more || len(acts) > limit
	return acts[:min(limit, len(acts))], more, err
}

// NewestActs returns the newest acts of a chain, the oldest of them first, at most limit; older: there are others.
func (l Ledger) NewestActs(ctx context.Context, name string, limit int) (acts []Act, older bool, err error) {
	newest, err := l.store.Journals.Committed(ctx, name)
	if err != nil {
		return nil, false, err
	}
	after := max(newest+1-2*limit, 0) // with the end of the newest act
	page, err := firstLines(l.store.Journals.Lines(ctx, name, after), custody.MaxSeq)
	if err == nil && len(page.lines) == 0 {
		err = l.checkKnown(ctx, name)
	}
	if err != nil {
		return nil, false, err
	}
	acts, err = actsOf(page.lines)
	over := max(len(acts)-limit, 0)
	return acts[over:], after > 0 || over > 0, err
}

// actsOf returns the acts that begin in these records, each with its outcome where that is among them.
func actsOf(lines []custody.Line) (acts []Act, err error) {
	for _, line := range lines {
		record, err := custody.Decode(line.Text)
		if err != nil {
			return nil, err
		}
		last := len(acts) - 1
		switch {
		case record.Kind == custody.Begin:
			acts = append(acts, Act{Record: record})
		case last >= 0 && acts[last].Seq == record.Of:
			acts[last].Outcome = record.Outcome
		}
	}
	return acts, nil
}

// page is a run of records.
type page struct {
	lines []custody.Line
	more  bool // others follow
}

func (p page) last() int { return p.lines[len(p.lines)-1].Seq }

// firstLines returns the first records, at most limit.
func firstLines(lines iter.Seq2[custody.Line, error], limit int) (p page, err error) {
	for line, err := range lines {
		if err != nil {
			return page{}, err
		}
		if len(p.lines) == limit {
			p.more = true
			break
		}
		p.lines = append(p.lines, line)
	}
	return p, nil
}

// Export returns records of all journals behind a cursor, at most limit, each as the text that is hashed; next is the
// cursor of the page that follows, empty for the last one.
func (l Ledger) Export(ctx context.Context, cursor string, limit int) (lines []string, next string, err error) {
	from, seq, err := readCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	names, err := l.store.Journals.JournalNames(ctx)
	if err != nil {
		return nil, "", err
	}
	lines = []string{}
	start, _ := slices.BinarySearch(names, from)
	for _, name := range names[start:] {
		if name != from {
			seq = 0
		}
		for line, err := range l.store.Journals.Lines(ctx, name, seq) {
			if err != nil {
				return nil, "", err
			}
			if lines = append(lines, string(line.Text)); len(lines) == limit {
				return lines, name + "/" + strconv.Itoa(line.Seq), nil
			}
		}
	}
	return lines, "", nil
}

// readCursor splits "name/seq".
func readCursor(text string) (name string, seq int, err error) {
	if text == "" {
		return "", 0, nil
	}
	name, number, found := strings.Cut(text, "/")
	last, err := strconv.ParseInt(number, 10, 32)
	if !found || err != nil || last < 0 {
		return "", 0, refusal.InvalidField("after", text, "must be a next_after of this path")
	}
	return name, int(last), nil
}
