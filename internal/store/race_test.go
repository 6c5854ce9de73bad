// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build race

package store_test

// spared tells which cases of a long table the plain run alone goes through: they run one after another, where there is
// no race to be found.
func spared(i int) bool { return i%10 != 0 }
