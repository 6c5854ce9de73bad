// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package check

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
)

// The kinds of findings.
const (
	LostAct      = "lost act"             // acknowledged, and not there
	RefusedDone  = "refused and done"     // 4xx, and in custody as done
	DoneTwice    = "done twice"           // one request, two acts
	Unclaimed    = "unclaimed"            // an act of custody that nobody asked for
	Mismatch     = "another act"          // custody has something else than was asked for
	OutOfOrder   = "out of order"         // an act is recorded before one that was acknowledged before it was sent
	WrongState   = "wrong state"          // what is shown follows from no possible order of acts
	Forbidden    = "forbidden step"       // a record that the states before it do not allow
	Unopened     = "does not open"        // a ciphertext that should
	OtherText    = "other text"           // a ciphertext opens to what was not put in
	Unverified   = "does not verify"      // a signature that should
	UsedAnyway   = "used against state"   // a use that the state forbids was done
	DeniedAnyway = "denied against state" // a use that the state allows was denied
	NumberTwice  = "number given twice"   // a version number with two materials
	TwoActive    = "two active versions"  // of one key
	Vanished     = "vanished version"     // that was made, and neither trimmed nor deleted
	LostVote     = "lost vote"            // acknowledged, and not there
	Custody      = "custody"              // the chain, the export or a verifier
	Late         = "late rotation"        // the clock has not done what was due
)

// Finding is one thing that does not fit.
type Finding struct {
	Kind      string `json:"kind"`
	Key       string `json:"key,omitempty"`
	Version   int    `json:"version,omitempty"`
	Operation int    `json:"operation,omitempty"` // its ID
	Text      string `json:"text"`
}

// String is the finding on one line.
func (f Finding) String() string {
	text := f.Kind
	if f.Key != "" {
		text += fmt.Sprintf(": %s", f.Key)
	}
	if f.Version != 0 {
		text += fmt.Sprintf(" version %d", f.Version)
	}
	if f.Operation != 0 {
		text += fmt.Sprintf(", operation %d", f.Operation)
	}
	return text + ": " + f.Text
}

// Check returns what does not fit, by key. Nothing: all that was acknowledged is there.
func Check(h *history.History, final *history.Final) []Finding {
	j := &judge{history: h, final: final, operations: map[int]history.Operation{}, reasons: map[string]*asked{}, ballots: map[consent][]history.Operation{}}
	j.readHistory()
	j.readCustody()
	j.acknowledged()
	j.replay()
	j.shown()
	j.used()
	j.numbers()
	j.votes()
	j.clock()
	slices.SortStableFunc(j.findings, func(a, b Finding) int { return cmp.Compare(a.Key, b.Key) })
	return j.findings
}

// judge is one case.
type judge struct {
	history    *history.History
	final      *history.Final
	operations map[int]history.Operation // by ID
	reasons    map[string]*asked
	ballots    map[consent][]history.Operation // votes, by request and person
	lives      []*life                         // by name, in the order of the export
	others     []act                           // of policies and the mount
	makers     map[string]history.Operation    // by ciphertext
	findings   []Finding
}

func (j *judge) find(kind, key string, version, operation int, format string, values ...any) {
	j.findings = append(j.findings, Finding{kind, key, version, operation, fmt.Sprintf(format, values...)})
}

func (j *judge) life(key string) *life {
	i := slices.IndexFunc(j.lives, func(l *life) bool { return l.key == key })
	if i < 0 {
		return &life{key: key, moments: []moment{{}}}
	}
	return j.lives[i]
}
