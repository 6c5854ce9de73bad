// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package report

import (
	"slices"
	"strconv"
)

var records = Source{"records", "that the custody records of the mount, each policy and each key are a whole chain", func(f Facts) []Evidence {
	return eachChain(f, "records", Chain.whole)
}}

// eachChain is evidence of which the mount, each policy and each key have one.
func eachChain(f Facts, name string, of func(Chain) shown) []Evidence {
	all := []Evidence{of(f.Mount.Chain).as(name, ofMount)}
	for _, p := range f.Policies {
		all = append(all, of(p.Chain).as(name, ofPolicy+p.Name))
	}
	return append(all, fromCustody(name, "", func(_ Facts, k Key) shown { return of(k.Chain) }).of(f)...)
}

func (c Chain) whole() shown {
	s := shown{says: Met, text: count(c.Records, "record") + ", no gap and no change", fields: map[string]string{
		"records": strconv.Itoa(c.Records), "acts_in_period": strconv.Itoa(len(c.Acts)),
	}}
	switch {
	case len(c.Problems) > 0:
		s.says, s.text = NotMet, "the chain is broken: "+c.Problems[0]
	case c.Partial:
		s.says, s.text = Partly, "the newest "+count(c.Records, "record")+" were read, and not those before: verify an export"
	case c.Unfinished > 0:
		s.says, s.text = Partly, count(c.Unfinished, "act")+" without an end: verify settles them"
	}
	return s
}

var retention = Source{"retention", "since when custody records are kept; nothing deletes them, nor revisions of policies", func(f Facts) []Evidence {
	return append(eachChain(f, "retention", Chain.kept), storageKept.of(f)...)
}}

func (c Chain) kept() shown {
	switch {
	case len(c.Problems) > 0:
		return shown{says: NotMet, text: "the chain is broken: " + c.Problems[0]}
	case c.Records == 0:
		return shown{says: Met, text: "there is no record yet"}
	}
	return shown{says: Met, text: "records are kept since " + stamp(c.First) + " or longer", fields: map[string]string{"since": stamp(c.First)}}
}

var storageKept = limit("storage", "that Vault's storage, and exports of it, are kept as long")

var revisions = perPolicy("revisions", "revisions of each policy in the period: by whom, why, and who agreed",
	func(_ Facts, p Policy) shown {
		acts := p.Chain.acts("write")
		silent := which(acts, func(a Act) bool { return a.Reason == "" })
		alone := which(acts, func(a Act) bool { return !a.approved() })
		s := shown{
			says: Met, text: "revision " + strconv.Itoa(p.Revision) + " of " + stamp(p.Created) + "; " + count(len(acts), "revision") + " in the period",
			fields: map[string]string{"revision": strconv.Itoa(p.Revision), "hash": p.Hash}, records: p.Chain.recordsOf(acts),
		}
		for _, a := range acts[:min(len(acts), mostNamed)] {
			s.fields["record "+strconv.Itoa(a.Seq)] = a.Details["revision"] + ", by " + a.By + ", reason: " + a.Reason
		}
		if len(alone) > 0 {
			s.says, s.text = Partly, s.text+", "+strconv.Itoa(len(alone))+" by one person alone"
		}
		if len(silent) > 0 {
			s.says, s.text = Partly, s.text+", "+strconv.Itoa(len(silent))+" without a reason"
		}
		return s
	})

var anomalies = perKey("anomalies", "what is out of order with each key: rules it does not meet, late rotations, denied uses, acts that failed",
	func(_ Facts, k Key) shown {
		failed := len(which(k.Chain.Acts, func(a Act) bool { return !a.Done }))
		s := shown{says: Met, text: "nothing is out of order", fields: map[string]string{
			"denied_uses": strconv.FormatInt(k.Denied, 10), "failed_acts": strconv.Itoa(failed), "rotation_status": k.RotationStatus,
		}}
		for i, f := range k.Findings[:min(len(k.Findings), mostNamed)] {
			s.fields["finding "+strconv.Itoa(i+1)] = f.Field + " " + f.Value + ": " + f.Rule
		}
		switch {
		case len(k.Findings) > 0 || slices.Contains(late, k.RotationStatus):
			s.says, s.text = NotMet, count(len(k.Findings), "rule")+" of the policy not met; rotation: "+k.RotationStatus
		case k.Denied > 0 || failed > 0:
			s.says, s.text = Partly, count(int(k.Denied), "denied use")+", "+count(failed, "act")+" that failed"
		}
		return s
	})

var monitoring = limit("monitoring", "that somebody watches the log, the metrics and the alerts, and acts on them")

var auditLog = limit("audit-log", "uses of keys, request by request: Vault's audit devices have them, and what becomes of their files")
