// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

// cipherTrials encrypt, decrypt, rewrap and make data keys, for every type and mode.
func cipherTrials() []trial {
	var all []trial
	for _, f := range flavours() {
		all = append(all, roundTrips(f)...)
		all = append(all, contextTrials(f)...)
		all = append(all, dataKeyTrials(f)...)
	}
	return all
}

func roundTrips(f flavour) []trial {
	const aad, otherAAD = "YWFk", "eHh4"
	encryptWith := func(namesAndValues ...any) step { return post("encrypt/$K", f.body(namesAndValues...)) }
	decryptWith := func(namesAndValues ...any) step { return post("decrypt/$K", f.body(namesAndValues...)) }
	return []trial{
		{name: "round trip " + f.String(), steps: []step{
			f.create(), f.encrypt("ct"), f.encrypt("again"), f.decrypt("$ct"), f.decrypt("$again"), rotate(), f.encrypt("ct2"), f.decrypt("$ct2"), f.decrypt("$ct"),
		}},
		{name: "empty plaintext " + f.String(), steps: []step{
			f.create(), encryptWith("plaintext", "").as("ct", "ciphertext"), encryptWith("plaintext", ""), f.decrypt("$ct"),
		}},
		{name: "no plaintext " + f.String(), steps: []step{f.create(), post("encrypt/$K", ""), encryptWith(), decryptWith(), post("decrypt/$K", "")}},
		{name: "plaintext that is not base64 " + f.String(), steps: []step{
			f.create(), encryptWith("plaintext", bad64), encryptWith("plaintext", "aGVsbG8"), encryptWith("plaintext", "aGVsbG8=\n"),
			encryptWith("plaintext", "aGVs bG8="), encryptWith("plaintext", "_-8="), encryptWith("plaintext", "aGVsbG9="), encryptWith("plaintext", "===="),
		}},
		{name: "associated data " + f.String(), steps: []step{
			f.create(), encryptWith("plaintext", hello, "associated_data", aad).as("ct", "ciphertext"),
			encryptWith("plaintext", hello, "associated_data", otherAAD), decryptWith("ciphertext", "$ct", "associated_data", aad),
			decryptWith("ciphertext", "$ct", "associated_data", otherAAD), f.decrypt("$ct"),
			encryptWith("plaintext", hello, "associated_data", "").as("plain", "ciphertext"), f.decrypt("$plain"),
			decryptWith("ciphertext", "$plain", "associated_data", aad), decryptWith("ciphertext", "$plain", "associated_data", ""),
		}},
		{name: "associated data that is not base64 " + f.String(), steps: []step{
			f.create(), f.encrypt("ct"), encryptWith("plaintext", hello, "associated_data", bad64),
			decryptWith("ciphertext", "$ct", "associated_data", bad64), encryptWith("plaintext", hello, "associated_data", "YQ"),
		}},
		{name: "nonce " + f.String(), steps: []step{
			f.create(), f.encrypt("ct"), encryptWith("plaintext", hello, "nonce", nonce), encryptWith("plaintext", hello, "nonce", bad64),
			encryptWith("plaintext", hello, "nonce", "AAAA"), encryptWith("plaintext", hello, "nonce", ""), decryptWith("ciphertext", "$ct", "nonce", nonce),
			decryptWith("ciphertext", "$ct", "nonce", bad64), post("rewrap/$K", f.body("ciphertext", "$ct", "nonce", nonce)),
			post("rewrap/$K", f.body("ciphertext", "$ct", "nonce", bad64)), post("datakey/wrapped/$K", f.body("nonce", nonce)),
			post("datakey/wrapped/$K", f.body("nonce", bad64)), post("datakey/wrapped/$K", f.body("nonce", "")),
		}},
		{name: "padding scheme " + f.String(), steps: []step{
			f.create(), f.encrypt("ct"), encryptWith("plaintext", hello, "padding_scheme", "oaep"), encryptWith("plaintext", hello, "padding_scheme", "other"),
			encryptWith("plaintext", hello, "padding_scheme", ""), decryptWith("ciphertext", "$ct", "padding_scheme", "pkcs1v15"),
			post("rewrap/$K", f.body("ciphertext", "$ct", "decrypt_padding_scheme", "oaep")),
			post("rewrap/$K", f.body("ciphertext", "$ct", "encrypt_padding_scheme", "oaep")), post("datakey/wrapped/$K", f.body("padding_scheme", "oaep")),
		}},
		{name: "unknown fields " + f.String(), steps: []step{
			f.create(), encryptWith("plaintext", hello, "nonsense", 1).as("ct", "ciphertext"), decryptWith("ciphertext", "$ct", "nonsense", "x", "name", "y"),
			post("rewrap/$K", f.body("ciphertext", "$ct", "nonsense", true)), post("datakey/plaintext/$K", f.body("nonsense", nil)),
		}},
	}
}

func contextTrials(f flavour) []trial {
	encryptIn := func(topic string) step { return post("encrypt/$K", object("plaintext", hello, "context", topic)) }
	decryptIn := func(topic string) step { return post("decrypt/$K", object("ciphertext", "$ct", "context", topic)) }
	rewrapIn := func(topic string) step { return post("rewrap/$K", object("ciphertext", "$ct", "context", topic)) }
	return []trial{
		{name: "another context " + f.String(), steps: []step{
			f.create(), f.encrypt("ct"), encryptIn(other), encryptIn(other), decryptIn(other), rewrapIn(other), decryptIn(topic), rewrapIn(topic),
		}},
		{name: "context missing or not base64 " + f.String(), steps: []step{
			f.create(), f.encrypt("ct"), encryptIn(""), encryptIn(bad64), post("encrypt/$K", object("plaintext", hello)), decryptIn(""), decryptIn(bad64),
			post("decrypt/$K", object("ciphertext", "$ct")), rewrapIn(""), rewrapIn(bad64), post("rewrap/$K", object("ciphertext", "$ct")),
			post("datakey/wrapped/$K", "{}"), post("datakey/wrapped/$K", object("context", bad64)), post("datakey/wrapped/$K", object("context", "")),
			post("datakey/wrapped/$K", object("context", topic)), get("keys/$K?context=" + topic), get("keys/$K?context=no*base64"),
		}},
	}
}

func dataKeyTrials(f flavour) []trial {
	datakey := func(namesAndValues ...any) step { return post("datakey/plaintext/$K", f.body(namesAndValues...)) }
	return []trial{
		{name: "data keys " + f.String(), steps: []step{
			f.create(), datakey().as("ct", "ciphertext"), datakey("bits", 128), datakey("bits", 256), datakey("bits", 512), datakey("bits", 0),
			datakey("bits", 1024), datakey("bits", -128), datakey("bits", "256"), post("datakey/wrapped/$K", f.body()), post("datakey/wrapped/$K", f.body("bits", 512)),
			post("datakey/other/$K", f.body()), post("datakey/plaintext/$K-none", f.body()), get("keys/$K-none"),
		}},
		{name: "data keys of a version " + f.String(), steps: []step{
			f.create(), rotate(), datakey("key_version", 1), datakey("key_version", 2), datakey("key_version", 0), datakey("key_version", 3),
			datakey("key_version", -1), encryptFrom(2), datakey("key_version", 1), datakey("key_version", 2), datakey(),
		}},
	}
}
