// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// line returns a custody record as it is stored; nil where there is none.
func (r Journals) line(ctx context.Context, name string, seq int) ([]byte, error) {
	path := journalPath(name, seq)
	entry, err := r.storage.Get(ctx, path)
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

func (r Journals) lastSeq(ctx context.Context, name string) (int, error) {
	seqs, err := r.seqs(ctx, name)
	if err != nil || len(seqs) == 0 {
		return 0, err
	}
	return seqs[len(seqs)-1], nil
}

// Page is a run of custody records, each as it is stored.
type Page struct {
	Lines []string
	Last  int  // seq of the last one
	More  bool // records follow
}

// Journal returns the custody records of a key behind seq after, at most so many. A record that is missing, also one
// that vanishes while the journal is read, leaves a gap, which is for verification to find; it hides none of those behind
// it.
func (r Journals) Journal(ctx context.Context, name string, after, limit int) (Page, error) {
	seqs, err := r.seqs(ctx, name)
	if err != nil {
		return Page{}, err
	}
	start, found := slices.BinarySearch(seqs, after)
	if found {
		start++
	}
	page := Page{Last: after}
	for _, seq := range seqs[start:] {
		if len(page.Lines) == limit {
			page.More = true
			break
		}
		line, err := r.line(ctx, name, seq)
		if err != nil {
			return Page{}, err
		}
		if line == nil {
			continue
		}
		page.Lines, page.Last = append(page.Lines, string(line)), seq
	}
	return page, nil
}

// JournalNames returns the names of all keys that have a journal, in alphabetical order.
func (r Journals) JournalNames(ctx context.Context) ([]string, error) {
	folders, err := r.list(ctx, journalPrefix)
	for i := range folders {
		folders[i] = strings.TrimSuffix(folders[i], "/")
	}
	slices.Sort(folders) // with its slash a name sorts elsewhere
	return folders, err
}

// CheckJournal holds the stored journal of a key against what the key's own record says of it, and says what is wrong;
// empty: nothing. A key that is deleted has no record to hold it against.
func (r Journals) CheckJournal(ctx context.Context, name string) (problem string, err error) {
	unlock, err := r.s.keys.exclusive(ctx, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	_, from, _, err := Keys(r).key(ctx, name)
	if errors.Is(err, lifecycle.ErrNotFound) || (err == nil && from.Count == 0) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	at, err := r.readForward(ctx, name, from, true)
	if broken := new(ChainBrokenError); errors.As(asChainBroken(err), broken) {
		return fmt.Sprintf("key %q: %v", name, broken.error), nil
	}
	if err == nil && at.open == nil && at.done != from {
		problem = fmt.Sprintf("key %q: record %d, which the key's own record names, begins an act that ended as failed", name, from.Count)
	}
	return problem, err
}

// JournalHead returns the end of a key's journal, having ended an act that was cut short.
func (r Journals) JournalHead(ctx context.Context, name string) (custody.Head, error) {
	unlock, err := r.s.keys.exclusive(ctx, name)
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

// named returns the custody record that the key's record names.
func (r Journals) named(ctx context.Context, name string) (from custody.Head, exists bool, err error) {
	_, from, _, err = Keys(r).key(ctx, name)
	if errors.Is(err, lifecycle.ErrNotFound) {
		return custody.Head{}, false, nil
	}
	return from, err == nil, err
}
