// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package check

import (
	"slices"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
)

// consent is one vote of a person.
type consent struct{ approval, round, entity string }

// votes holds what people were told of their votes against requests and custody, and demands that each consent is used once.
func (j *judge) votes() {
	voted, used, rounds := map[consent]int{}, map[string]int{}, map[string]string{}
	for _, l := range j.lives {
		for _, a := range l.acts {
			switch id := a.Details["approval"]; {
			case a.Act == "approve":
				c := consent{id, a.Details["round"], a.Actor.EntityID}
				if voted[c]++; voted[c] == 2 {
					j.find(DoneTwice, a.Key, 0, 0, "the vote of %s on %s is in custody twice", c.entity, id)
				}
			case a.Act == "approval-request":
				rounds[id] = a.Details["round"]
			case id != "":
				if used[id]++; used[id] == 2 {
					j.find(DoneTwice, a.Key, a.version(), 0, "the consent %s is used twice", id)
				}
			}
		}
	}
	told := map[consent]bool{}
	for _, o := range j.history.Operations {
		c := consent{approval: o.Approval, entity: o.Approver}
		if o.Act != "approve" || o.Outcome != history.Done || !j.firm(o) || told[c] {
			continue
		}
		told[c] = true
		if !slices.ContainsFunc(j.life(o.Key).acts, func(a act) bool {
			return a.Act == "approve" && a.Details["approval"] == o.Approval && a.Actor.EntityID == o.Approver
		}) {
			j.find(LostVote, o.Key, o.Version, o.ID, "custody does not have the vote of %s on %s", o.Approver, o.Approval)
		}
		request := j.final.Approvals[o.Approval]
		if request.State == "void" && j.believed(o) {
			continue
		}
		if voted[consent{o.Approval, rounds[o.Approval], o.Approver}] == 0 {
			continue // it was asked for anew since, and shown are the votes of the newest round
		}
		if !slices.ContainsFunc(request.Votes, func(v history.Vote) bool { return v.Entity == o.Approver }) {
			j.find(LostVote, o.Key, o.Version, o.ID, "%s does not show the vote of %s", o.Approval, o.Approver)
		}
	}
}

// believed reports whether somebody acknowledged the time after an operation was sent.
func (j *judge) believed(o history.Operation) bool {
	return slices.ContainsFunc(j.history.Events, func(e history.Event) bool { return e.Kind == history.Believed && e.To >= o.Sent })
}
