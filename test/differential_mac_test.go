// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"slices"
)

var hashes = []string{"sha1", "sha2-224", "sha2-256", "sha2-384", "sha2-512", "sha3-224", "sha3-256", "sha3-384", "sha3-512"}

// macTrials make HMACs with keys of every type.
func macTrials() []trial {
	var all []trial
	for _, kind := range []string{"aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "hmac"} {
		all = append(all, hmacTrials(kind)...)
	}
	return slices.Concat(all, hmacBatchTrials(), hashTrials(), randomTrials())
}

// keyOf makes a key of a type.
func keyOf(kind string) step {
	if kind == "hmac" {
		return post("keys/$K", object("type", kind, "key_size", 32))
	}
	return post("keys/$K", object("type", kind))
}

func hmacTrials(kind string) []trial {
	make := func(namesAndValues ...any) step { return post("hmac/$K", object(namesAndValues...)) }
	byHash := []step{keyOf(kind)}
	for _, hash := range hashes {
		byHash = append(byHash, post("hmac/$K/"+hash, object("input", hello)), make("input", hello, "algorithm", hash))
	}
	return []trial{
		{name: "hmac by hash " + kind, steps: byHash},
		{name: "hmac of texts " + kind, steps: []step{
			keyOf(kind), make("input", hello), make("input", hello), make("input", ""), make("input", nil), make(), post("hmac/$K", ""),
			make("input", bad64), make("input", "aGVsbG8"), make("input", "aGVsbG8=\n"), make("input", hello, "nonsense", 1), make("input", hello, "context", bad64),
			get("hmac/$K"), del("hmac/$K"), list("hmac/$K"), get("keys/$K"),
		}},
		{name: "hmac by an unknown hash " + kind, steps: []step{
			keyOf(kind), make("input", hello, "algorithm", "foo"), make("input", hello, "algorithm", ""), make("input", hello, "algorithm", nil),
			post("hmac/$K/foo", object("input", hello)), post("hmac/$K/SHA2-256", object("input", hello)), post("hmac/$K/sha2-256/x", object("input", hello)),
			post("hmac/$K/sha2-512", object("input", hello, "algorithm", "foo")), post("hmac/$K-none", object("input", hello)),
			post("hmac/$K-none", "{}"), post("hmac/$K-none/foo", items("null")), make("input", hello, "urlalgorithm", "foo"),
		}},
		{name: "hmac of a version " + kind, steps: []step{
			keyOf(kind), rotate(), rotate(), make("input", hello), make("input", hello, "key_version", 1), make("input", hello, "key_version", "2"),
			make("input", hello, "key_version", 3), make("input", hello, "key_version", 0), make("input", hello, "key_version", 4), make("input", hello, "key_version", -1),
			make("input", hello, "key_version", nil), make("input", hello, "key_version", "x"),
			encryptFrom(2), make("input", hello, "key_version", 1), make("input", hello, "key_version", 2), make("input", hello),
			floor(2), make("input", hello, "key_version", 1), encryptFrom(0), make("input", hello, "key_version", 1), make("input", hello, "key_version", 2),
			floor(1), make("input", hello, "key_version", 1),
		}},
		{name: "hmac keys neither encrypt nor decrypt " + kind, steps: []step{
			post("keys/$K", object("type", "hmac", "key_size", 512)), post("encrypt/$K", object("plaintext", hello)), post("decrypt/$K", object("ciphertext", "vault:v1:AAAA")),
			post("rewrap/$K", object("ciphertext", "vault:v1:AAAA")), post("datakey/plaintext/$K", "{}"),
		}},
	}
}

func hmacBatchTrials() []trial {
	all := []trial{{name: "hmac batch", steps: []step{
		keyOf("hmac"), rotate(),
		post("hmac/$K", items(object("input", hello), object("input", "", "reference", "a"), object(), object("input", bad64), object("input", hello, "reference", "a"), "null")),
		post("hmac/$K", items(object("input", hello, "key_version", 1), object("input", hello, "key_version", 9, "algorithm", "sha1"))),
		post("hmac/$K", with(items(object("input", hello), object("input", other)), "key_version", literal("1"))),
		post("hmac/$K", with(items(object("input", hello)), "key_version", literal("3"))),
		post("hmac/$K", with(items(object("input", hello)), "key_version", literal("-1"))),
		post("hmac/$K", with(items(object("input", hello)), "algorithm", literal(`"sha2-512"`))),
		post("hmac/$K", with(items(object("input", hello)), "algorithm", literal(`"foo"`))),
		post("hmac/$K/sha3-384", items(object("input", hello))),
		post("hmac/$K", with(items(object("input", hello)), "input", literal(`"no*base64"`))),
		post("hmac/$K-none", items(object("input", hello))),
		post("hmac/$K", with(items(object("input", bad64)), "partial_failure_response_code", literal("207"))),
		encryptFrom(2), post("hmac/$K", items(object("input", hello, "key_version", 1))),
		post("hmac/$K", with(items(object("input", hello)), "key_version", literal("1"))),
	}}}
	for _, body := range []string{
		items(), `{"batch_input":null}`, `{"batch_input":null,"input":"aGVsbG8="}`, `{"batch_input":"x"}`, `{"batch_input":{}}`, `{"batch_input":7}`, items(`"x"`), items(`7`),
		items(object("input", true)), items(object("input", 5)), items(object("input", []any{})), items(object("input", map[string]any{})), items(object("input", nil)),
		items(object("input", hello, "reference", 7)), items(object("input", hello, "reference", true)), items(object("input", hello, "reference", nil)),
	} {
		all = append(all, trial{name: "hmac batch " + body, steps: []step{keyOf("aes256-gcm96"), post("hmac/$K", body)}})
	}
	return all
}

func hashTrials() []trial {
	all := []trial{{name: "hash", steps: []step{
		post("hash", object("input", hello)), post("hash", "{}"), post("hash", ""), post("hash", object("input", "")), post("hash", object("input", nil)),
		post("hash", object("input", bad64)), post("hash", object("input", hello, "algorithm", "")), post("hash", object("input", hello, "algorithm", nil)),
		post("hash/sha2-512", object("input", hello, "algorithm", "foo")), post("hash/foo", object("input", hello)), post("hash/none", object("input", hello)),
		post("hash/sha1", object("input", hello)), post("hash/sha2-256/x", object("input", hello)), post("hash/", object("input", hello)),
		get("hash"), get("hash/sha2-256"), del("hash"), post("hash", object("input", hello, "nonsense", 1)),
	}}}
	for _, format := range []literal{literal(`"hex"`), literal(`"base64"`), literal(`""`), literal(`"HEX"`), literal(`null`), literal(`7`), literal(`"x"`)} {
		steps := make([]step, 0, 2*len(hashes))
		for _, hash := range hashes {
			steps = append(steps, post("hash/"+hash, object("input", hello, "format", format)), post("hash", object("input", hello, "algorithm", hash, "format", format)))
		}
		all = append(all, trial{name: "hash format " + string(format), steps: steps})
	}
	return all
}

func randomTrials() []trial {
	var steps []step
	for _, at := range []string{"random", "random/8", "random/platform", "random/seal", "random/all", "random/platform/8", "random/seal/8", "random/all/8"} {
		for _, body := range []string{
			"", "{}", object("bytes", 4), object("bytes", "4"), object("bytes", 4, "format", "hex"), object("format", "base64"), object("format", "foo"), object("format", ""),
			object("bytes", 0), object("bytes", -1), object("bytes", 131072, "format", "hex"), object("bytes", 131073), object("bytes", "x"), object("bytes", nil),
			object("source", "foo"), object("source", "all"), object("urlbytes", 7), object("nonsense", 1),
		} {
			steps = append(steps, post(at, body))
		}
	}
	for _, at := range []string{
		"random/foo", "random/foo/5", "random/platform/foo", "random/0", "random/-1", "random/all/0", "random/131072", "random/131073", "random/4/all", "random/4/4",
		"random/1.5", "random/+4", "random/04", "random/all/5/6", "random/",
	} {
		steps = append(steps, post(at, ""), get(at))
	}
	return []trial{{name: "random", steps: steps}}
}
