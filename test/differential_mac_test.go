// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

var hashes = []string{"sha1", "sha2-224", "sha2-256", "sha2-384", "sha2-512", "sha3-224", "sha3-256", "sha3-384", "sha3-512"}

// macTrials make HMACs with keys of every type.
func macTrials() []trial {
	var all []trial
	for _, kind := range []string{"aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "hmac"} {
		all = append(all, hmacTrials(kind)...)
	}
	return slices.Concat(all, hmacBatchTrials(), verifyHMACTrials(), hashTrials(), randomTrials(), cacheTrials())
}

// macDifferences are where MACs, digests and random bytes differ.
func macDifferences() []intended {
	holds := func(member string, length int) func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
		return func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
			_, payload, _ := cutLast(fmt.Sprint(answer.Data()[member]), ":")
			require.Len(t, payload, length)
		}
	}
	all := []intended{
		{
			name: "there are CMACs", reason: "Vault has them in its Enterprise edition only",
			differs: post("cmac/$K", object("input", hello)), transit: 404, keylife: 400,
			holds: func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
				require.Contains(t, fmt.Sprint(answer.Body["errors"]), "encryption key not found")
			},
		},
		{
			name: "random/-1", reason: "what is no number of bytes is refused; Transit takes it for none given",
			differs: post("random/-1", ""), transit: 200, keylife: 400,
			holds: func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
				require.Contains(t, fmt.Sprint(answer.Body["errors"]), "bytes: -1")
			},
		},
		{
			name: "a cache of 4294967296", reason: "an integer of a request has at most 32 bits",
			differs: post("cache-config", object("size", literal("4294967296"))), transit: 200, keylife: 400,
			holds: func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
				require.Contains(t, fmt.Sprint(answer.Body["errors"]), "size: 4294967296")
			},
		},
		{name: "random/+4", reason: "as above", differs: post("random/+4", ""), transit: 200, keylife: 200, holds: holds("random_bytes", 8)},
	}
	for _, kind := range []string{"aes128-cmac", "aes192-cmac", "aes256-cmac"} {
		all = append(all, intended{
			name: "keys of type " + kind, reason: "Vault has them in its Enterprise edition only",
			differs: post("keys/$K", object("type", kind)), transit: 400, keylife: 200,
			holds: func(t *testing.T, s *harness.Server, k *side, _ harness.Reply) {
				holds("cmac", 24)(t, s, k, k.send(t, s, post("cmac/$K", object("input", hello))))
				made := k.send(t, s, post("cmac/$K/8", object("input", hello)))
				holds("cmac", 12)(t, s, k, made)
				require.True(t, k.remember(kept{"mac", "cmac"}, made))
				require.Equal(t, true, k.send(t, s, post("verify/$K", object("input", hello, "cmac", "$mac", "mac_length", 8))).Data()["valid"])
				require.Equal(t, false, k.send(t, s, post("verify/$K", object("input", hello, "cmac", "$mac"))).Data()["valid"])
				require.Equal(t, 400, k.send(t, s, post("hmac/$K", object("input", hello))).Status)
			},
		})
	}
	return all
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
		items(object("INPUT", hello)), items(object("input", hello, "key_version", map[string]any{})), items(object("input", hello, "x", true)),
		items(object("input", hello, "reference", 7)), items(object("input", hello, "reference", true)), items(object("input", hello, "reference", nil)),
	} {
		all = append(all, trial{name: "hmac batch " + body, steps: []step{keyOf("aes256-gcm96"), post("hmac/$K", body)}})
	}
	return all
}

func verifyHMACTrials() []trial {
	verify := func(namesAndValues ...any) step { return post("verify/$K", object(namesAndValues...)) }
	var all []trial
	for _, kind := range []string{"aes256-gcm96", "ed25519", "rsa-2048", "hmac"} {
		all = append(all, trial{name: "verify an hmac " + kind, steps: []step{
			keyOf(kind), post("hmac/$K", object("input", hello)).as("mac", "hmac"), post("hmac/$K/sha2-512", object("input", hello)).as("long", "hmac"), rotate(),
			post("hmac/$K", object("input", "")).as("empty", "hmac"), verify("input", hello, "hmac", "$mac"), verify("input", other, "hmac", "$mac"),
			verify("input", "", "hmac", "$mac"), verify("hmac", "$mac"), verify("hmac", "$empty"), verify("input", "", "hmac", "$empty"), verify("input", nil, "hmac", "$empty"),
			verify("input", bad64, "hmac", "$mac"), verify("input", hello, "hmac", ""), verify("input", hello, "hmac", nil), verify("input", hello), verify(),
			verify("input", hello, "hmac", "$mac", "algorithm", "sha2-512"), verify("input", hello, "hmac", "$long"), verify("input", hello, "hmac", "$long", "algorithm", "sha2-512"),
			verify("input", hello, "hmac", "$long", "hash_algorithm", "sha2-512"), post("verify/$K/sha2-512", object("input", hello, "hmac", "$long")),
			verify("input", hello, "hmac", "$long", "hash_algorithm", "sha2-512", "algorithm", "sha1"), verify("input", hello, "hmac", "$long", "hash_algorithm", "sha1", "algorithm", "sha2-512"),
			post("verify/$K/sha2-512", object("input", hello, "hmac", "$long", "hash_algorithm", "sha1", "algorithm", "sha1")),
			verify("input", hello, "hmac", "$mac", "algorithm", "foo"), verify("input", hello, "hmac", "$mac", "hash_algorithm", "foo"), post("verify/$K/foo", object("input", hello, "hmac", "$mac")),
			verify("input", hello, "hmac", "$mac", "algorithm", ""), verify("input", hello, "hmac", "$mac", "hash_algorithm", ""), verify("input", hello, "hmac", "$mac", "hash_algorithm", nil),
			verify("input", hello, "hmac", "$mac", "prehashed", true, "signature_algorithm", "pss", "salt_length", "7", "marshaling_algorithm", "jws", "context", topic, "key_version", 9),
			verify("input", hello, "hmac", "$mac", "marshaling_algorithm", "foo"), verify("input", hello, "hmac", "$mac", "salt_length", "foo"), verify("input", hello, "hmac", "$mac", "context", bad64),
			verify("input", hello, "hmac", "$mac", "cmac", "$mac"), verify("input", hello, "signature", "$mac"), verify("input", hello, "signature", "$mac", "hmac", "$mac"),
			post("verify/$K-none", object("input", hello, "hmac", "$mac")),
		}}, trial{name: "verify what is no hmac " + kind, steps: []step{
			keyOf(kind), verify("input", hello, "hmac", "x"), verify("input", hello, "hmac", "vault:v1"), verify("input", hello, "hmac", "vault:v1:"), verify("input", hello, "hmac", "vault:v1:AAAA"),
			verify("input", hello, "hmac", "vault:v1:no*b"), verify("input", hello, "hmac", "vault:v1:AAAA:B"), verify("input", hello, "hmac", "vault:vx:AAAA"), verify("input", hello, "hmac", "vault:v0:AAAA"),
			verify("input", hello, "hmac", "vault:v-1:AAAA"), verify("input", hello, "hmac", "vault:v2:AAAA"), verify("input", hello, "hmac", "vault:v2:no*b"), verify("input", bad64, "hmac", "vault:v2:AAAA"),
			verify("input", hello, "hmac", 7), verify("input", 7, "hmac", "vault:v1:AAAA"),
		}}, trial{name: "verify an hmac of a version " + kind, steps: []step{
			keyOf(kind), post("hmac/$K", object("input", hello)).as("one", "hmac"), rotate(), post("hmac/$K", object("input", hello)).as("two", "hmac"), rotate(),
			verify("input", hello, "hmac", "$one"), verify("input", hello, "hmac", "$two"), floor(2), verify("input", hello, "hmac", "$one"), verify("input", hello, "hmac", "$two"),
			verify("input", other, "hmac", "$one"), post("verify/$K", items(object("input", hello, "hmac", "$one"), object("input", hello, "hmac", "$two"))),
			floor(1), verify("input", hello, "hmac", "$one"), encryptFrom(3), verify("input", hello, "hmac", "$one"),
		}})
	}
	batch := trial{name: "verify a batch of hmacs", steps: []step{
		keyOf("hmac"), post("hmac/$K", object("input", hello)).as("mac", "hmac"), post("hmac/$K/sha1", object("input", hello)).as("short", "hmac"),
		post("verify/$K", items(
			object("input", hello, "hmac", "$mac"), object("input", other, "hmac", "$mac", "reference", "r"), object("hmac", "$mac"), object("input", "", "hmac", "$mac"),
			object("input", nil, "hmac", "$mac"), object("input", bad64, "hmac", "$mac"), object("input", hello, "hmac", ""), object("input", hello, "hmac", "vault:v9:AAAA"),
			object("input", hello, "hmac", "vault:v1:no*b"), object("input", hello, "hmac", nil), object("input", hello, "hmac", "$short"),
		)),
		post("verify/$K", with(items(object("input", hello, "hmac", "$mac"), object("input", hello, "hmac", "$short")), "algorithm", literal(`"sha1"`))),
		post("verify/$K/sha1", items(object("input", hello, "hmac", "$short", "algorithm", "foo", "hash_algorithm", "sha2-256"))),
		post("verify/$K", with(items(object("input", hello, "hmac", "$mac")), "algorithm", literal(`"foo"`))),
		post("verify/$K", with(items(object("input", hello, "hmac", "$mac")), "hmac", literal(`"x"`))),
		post("verify/$K", items(object("input", hello, "hmac", "$mac"), object("input", hello))),
		post("verify/$K", items(object("input", hello), object("input", hello, "hmac", "$mac"))),
		post("verify/$K", items(object("input", hello, "hmac", "$mac"), object("input", hello, "signature", "$mac"))),
		post("verify/$K", items()), post("verify/$K", items(object("input", hello))), post("verify/$K", items("null")), post("verify/$K", items(`"x"`)), post("verify/$K", `{"batch_input":"x"}`),
		post("verify/$K", items(object("input", true, "hmac", "$mac"))), post("verify/$K", items(object("input", hello, "hmac", true))),
		post("verify/$K", items(object("input", hello, "hmac", "$mac", "key_version", map[string]any{}))), post("verify/$K-none", items(object("input", hello, "hmac", "$mac"))),
	}}
	return append(all, batch)
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

func cacheTrials() []trial {
	return []trial{{name: "cache-config", own: true, steps: []step{
		get("cache-config"), post("cache-config", "{}"), post("cache-config", object("size", 10)), get("cache-config"), post("cache-config", object("size", 9)),
		post("cache-config", object("size", 1)), post("cache-config", object("size", -1)), post("cache-config", object("size", "12")), get("cache-config"),
		post("cache-config", object("size", "x")), post("cache-config", object("size", literal("1.5"))), post("cache-config", object("size", nil)), get("cache-config"),
		post("cache-config", object("size", 20)), f0().create(), f0().encrypt("ct"), f0().decrypt("$ct"), post("cache-config", ""), get("cache-config"), del("cache-config"),
		post("cache-config", object("size", 0, "nonsense", 1)), list("cache-config"),
	}}}
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
		"random/foo", "random/foo/5", "random/platform/foo", "random/0", "random/all/0", "random/131072", "random/131073", "random/4/all", "random/4/4",
		"random/1.5", "random/04", "random/all/5/6", "random/",
	} {
		steps = append(steps, post(at, ""), get(at))
	}
	return []trial{{name: "random", steps: steps}}
}
