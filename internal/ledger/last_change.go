// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// Version is a version whose last change is asked for.
type Version struct {
	Key          string // name of the key
	KeyID        string
	Number       int
	Destroyed    bool // by itself: what becomes of the key changes it no more
	FollowsFloor bool // a floor that is moved past it changes its state
	LastAct      int  // the record that its key says began the act that changed it last; 0: it names none
	Since        int  // every act from this record on that changed it would be named; 0: none would
}

// lookBack is how many custody records are searched for the last change of a version, where its key names none.
const lookBack = 256

// LastChange returns the record that began the newest act that changed the version; nil: none is known that is not too
// long ago.
func (l Ledger) LastChange(ctx context.Context, v Version) (*custody.Record, error) {
	if v.LastAct > 0 {
		record, err := l.record(ctx, v.Key, v.LastAct)
		if err != nil || record != nil && v.changedBy(*record) {
			return record, err
		}
	} else if v.Since == 1 {
		return nil, nil //nolint:nilnil // nothing ever changed it
	}
	return l.search(ctx, v)
}

// record returns a record of a key; nil where there is none of the number, or another key's.
func (l Ledger) record(ctx context.Context, name string, seq int) (*custody.Record, error) {
	line, err := l.store.Journals.Line(ctx, name, seq)
	if err != nil || line == nil {
		return nil, err
	}
	record, err := custody.Decode(line)
	if err != nil || record.Key != name || record.Seq != seq {
		return nil, err
	}
	return &record, nil
}

// search looks for the last change backward from the newest act, through the acts that the key does not know of.
func (l Ledger) search(ctx context.Context, v Version) (*custody.Record, error) {
	newest, err := l.store.Journals.Committed(ctx, v.Key)
	if err != nil {
		return nil, err
	}
	oldest := max(newest-lookBack, 0)
	if v.LastAct == 0 && v.Since > 0 {
		newest = min(newest, v.Since-1)
	}
	failed := map[int]bool{}
	for seq := newest; seq > oldest; seq-- {
		record, err := l.record(ctx, v.Key, seq)
		switch {
		case err != nil:
			return nil, err
		case record == nil:
		case record.Kind == custody.End:
			failed[record.Of] = record.Outcome == custody.Failed
		case !failed[seq] && v.changedBy(*record):
			return record, nil
		}
	}
	return nil, nil //nolint:nilnil // none is known
}

// changedBy tells whether an act changed the version: it names it, it was one on the whole key, or it moved a floor past
// it. A version that came later has a record of its own, which is newer.
func (v Version) changedBy(r custody.Record) bool {
	number := strconv.Itoa(v.Number)
	switch {
	case r.Kind != custody.Begin, r.KeyID != v.KeyID:
		return false // of an earlier key of the name
	case slices.Contains(r.Versions, v.Number), r.Details["superseded"] == number, r.Details["successor"] == number:
		return true
	case passed(r.Details["min_available_version"], v.Number):
		return true
	case v.Destroyed:
		return false
	default:
		wholeKey := len(r.Versions) == 0 && r.To != ""
		return wholeKey || v.FollowsFloor && passed(r.Details["min_decryption_version"], v.Number)
	}
}

// passed tells whether a floor that moved "from -> to" changed what is below it.
func passed(change string, version int) bool {
	var from, to int
	if _, err := fmt.Sscanf(change, "%d -> %d", &from, &to); err != nil {
		return false
	}
	return version >= min(from, to) && version < max(from, to)
}
