// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build !race

package lifecycle_test

const raceEnabled = false

func sized(full int) int { return full }
