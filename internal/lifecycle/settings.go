// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"maps"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// This file holds what Transit does to a key as a whole, and the legal hold.

// WithHold returns the key with the legal hold set or lifted.
func (k Key) WithHold(on bool) Key {
	if k.Hold == on {
		return k
	}
	next := k
	next.Hold = on
	next.Revision = after(k.Revision)
	return next
}

// Trim returns the key with the versions below floor destroyed, by Transit's rules. The error is [refusal.ErrInvalid] or
// [refusal.ErrRefused].
func (k Key) Trim(floor int) (Key, error) {
	switch {
	case k.Policy != "":
		return k, governed("key %q is governed by policy %q and its versions are not destroyed at once; archive and retire them on keys/%s/versions", k.Name, k.Policy, k.Name)
	case k.Hold:
		return k, underHold(k.Name)
	case floor < 1 || floor < k.MinAvailable:
		return k, refusal.Invalidf("min_available_version: %d: must be at least 1 and not below the one in force, which is %d", floor, k.MinAvailable)
	case k.MinEncryption == 0:
		return k, refusal.Invalidf("min_available_version: %d: min_encryption_version must be set first", floor)
	case floor > k.Latest || floor > k.MinDecryption || floor > k.MinEncryption:
		return k, refusal.Invalidf("min_available_version: %d: must be at most min_decryption_version (%d), min_encryption_version (%d) and the latest version (%d)", floor, k.MinDecryption, k.MinEncryption, k.Latest)
	case floor == k.MinAvailable:
		return k, nil
	}
	next := k
	next.MinAvailable = floor
	next.Overrides = maps.Clone(k.Overrides)
	maps.DeleteFunc(next.Overrides, func(v int, m StateOverride) bool { return v < floor && !m.Compromise.reported() })
	next.Revision = after(k.Revision)
	return next, nil
}

// CheckDelete reports whether the key may be destroyed at once, as Transit's DELETE does. The error is [refusal.ErrRefused].
func (k Key) CheckDelete() error {
	switch {
	case k.Policy != "" && k.Status.State == KeyDestroyed:
		return refusal.Refusedf("key %q is destroyed; to give its name again, detach it from policy %q on keys/%s/config and delete it then", k.Name, k.Policy, k.Name)
	case k.Policy != "":
		return governed("key %q is governed by policy %q and is not destroyed at once; archive and retire it on keys/%s/archive and keys/%s/retire", k.Name, k.Policy, k.Name, k.Name)
	case k.Hold:
		return underHold(k.Name)
	case !k.DeletionAllowed:
		return refusal.Refusedf("deletion is not allowed for key %q; set deletion_allowed on keys/%s/config first", k.Name, k.Name)
	}
	return nil
}

// governed refuses what the policy of a key does not let happen.
func governed(format string, args ...any) error {
	return refusal.Because(refusal.ByPolicy, refusal.Refusedf(format, args...))
}
