// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

func section(title string, value float64, target *result.Target) result.Section {
	return result.Section{
		Title: title, Rows: []result.Row{{What: title + " time", Value: value, Unit: "ms", Target: target}},
		Machine: result.Machine{Date: "2026-01-02", CPU: "A processor", Cores: 2, Go: "go1.26"},
	}
}

const page = "# Page\n\n" + begin + "\nold\n" + end + "\n\nMore.\n"

func TestThePageIsFilledBetweenItsMarkers(t *testing.T) {
	folder := t.TempDir()
	path, a, b := filepath.Join(folder, "page.md"), filepath.Join(folder, "a.json"), filepath.Join(folder, "b.json")
	require.NoError(t, os.WriteFile(path, []byte(page), 0o600))
	require.NoError(t, section("Warm", 4, &result.Target{AtMost: 3}).Write(a))
	require.NoError(t, section("Cold", 2, &result.Target{AtMost: 3}).Write(b))
	for range 2 { // filled again, it stays as it is
		require.NoError(t, run([]string{path, a, b}))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, `# Page

<!-- measured: make bench -->

Of 2 targets, 1 were met. Missed:

- Warm time: 4 ms, wanted at most 3 ms: **missed** by 33 %.

## Warm

| | measured |
|---|---|
| Warm time | 4 ms |

- Warm time: 4 ms, wanted at most 3 ms: **missed** by 33 %.

Measured 2026-01-02 on A processor, 2 cores. go1.26.

## Cold

| | measured |
|---|---|
| Cold time | 2 ms |

- Cold time: 2 ms, wanted at most 3 ms: met.

<!-- end of what make bench measured -->

More.
`, string(text))
	}
}

func TestTargetsAreSummedUp(t *testing.T) {
	require.Equal(t, "No target was set.", targets([]result.Section{section("a", 1, nil)}))
	require.Equal(t, "All of 1 targets were met.", targets([]result.Section{section("a", 1, &result.Target{AtLeast: 1})}))
}

func TestAPageWithoutMarkersIsLeftAlone(t *testing.T) {
	for _, text := range []string{"# Page\n", end + begin, begin} {
		_, err := fill(text, nil)
		require.Error(t, err)
	}
	require.ErrorContains(t, run(nil), "usage")
	require.Error(t, run([]string{filepath.Join(t.TempDir(), "absent.md"), "a.json"}))
}
