// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// PinQuietPeriods returns the key with the quiet periods that run under the rules written into its overrides, so that other rules
// cannot end them early. Denied says when a use of a version was last denied, for 0 of any version; zero: never.
func (k Key) PinQuietPeriods(t policy.EffectiveRules, denied func(version int) time.Time) Key {
	d := draftOf(k)
	for v, override := range k.Overrides {
		if override.State == Archived || override.State == Compromised {
			override.RetireNotBefore = laterOf(override.RetireNotBefore, t.QuietUntil(override.At, denied(v)))
			d.set(v, override)
		}
	}
	next := d.finished()
	if k.Status.State == KeyArchived {
		next.Status.RetireNotBefore = laterOf(k.Status.RetireNotBefore, t.QuietUntil(k.Status.At, denied(0)))
	}
	return next
}

// QuietUntil returns when the quiet period of an archived version is over, of which a use was last denied then; zero: never.
func (k Key) QuietUntil(v int, t policy.EffectiveRules, denied time.Time) time.Time {
	return t.QuietUntil(k.Overrides[v].At, denied)
}

// PutOff returns the key with the retirement of an archived version put off, because a use of it was denied.
func (k Key) PutOff(v int, until time.Time) Key {
	override := k.Overrides[v]
	if override.State != Archived {
		return k
	}
	d := draftOf(k)
	override.RetireNotBefore = laterOf(override.RetireNotBefore, until)
	d.set(v, override)
	return d.key
}
