// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package report

import "slices"

// inTheClear are the acts that give out or take in material that nothing wraps.
var inTheClear = []string{"export", "backup", "restore-backup"}

var leaving = fromCustody("leaving", "whether material of each key may leave in the clear, and what left in the period",
	func(_ Facts, k Key) shown {
		out := k.Chain.acts("export", "backup")
		wrapped := k.Chain.acts("export-wrapped")
		s := shown{says: Met, text: "material does not leave in the clear", records: k.Chain.recordsOf(append(out, wrapped...))}
		switch {
		case len(out) > 0 && len(which(out, Act.approved)) == len(out):
			s.says, s.text = Partly, "material left in the clear "+count(len(out), "time")+", each with the consent of others"
		case len(out) > 0:
			s.says, s.text = NotMet, "material left in the clear "+count(len(out), "time")+", not each with the consent of others"
		case k.Resident:
			s.text = "the key never leaves the HSM"
		case k.Exportable || k.Backup:
			s.says, s.text = Partly, "material may leave in the clear, and did not in the period"
		}
		if len(wrapped) > 0 {
			s.text += "; it left wrapped by another key " + count(len(wrapped), "time")
		}
		return s
	})

var cleartext = fromCustody("cleartext", "operations on material in the clear, and whether others agreed to them",
	func(_ Facts, k Key) shown {
		acts := k.Chain.acts(inTheClear...)
		s := shown{says: Met, text: "no operation on material in the clear in the period", records: k.Chain.recordsOf(acts)}
		switch {
		case len(acts) == 0:
		case len(which(acts, Act.approved)) == len(acts):
			s.says, s.text = Partly, count(len(acts), "operation")+" with the consent of others; this engine has no operation with split knowledge"
		default:
			s.says, s.text = NotMet, count(len(acts)-len(which(acts, Act.approved)), "operation")+" by one person alone"
		}
		return s
	})

var substitution = fromCustody("substitution", "material from elsewhere that took the place of a key's, and whether others agreed",
	func(_ Facts, k Key) shown {
		acts := which(k.Chain.acts(), func(a Act) bool {
			return slices.Contains([]string{"import", "restore-backup"}, a.Name) || a.Name == "configure" && a.Details["policy"] != ""
		})
		s := shown{says: Met, text: "no material from elsewhere, and no other policy, in the period", records: k.Chain.recordsOf(acts)}
		switch {
		case len(acts) == 0:
		case len(which(acts, Act.approved)) == len(acts):
			s.text = count(len(acts), "import or move") + " with the consent of others"
		default:
			s.says, s.text = Partly, count(len(acts)-len(which(acts, Act.approved)), "import or move")+" by one person alone"
		}
		return s
	})

var copies = limit("copies", "copies of Vault's storage, such as snapshots and replicas, and who holds them")

var wholeData = limit("data", "which data a key protects, that it was rewritten under another version, and what is not encrypted by this engine")
