// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// OldestToDate returns the oldest version that the clock may archive where only the store knows since when it is superseded;
// 0: nothing is missing for [Key.WithOldest].
func (k Key) OldestToDate(p *policy.Policy) int {
	v := oldestDeactivated(k)
	if k.RulesFor(p).ArchiveAfter == 0 || !k.Overrides[v].At.IsZero() {
		return 0
	}
	return v
}

// oldestDeactivated returns the oldest version that the clock may archive; 0: there is none.
func oldestDeactivated(k Key) int {
	for v := max(k.MinDecryption, k.MinAvailable, k.DestroyedBelow, 1); v <= k.Latest; v++ {
		if k.versionState(v) == Deactivated && k.Overrides[v].ArchiveAt.IsZero() {
			return v
		}
	}
	return 0
}

// WithOldest returns the key with the oldest version that the clock may archive. Dates hold when versions were made; a
// version was superseded when its successor was.
func (k Key) WithOldest(p *policy.Policy, dates map[int]time.Time) Key {
	next := k
	next.Oldest = Oldest{}
	v := oldestDeactivated(k)
	if v == 0 || k.RulesFor(p).ArchiveAfter == 0 {
		return next
	}
	at := k.Overrides[v].At
	if at.IsZero() {
		at = dates[v+1]
	}
	if !at.IsZero() { // archived on no guess
		next.Oldest = Oldest{Version: v, Deactivated: at}
	}
	return next
}
