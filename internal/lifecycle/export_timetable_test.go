// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import "time"

// LookUps is how many times of the timetable are looked at for its gaps.
func (t Timetable) LookUps(from time.Time) (n int) {
	t.gapsOf(from, func(after time.Time) time.Time {
		n++
		return t.Next(after)
	})
	return n
}
