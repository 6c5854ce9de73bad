// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"errors"
	"slices"
	"time"
)

// maxKept bounds the lists of a report. What is beyond is counted.
const maxKept = 100

// Report is what [Verify] found.
type Report struct {
	Chains       int       // of keys, policies and the mount
	Records      int       // that could be read
	Checkpoints  int       // that are genuine and of this mount
	Attestations int       // that the export was held against
	Latest       time.Time // of the newest of those
	Unsigned     int       // records that no such checkpoint reaches: only the next ones vouch for them

	Unfinished      []Unfinished // by key, then by record; at most 100
	UnfinishedCount int

	Problems     []Problem // keys first, then in the order of the lines, then of the checkpoints; at most 100
	ProblemCount int
}

// Unfinished is a record that begins an act whose end is not in the export.
type Unfinished struct {
	Key string `json:"key"`
	Seq int    `json:"seq"`
}

// Clean tells whether nothing is wrong.
func (r *Report) Clean() bool { return r.ProblemCount == 0 }

func (r *Report) add(p Problem) {
	r.ProblemCount++
	if len(r.Problems) < maxKept {
		r.Problems = append(r.Problems, p)
	}
}

func (r *Report) addUnfinished(u Unfinished) {
	r.UnfinishedCount++
	if len(r.Unfinished) < maxKept {
		r.Unfinished = append(r.Unfinished, u)
	}
}

// removeFromGap takes a record out of the gap it was missed in: it was moved, not dropped, and the caller
// reports that.
func (r *Report) removeFromGap(key string, seq int) {
	for i, p := range r.Problems {
		if !errors.Is(p.Err, ErrGap) || p.Key != key || seq < p.Seq || seq > p.Through {
			continue
		}
		left, right := p, p
		left.Through, right.Seq = seq-1, seq+1
		still := slices.DeleteFunc([]Problem{left, right}, func(p Problem) bool { return p.Seq > p.Through })
		r.Problems = slices.Replace(r.Problems, i, i+1, still...)
		r.ProblemCount += len(still) - 1
		return
	}
}
