// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package migrate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Outcome is what became of a key.
type Outcome string

// The outcomes. With the first two the target has the key.
const (
	Moved    Outcome = "moved"      // copied and proven
	Proven   Outcome = "proven"     // was there already, and is proven
	Unproven Outcome = "unproven"   // is there, and versions of it could not be proven
	Needs    Outcome = "needs"      // somebody has to do something first
	Conflict Outcome = "conflict"   // the target has another key of the name
	Failed   Outcome = "failed"     // a request was refused, or not answered
	Would    Outcome = "would_move" // a dry run found nothing in the way
	There    Outcome = "is_there"   // a dry run found the key at the target
)

// Outcomes are all of them.
var Outcomes = []Outcome{Moved, Proven, Would, There, Unproven, Needs, Conflict, Failed}

// Entry is the line of a report about a key.
type Entry struct {
	Time     time.Time `json:"time"`
	Key      string    `json:"key"`
	Outcome  Outcome   `json:"outcome"`
	Reason   string    `json:"reason,omitempty"` // why it was not moved
	Type     string    `json:"type,omitempty"`
	Latest   int       `json:"latest_version,omitempty"`
	Proof    Proof     `json:"proof,omitzero"`
	Notes    []string  `json:"notes,omitempty"`
	Requests int       `json:"requests"`
}

// Summary is the last line of a report.
type Summary struct {
	Time     time.Time       `json:"time"`
	DryRun   bool            `json:"dry_run,omitempty"`
	Keys     int             `json:"keys"`
	Outcomes map[Outcome]int `json:"outcomes"`
}

// Complete reports whether nothing is left to do: all keys are at the target, or a dry run found nothing in the way.
func (s Summary) Complete() bool {
	done := s.Outcomes[Moved] + s.Outcomes[Proven]
	if s.DryRun {
		done = s.Outcomes[Would] + s.Outcomes[There]
	}
	return done == s.Keys
}

// note adds what whoever cuts over has to know; once.
func (e *Entry) note(text string) {
	if !slices.Contains(e.Notes, text) {
		e.Notes = append(e.Notes, text)
	}
}

// describe notes what of the key is the same wherever it is.
func (e *Entry) describe(v *view) {
	e.Type, e.Latest = strings.TrimSuffix(v.Type+"-"+v.ParameterSet, "-"), v.Latest
	var below Versions
	for n := max(v.MinAvailable, 1); n < v.oldest(); n++ {
		below = append(below, n)
	}
	if len(below) > 0 {
		e.note(fmt.Sprintf("versions below min_decryption_version are copied, and not proven: %s", below))
	}
	if v.AutoRotatePeriod > 0 {
		e.note("the key rotates by itself, at the source and at the target: whichever does it before the cut-over makes two keys of one")
	}
}

// plan is what a dry run says of a key that may leave.
func (e *Entry) plan(source, target *view) error {
	for _, flag := range missingFlags(source) {
		e.note("to be set at the source: " + flag)
	}
	e.Outcome = Would
	if target == nil {
		return nil
	}
	e.Outcome = There
	keys, _ := publicDifferences(source, target)
	if other := append(differences(identity, source, target), keys...); len(other) > 0 {
		return &conflict{strings.Join(other, "; ")}
	}
	for _, text := range differences(settings, source, target) {
		e.note(text)
	}
	return nil
}

// prove is the outcome of a key that is at the target as it is at the source.
func (e *Entry) prove(by Proof, copied bool) {
	e.Proof = by
	switch {
	case len(by.None) > 0:
		e.Outcome = Unproven
		e.Reason = fmt.Sprintf("versions %s protect nothing, and are not exported by both; where min_encryption_version is why, set it to min_decryption_version at both for the time of the run", by.None)
	case copied:
		e.Outcome = Moved
	default:
		e.Outcome = Proven
	}
}
