// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// printReport writes one line for each problem, then notes, then the summary. A bufio.Writer keeps
// the first error for Flush.
func printReport(w *bufio.Writer, r *custody.Report) {
	for i := range r.Problems {
		_, _ = fmt.Fprintf(w, "PROBLEM %v\n", &r.Problems[i])
	}
	printMore(w, r.ProblemCount-len(r.Problems), "problems")
	for _, open := range r.Unfinished {
		_, _ = fmt.Fprintf(w, "note: key %q: record %d begins an act whose end is not in the export\n", open.Key, open.Seq)
	}
	printMore(w, r.UnfinishedCount-len(r.Unfinished), "acts without an end")
	result := "clean"
	if !r.Clean() {
		result = fmt.Sprintf("problems: %d", r.ProblemCount)
	}
	_, _ = fmt.Fprintf(w, "%s; records: %d, chains: %d, checkpoints: %d; %s\n", result, r.Records, r.Chains, r.Checkpoints, reach(r))
}

func printMore(w *bufio.Writer, more int, what string) {
	if more > 0 {
		_, _ = fmt.Fprintf(w, "... and %d more %s\n", more, what)
	}
}

// reach says how far the result goes.
func reach(r *custody.Report) string {
	if r.Checkpoints == 0 {
		return "WITHOUT A CHECKPOINT it cannot be seen whether records were cut off the end or all computed anew"
	}
	return fmt.Sprintf("the newest checkpoint is of %s, records newer than it: %d; whether more were cut off behind it cannot be seen",
		r.Latest.Format(time.RFC3339), r.Unsigned)
}
