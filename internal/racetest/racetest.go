// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package racetest makes tests smaller under the race detector, which slows everything down ten times and finds nothing
// where one goroutine works alone.
//
// A test that is smaller says so: the attribute goes into the events of go test, and scripts/check.sh runs just the tests that
// have it once more without the detector, in full. So a test asks this package, and nothing else, whether it is raced.
package racetest

import "testing"

// attribute and partly are what scripts/check.sh looks for.
const (
	attribute = "race"
	partly    = "partly"
)

// Watched tells whether the race detector is on. The test has to do less then: it runs once more without.
func Watched(t testing.TB) bool {
	if enabled {
		t.Attr(attribute, partly)
	}
	return enabled
}

// Skip leaves a test to the run without the race detector, and says why.
func Skip(t testing.TB, why string) {
	t.Helper()
	if Watched(t) {
		t.Skip(why)
	}
}

// Spared tells which cases of a long table are left out under the race detector: all but every tenth.
func Spared(t testing.TB, i int) bool { return i%10 != 0 && Watched(t) }

// Stride is how far apart the writes of an act lie that are made to fail: every fifth under the race detector. It is odd, so that what a
// test does after every other of them it still does.
func Stride(t testing.TB) int {
	if Watched(t) {
		return 5
	}
	return 1
}

// Size is how large a test is that is about numbers: a tenth under the race detector.
func Size(t testing.TB, full int) int {
	if Watched(t) {
		return full / 10
	}
	return full
}
