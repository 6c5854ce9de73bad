// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import "strings"

// The chains that are not of a key have a name that no key has: with a colon. MountChain holds the acts on the settings of
// the mount.
const (
	MountChain   = "mount:"
	policyPrefix = "policy:"
)

// PolicyChain returns the name of the chain of a policy.
func PolicyChain(policy string) string { return policyPrefix + policy }

// PolicyOf returns the policy whose chain has the name; ok is false for any other chain.
func PolicyOf(chain string) (policy string, ok bool) { return strings.CutPrefix(chain, policyPrefix) }
