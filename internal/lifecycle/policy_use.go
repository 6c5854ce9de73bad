// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

// PolicyUse is one thing that a policy is used for.
type PolicyUse struct {
	Default bool   // keys get it whose maker names none
	Key     string // it governs this key; empty: it is about the default
	Bound   int    // how many keys the index has under it
}

// CheckDelete reports whether a policy may be deleted that is used so. The error is [ErrRefused].
func (u PolicyUse) CheckDelete(policy string) error {
	switch {
	case u.Default:
		return Refusedf("policy %q is default_policy in config/engine; name another one or none there first", policy)
	case u.Key != "":
		return Refusedf("policy %q is bound to key %q, and by its index to %d keys; detach them first", policy, u.Key, u.Bound)
	default:
		return nil
	}
}
