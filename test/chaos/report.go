// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/keylife/vault-plugin-keylife/test/chaos/fault"
)

// Report keeps what became of seeds: a line of JSON each in rounds.jsonl, and a folder for each seed on which something was found, with
// the history, the findings and what the nodes logged meanwhile.
type Report struct {
	folder string
	say    io.Writer

	mu     sync.Mutex
	failed []uint64
	played int
}

// NewReport begins a report in a folder, and says a line a seed.
func NewReport(folder string, say io.Writer) (*Report, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	return &Report{folder: folder, say: say}, nil
}

// Add keeps a round that was played on a field, whose logs were so long before.
func (r *Report) Add(round Round, f *Field, logs []int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.played++
	_, _ = fmt.Fprintln(r.say, round) // it is for the eye
	for _, amiss := range round.Amiss {
		_, _ = fmt.Fprintf(r.say, "  amiss: %s\n", amiss)
	}
	line, err := json.Marshal(round)
	if err != nil {
		return err
	}
	if err := appendTo(filepath.Join(r.folder, "rounds.jsonl"), append(line, '\n')); err != nil || round.Clean() {
		return err
	}
	r.failed = append(r.failed, round.Seed)
	return r.keep(round, f, logs)
}

// Conclusion is an error where a seed was not clean.
func (r *Report) Conclusion() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.say, "%d seeds, %d of them not clean %v\n", r.played, len(r.failed), r.failed)
	if len(r.failed) > 0 {
		return fmt.Errorf("seeds %v are not clean: see %s", r.failed, r.folder)
	}
	return nil
}

// keep writes what is needed to judge a round again.
func (r *Report) keep(round Round, f *Field, logs []int64) error {
	folder := filepath.Join(r.folder, fmt.Sprintf("seed-%d", round.Seed))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n%s\n", round, round.Plan)
	for _, finding := range round.Findings {
		fmt.Fprintln(&text, finding)
	}
	failed := os.WriteFile(filepath.Join(folder, "findings.txt"), []byte(text.String()), 0o600)
	if round.History != nil {
		failed = errors.Join(failed, write(filepath.Join(folder, "history.jsonl"), func(to io.Writer) error { return round.History.Write(to, round.Final) }))
	}
	for i, n := range f.Cluster.Nodes {
		failed = errors.Join(failed, write(filepath.Join(folder, fault.NodeName(i)+".log"), func(to io.Writer) error { return tail(to, n.LogFile(), logs[i]) }))
	}
	return failed
}

// Logs are how long the logs of the nodes are.
func (f *Field) Logs() []int64 {
	lengths := make([]int64, len(f.Cluster.Nodes))
	for i, n := range f.Cluster.Nodes {
		if info, err := os.Stat(n.LogFile()); err == nil {
			lengths[i] = info.Size()
		}
	}
	return lengths
}

// tail copies a file from a place on.
func tail(to io.Writer, path string, from int64) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(to, file)
	return err
}

func write(path string, content func(io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(content(file), file.Close())
}

func appendTo(path string, line []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(line)
	return errors.Join(err, file.Close())
}
