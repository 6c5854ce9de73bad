// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import "github.com/keylife/vault-plugin-keylife/internal/lifecycle"

// tally counts what the items of one request use. Most requests use one version, or two.
type tally struct {
	uses []lifecycle.CountedUse
	few  [2]lifecycle.CountedUse // so that nothing is allocated for them
}

// add counts so many uses of a version.
func (t *tally) add(u lifecycle.CountedUse) {
	for i := range t.uses {
		if known := &t.uses[i]; known.Version == u.Version && known.Of == u.Of && known.Denied == u.Denied {
			known.Count += u.Count
			return
		}
	}
	if t.uses == nil {
		t.uses = t.few[:0]
	}
	t.uses = append(t.uses, u)
}

// admitted counts a use of a version. It is called where the item has its outcome, so that what fails is not counted.
func (s *snapshot) admitted(use lifecycle.AllowedUse, version int) {
	s.used.add(lifecycle.CountedUse{Of: use, Version: version, Count: 1})
}

// protected counts that a version protected, and returns the outcome as it is.
func (s *snapshot) protected(use lifecycle.AllowedUse, o Outcome) Outcome {
	if o.Err == nil {
		s.admitted(use, o.Version)
	}
	return o
}

// verified counts that a version verified. What it did not make says nothing of whether it is needed.
func (s *snapshot) verified(version int, input []byte, valid bool) Verdict {
	if valid {
		s.admitted(lifecycle.UseVerify, version)
	}
	s.bytes += int64(len(input))
	return Verdict{Valid: valid}
}

// countUses hands over what the request used. A request that begins anew, or is refused as a whole, has used nothing.
func (s *snapshot) countUses(denied map[int][]cited) {
	if s.Uses == nil {
		return
	}
	for version, items := range denied {
		s.used.add(lifecycle.CountedUse{Version: version, Count: len(items), Denied: true})
	}
	if len(s.used.uses) > 0 {
		s.Uses.CountUses(s.k.Key, s.used.uses)
	}
}
