// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
)

// lookBack is how many custody records are searched for the last change of a version.
const lookBack = 256

// lastChange returns the newest act that changed the version, as far as it is not too long ago.
func (b *backend) lastChange(ctx context.Context, c *request, v engine.VersionDetail) (map[string]any, error) {
	head, err := c.store.JournalHead(ctx, fName.get(c))
	if err != nil {
		return nil, err
	}
	page, err := c.store.Journal(ctx, fName.get(c), max(head.Count-lookBack, 0), lookBack)
	if err != nil {
		return nil, err
	}
	failed := map[int]bool{}
	for _, line := range slices.Backward(page.Lines) {
		record, err := custody.Decode([]byte(line))
		if err != nil {
			return nil, err
		}
		if record.Kind == custody.End {
			failed[record.Of] = record.Outcome == custody.Failed
		} else if !failed[record.Seq] && concerns(record, v) {
			return recordData(record), nil
		}
	}
	return map[string]any{}, nil
}

// concerns tells whether an act changed the version: it names it, it was one on the whole key, or it moved a floor past
// it. A version that came later has a record of its own, which is newer.
func concerns(r custody.Record, v engine.VersionDetail) bool {
	number := strconv.Itoa(v.Number)
	switch {
	case r.KeyID != v.KeyID:
		return false // of an earlier key of the name
	case slices.Contains(r.Versions, v.Number), r.Details["superseded"] == number, r.Details["successor"] == number:
		return true
	case v.Gone:
		return passed(r.Details["min_available_version"], v.Number)
	default:
		wholeKey := len(r.Versions) == 0 && r.To != ""
		return wholeKey || (v.Override.FollowsFloor() && passed(r.Details["min_decryption_version"], v.Number)) || passed(r.Details["min_available_version"], v.Number)
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
