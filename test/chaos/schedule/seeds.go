// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule

import (
	"fmt"
	"strconv"
	"strings"
)

// Seeds reads a list of seeds and ranges of them, such as "1-200,7".
func Seeds(list string) ([]uint64, error) {
	var seeds []uint64
	for part := range strings.SplitSeq(list, ",") {
		from, to, ranged := strings.Cut(strings.TrimSpace(part), "-")
		first, err := strconv.ParseUint(from, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("seeds %q: %q is no seed: want a list such as 1-200 or 3,7", list, part)
		}
		last := first
		if ranged {
			if last, err = strconv.ParseUint(to, 10, 64); err != nil || last < first {
				return nil, fmt.Errorf("seeds %q: %q is no range: want a list such as 1-200 or 3,7", list, part)
			}
		}
		for seed := first; ; seed++ {
			seeds = append(seeds, seed)
			if seed == last {
				break
			}
		}
	}
	return seeds, nil
}
