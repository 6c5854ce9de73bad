// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import "fmt"

func trim(version any) step { return post("keys/$K/trim", object("min_available_version", version)) }

// trimTrials hold the rules of reference/transit.md, sections 1.3 and 1.6, on keys/:name/trim.
func trimTrials() []trial {
	var all []trial
	for _, f := range flavours() {
		all = append(all, trimmedTrials(f)...)
	}
	for _, body := range []string{
		``, `{}`, `null`, `[]`, `{`, `"text"`, `{"min_available_version":null}`, `{"min_available_version":"2"}`, `{"min_available_version":"two"}`,
		`{"min_available_version":""}`, `{"min_available_version":2.5}`, `{"min_available_version":true}`, `{"min_available_version":[]}`,
		`{"min_available_version":{}}`, `{"min_available_version":0}`, `{"min_available_version":-1}`, `{"min_available_version":1}`,
		`{"min_available_version":2}`, `{"min_available_version":3}`, `{"min_available_version":4}`, `{"min_available_version":2147483648}`,
		`{"min_available_version":2,"nonsense":1}`, `{"min_available_version":2,"name":"another"}`, `{"min_decryption_version":2}`,
	} {
		for _, minima := range [][]step{{}, {floor(2)}, {encryptFrom(2)}, {encryptFrom(2), floor(2)}, {encryptFrom(3), floor(2)}, {encryptFrom(3), floor(3)}} {
			all = append(all, trial{name: fmt.Sprintf("trim %s with minima %v", body, bodiesOf(minima)), steps: append(
				threeVersions(f0(), minima...), post("keys/$K/trim", body), get("keys/$K"), f0().decrypt("$v1"), f0().decrypt("$v2"), f0().decrypt("$v3"),
			)})
		}
	}
	return append(all, trimSequences()...)
}

func bodiesOf(steps []step) []string {
	bodies := []string{}
	for _, s := range steps {
		bodies = append(bodies, s.body)
	}
	return bodies
}

// trimmedTrials use a key whose first version is gone.
func trimmedTrials(f flavour) []trial {
	encryptWith := func(version int) step { return post("encrypt/$K", f.body("plaintext", hello, "key_version", version)) }
	rewrap := func(ciphertext string) step { return post("rewrap/$K", f.body("ciphertext", ciphertext)) }
	return []trial{
		{name: "trim " + f.String(), steps: threeVersions(f,
			encryptFrom(2), floor(2), trim(2), get("keys/$K"), f.decrypt("$v1"), f.decrypt("$v2"), f.decrypt("$v3"), rewrap("$v1"), rewrap("$v2"),
			encryptWith(0), encryptWith(1), encryptWith(2), encryptWith(3), post("datakey/plaintext/$K", f.body("key_version", 1)),
			post("datakey/plaintext/$K", f.body("key_version", 2)),
			post("decrypt/$K", items(f.body("ciphertext", "$v1"), f.body("ciphertext", "$v2"))),
			rotate(), get("keys/$K"), f.decrypt("$v2"), encryptWith(4),
		)},
		{name: "trim all but the latest " + f.String(), steps: threeVersions(f,
			encryptFrom(3), floor(3), trim(3), get("keys/$K"), f.decrypt("$v1"), f.decrypt("$v2"), f.decrypt("$v3"), rotate(), f.encrypt("v4"), f.decrypt("$v4"),
		)},
	}
}

func trimSequences() []trial {
	return []trial{
		{name: "trim no key", steps: []step{trim(1), post("keys/$K/trim", ""), get("keys/$K")}},
		{name: "trim by other methods", steps: []step{f0().create(), get("keys/$K/trim"), list("keys/$K/trim"), del("keys/$K/trim"), get("keys/$K-none/trim")}},
		{name: "trim a new key", steps: []step{f0().create(), trim(1), encryptFrom(1), trim(1), get("keys/$K"), trim(2), floor(1), trim(1), get("keys/$K")}},
		{name: "trim twice and never back", steps: threeVersions(f0(),
			encryptFrom(3), floor(3), trim(2), get("keys/$K"), trim(2), trim(1), trim(0), trim(3), get("keys/$K"), trim(2), trim(4), get("keys/$K"),
		)},
		{name: "the minima after a trim", steps: threeVersions(f0(),
			encryptFrom(3), floor(3), trim(2), floor(1), floor(0), floor(2), get("keys/$K"), encryptFrom(0), encryptFrom(1), encryptFrom(2), get("keys/$K"),
			f0().decrypt("$v1"), f0().decrypt("$v2"), config(`{"min_decryption_version":1,"min_encryption_version":1}`),
			config(`{"min_encryption_version":0,"deletion_allowed":true}`), get("keys/$K"),
		)},
		{name: "minima that are gone before the trim", steps: threeVersions(f0(), encryptFrom(3), floor(2), encryptFrom(0), trim(2), floor(1), trim(2), get("keys/$K"))},
		{name: "delete and create again after a trim", steps: threeVersions(f0(),
			encryptFrom(2), floor(2), trim(2), config(`{"deletion_allowed":true}`), del("keys/$K"), trim(2), f0().create(), get("keys/$K"), f0().encrypt("new"),
			f0().decrypt("$new"), f0().decrypt("$v1"), f0().decrypt("$v2"), trim(1),
		)},
		{name: "trim and rotate by turns", steps: threeVersions(f0(),
			encryptFrom(2), floor(2), trim(2), rotate(), rotate(), encryptFrom(4), floor(4), trim(4), get("keys/$K"), f0().decrypt("$v3"), rotate(), get("keys/$K"),
			encryptFrom(6), floor(6), trim(6), get("keys/$K"), f0().encrypt("new"), f0().decrypt("$new"),
		)},
		{name: "a refused trim changes nothing", steps: threeVersions(f0(), encryptFrom(2), trim(3), trim(2), get("keys/$K"), f0().decrypt("$v1"), floor(2), f0().decrypt("$v2"), trim(2), get("keys/$K"))},
	}
}
