// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule

import (
	"io/fs"
	"strings"
	"time"
)

// ZoneFiles are the files of the time zone database, by name.
func ZoneFiles() map[string][]byte {
	files := map[string][]byte{}
	for _, f := range zones().File {
		if data, err := fs.ReadFile(zones(), f.Name); err == nil && !strings.HasSuffix(f.Name, "/") && f.Name != factory {
			files[f.Name] = data
		}
	}
	return files
}

// LookUps is how many times of the cron schedule are looked at for its gaps.
func (t Cron) LookUps(from time.Time) (n int) {
	t.gapsBy(from, t.counting(&n))
	return n
}

// LookUpsOfLast is how many are looked at for the last one.
func (t Cron) LookUpsOfLast(since, now time.Time) (n int) {
	t.lastBy(since, now, t.counting(&n))
	return n
}

// counting is Next, and counts how often it is asked.
func (t Cron) counting(n *int) func(time.Time) time.Time {
	return func(after time.Time) time.Time {
		*n++
		return t.Next(after)
	}
}
