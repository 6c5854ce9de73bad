// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule_test

import (
	"math/rand/v2"
	"time"
)

// start is a day to look from.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// chance is random and the same in every run; the seed tells apart the tests that use it.
func chance(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
