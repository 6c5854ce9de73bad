// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import "github.com/keylife/vault-plugin-keylife/internal/refusal"

// Use is one thing that a policy is used for.
type Use struct {
	Default bool   // keys get it whose maker names none
	Key     string // it governs this key; empty: it is about the default
	Bound   int    // how many keys the index has under it
}

// CheckDelete reports whether a policy may be deleted that is used so. The error is [refusal.ErrRefused].
func (u Use) CheckDelete(name string) error {
	switch {
	case u.Default:
		return refusal.Refusedf("policy %q is default_policy in config/engine; name another one or none there first", name)
	case u.Key != "":
		return refusal.Refusedf("policy %q is bound to key %q, and by its index to %d keys; detach them first", name, u.Key, u.Bound)
	default:
		return nil
	}
}
