// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package report_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/report"
)

// changes are what makes good facts others, by the evidence that says so and what it says then.
var changes = map[string]map[report.Verdict]func(f *report.Facts){
	"strength": {
		report.Met:    func(f *report.Facts) { f.Keys[0].Bits = 0 },
		report.Partly: func(f *report.Facts) { f.Keys[0].Bits, f.Keys[0].MinStrength = 112, 0 },
		report.NotMet: func(f *report.Facts) { f.Keys[0].Bits = 112 },
	},
	"admission": {
		report.Met:    func(f *report.Facts) { f.Policies[0].AllowedTypes = nil },
		report.Partly: func(f *report.Facts) { f.Policies[0].AllowedTypes, f.Policies[0].MinStrength = nil, 0 },
	},
	"generation": {report.Partly: func(f *report.Facts) { f.Keys[0].Imported = true }},
	"wrapping": {
		report.Met:    func(f *report.Facts) { f.Keys[0].Unprotected, f.Keys[0].Resident = []int{1}, true },
		report.Partly: func(f *report.Facts) { f.Keys[0].Unprotected = []int{1, 2} },
		report.NotMet: func(f *report.Facts) { f.Keys[0].Unprotected, f.Keys[0].HSMRequired = []int{1, 2}, true },
	},
	"kek-strength": {
		report.Met:    func(f *report.Facts) { f.Mount.KEKs[0].Bits, f.Keys[0].Resident = 112, true },
		report.Partly: func(f *report.Facts) { f.Mount.KEKs[0].Bits = 0 },
		report.NotMet: func(f *report.Facts) { f.Mount.KEKs[0].Bits = 128 },
	},
	"encryption": {report.Manual: func(f *report.Facts) { f.Keys[0].Encrypts = false }},
	"leaving": {
		report.Met:    add("export-wrapped", false),
		report.Partly: func(f *report.Facts) { f.Keys[0].Exportable = true },
		report.NotMet: add("backup", false),
	},
	"cleartext":    {report.Met: add("export-wrapped", false), report.Partly: add("export", true), report.NotMet: add("restore-backup", false)},
	"substitution": {report.Met: add("import", true), report.Partly: add("import", false)},
	"cryptoperiod": {report.NotMet: func(f *report.Facts) { f.Policies[0].Cryptoperiod = 0 }},
	"in-time": {
		report.Met:    func(f *report.Facts) { f.Keys[0].Uses[0].Until = from.Add(-time.Hour) },
		report.Partly: func(f *report.Facts) { f.Keys[0].Cryptoperiod = 0 },
		report.NotMet: func(f *report.Facts) { f.Keys[0].Cryptoperiod = year / 3 },
	},
	"volume": {
		report.Met:    func(f *report.Facts) { f.Keys[0].Encrypts, f.Keys[0].MaxEncryptions = false, 0 },
		report.Partly: func(f *report.Facts) { f.Keys[0].MaxEncryptions = 0 },
		report.NotMet: func(f *report.Facts) { f.Keys[0].Encryptions = 101 },
	},
	"ending": {
		report.Partly: func(f *report.Facts) { f.Keys[0].Chain.Acts[0].Reason = "" },
		report.NotMet: func(f *report.Facts) { f.Keys[0].Findings = []report.Finding{{"version", "1", "was due to archive"}} },
	},
	"compromises": {
		report.Met:    compromised(time.Hour, 3),
		report.Partly: compromised(48*time.Hour, 3),
		report.NotMet: compromised(0, 0),
	},
	"shredding": {
		report.Partly: func(f *report.Facts) { f.Keys[0].LegalHold = true },
		report.Manual: func(f *report.Facts) { f.Keys[0].Chain.Acts = nil },
	},
	"actors": {report.Partly: func(f *report.Facts) { f.Keys[0].Chain.Acts[0].By = "" }},
	"separation": {
		report.Met:    func(f *report.Facts) { f.Keys[0].Chain.Acts = nil },
		report.Partly: add("configure", false),
		report.NotMet: func(f *report.Facts) { add("create", false)(f); add("retire", false)(f) },
	},
	"acknowledgements": {report.Manual: func(f *report.Facts) { f.Mount.Chain.Acts = nil }},
	"records": {
		report.Partly: func(f *report.Facts) { f.Keys[0].Chain.Unfinished = 1 },
		report.NotMet: func(f *report.Facts) { f.Policies[0].Chain.Problems = []string{"record 2 is missing"} },
	},
	"retention": {
		report.Met:    func(f *report.Facts) { f.Keys[0].Chain.Records = 0 },
		report.NotMet: func(f *report.Facts) { f.Mount.Chain.Problems = []string{"record 2 is missing"} },
	},
	"revisions": {report.Partly: func(f *report.Facts) { f.Policies[0].Chain.Acts[0].Details = nil }},
	"anomalies": {
		report.Partly: func(f *report.Facts) { f.Keys[0].Denied = 2 },
		report.NotMet: func(f *report.Facts) { f.Keys[0].RotationStatus = "stalled" },
	},
}

func add(name string, consent bool) func(f *report.Facts) {
	return func(f *report.Facts) {
		a := act(7, name, "mallory (e9)")
		if consent {
			a = approved(a)
		}
		f.Keys[0].Chain.Acts = append(f.Keys[0].Chain.Acts, a)
	}
}

func compromised(after time.Duration, by int) func(f *report.Facts) {
	return func(f *report.Facts) {
		f.Keys[0].Compromises = []report.Compromise{{Version: 2, Code: "key_compromise", Reported: from, ReplacedBy: by, Replaced: from.Add(after)}}
	}
}

func assess(f report.Facts, tag string) report.Page {
	return report.Assess(report.Page{Tag: tag, Instance: "i1", Time: to}, f)
}

// worst is what the evidence of a name says at its worst in all controls.
func worst(t *testing.T, f report.Facts, name string) report.Verdict {
	order := []report.Verdict{report.Met, report.Manual, report.Partly, report.NotMet}
	at := -1
	for _, s := range report.Standards {
		for _, c := range assess(f, s.Tag).Controls {
			for _, e := range c.Evidence {
				if e.What == name {
					at = max(at, slices.Index(order, e.Verdict))
				}
			}
		}
	}
	require.GreaterOrEqual(t, at, 0, "no control has %s", name)
	return order[at]
}

func TestEachEvidenceSaysWhatTheFactsAre(t *testing.T) {
	for name, of := range changes {
		require.Equal(t, report.Met, worst(t, good(), name), name)
		for want, change := range of {
			f := good()
			change(&f)
			require.Equal(t, want, worst(t, f, name), "%s", name)
		}
	}
}

// reachable are the verdicts of each control that some facts lead to. Where the engine sees a part alone, nothing makes it met.
var reachable = map[string]string{
	"pci-dss-4.0.1/3.6.1": "manual not_met partly", "pci-dss-4.0.1/3.6.1.1": "manual not_met partly", "pci-dss-4.0.1/3.6.1.2": "manual met not_met partly",
	"pci-dss-4.0.1/3.6.1.3": "manual not_met partly", "pci-dss-4.0.1/3.6.1.4": "manual not_met partly", "pci-dss-4.0.1/3.7.1": "manual met not_met partly",
	"pci-dss-4.0.1/3.7.2": "manual met not_met partly", "pci-dss-4.0.1/3.7.3": "manual not_met partly", "pci-dss-4.0.1/3.7.4": "manual met not_met partly",
	"pci-dss-4.0.1/3.7.5": "manual met not_met partly", "pci-dss-4.0.1/3.7.6": "manual met not_met partly", "pci-dss-4.0.1/3.7.7": "manual met not_met partly",
	"pci-dss-4.0.1/3.7.8": "manual met", "nist-800-57/5.3.6": "manual met not_met partly", "nist-800-57/5.6.1": "manual met not_met partly",
	"nist-800-57/8.3.4": "manual not_met partly", "soc2/CC6.1": "manual not_met partly", "soc2/CC6.3": "manual not_met partly",
	"soc2/CC7.2": "manual not_met partly", "soc2/CC8.1": "manual met not_met partly", "hipaa/164.312(a)(2)(iv)": "manual not_met partly",
	"hipaa/164.312(b)": "manual not_met partly", "hipaa/164.316(b)(2)(i)": "manual not_met partly", "gdpr/5(2)": "manual met not_met partly",
	"gdpr/17": "manual partly", "gdpr/32(1)": "manual not_met partly",
}

func TestEachVerdictOfEachControlIsReached(t *testing.T) {
	got := map[string]map[string]bool{}
	note := func(f report.Facts) {
		for _, s := range report.Standards {
			for _, c := range assess(f, s.Tag).Controls {
				if got[c.Tag] == nil {
					got[c.Tag] = map[string]bool{}
				}
				got[c.Tag][string(c.Verdict)] = true
			}
		}
	}
	note(good())
	without := good()
	without.Keys = nil
	note(without)
	for _, of := range changes {
		for _, change := range of {
			f := good()
			change(&f)
			note(f)
		}
	}
	text := map[string]string{}
	for tag, verdicts := range got {
		text[tag] = strings.Join(slices.Sorted(maps.Keys(verdicts)), " ")
	}
	require.Equal(t, reachable, text)
}

func TestConsentIsSeenAndBreakGlassIsNotConsent(t *testing.T) {
	f := good()
	f.Keys[0].Chain.Acts = []report.Act{approved(act(1, "rotate", "alice (e1)")), act(3, "resume", "alice (e1)", "break_glass", "true")}
	require.Equal(t, report.Partly, worst(t, f, "separation"))
	f.Keys[0].Chain.Acts[1] = approved(f.Keys[0].Chain.Acts[1])
	delete(f.Keys[0].Chain.Acts[1].Details, "break_glass")
	require.Equal(t, report.Met, worst(t, f, "separation"))
	f.Keys[0].Chain.Acts = append(f.Keys[0].Chain.Acts, report.Act{Seq: 5, Name: "export", By: "alice (e1)"})
	require.Equal(t, report.Met, worst(t, f, "leaving"), "an act that failed let nothing out")
	require.Equal(t, report.Partly, worst(t, f, "anomalies"))
}

func TestATagNamesWhatIsBelowIt(t *testing.T) {
	tags := func(tag string) (all []string) {
		for _, c := range report.Below(tag) {
			all = append(all, c.Tag())
		}
		return all
	}
	require.Equal(t, []string{"pci-dss-4.0.1/3.7.4"}, tags("pci-dss-4.0.1/3.7.4"))
	require.Len(t, tags("pci-dss-4.0.1/3.7"), 8)
	require.Len(t, tags("pci-dss-4.0.1/3.6.1"), 5)
	require.Len(t, tags("hipaa/164.312"), 2)
	for _, none := range []string{"", "/", "pci-dss-4", "pci-dss-4.0", "pci-dss-4.0.1/", "pci-dss-4.0.1/3.7.44", "soc2/cc6.1"} {
		require.Empty(t, tags(none), none)
		require.Contains(t, report.CheckTag(none), "pci-dss-4.0.1, nist-800-57", none)
	}
	require.Empty(t, report.CheckTag("gdpr"))

	require.True(t, report.Covers([]string{"x", "pci-dss-4.0.1/3.7.4"}, "pci-dss-4.0.1"))
	require.True(t, report.Covers([]string{"pci-dss-4.0.1"}, "pci-dss-4.0.1/3.7.4"))
	require.False(t, report.Covers([]string{"pci-dss-4.0.1/3.7.4"}, "pci-dss-4.0.1/3.7.5"))
	require.False(t, report.Covers([]string{"pci-dss-4.0.10", "", "PCI-DSS-4.0.1"}, "pci-dss-4.0.1"))
}
