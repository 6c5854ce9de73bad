// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build !race

package store_test

func spared(int) bool { return false }
