// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build !testclock

package clock_test

// movable reports a build whose clock a file moves.
const movable = false
