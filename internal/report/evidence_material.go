// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// The strengths of SP 800-57 Part 1 Rev 5, section 5.6.
const (
	leastBits   = 112 // acceptable to the end of 2030
	presentBits = 128
)

var inventory = perKey("inventory", "what each key is: type, strength, versions, state, next rotation, owner, labels",
	func(_ Facts, k Key) shown {
		fields := map[string]string{
			"type": k.Type, "bits": strconv.Itoa(k.Bits), "state": k.State, "policy": k.Policy, "owner": k.Owner, "key_id": k.ID,
			"versions": strconv.Itoa(k.Versions), "destroyed": strconv.Itoa(k.Destroyed), "next_rotation": stamp(k.NextRotation),
			"imported": strconv.FormatBool(k.Imported), "deletion_allowed": strconv.FormatBool(k.Deletable), "legal_hold": strconv.FormatBool(k.LegalHold),
		}
		for name, value := range k.Labels {
			fields["label "+name] = value
		}
		maps.DeleteFunc(fields, func(_, value string) bool { return value == "" })
		return shown{says: Met, text: fmt.Sprintf("%s, %s, %s", k.Type, k.State, count(k.Versions, "version")), fields: fields}
	})

var strength = perKey("strength", "the weakest version of each key that is not destroyed, against 112 and 128 bits and its policy's min_strength_bits",
	func(_ Facts, k Key) shown {
		s := shown{says: Met, text: strconv.Itoa(k.Bits) + " bits", fields: map[string]string{"bits": strconv.Itoa(k.Bits), "type": k.Type}}
		switch {
		case k.Bits == 0:
			s.text = "all versions are destroyed"
		case k.Bits < max(leastBits, k.MinStrength):
			s.says, s.text = NotMet, s.text+", below the "+strconv.Itoa(max(leastBits, k.MinStrength))+" that are demanded"
		case k.Bits < presentBits:
			s.says, s.text = Partly, s.text+": acceptable to the end of 2030"
		}
		return s
	})

var admission = perPolicy("admission", "whether each policy says which types, or which strength, its keys may have",
	func(_ Facts, p Policy) shown {
		s := shown{says: Met, fields: map[string]string{"allowed_types": names(p.AllowedTypes), "min_strength_bits": strconv.Itoa(p.MinStrength)}}
		switch {
		case len(p.AllowedTypes) > 0:
			s.text = "new versions are of " + names(p.AllowedTypes)
		case p.MinStrength >= leastBits:
			s.text = "new versions have at least " + strconv.Itoa(p.MinStrength) + " bits"
		default:
			s.says, s.text = Partly, "the policy admits every type"
		}
		return s
	})

var generation = perKey("generation", "that material was made here, from the random source, and was opened and tested before its version was committed",
	func(f Facts, k Key) shown {
		source := "the operating system"
		if f.Mount.TokenRandom {
			source += " and the token"
		}
		made := k.Chain.acts("create", "rotate")
		s := shown{
			says: Met, text: "made here, from the random source of " + source + "; " + count(len(made), "version") + " in the period",
			fields: map[string]string{"random": source}, records: k.Chain.recordsOf(made),
		}
		if k.Imported {
			s.says, s.text = Partly, "the newest version was made elsewhere: how, this engine does not show"
			s.records = k.Chain.recordsOf(k.Chain.acts("import"))
		}
		return s
	})

var wrapping = perKey("wrapping", "what wraps each key: an HSM, or a key encryption key in the same storage",
	func(_ Facts, k Key) shown {
		switch {
		case k.Resident:
			return shown{says: Met, text: "the key never leaves the HSM"}
		case len(k.Unprotected) == 0:
			return shown{says: Met, text: "an HSM wraps all versions"}
		}
		s := shown{
			says: Partly, fields: map[string]string{"versions": numbers(k.Unprotected)},
			text: "a key encryption key in the same storage wraps it; Vault's seal alone separates the two",
		}
		if k.HSMRequired {
			s.says, s.text = NotMet, "the policy demands an HSM, and none wraps "+count(len(k.Unprotected), "version")
		}
		return s
	})

var kekStrength = perKey("kek-strength", "the strength of the active key encryption keys, against the strongest version of each key",
	func(f Facts, k Key) shown {
		if k.Resident || k.MaxBits == 0 {
			return shown{says: Met, text: "no key encryption key wraps it"}
		}
		s := shown{says: Met, fields: map[string]string{"key_bits": strconv.Itoa(k.MaxBits)}}
		for _, kek := range f.Mount.KEKs {
			s.fields["kek "+kek.Purpose] = fmt.Sprintf("%s, %d bits", kek.Suite, kek.Bits)
		}
		weaker := slices.ContainsFunc(f.Mount.KEKs, func(kek KEK) bool { return kek.Bits > 0 && kek.Bits < k.MaxBits })
		unknown := slices.ContainsFunc(f.Mount.KEKs, func(kek KEK) bool { return kek.Bits == 0 })
		switch {
		case weaker:
			s.says, s.text = NotMet, "a key encryption key is weaker than the key"
		case unknown, len(f.Mount.KEKs) == 0:
			s.says, s.text = Partly, "the strength of a key encryption key is not known"
		default:
			s.text = "the key encryption keys are at least as strong"
		}
		return s
	})

var encryption = perKey("encryption", "which keys encrypt, and with what",
	func(_ Facts, k Key) shown {
		if !k.Encrypts {
			return shown{says: Manual, text: "the key does not encrypt"}
		}
		return shown{says: Met, text: "the key encrypts, with " + k.Type, fields: map[string]string{"type": k.Type}}
	})

var binding = ofTheMount("binding", "that sealed material is bound to the mount, the key and the version",
	func(Facts) shown {
		return shown{says: Met, text: "sealed material is authenticated with mount, key id and version: put in the place of another it does not open"}
	})

var environments = limit("environments", "that a key is not used in production and in test, and where devices stand")
