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
	if r.Checkpoints == 0 && r.Attestations > 0 {
		return "without a checkpoint: whether records were cut off behind what attestations vouch for, or all of another key were computed anew, cannot be seen"
	}
	if r.Checkpoints == 0 {
		return "WITHOUT A CHECKPOINT it cannot be seen whether records were cut off the end or all computed anew"
	}
	return fmt.Sprintf("the newest checkpoint is of %s, records newer than it: %d; whether more were cut off behind it cannot be seen",
		r.Latest.Format(time.RFC3339), r.Unsigned)
}

// printAttestations writes what each says, and what is wrong with others. Names are quoted, as they come from a file.
func printAttestations(w *bufio.Writer, statements []custody.Statement, problems []error) {
	for _, problem := range problems {
		_, _ = fmt.Fprintf(w, "PROBLEM attestation %v\n", problem)
	}
	for _, s := range statements {
		m := s.Predicate
		_, _ = fmt.Fprintf(w, "attested: version %d of key %q of mount %q, made by %q at %s%s; custody record %d of %d\n",
			m.Version, m.Key, m.Instance, m.Act, m.Created.Format(time.RFC3339), consent(m), m.Record, m.Chain.Count)
	}
}

// consent says under what a version was made.
func consent(m custody.Making) string {
	text := ""
	if m.Policy != nil {
		text = fmt.Sprintf(" under revision %d of policy %q", m.Policy.Revision, m.Policy.Name)
	}
	if m.Approval != nil {
		text += fmt.Sprintf(", approved by %q", m.Approval.Approvers)
	}
	if m.BreakGlass {
		text += ", by break-glass"
	}
	return text
}
