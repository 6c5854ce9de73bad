// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build !race

package envelope_test

const raceEnabled = false
