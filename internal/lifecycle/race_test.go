// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build race

package lifecycle_test

// raceEnabled: the race detector allocates on its own, and empties pools at random.
const raceEnabled = true

// sized is how often a test of pure code repeats itself: nothing runs at the same time here.
func sized(full int) int { return full / 4 }
