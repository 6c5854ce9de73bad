// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package report

import (
	"maps"
	"slices"
	"strconv"
)

var actors = fromCustody("actors", "who changed each key in the period, and who agreed",
	func(_ Facts, k Key) shown {
		acts := which(k.Chain.acts(), Act.byHand)
		who, nameless := map[string]int{}, 0
		fields := map[string]string{}
		for _, a := range acts {
			if a.By == "" {
				nameless++
				continue
			}
			who[a.By]++
			if a.Details[detailApprovers] != "" && len(fields) < mostNamed {
				fields["record "+strconv.Itoa(a.Seq)+" approved by"] = a.Details[detailApprovers]
			}
		}
		fields["persons"] = names(slices.Sorted(maps.Keys(who)))
		s := shown{
			says: Met, text: count(len(acts), "act") + " by " + count(len(who), "person"), fields: fields, records: k.Chain.recordsOf(acts),
		}
		if nameless > 0 {
			s.says, s.text = Partly, s.text+", "+strconv.Itoa(nameless)+" by nobody who is named"
		}
		return s
	})

// The acts that are to be in several hands, and of them those that make a key and those that end one.
var (
	makes = []string{"create", "import", "restore-backup", "rotate", "promote"}
	ends  = []string{"archive", "retire", "delete", "trim"}
	gated = slices.Concat(makes, ends, []string{"rollback", "resume", "recover", "restore", "configure", "export", "backup"})
)

var separation = fromCustody("separation", "acts by hand in the period: with the consent of others, past it, or by one person alone",
	func(_ Facts, k Key) shown {
		acts := which(k.Chain.acts(gated...), Act.byHand)
		approved, broke := which(acts, Act.approved), which(acts, Act.brokeGlass)
		alone := len(acts) - len(approved) - len(broke)
		s := shown{says: Met, text: "no act by hand in the period", records: k.Chain.recordsOf(acts), fields: map[string]string{
			"approved": strconv.Itoa(len(approved)), "break_glass": strconv.Itoa(len(broke)), "alone": strconv.Itoa(alone),
		}}
		switch person := oneForAll(acts); {
		case len(acts) == 0:
		case person != "":
			s.says, s.text = NotMet, "one person made the key and ended it, alone: "+person
		case alone > 0 || len(broke) > 0:
			s.says, s.text = Partly, strconv.Itoa(len(approved))+" of "+count(len(acts), "act")+" with the consent of others"
		default:
			s.text = "all of " + count(len(acts), "act") + " with the consent of others"
		}
		return s
	})

// oneForAll names somebody who both made and ended a key, or a version of it, and nobody agreed; empty: nobody did.
func oneForAll(acts []Act) string {
	made, ended := map[string]bool{}, map[string]bool{}
	for _, a := range acts {
		if a.approved() || a.By == "" {
			continue
		}
		made[a.By] = made[a.By] || slices.Contains(makes, a.Name)
		ended[a.By] = ended[a.By] || slices.Contains(ends, a.Name)
	}
	for _, who := range slices.Sorted(maps.Keys(made)) {
		if made[who] && ended[who] {
			return who
		}
	}
	return ""
}

var acknowledgements = ofTheMount("acknowledgements", "who acknowledged the duties of an approver in the period, with the hash of their text",
	func(f Facts) shown {
		acts := which(f.Mount.Chain.acts(), func(a Act) bool { return a.Details[detailDuties] != "" })
		if len(acts) == 0 {
			return shown{says: Manual, text: "not shown by this engine: no acknowledgement is recorded in the period"}
		}
		fields := map[string]string{}
		for _, a := range acts[:min(len(acts), mostNamed)] {
			fields["record "+strconv.Itoa(a.Seq)] = a.By + ", " + stamp(a.Time) + ", " + a.Details[detailDuties]
		}
		return shown{says: Met, text: count(len(acts), "acknowledgement"), fields: fields, records: f.Mount.Chain.recordsOf(acts)}
	})

var whoCould = limit("who-could", "who could act: Vault does not show policies and tokens to a secrets engine. See docs/access-control.md")
