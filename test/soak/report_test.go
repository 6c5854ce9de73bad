// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package soak_test

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
	"github.com/keylife/vault-plugin-keylife/test/soak"
	"github.com/keylife/vault-plugin-keylife/test/soak/trend"
)

// run is an hour in which nothing changes but by a function.
func run(change func(*soak.Sample)) soak.Report {
	r := soak.Report{
		Config: soak.Standard(time.Hour), Machine: result.Machine{Date: "2026-01-02", CPU: "A processor", Cores: 2},
		Requests: map[string]int64{"encrypt": 180_000}, Consent: map[string]int{"executed": 3},
	}
	for i := range 720 {
		at := float64(i) * 5
		s := soak.Sample{
			At: at, Goroutines: float64(40 + i%3), Heap: float64(20+i%12) * (1 << 20), Requests: int64(at * 50), Versions: 3000, Rotations: at * 5,
			Plugin: soak.Process{Resident: int64(60+i%12) << 20, Files: 16 + i%2, Threads: 9, CPU: at / 10},
			Vault:  soak.Process{Resident: 150 << 20, Files: 27, Threads: 11, CPU: at / 5},
		}
		if i%4 == 0 {
			s.Probe = float64(1000 + 50*(i%8))
		}
		change(&s)
		r.Samples = append(r.Samples, s)
	}
	return r
}

func nothing(*soak.Sample) {}

func TestARunInWhichNothingChangesIsFlat(t *testing.T) {
	r := run(nothing)
	require.NoError(t, r.Verdict())
	found, err := r.Judge()
	require.NoError(t, err)
	require.Len(t, found, 9)
	for _, f := range found {
		require.True(t, f.Flat(), f)
		require.Contains(t, f.String(), "flat")
	}
}

// What a process may lose in an hour, one thing at a time.
func TestALeakIsNamed(t *testing.T) {
	for name, leak := range map[string]func(*soak.Sample){
		"goroutines":                func(s *soak.Sample) { s.Goroutines += float64(int(s.At / 400)) },
		"file descriptors":          func(s *soak.Sample) { s.Plugin.Files += int(s.At / 600) },
		"threads":                   func(s *soak.Sample) { s.Plugin.Threads += int(s.At / 600) },
		"live heap":                 func(s *soak.Sample) { s.Heap += s.At * 1200 },
		"resident memory":           func(s *soak.Sample) { s.Plugin.Resident += int64(s.At * 4000) },
		"CPU of a request":          func(s *soak.Sample) { s.Plugin.CPU += s.At * s.At / 60_000 },
		"encryptions by one":        func(s *soak.Sample) { s.Probe *= 1 - s.At/12_000 },
		"versions of keys":          func(s *soak.Sample) { s.Versions += s.At / 5 },
		"file descriptors of Vault": func(s *soak.Sample) { s.Vault.Files += int(s.At / 400) },
	} {
		r := run(leak)
		require.ErrorContains(t, r.Verdict(), "NOT FLAT  "+name)
		found, err := r.Judge()
		require.NoError(t, err)
		for _, f := range found {
			require.Equal(t, !strings.HasPrefix(f.What, name) || name == "file descriptors" && f.What != name, f.Flat(), "%s: %s", name, f)
		}
	}
}

// What becomes better is no leak; nor is what a process takes while it warms up.
func TestWhatIsBetterOrBeforeIsNoLeak(t *testing.T) {
	require.NoError(t, run(func(s *soak.Sample) { s.Heap -= s.At * 1200; s.Probe *= 1 + s.At/4000 }).Verdict())
	warm := soak.Standard(time.Hour).WarmUp.Seconds()
	require.NoError(t, run(func(s *soak.Sample) { s.Heap += min(s.At, warm) * 12_000 }).Verdict())
}

func TestAnAnswerThatWasNotDueFailsTheRun(t *testing.T) {
	r := run(nothing)
	r.Failures = soak.Failures{Count: 1, First: []string{"encrypt: answered 500"}}
	require.ErrorContains(t, r.Verdict(), "answered 500")
}

func TestAShortRunTellsOfDescriptorsAndGoroutines(t *testing.T) {
	r := run(nothing)
	r.Config.Length = time.Minute
	found, err := r.Judge()
	require.NoError(t, err)
	require.Equal(t, []string{"goroutines", "file descriptors"}, []string{found[0].What, found[1].What})
	require.Len(t, found, 2)
	r.Samples = r.Samples[:200]
	require.ErrorIs(t, r.Verdict(), trend.ErrFew, "a run that was cut short tells nothing")
}

func TestAReportIsWrittenForAPage(t *testing.T) {
	folder := t.TempDir()
	r := run(func(s *soak.Sample) { s.Plugin.Files += int(s.At / 600) })
	require.NoError(t, r.Write(folder))
	sections, err := result.Load(filepath.Join(folder, "soak.json"))
	require.NoError(t, err)
	text := result.Markdown(sections...)
	require.Contains(t, text, "300 keys of 6 types")
	require.Contains(t, text, "17,975 rotations")
	require.Contains(t, text, "under mixed load for 1h: 300 keys")
	require.Contains(t, text, "each 5s after a warm-up of 15m;")
	require.Contains(t, text, "none was answered otherwise")
	require.Regexp(t, `file descriptors, beside the end of the warm-up: .*\*\*missed\*\*`, text)
	require.Regexp(t, `goroutines, beside the end of the warm-up: .* met`, text)
	require.Contains(t, text, "(performance/soak.svg)")
	plot, err := os.ReadFile(filepath.Join(folder, "soak.svg"))
	require.NoError(t, err)
	require.Equal(t, 9, strings.Count(string(plot), "<polyline"))
	for d := xml.NewDecoder(strings.NewReader(string(plot))); ; {
		if _, err := d.Token(); err == io.EOF { //nolint:errorlint // as Decoder returns it
			break
		}
		require.NoError(t, err)
	}
}
