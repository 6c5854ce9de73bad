// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package report

import "strings"

// Standard is a text that controls are of.
type Standard struct {
	Tag     string // what a policy's compliance calls it
	Name    string
	Edition string
	URL     string
}

// Standards are the texts of which controls are in the table.
var Standards = []Standard{
	{"pci-dss-4.0.1", "PCI DSS", "v4.0.1, June 2024", "https://www.pcisecuritystandards.org/document_library/"},
	{"nist-800-57", "NIST SP 800-57 Part 1", "Revision 5, May 2020", "https://doi.org/10.6028/NIST.SP.800-57pt1r5"},
	{"soc2", "AICPA Trust Services Criteria", "2017, with revised points of focus of 2022", "https://www.aicpa-cima.com/resources/download/2017-trust-services-criteria-with-revised-points-of-focus-2022"},
	{"hipaa", "HIPAA Security Rule, 45 CFR part 164 subpart C", "as in the eCFR", "https://www.ecfr.gov/current/title-45/part-164/subpart-C"},
	{"gdpr", "Regulation (EU) 2016/679", "of 27 April 2016", "https://eur-lex.europa.eu/eli/reg/2016/679/oj"},
}

// Control is what a standard asks, and what the engine shows for it.
type Control struct {
	Standard string // tag of the standard
	Section  string // as the standard numbers it
	Title    string // what it asks, in our words
	Checked  string // where the number was compared with the text: a name in docs/compliance.md
	Evidence []Source
}

// Tag is what a policy's compliance calls the control.
func (c Control) Tag() string { return c.Standard + "/" + c.Section }

// Source is a kind of evidence.
type Source struct {
	Name string
	Help string // what it shows, in a sentence
	of   func(f Facts) []Evidence
}

// Controls is the table: one row a control.
var Controls = []Control{
	{"pci-dss-4.0.1", "3.6.1", "keys are protected against disclosure and misuse", "P1", []Source{actors, whoCould, kekStrength, wrapping, leaving}},
	{"pci-dss-4.0.1", "3.6.1.1", "the cryptographic architecture is described (service providers)", "P2", []Source{inventory, kekStrength, environments}},
	{"pci-dss-4.0.1", "3.6.1.2", "secret and private keys are stored in a permitted form", "P2", []Source{wrapping, kekStrength}},
	{"pci-dss-4.0.1", "3.6.1.3", "access to cleartext key components is restricted", "P2", []Source{leaving, actors, whoCould}},
	{"pci-dss-4.0.1", "3.6.1.4", "keys are stored in the fewest places", "P2", []Source{leaving, copies}},
	{"pci-dss-4.0.1", "3.7.1", "strong keys are generated", "P1", []Source{strength, admission, generation}},
	{"pci-dss-4.0.1", "3.7.2", "keys are distributed securely", "P2", []Source{leaving}},
	{"pci-dss-4.0.1", "3.7.3", "keys are stored securely", "P2", []Source{wrapping, copies}},
	{"pci-dss-4.0.1", "3.7.4", "keys are changed at the end of their cryptoperiod", "P2", []Source{cryptoperiod, inTime, volume}},
	{"pci-dss-4.0.1", "3.7.5", "keys are retired, replaced or destroyed when they have to be", "P1", []Source{ending, compromises}},
	{"pci-dss-4.0.1", "3.7.6", "manual cleartext operations are under split knowledge and dual control", "P2", []Source{cleartext}},
	{"pci-dss-4.0.1", "3.7.7", "keys cannot be substituted without authorization", "P2", []Source{binding, records, substitution}},
	{"pci-dss-4.0.1", "3.7.8", "key custodians acknowledge their responsibilities", "P2", []Source{acknowledgements}},

	{"nist-800-57", "5.3.6", "cryptoperiods of keys by their type", "N1", []Source{cryptoperiod, inTime, volume}},
	{"nist-800-57", "5.6.1", "algorithms and key sizes are strong enough", "N2", []Source{strength, admission, kekStrength}},
	{"nist-800-57", "8.3.4", "keys are destroyed when they are no longer needed", "N2", []Source{ending, shredding, copies}},

	{"soc2", "CC6.1", "logical access to protected information assets is restricted", "S1", []Source{inventory, wrapping, actors, whoCould}},
	{"soc2", "CC6.3", "access follows roles, least privilege and segregation of duties", "S2", []Source{separation, whoCould}},
	{"soc2", "CC7.2", "anomalies are monitored", "S3", []Source{anomalies, records, monitoring}},
	{"soc2", "CC8.1", "changes are authorized, documented, tested and approved", "S3", []Source{revisions, separation}},

	{"hipaa", "164.312(a)(2)(iv)", "electronic protected health information is encrypted", "H1", []Source{encryption, strength, wholeData}},
	{"hipaa", "164.312(b)", "activity is recorded and examined", "H1", []Source{records, actors, auditLog}},
	{"hipaa", "164.316(b)(2)(i)", "documentation is retained for six years", "H2", []Source{retention, revisions}},

	{"gdpr", "5(2)", "the controller can demonstrate compliance", "G1", []Source{records, revisions, inventory}},
	{"gdpr", "17", "personal data is erased on request", "G2", []Source{shredding, wholeData}},
	{"gdpr", "32(1)", "security of processing, with encryption among the measures", "G1", []Source{encryption, strength, wrapping, wholeData}},
}

// Below returns the controls that a tag names: of a standard, of a section, or one.
func Below(tag string) (controls []Control) {
	for _, c := range Controls {
		if within(c.Tag(), tag) {
			controls = append(controls, c)
		}
	}
	return controls
}

// Covers reports whether a policy with that compliance is meant for the tag: it has the tag, one below it, or one that it is below.
func Covers(compliance []string, tag string) bool {
	for _, t := range compliance {
		if within(t, tag) || within(tag, t) {
			return true
		}
	}
	return false
}

// within reports whether a tag is another one, or below it: pci-dss-4.0.1/3.7.4 is below pci-dss-4.0.1/3.7 and pci-dss-4.0.1.
func within(tag, above string) bool {
	rest, found := strings.CutPrefix(tag, above)
	if !found || above == "" {
		return false
	}
	section := strings.Contains(above, "/")
	return rest == "" || rest[0] == '/' || (section && (rest[0] == '.' || rest[0] == '('))
}
