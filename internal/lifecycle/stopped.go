// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// This file is about keys that are enabled and cannot encrypt: the active version lapsed, is suspended or was reported as
// compromised and not replaced, or it has reached a usage limit that blocks.

// orStopped returns the plan of a key that has stopped, unless the next tick rotates it.
func (o RotationPlan) orStopped(k Key, t policy.EffectiveRules) RotationPlan {
	since, why := stopped(k, t)
	if why == "" || o.ToRotate() {
		return o
	}
	o.Status, o.since, o.Why = Stopped, since, why
	return o
}

// stopped says since when, and why, an enabled key cannot encrypt; empty: it can.
func stopped(k Key, t policy.EffectiveRules) (since time.Time, why string) {
	if k.Status.State != Enabled {
		return since, ""
	}
	if _, err := k.Permissions(t).ToProtect(0); err != nil {
		return stoppedSince(k), err.Error()
	}
	if blocked(k, t) {
		return k.Rotation.ExhaustedAt, fmt.Sprintf("key %q cannot encrypt: its version %d reached its usage limit, and on_limit is block; rotate it", k.Name, k.Primary)
	}
	return since, ""
}

// stoppedSince returns when the active version stopped to protect: the last one to lapse where there is none.
func stoppedSince(k Key) (since time.Time) {
	override := k.Overrides[k.Primary]
	switch {
	case k.Primary == 0:
		for _, override := range k.Overrides {
			if override.Lapsed {
				since = laterOf(since, override.At)
			}
		}
		return since
	case override.Compromise.reported():
		return override.Compromise.Reported
	default:
		return override.At
	}
}

// blocked reports whether the active version reached a usage limit at which it stops.
func blocked(k Key, t policy.EffectiveRules) bool {
	return t.OnLimit == policy.OnLimitBlock && exhausted(k, t.Limits)
}
