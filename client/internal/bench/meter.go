// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// meter tells how much CPU this process used, and the server and all below it.
type meter struct{ server int }

// ticksPerSecond is of /proc: a constant of Linux on every platform that Go runs on.
const ticksPerSecond = 100

// cpu is in seconds since the processes began.
func (m meter) cpu() (float64, error) {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return 0, err
	}
	theirs, err := treeTicks(m.server)
	return seconds(own.Utime) + seconds(own.Stime) + float64(theirs)/ticksPerSecond, err
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }

// treeTicks adds up a process and all below it, those that ended included.
func treeTicks(root int) (int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	parents, ticks := map[int]int{}, map[int]int{}
	for _, file := range files {
		content, err := os.ReadFile(file) //nolint:gosec // G304: of /proc
		if err != nil {
			continue // ended meanwhile
		}
		pid, parent, used, err := parseStat(string(content))
		if err != nil {
			return 0, err
		}
		parents[pid], ticks[pid] = parent, used
	}
	if _, there := ticks[root]; !there {
		return 0, fmt.Errorf("process %d is not there", root)
	}
	sum := 0
	for pid := range ticks {
		if below(parents, pid, root) {
			sum += ticks[pid]
		}
	}
	return sum, nil
}

func below(parents map[int]int, pid, root int) bool {
	for ; pid > 1; pid = parents[pid] {
		if pid == root {
			return true
		}
	}
	return false
}

// parseStat reads fields 1, 4, and 14 to 17 of proc(5). The second one may hold spaces and parentheses.
func parseStat(stat string) (pid, parent, ticks int, err error) {
	before, _, _ := strings.Cut(stat, " ")
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) < 15 {
		return 0, 0, 0, fmt.Errorf("stat of a process has %d fields", len(fields))
	}
	var numbers []int
	for _, text := range append([]string{before, fields[1]}, fields[11:15]...) {
		n, err := strconv.Atoi(text)
		if err != nil {
			return 0, 0, 0, err
		}
		numbers = append(numbers, n)
	}
	return numbers[0], numbers[1], numbers[2] + numbers[3] + numbers[4] + numbers[5], nil
}

// peakMiB is the most memory that this program had at once. The one of getrusage is also that of the program that started it.
func peakMiB() (float64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.ParseFloat(strings.Fields(rest + " none")[0], 64)
	return kib / 1024, err
}

// step is one of several things that are compared.
type step struct {
	name string
	ops  int // in a round
	do   func() error
}

// inTurns does a round of each step, again and again, and returns the CPU seconds of one op: of each step, by round. The first round
// warms up and does not count.
func (m meter) inTurns(steps ...step) (map[string][]float64, error) {
	all := map[string][]float64{}
	for round := range rounds + 1 {
		for _, s := range steps {
			used, err := m.round(s)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			if round > 0 {
				all[s.name] = append(all[s.name], used)
			}
		}
	}
	return all, nil
}

func (m meter) round(s step) (float64, error) {
	begin, err := m.cpu()
	if err != nil {
		return 0, err
	}
	for range s.ops {
		if err := s.do(); err != nil {
			return 0, err
		}
	}
	end, err := m.cpu()
	return (end - begin) / float64(s.ops), err
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// ratio is the median of what one costs as a multiple of the other, round by round.
func ratio(dear, cheap []float64) float64 {
	each := make([]float64, len(dear))
	for i := range dear {
		each[i] = dear[i] / cheap[i]
	}
	return median(each)
}
