// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

// versionTrials follow ciphertexts of three versions through rotation, floors and rewrap.
func versionTrials() []trial {
	var all []trial
	for _, f := range flavours() {
		all = append(all, gateTrials(f)...)
		all = append(all, rewrapTrials(f)...)
	}
	return all
}

// threeVersions makes a key with ciphertexts $v1, $v2 and $v3 and runs the steps on it.
func threeVersions(f flavour, then ...step) []step {
	return append([]step{f.create(), f.encrypt("v1"), rotate(), f.encrypt("v2"), rotate(), f.encrypt("v3")}, then...)
}

func gateTrials(f flavour) []trial {
	encryptWith := func(version any) step { return post("encrypt/$K", f.body("plaintext", hello, "key_version", version)) }
	everyEncrypt := []step{encryptWith(0), encryptWith(1), encryptWith(2), encryptWith(3), encryptWith(4), encryptWith(-1)}
	everyDecrypt := []step{f.decrypt("$v1"), f.decrypt("$v2"), f.decrypt("$v3")}
	gate := func(change ...step) []step {
		return threeVersions(f, append(append(change, everyEncrypt...), everyDecrypt...)...)
	}
	return []trial{
		{name: "no floor " + f.String(), steps: gate()},
		{name: "decryption floor 2 " + f.String(), steps: gate(floor(2))},
		{name: "decryption floor 3 " + f.String(), steps: gate(floor(3))},
		{name: "decryption floor raised and lowered " + f.String(), steps: gate(floor(3), floor(1))},
		{name: "decryption floor raised, rotated and lowered " + f.String(), steps: gate(floor(3), rotate(), floor(2), rotate(), get("keys/$K"))},
		{name: "encryption floor 2 " + f.String(), steps: gate(encryptFrom(2))},
		{name: "encryption floor 3 and gone again " + f.String(), steps: gate(encryptFrom(3), encryptFrom(0))},
		{name: "both floors " + f.String(), steps: gate(encryptFrom(3), floor(2))},
		{name: "views " + f.String(), steps: threeVersions(f, get("keys/$K"), floor(2), get("keys/$K"), floor(3), get("keys/$K"), floor(1), get("keys/$K"))},
	}
}

func rewrapTrials(f flavour) []trial {
	rewrap := func(ciphertext string, version any) step {
		return post("rewrap/$K", f.body("ciphertext", ciphertext, "key_version", version))
	}
	return []trial{
		{name: "rewrap " + f.String(), steps: threeVersions(f,
			rewrap("$v1", 0).as("new", "ciphertext"), f.decrypt("$new"), rewrap("$v3", 0), rewrap("$v2", 0), rewrap("$v3", 1).as("old", "ciphertext"),
			f.decrypt("$old"), rewrap("$v1", 2), rewrap("$v1", 4), rewrap("$v1", -1), rewrap("", 0), rewrap("text", 0), post("rewrap/$K", "{}"),
		)},
		{name: "rewrap under floors " + f.String(), steps: threeVersions(f,
			floor(2), rewrap("$v1", 0), rewrap("$v2", 0), rewrap("$v2", 1), encryptFrom(3), rewrap("$v2", 2), rewrap("$v2", 3), rewrap("$v2", 0), floor(1), rewrap("$v1", 0),
		)},
	}
}
