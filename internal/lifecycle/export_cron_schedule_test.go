// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import "time"

// LookUps is how many times of the cron schedule are looked at for its gaps.
func (t CronSchedule) LookUps(from time.Time) (n int) {
	t.gapsOf(from, t.counting(&n))
	return n
}

// LookUpsOfLast is how many are looked at for the last one.
func (t CronSchedule) LookUpsOfLast(since, now time.Time) (n int) {
	t.lastOf(since, now, t.counting(&n))
	return n
}

// counting is Next, and counts how often it is asked.
func (t CronSchedule) counting(n *int) func(time.Time) time.Time {
	return func(after time.Time) time.Time {
		*n++
		return t.Next(after)
	}
}
