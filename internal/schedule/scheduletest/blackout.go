// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduletest

import (
	"strings"
	"time"
)

// Dark reports whether a clock on the wall shows a day of the ranges, each written as "12-24", "12-15/01-05" or
// "2027-03-01/2027-03-14".
func Dark(ranges []string, at time.Time, zone *time.Location) bool {
	for _, text := range ranges {
		first, last, isRange := strings.Cut(text, "/")
		if !isRange {
			last = first
		}
		shown := at.In(zone).Format("2006-01-02")
		shown = shown[len(shown)-len(first):]
		in := first <= shown && shown <= last
		if last < first {
			in = first <= shown || shown <= last
		}
		if in {
			return true
		}
	}
	return false
}
