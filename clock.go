// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build !testclock

package keylife

import "time"

// wallClock is the time that the engine goes by.
func wallClock() time.Time { return time.Now().UTC().Round(0) }
