// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build testclock

package clock

import (
	"os"
	"strings"
	"time"
)

// Wall is the time plus the duration that stands in the file named by KEYLIFE_TEST_CLOCK. It exists only in
// binaries built with the tag testclock: acceptance tests live through years in minutes with it.
func Wall() time.Time {
	now := time.Now().UTC().Round(0)
	text, err := os.ReadFile(os.Getenv("KEYLIFE_TEST_CLOCK"))
	if err != nil {
		return now
	}
	ahead, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		return now
	}
	return now.Add(ahead)
}
