// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"maps"
	"time"
)

// PinQuietPeriods returns the key with the quiet periods that run under the rules written into its overrides, so that other rules
// cannot end them early. Denied says when a use of a version was last denied, for 0 of any version; zero: never.
func (k Key) PinQuietPeriods(t EffectiveRules, denied func(version int) time.Time) Key {
	next := k
	next.Overrides = maps.Clone(k.Overrides)
	for v, override := range k.Overrides {
		if override.State == Archived || override.State == Compromised {
			override.RetireNotBefore = laterOf(override.RetireNotBefore, t.QuietUntil(override.At, denied(v)))
			next.Overrides[v] = override
		}
	}
	next.share()
	if k.Status.State == KeyArchived {
		next.Status.RetireNotBefore = laterOf(k.Status.RetireNotBefore, t.QuietUntil(k.Status.At, denied(0)))
	}
	return next
}
