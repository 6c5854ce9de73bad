// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package check

import "time"

// patience is how much later than its period a rotation may be where the clock has just done what was due: a try that failed is
// repeated some seconds later.
const patience = 30 * time.Second

// clock finds keys that the clock should have rotated.
func (j *judge) clock() {
	if !j.final.Ticked {
		return
	}
	for name, key := range j.final.Keys {
		period := j.final.Policies[key.Policy].Period
		if period == 0 || key.State != enabled || key.Versions[key.Primary].State != active {
			continue
		}
		if age := j.final.Now.Sub(key.Versions[key.Primary].Created); age > period+patience {
			j.find(Late, name, key.Primary, 0, "the active version is %s old, and is to be replaced after %s (rotation_status %s)", age.Round(time.Second), period, key.Rotation)
		}
	}
}
