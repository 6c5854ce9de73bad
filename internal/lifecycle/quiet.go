// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"maps"
	"time"
)

// KeepQuiet returns the key with the quiet periods that run under the terms written into its marks, so that other terms
// cannot end them early. Denied says when a use of a version was last denied, for 0 of any version; zero: never.
func (k Key) KeepQuiet(t Terms, denied func(version int) time.Time) Key {
	next := k
	next.Marks = maps.Clone(k.Marks)
	for v, mark := range k.Marks {
		if mark.State == Archived || mark.State == Compromised {
			mark.Until = laterOf(mark.Until, t.QuietUntil(mark.At, denied(v)))
			next.Marks[v] = mark
		}
	}
	next.share()
	if k.Mark.State == KeyArchived {
		next.Mark.Until = laterOf(k.Mark.Until, t.QuietUntil(k.Mark.At, denied(0)))
	}
	return next
}
