// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package check_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/chaos/check"
	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
)

// run is a recorded run that a test changes.
type run struct {
	*history.History
	final *history.Final
}

// recorded is what TestWhatStorageHasLostIsFound has recorded.
func recorded(t *testing.T) run {
	t.Helper()
	file, err := os.Open("testdata/run.jsonl.gz")
	require.NoError(t, err)
	defer file.Close()
	packed, err := gzip.NewReader(file)
	require.NoError(t, err)
	h, final, err := history.Read(packed)
	require.NoError(t, err)
	require.NotNil(t, final)
	return run{h, final}
}

// operation finds the last operation that fits, to be changed.
func (r run) operation(t *testing.T, fits func(o history.Operation) bool) *history.Operation {
	t.Helper()
	for i := range slices.Backward(r.Operations) {
		if fits(r.Operations[i]) {
			return &r.Operations[i]
		}
	}
	t.Fatal("the recorded run has no such operation")
	return nil
}

// line is a record of custody that may be changed.
type line map[string]any

func (l line) text(name string) string {
	text, _ := l[name].(string)
	return text
}

// rewrite has the records of a name changed, and makes their chain anew, as an engine at fault would leave it.
func (r run) rewrite(t *testing.T, name string, change func(records []line) []line) {
	t.Helper()
	var records, others []line
	var at int
	for i, text := range r.final.Export {
		var l line
		require.NoError(t, json.Unmarshal([]byte(text), &l))
		if l.text("key") == name {
			records = append(records, l)
			at = i - len(records) + 1
		} else {
			others = append(others, l)
		}
	}
	require.NotEmpty(t, records, "custody has nothing of %s", name)
	texts := slices.Clone(r.final.Export)
	r.final.Export = slices.Concat(texts[:at], chained(t, change(records)), texts[at+len(records):])
	require.GreaterOrEqual(t, len(others), at)
}

// chained numbers records from 1 and names in each the hash of the one before. What ends an act follows what begins it.
func chained(t *testing.T, records []line) []string {
	t.Helper()
	last := strings.Repeat("0", 2*sha256.Size)
	texts := make([]string, len(records))
	for i, l := range records {
		l = maps.Clone(l)
		l["seq"], l["prev"] = i+1, last
		if l.text("kind") == "end" {
			l["of"] = i
		}
		text, err := json.Marshal(l)
		require.NoError(t, err)
		sum := sha256.Sum256(text)
		last = hex.EncodeToString(sum[:])
		texts[i] = string(text)
	}
	return texts
}

// without leaves out the two records of each act that fits.
func without(fits func(l line) bool) func([]line) []line {
	return func(records []line) (left []line) {
		for i := 0; i < len(records); i += 2 {
			if !fits(records[i]) {
				left = append(left, records[i], records[i+1])
			}
		}
		return left
	}
}

// twice has each act that fits two times.
func twice(fits func(l line) bool) func([]line) []line {
	return func(records []line) (all []line) {
		for i := 0; i < len(records); i += 2 {
			all = append(all, records[i], records[i+1])
			if fits(records[i]) {
				all = append(all, records[i], records[i+1])
			}
		}
		return all
	}
}

func because(reason string) func(l line) bool {
	return func(l line) bool { return l.text("reason") == reason }
}

func kinds(findings []check.Finding) (all []string) {
	for _, f := range findings {
		all = append(all, f.Kind)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
