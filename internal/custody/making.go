// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// What records say of acts that make versions, by the names of internal/acts and internal/lifecycle.
const (
	fromNothing = "none" // the state of a version before it was made
	restoring   = "restore-backup"
	byIncident  = "incident"
)

// triggers are those of acts whose records name none.
var triggers = map[string]string{"create": "creation", "import": "import", restoring: "restore"}

// MakingOf returns what a record says of how a version of its key was made; ok is false where its act made no such version. It may
// have failed: that says the record after it.
func MakingOf(r Record, version int) (m Making, ok bool) {
	if r.Kind != Begin {
		return m, false
	}
	many := len(r.Versions) == 0 && r.Act == restoring // of more than a record names
	switch {
	case r.From == fromNothing && (many || slices.Contains(r.Versions, version)):
		m = r.making(version)
		m.Fingerprint = r.Details["fingerprint"]
	case r.Details["successor"] == strconv.Itoa(version) && r.Details["successor_fingerprint"] != "": // of a compromised one
		m = r.making(version)
		m.Fingerprint, m.Trigger = r.Details["successor_fingerprint"], byIncident
		if len(r.Versions) == 1 {
			m.Predecessor = &Predecessor{Version: r.Versions[0]}
		}
	}
	return m, m.Version > 0
}

// making is what the record of every act that makes a version says.
func (r Record) making(version int) Making {
	m := Making{
		Instance: r.Instance, Key: r.Key, KeyID: r.KeyID, Version: version, Act: r.Act, Record: r.Seq,
		Trigger: r.Details["trigger"], Checks: checksOf(r.Details["checks"]), BreakGlass: r.Details["break_glass"] == "true",
	}
	if m.Trigger == "" {
		m.Trigger = triggers[r.Act]
	}
	if r.Policy != "" {
		m.Policy = &PolicyName{r.Policy, r.PolicyRevision, r.Details["policy_hash"]}
	}
	if id := r.Details["approval"]; id != "" {
		m.Approval = &Approval{id, r.Details["approvers"]}
	}
	if before, err := strconv.Atoi(r.Details["superseded"]); err == nil && before > 0 {
		m.Predecessor = &Predecessor{Version: before}
	}
	return m
}

// checksOf reads "clock_sane=passed,storage_writable=with_commit". What is checked with the commit has passed where the act is done,
// and an attestation is of no other.
func checksOf(text string) map[string]string {
	if text == "" {
		return nil
	}
	checks := map[string]string{}
	for one := range strings.SplitSeq(text, ",") {
		name, outcome, _ := strings.Cut(one, "=")
		if outcome == "with_commit" {
			outcome = "passed"
		}
		checks[name] = outcome
	}
	return checks
}

// agrees tells whether the predicate is what the record says. What a record does not say is the mount's word.
func (m Making) agrees(r Record) error {
	want, made := MakingOf(r, m.Version)
	if !made {
		return fmt.Errorf("%w: the record is not of an act that made version %d", ErrEdited, m.Version)
	}
	got := m
	got.Type, got.Created, got.Activated, got.Chain = "", want.Created, want.Activated, ChainHead{}
	if want.Fingerprint == "" {
		got.Fingerprint = ""
	}
	if want.Predecessor == nil {
		got.Predecessor = nil
	} else if got.Predecessor != nil {
		got.Predecessor = &Predecessor{Version: got.Predecessor.Version}
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Errorf("%w: the attestation of version %d says other things than the record", ErrEdited, m.Version)
	}
	return nil
}

// attested are statements on the way through an export.
type attested []*heldAgainst

// heldAgainst is a statement, and whether its record was found.
type heldAgainst struct {
	Statement
	found bool
}

func newAttested(statements []Statement) (all attested) {
	for _, s := range statements {
		all = append(all, &heldAgainst{Statement: s})
	}
	return all
}

// follow holds the statements against the records of the acts that they are about. The error is a [Problem].
func (a attested) follow(r Record, line []byte) error {
	for _, s := range a {
		m := s.Predicate
		var err error
		switch {
		case m.Key != r.Key:
		case r.Kind == End && r.Of == m.Record && r.Outcome != Done:
			err = fmt.Errorf("%w: the act that version %d is attested by failed", ErrEdited, m.Version)
		case r.Seq == m.Record:
			s.found = true
			if err = m.agrees(r); s.Subject[0].Digest.SHA256 != Hash(line) {
				err = fmt.Errorf("%w: it is not the one that the attestation of version %d is about", ErrEdited, m.Version)
			}
		}
		if err != nil {
			return &Problem{Key: r.Key, Seq: r.Seq, Err: err}
		}
	}
	return nil
}
