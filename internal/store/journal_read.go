// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

// Line returns a custody record of a key as it is stored; nil where there is none of the number.
func (r Journals) Line(ctx context.Context, name string, seq int) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path := journalPath(name, seq)
	entry, err := r.get(ctx, path)
	if err != nil || entry == nil {
		return nil, storageError("get", path, err)
	}
	return entry.Value, nil
}

// seqs returns the numbers of the custody records that are stored of a key, in order.
func (r Journals) seqs(ctx context.Context, name string) ([]int, error) {
	names, err := r.list(ctx, journalPrefix+name+"/")
	seqs := make([]int, 0, len(names))
	for _, text := range names {
		if seq, err := strconv.Atoi(text); err == nil {
			seqs = append(seqs, seq)
		}
	}
	slices.Sort(seqs)
	return seqs, err
}

func lastSeq(ctx context.Context, r Journals, name string) (int, error) {
	seqs, err := r.seqs(ctx, name)
	if err != nil || len(seqs) == 0 {
		return 0, err
	}
	return seqs[len(seqs)-1], nil
}

// Lines returns the custody records of a key behind number after, in their order. They are read number by number; only
// where one is missing the journal is listed, once, for what lies behind the gap. The gap itself, also that of a record that
// vanishes meanwhile, is for verification to find.
func (r Journals) Lines(ctx context.Context, name string, after int) iter.Seq2[custody.Line, error] {
	return func(yield func(custody.Line, error) bool) {
		if last, gap := r.run(ctx, name, after, yield); gap {
			r.behindGap(ctx, name, last, yield)
		}
	}
}

// run yields the records behind number after up to the first that is missing; gap: it came to one.
func (r Journals) run(ctx context.Context, name string, after int, yield func(custody.Line, error) bool) (last int, gap bool) {
	for {
		text, err := r.Line(ctx, name, after+1)
		switch {
		case err != nil:
			yield(custody.Line{}, err)
			return after, false
		case text == nil:
			return after, true
		case !yield(custody.Line{Seq: after + 1, Text: text}, nil):
			return after, false
		}
		after++
	}
}

// behindGap yields the records that are listed behind number after.
func (r Journals) behindGap(ctx context.Context, name string, after int, yield func(custody.Line, error) bool) {
	seqs, err := r.seqs(ctx, name)
	if err != nil {
		yield(custody.Line{}, err)
		return
	}
	start, _ := slices.BinarySearch(seqs, after+1)
	for _, seq := range seqs[start:] {
		text, err := r.Line(ctx, name, seq)
		if err == nil && text == nil {
			continue
		}
		if !yield(custody.Line{Seq: seq, Text: text}, err) || err != nil {
			return
		}
	}
}

// ExpectedNames returns the names of the journals that there should be: of the keys, of the policies and of the mount.
func (r Journals) ExpectedNames(ctx context.Context) ([]string, error) {
	names, err := Keys(r).KeyNames(ctx)
	if err != nil {
		return nil, err
	}
	others, err := r.OtherNames(ctx)
	return append(names, others...), err
}

// OtherNames returns those of them that are of no key, that of the mount at the end.
func (r Journals) OtherNames(ctx context.Context) ([]string, error) {
	names, err := Policies(r).PolicyNames(ctx)
	for i, name := range names {
		names[i] = custody.PolicyChain(name)
	}
	return append(names, custody.MountChain), err
}

// JournalNames returns the names of all journals, in alphabetical order.
func (r Journals) JournalNames(ctx context.Context) ([]string, error) {
	folders, err := r.list(ctx, journalPrefix)
	for i := range folders {
		folders[i] = strings.TrimSuffix(folders[i], "/")
	}
	slices.Sort(folders) // with its slash a name sorts elsewhere
	return folders, err
}

// CheckJournal ends an act that was cut short, holds the stored journal of a key against what the key's own record says of
// it, and says what is wrong; empty: nothing.
func (r Journals) CheckJournal(ctx context.Context, name string) (problem string, err error) {
	if _, err := r.JournalHead(ctx, name); err != nil && !isDamage(err) {
		return "", err
	}
	return r.InspectJournal(ctx, name)
}

// InspectJournal is CheckJournal of what is stored, and writes nothing: an act that was cut short is left to who ends it.
func (r Journals) InspectJournal(ctx context.Context, name string) (problem string, err error) {
	if problem, err = checkEnd(ctx, r, name); isDamage(err) {
		problem, err = err.Error(), nil
	}
	if err == nil {
		r.s.observe.JudgeChain(name, observe.ChainEnd, problem == "")
	}
	return problem, err
}

// isDamage reports an error that says of what is stored that it is damaged.
func isDamage(err error) bool {
	for _, kind := range []error{ErrCorrupt, ErrNewerSchema, custody.ErrMalformed, custody.ErrNewer} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// checkEnd is InspectJournal without its telling. A key that is deleted has no record to hold its journal against.
func checkEnd(ctx context.Context, r Journals, name string) (problem string, err error) {
	unlock, err := r.lockChain(ctx, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	from, exists, err := namedInStorage(ctx, r, name)
	_, isPolicy := custody.PolicyOf(name)
	older := from.Count == 0 && !isPolicy && name != custody.MountChain // a key from before there was custody
	if err != nil || !exists || older {
		return "", err
	}
	at, err := r.readForward(ctx, name, from, true)
	if broken := new(ChainBrokenError); errors.As(asChainBroken(name, err), broken) {
		return fmt.Sprintf("key %q: %v", name, broken.error), nil
	}
	if err == nil && at.open == nil && at.done != from {
		problem = fmt.Sprintf("key %q: record %d, which the key's own record names, begins an act that ended as failed", name, from.Count)
	}
	return problem, err
}

// JournalHead returns the end of a key's journal, having ended an act that was cut short.
func (r Journals) JournalHead(ctx context.Context, name string) (custody.Head, error) {
	unlock, err := r.lockChain(ctx, name)
	if err != nil {
		return custody.Head{}, err
	}
	defer unlock()
	from, exists, err := r.named(ctx, name)
	if err != nil {
		return custody.Head{}, err
	}
	at, err := r.known(ctx, name, from, exists)
	if err != nil || at.open == nil {
		return at.head, err
	}
	if err := r.certain(ctx); err != nil {
		return custody.Head{}, err
	}
	if from, exists, err = r.named(ctx, name); err != nil {
		return custody.Head{}, err
	}
	at, err = r.chainHead(ctx, name, from, exists)
	return at.head, err
}

// Committed returns the number of the custody record that began the newest act on a key that took effect, 0 where the key is
// older than its journal; of a key that is not there any more, about the end of its journal.
func (r Journals) Committed(ctx context.Context, name string) (int, error) {
	from, exists, err := r.named(ctx, name)
	if err != nil || exists {
		return from.Count, err
	}
	last, err := lastSeq(ctx, r, name)
	return max(last-1, 0), err
}
