// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build !testclock

// Package clock is the time that the plugin goes by. What works with time takes it as an argument; only the root asks here.
package clock

import "time"

// Wall returns the time now, in UTC and without a monotonic part: what is stored is compared with what is not.
func Wall() time.Time { return time.Now().UTC().Round(0) }
