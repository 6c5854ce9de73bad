// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build !race

package racetest

const enabled = false
