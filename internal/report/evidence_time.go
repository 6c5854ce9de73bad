// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package report

import (
	"slices"
	"strconv"
	"time"
)

// patience is how late a thing may be that a tick does.
const patience = time.Hour

var cryptoperiod = perPolicy("cryptoperiod", "how long a version protects under each policy, and who rotates",
	func(_ Facts, p Policy) shown {
		if p.Cryptoperiod == 0 {
			return shown{says: NotMet, text: "nothing ends the time in which a version protects"}
		}
		return shown{
			says: Met, text: "a version protects at most " + span(p.Cryptoperiod) + "; rotation: " + p.RotationMode,
			fields: map[string]string{"originator_period": span(p.Cryptoperiod), "rotation_mode": p.RotationMode},
		}
	})

// late are the statuses of a rotation that should have been.
var late = []string{"overdue", "retrying", "stalled", "stopped"}

var inTime = perKey("in-time", "how long each version protected in the period, against the revision of the policy in force; late ones by number",
	func(f Facts, k Key) shown {
		var in int
		var over []int
		for _, u := range k.Uses {
			until := u.Until
			if until.IsZero() || until.After(f.To) {
				until = f.To
			}
			if u.From.After(f.To) || until.Before(f.From) {
				continue
			}
			if in++; k.Cryptoperiod > 0 && until.Sub(u.From) > k.Cryptoperiod+patience {
				over = append(over, u.Version)
			}
		}
		s := shown{
			says: Met, text: count(in, "version") + " in use in the period, none longer than " + span(k.Cryptoperiod),
			fields:  map[string]string{"rotation_status": k.RotationStatus, "late": numbers(over)},
			records: k.Chain.recordsOf(k.Chain.acts("create", "rotate", "promote", "rollback", "lapse")),
		}
		switch {
		case k.Cryptoperiod == 0:
			s.says, s.text = Partly, "there is no cryptoperiod to compare with"
		case len(over) > 0:
			s.says, s.text = NotMet, "in use longer than "+span(k.Cryptoperiod)+": "+numbers(over)
		case slices.Contains(late, k.RotationStatus):
			s.says, s.text = NotMet, "the rotation is "+k.RotationStatus
		}
		return s
	})

var volume = perKey("volume", "what the active version protected, as leased, against the limits of its policy",
	func(_ Facts, k Key) shown {
		if !k.Encrypts {
			return shown{says: Met, text: "the key does not encrypt"}
		}
		s := shown{says: Met, text: "within the limits", fields: map[string]string{
			"encryptions": strconv.FormatInt(k.Encryptions, 10), "max_encryptions": strconv.FormatInt(k.MaxEncryptions, 10),
			"bytes": strconv.FormatInt(k.Bytes, 10), "max_bytes": strconv.FormatInt(k.MaxBytes, 10),
		}}
		switch {
		case k.MaxEncryptions == 0 && k.MaxBytes == 0:
			s.says, s.text = Partly, "nothing limits what a version protects"
		case k.MaxEncryptions > 0 && k.Encryptions > k.MaxEncryptions, k.MaxBytes > 0 && k.Bytes > k.MaxBytes:
			s.says, s.text = NotMet, "more than the limits"
		}
		return s
	})

var ending = fromCustody("ending", "what was archived, retired and destroyed in the period, with reasons, and what should have been",
	func(_ Facts, k Key) shown {
		acts := k.Chain.acts("archive", "retire", "destroy", "erase-private", "trim", "delete")
		s := shown{says: Met, text: count(len(acts), "act") + " that ended the use of a version or the key", records: k.Chain.recordsOf(acts)}
		silent := which(acts, func(a Act) bool { return a.byHand() && a.Reason == "" })
		i := slices.IndexFunc(k.Findings, func(f Finding) bool { return f.Field == "version" })
		switch {
		case i >= 0:
			s.says, s.text = NotMet, "version "+k.Findings[i].Value+" "+k.Findings[i].Rule
		case len(silent) > 0:
			s.says, s.text = Partly, s.text+", "+strconv.Itoa(len(silent))+" without a reason"
		}
		return s
	})

var compromises = perKey("compromises", "versions that were reported as compromised, and how soon another took their place",
	func(_ Facts, k Key) shown {
		s := shown{says: Met, text: "no version is reported as compromised", records: k.Chain.recordsOf(k.Chain.acts("compromise"))}
		fields := map[string]string{}
		for _, c := range k.Compromises {
			if len(fields) < mostNamed {
				fields["version "+strconv.Itoa(c.Version)] = replacement(c)
			}
			switch {
			case c.ReplacedBy == 0:
				s.says = NotMet
			case c.Replaced.Sub(c.Reported) > 24*time.Hour && s.says == Met:
				s.says = Partly
			}
		}
		if n := len(k.Compromises); n > 0 {
			s.text, s.fields = count(n, "version")+" reported as compromised", fields
		}
		return s
	})

func replacement(c Compromise) string {
	text := c.Code + ", reported " + stamp(c.Reported)
	switch {
	case c.ReplacedBy == 0:
		return text + ", nothing is in its place"
	case !c.Replaced.After(c.Reported):
		return text + ", replaced at once or before"
	default:
		return text + ", replaced after " + span(c.Replaced.Sub(c.Reported))
	}
}

var shredding = fromCustody("shredding", "versions that were destroyed in the period, so that what they protect is unreadable for good",
	func(_ Facts, k Key) shown {
		acts := k.Chain.acts("destroy", "trim", "delete")
		s := shown{says: Met, text: count(len(acts), "act") + " destroyed material", records: k.Chain.recordsOf(acts), fields: map[string]string{}}
		if k.Versions > 0 { // of a key that was deleted nobody knows how many it had
			s.fields["destroyed"], s.fields["versions"] = strconv.Itoa(k.Destroyed), strconv.Itoa(k.Versions)
		}
		for _, a := range acts[:min(len(acts), mostNamed)] {
			s.fields["record "+strconv.Itoa(a.Seq)] = stamp(a.Time) + ", version " + numbers(a.Versions)
		}
		switch {
		case k.LegalHold:
			s.says, s.text = Partly, s.text+"; a legal hold keeps the rest"
		case len(acts) == 0:
			s.says, s.text = Manual, "nothing was destroyed in the period"
		}
		return s
	})
