// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"time"
)

// mostTallied bounds the requests that one answer reads: the open ones, and as many that have ended.
const mostTallied = 2 * mostOpen

// Votes is how people have voted in the requests for consent that are kept.
type Votes struct {
	Of     map[string]VotesOf // by entity; who is not in it has no vote in any of them
	Since  time.Time          // none that was filed since then is dropped
	Unread int                // so many requests cannot be read
	Left   int                // so many more are kept, and were not looked at
}

// VotesOf is how somebody has voted.
type VotesOf struct {
	Count int       // of requests
	Last  time.Time // the last vote
}

// Votes reads requests, at most mostTallied of them, and returns how people voted.
func (s Approvals) Votes(ctx context.Context) (Votes, error) {
	at, err := s.situation(ctx)
	if err != nil {
		return Votes{}, err
	}
	ids, err := s.store.Approvals.RequestIDs(ctx)
	if err != nil {
		return Votes{}, err
	}
	looked := min(len(ids), mostTallied)
	kept, unread, err := s.readable(ctx, ids[:looked])
	votes := Votes{Of: map[string]VotesOf{}, Since: at.now.Add(-closedKept), Unread: unread, Left: len(ids) - looked}
	for _, r := range kept {
		for _, v := range r.Votes {
			votes.Of[v.Entity] = votes.Of[v.Entity].with(v.At)
		}
	}
	return votes, err
}

func (v VotesOf) with(at time.Time) VotesOf {
	v.Count++
	if at.After(v.Last) {
		v.Last = at
	}
	return v
}
