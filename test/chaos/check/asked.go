// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package check

import (
	"math"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
)

// ever is later than all that happened.
const ever = time.Duration(math.MaxInt64)

// asked is the operations of one reason: one, or those of a command that is repeated with consent.
type asked struct {
	operations []history.Operation
	acts       []act
}

// data are acts that custody does not keep.
var data = []string{"encrypt", "decrypt", "rewrap", "datakey", "sign", "verify", "read", "read-version"}

// quiet are acts that are acknowledged, and not kept, where they change nothing.
var quiet = []string{"hold", "configure", "approve", "trim"}

func (j *judge) readHistory() {
	for _, o := range j.history.Operations {
		j.operations[o.ID] = o
		if o.Act == "approve" {
			c := consent{approval: o.Approval, entity: o.Approver}
			j.ballots[c] = append(j.ballots[c], o)
		}
		if o.Reason == "" || slices.Contains(data, o.Act) {
			continue
		}
		a := j.reasons[o.Reason]
		if a == nil {
			a = &asked{}
			j.reasons[o.Reason] = a
		}
		a.operations = append(a.operations, o)
	}
}

// fork is a snapshot that was restored.
type fork struct{ from, taken, restored, to time.Duration }

func (j *judge) forks() (all []fork) {
	for _, r := range j.history.Events {
		if r.Kind != history.Restored {
			continue
		}
		for _, s := range j.history.Events {
			if s.Kind == history.Snapshot && s.Name == r.Name {
				all = append(all, fork{s.From, s.To, r.From, r.To})
			}
		}
	}
	return all
}

// firm tells whether what was acknowledged has to hold: no restored snapshot has undone it.
func (j *judge) firm(o history.Operation) bool {
	return !slices.ContainsFunc(j.forks(), func(f fork) bool { return o.Answered >= f.from && o.Sent <= f.to })
}

// acknowledged holds the acts of custody against what clients were told, by reasons and by request ids.
func (j *judge) acknowledged() {
	type once struct{ id, key, act string }
	seen := map[once]int{}
	for _, l := range j.lives {
		for _, a := range l.acts {
			if a.RequestID != "" {
				id := once{a.RequestID, a.Key, a.Act}
				if seen[id]++; seen[id] == 2 {
					j.find(DoneTwice, a.Key, a.version(), 0, "%s of request %s is in custody twice", a.Act, a.RequestID)
				}
			}
			j.attribute(a)
		}
	}
	for _, a := range j.reasons {
		j.count(a)
	}
}

func (j *judge) attribute(a act) {
	if a.Actor.System || a.Act == "approve" || a.Act == "approval-request" {
		return
	}
	by := j.reasons[a.Reason]
	if by == nil {
		j.find(Unclaimed, a.Key, a.version(), 0, "record %d: %s with the reason %q: nobody has sent that", a.Seq, a.Act, a.Reason)
		return
	}
	by.acts = append(by.acts, a)
	o := by.operations[0]
	if a.Act != o.Act || a.Key != o.Key || o.Version != 0 && a.version() != o.Version {
		j.find(Mismatch, a.Key, a.version(), o.ID, "asked for was %s of %s version %d, record %d is %s of version %d", o.Act, o.Key, o.Version, a.Seq, a.Act, a.version())
	}
}

// count holds how often something was done against how often it may have been.
func (j *judge) count(a *asked) {
	least, most := 0, 0
	var told []history.Operation // whoever was not refused
	for _, o := range a.operations {
		switch {
		case o.Outcome == history.Refused:
			continue
		case o.Outcome == history.Done && j.firm(o) && !slices.Contains(quiet, o.Act):
			least++
		}
		most++
		told = append(told, o)
	}
	o := a.operations[len(a.operations)-1]
	if len(told) > 0 {
		o = told[len(told)-1]
	}
	switch n := len(a.acts); {
	case n < least:
		j.find(LostAct, o.Key, o.Version, o.ID, "%s was acknowledged at %s, and is not in custody (%q)", o.Act, o.Answered, o.Reason)
	case n > most && most == 0:
		j.find(RefusedDone, o.Key, o.Version, o.ID, "%s was refused (%d %s), and is in custody, record %d", o.Act, o.Status, o.Error, a.acts[0].Seq)
	case n > most:
		j.find(DoneTwice, o.Key, o.Version, o.ID, "%s is in custody %d times, asked for at most %d (%q)", o.Act, n, most, o.Reason)
	case n == 1 && len(told) == 1 && o.Outcome == history.Done && j.firm(o) && o.RequestID != "" && a.acts[0].RequestID != o.RequestID:
		j.find(Mismatch, o.Key, o.Version, o.ID, "answered under request %s, and in custody under %s", o.RequestID, a.acts[0].RequestID)
	}
}

// window is when an act may have happened, by those who asked for it.
func (j *judge) window(a act) (earliest, latest time.Duration) {
	latest = ever
	if a.Time.Before(j.final.Now) {
		latest = j.final.At
	}
	told := j.askedFor(a)
	if len(told) == 0 {
		return 0, latest
	}
	earliest = told[0].Sent
	if len(told) == 1 && told[0].Outcome == history.Done {
		latest = min(latest, told[0].Answered)
	}
	return earliest, latest
}

// askedFor are the operations that the act can be of, in their order.
func (j *judge) askedFor(a act) (told []history.Operation) {
	var all []history.Operation
	switch by := j.reasons[a.Reason]; {
	case a.Actor.System:
	case a.Act == "approve":
		all = j.ballots[consent{approval: a.Details["approval"], entity: a.Actor.EntityID}]
	case by != nil && a.Act == "approval-request": // done where the command itself is refused
		return by.operations
	case by != nil:
		all = by.operations
	}
	for _, o := range all {
		if o.Outcome != history.Refused {
			told = append(told, o)
		}
	}
	return told
}
