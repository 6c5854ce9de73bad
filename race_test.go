// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build race

package keylife

// raceEnabled: the race detector allocates on its own, and makes everything ten times slower.
const raceEnabled = true

// sized is the size of a test about numbers, not races.
func sized(full int) int { return full / 10 }
