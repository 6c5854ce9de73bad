// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package scale_test

import (
	"flag"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

var out = flag.String("out", "", "measure with large numbers, and write the sections into this folder")

// size is how large what is measured is.
type size struct {
	versions  []int // of the keys that are rotated. Each is the first and whole pages of 256 dates more: no record holds more dates
	rotations int   // in a round
	rounds    int
	keys      []int // of the mounts
	inUse     int   // keys of which the memory is measured
}

func sizeOf(testing.TB) size {
	if *out == "" || testing.Short() {
		return size{versions: []int{10, 266}, rotations: 1, rounds: 2, keys: []int{100, 200}, inUse: 100}
	}
	return size{versions: []int{10, 10 + 4*256, 10 + 40*256}, rotations: 5, rounds: 15, keys: []int{100, 1000, 100_000}, inUse: 10_000}
}

// write puts a section into the folder, if there is one.
func write(t testing.TB, file string, s result.Section) {
	t.Helper()
	t.Log("\n" + result.Markdown(s))
	if *out != "" {
		require.NoError(t, s.Write(filepath.Join(*out, file)))
	}
}

// vault is a server without a mount.
func vault(t testing.TB) *harness.Server {
	t.Helper()
	return harness.Start(t, harness.Options{LogLevel: "error"})
}

// timed is how long do takes, in milliseconds.
func timed(do func()) float64 {
	began := time.Now()
	do()
	return float64(time.Since(began).Nanoseconds()) / 1e6
}
