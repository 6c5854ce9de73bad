// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"cmp"
	"slices"
	"time"
)

// Compromise is what was reported (KMIP 2.1, section 6.1.38 Revoke).
type Compromise struct {
	Code     string    // a KMIP revocation reason
	Occurred time.Time // when it happened, as far as is known
	Reported time.Time
}

// reported tells whether there was a report.
func (c Compromise) reported() bool { return !c.Reported.IsZero() }

// Report is a version that was reported as compromised.
type Report struct {
	Version int
	Compromise
}

// Reports returns the versions of the key that were reported as compromised, oldest first, and the version in their place;
// 0: none is yet.
func Reports(k Key) (reports []Report, replacement int) {
	for v, override := range k.Overrides {
		if override.Compromise.reported() {
			reports = append(reports, Report{v, override.Compromise})
		}
	}
	slices.SortFunc(reports, func(a, b Report) int { return cmp.Compare(a.Version, b.Version) })
	if k.Overrides[k.Primary].Compromise.reported() {
		return reports, 0
	}
	return reports, k.Primary
}
