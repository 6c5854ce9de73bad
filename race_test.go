// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build race

package keylife

// raceEnabled: the race detector allocates on its own, and makes everything ten times slower.
const raceEnabled = true

// spared tells which cases of a long table the plain run alone goes through: they run one after another, where there is
// no race to be found.
func spared(i int) bool { return i%10 != 0 }

// sized is the size of a test about numbers, not races.
func sized(full int) int { return full / 10 }
