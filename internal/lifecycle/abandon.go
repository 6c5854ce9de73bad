// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// Abandoned returns the key with its next version number given up (transition T5): a version is stored under it that no
// record ever named. It is retired as a staged version is that is abandoned, so it can be restored until the destroy delay
// is over.
func (k Key) Abandoned(t policy.EffectiveRules, at time.Time) Key {
	d := draftOf(k)
	d.key.Latest++
	d.key.Recent = append(slices.Clip(k.Recent), at)
	d.set(d.key.Latest, StateOverride{State: Retired, Before: PreActive, At: at, DestroyAt: at.Add(t.DestroyDelay)})
	return d.key
}

// WasAbandoned reports whether version v was retired before it ever protected.
func WasAbandoned(k *Key, v int) bool { return k.Override(v).Before == PreActive }
