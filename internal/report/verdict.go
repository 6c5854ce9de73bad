// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package report

import (
	"cmp"
	"slices"
	"strings"
)

// Verdict is what evidence says of a control.
type Verdict string

// The verdicts.
const (
	Met    Verdict = "met"     // all that the control asks, and the engine sees
	Partly Verdict = "partly"  // some of it, or some has to be shown by other means
	NotMet Verdict = "not_met" // what the engine sees contradicts it
	Manual Verdict = "manual"  // not shown by this engine
)

// Evidence is one thing that is shown.
type Evidence struct {
	Of      string            `json:"of"`   // "mount", "policy NAME" or "key NAME"
	What    string            `json:"what"` // name of the evidence, see docs/compliance.md
	Verdict Verdict           `json:"verdict"`
	Text    string            `json:"text"`
	Fields  map[string]string `json:"fields,omitempty"`
	Records []Record          `json:"records,omitempty"` // the custody records that show it, at most 32
}

// Record names a custody record.
type Record struct {
	Chain string `json:"chain"`
	Seq   int    `json:"seq"`
}

// verdictOf is what evidence says together. A control is met where all of it says so; what the engine does not see makes it partly
// met at best. Without a key there is nothing to be met.
func verdictOf(evidence []Evidence, keys int) Verdict {
	seen := map[Verdict]bool{}
	for _, e := range evidence {
		seen[e.Verdict] = true
	}
	switch {
	case seen[NotMet]:
		return NotMet
	case keys == 0, !seen[Met] && !seen[Partly]:
		return Manual
	case seen[Partly], seen[Manual]:
		return Partly
	default:
		return Met
	}
}

// The subjects of evidence, in their order.
const (
	ofMount  = "mount"
	ofPolicy = "policy "
	ofKey    = "key "
)

// sorted orders evidence by its subject: the mount, policies, keys. What is of one subject keeps its order; what is there twice is
// left once.
func sorted(evidence []Evidence) []Evidence {
	slices.SortStableFunc(evidence, func(a, b Evidence) int {
		return cmp.Or(cmp.Compare(rank(a.Of), rank(b.Of)), strings.Compare(a.Of, b.Of))
	})
	var once []Evidence
	for _, e := range evidence {
		if !slices.ContainsFunc(tail(once, e.Of), e.equal) {
			once = append(once, e)
		}
	}
	return once
}

func rank(of string) int {
	switch {
	case of == ofMount:
		return 0
	case strings.HasPrefix(of, ofPolicy):
		return 1
	default:
		return 2
	}
}

// tail returns what is of the subject at the end of a list.
func tail(list []Evidence, of string) []Evidence {
	i := len(list)
	for i > 0 && list[i-1].Of == of {
		i--
	}
	return list[i:]
}

func (e Evidence) equal(o Evidence) bool {
	return e.Of == o.Of && e.What == o.What && e.Verdict == o.Verdict && e.Text == o.Text && slices.Equal(e.Records, o.Records)
}
