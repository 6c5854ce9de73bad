// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// signingKinds are the types that sign. Those that take long to make behave as their smaller kin.
var signingKinds = []string{"ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048"}

// signer is one way of using one type that signs.
type signer struct{ flavour }

func signers() []signer {
	var all []signer
	for _, kind := range signingKinds {
		all = append(all, signer{flavour{kind, "plain"}})
	}
	return append(all, signer{flavour{"ed25519", "derived"}})
}

// sign signs hello and keeps the signature.
func (s signer) sign(as string, namesAndValues ...any) step {
	return post("sign/$K", s.body(append([]any{"input", hello}, namesAndValues...)...)).as(as, "signature")
}

// refused is a signature that is asked for and not made.
func (s signer) refused(namesAndValues ...any) step {
	return post("sign/$K", s.body(namesAndValues...))
}

// verify verifies a signature of hello.
func (s signer) verify(signature string, namesAndValues ...any) step {
	return post("verify/$K", s.body(append([]any{"input", hello, "signature", signature}, namesAndValues...)...))
}

func (s signer) is(prefix string) bool { return strings.HasPrefix(s.kind, prefix) }

// signTrials sign and verify, for every type.
func signTrials() []trial {
	var all []trial
	for _, s := range signers() {
		all = append(all, signRoundTrips(s)...)
		all = append(all, signParameters(s)...)
		all = append(all, verifyTrials(s)...)
		all = append(all, signBatches(s)...)
		all = append(all, verifyBatches(s)...)
	}
	return slices.Concat(all, signNobody(), verifyMACTrials())
}

func signRoundTrips(s signer) []trial {
	return []trial{
		{name: "sign and verify " + s.String(), steps: []step{
			s.create(), s.sign("a"), s.verify("$a"), rotate(), s.sign("b"), s.verify("$b"), s.verify("$a"),
			post("verify/$K", s.body("input", other, "signature", "$a")), s.verify("vault:v1:$b_payload"), s.verify("vault:v2:$a_payload"),
			s.verify("vault:v3:$a_payload"), s.verify("vault:v0:$a_payload"), s.verify("vault:v-1:$a_payload"), s.verify("vault:v+1:$a_payload"),
			s.verify("vault:v01:$a_payload"), get("keys/$K"),
		}},
		{name: "sign with a version " + s.String(), steps: []step{
			s.create(), rotate(), rotate(), s.sign("a", "key_version", 1), s.sign("b", "key_version", "2"), s.sign("c", "key_version", 0),
			s.refused("input", hello, "key_version", 4), s.refused("input", hello, "key_version", -1), s.refused("input", hello, "key_version", "x"),
			s.verify("$a"), s.verify("$b"), floor(2), s.refused("input", hello, "key_version", 1), s.verify("$a"), s.verify("$b"), s.verify("$a", "key_version", 3),
			encryptFrom(3), s.refused("input", hello, "key_version", 2), s.sign("d", "key_version", 3), s.verify("$b"), floor(1), s.verify("$a"),
			post("sign/$K", with(items(s.body("input", hello)), "key_version", literal(`2`))),
			post("sign/$K", with(items(s.body("input", hello)), "key_version", literal(`3`))),
		}},
		{name: "what is no signature " + s.String(), steps: []step{
			s.create(), s.verify(""), s.verify("text"), s.verify("vault:v1"), s.verify("vault:v1:"), s.verify("vault:v1:AAAA"), s.verify("vault:v1:" + bad64),
			s.verify("vault:vx:AAAA"), s.verify("vault:v9:AAAA"), s.verify("vault:v1:AAAA", "marshaling_algorithm", "jws"),
			s.verify("vault:v1:", "marshaling_algorithm", "jws"), s.verify("vault:v1:MAYCAQECAQE="), s.verify("vault:v1:MAYCAQECAQEA"),
		}},
		{name: "sign context " + s.String(), steps: []step{
			s.create(), s.sign("a"), post("sign/$K", object("input", hello)), post("sign/$K", object("input", hello, "context", "")),
			post("sign/$K", object("input", hello, "context", other)), post("sign/$K", object("input", hello, "context", bad64)),
			post("verify/$K", object("input", hello, "signature", "$a")), post("verify/$K", object("input", hello, "signature", "$a", "context", other)),
			post("verify/$K", object("input", hello, "signature", "$a", "context", bad64)), post("verify/$K", object("input", hello, "signature", "$a", "context", topic)),
			get("keys/$K?context=" + topic),
		}},
		{name: "what a signature is of " + s.String(), steps: []step{
			s.create(), s.refused(), post("sign/$K", ""), s.refused("input", ""), s.refused("input", nil), s.refused("input", bad64), s.refused("input", 5),
			s.refused("input", 1234), s.refused("input", hello, "nonsense", 1), s.refused("input", hello, "reference", "r"),
			s.refused("input", bad64, "key_version", 9), s.refused("input", bad64, "prehashed", true), get("sign/$K"), del("sign/$K"),
			post("sign/$K/", s.body("input", hello)), post("sign/$K/sha2-256/", s.body("input", hello)),
		}},
	}
}

// hashNames are hashes, and what is none.
var hashNames = []string{"sha1", "sha2-224", "sha2-256", "sha2-384", "sha2-512", "sha3-224", "sha3-256", "sha3-384", "sha3-512", "none", "other", "SHA2-256", "sha2-256/x"}

// with verifies $a with the parameters, signs with them, and verifies that with them and without.
func (s signer) with(suffix string, namesAndValues ...any) []step {
	steps := s.refusedWith(suffix, namesAndValues...)
	steps[1] = steps[1].as("b", "signature")
	return append(steps, post("verify/$K"+suffix, s.body(append([]any{"input", hello, "signature", "$b"}, namesAndValues...)...)), s.verify("$b"))
}

// refusedWith is with where nothing is signed.
func (s signer) refusedWith(suffix string, namesAndValues ...any) []step {
	return []step{
		post("verify/$K"+suffix, s.body(append([]any{"input", hello, "signature", "$a"}, namesAndValues...)...)),
		post("sign/$K"+suffix, s.body(append([]any{"input", hello}, namesAndValues...)...)),
	}
}

// inASN1 and inJWS are signatures that are base64 of one form only. Of a real one it depends on chance whether it is that of both.
const inASN1, inJWS = "vault:v1:MAYC+QECAQE=", "vault:v1:-_-_"

// jws signs and verifies in the form of JWS.
func (s signer) jws() []step {
	return []step{
		s.verify(inASN1, "marshaling_algorithm", "jws"), s.sign("b", "marshaling_algorithm", "jws"), s.verify("$b", "marshaling_algorithm", "jws"), s.verify(inJWS),
	}
}

func signParameters(s signer) []trial {
	hashing := []step{s.create(), s.sign("a")}
	for _, hash := range hashNames {
		steps := s.with
		if hash == "none" || strings.HasPrefix(hash, "other") || hash == "SHA2-256" || strings.Contains(hash, "/") || s.kind == "ed25519" && hash == "sha2-512" {
			steps = s.refusedWith
		}
		hashing = slices.Concat(hashing, steps("", "hash_algorithm", hash), steps("/"+hash), steps("/"+hash, "hash_algorithm", "sha2-384"))
	}
	rsaOnly := s.refusedWith
	if !s.is("rsa") {
		rsaOnly = s.with
	}
	others := slices.Concat(
		[]step{s.create(), s.sign("a")},
		s.with("", "hash_algorithm", ""), s.with("", "hash_algorithm", nil), s.with("", "algorithm", "other"), s.with("", "algorithm", "sha2-384"),
		s.with("", "hash_algorithm", "", "algorithm", "sha2-384"), s.refusedWith("", "hash_algorithm", "", "algorithm", "other"),
		s.refusedWith("", "hash_algorithm", "none", "prehashed", true), s.refusedWith("", "hash_algorithm", "none", "signature_algorithm", "pkcs1v15"),
		s.jws(), s.with("", "marshaling_algorithm", "asn1"), s.refusedWith("", "marshaling_algorithm", "other"),
		s.refusedWith("", "marshaling_algorithm", ""), s.refusedWith("", "marshaling_algorithm", nil), s.refusedWith("", "marshaling_algorithm", "JWS"),
		s.with("", "signature_algorithm", ""), s.with("", "signature_algorithm", "pss"), s.with("", "signature_algorithm", "pkcs1v15"),
		s.with("/sha2-384", "signature_algorithm", "pkcs1v15"), s.with("", "signature_algorithm", "pkcs1v15", "salt_length", 5000),
		s.with("", "prehashed", false), s.with("", "salt_length", "AUTO"), s.refusedWith("", "salt_length", "-2"), s.refusedWith("", "salt_length", "other"),
		s.refusedWith("", "salt_length", ""), s.refusedWith("", "salt_length", nil), s.refusedWith("", "salt_length", "0x1"), s.refusedWith("", "salt_length", " 1"),
		s.refusedWith("", "salt_length", "+1"), s.refusedWith("", "salt_length", "99999999999999999999"), s.refusedWith("", "salt_length", true),
		s.refusedWith("", "signature_context", "Y3R4"), s.refusedWith("", "signature_context", bad64),
		s.refusedWith("", "hash_algorithm", "other", "marshaling_algorithm", "other"), s.refusedWith("", "batch_input", []any{}, "hash_algorithm", "other"),
		rsaOnly("", "signature_algorithm", "other"), rsaOnly("", "salt_length", 223), rsaOnly("", "salt_length", 5000),
	)
	for _, length := range []any{"auto", "hash", -1, 0, 1, 32, "32", 222} {
		others = append(others, s.with("", "salt_length", length)...)
	}
	for _, hash := range []string{"sha2-256", "sha2-512", "sha1"} {
		others = append(others, prehashed(s, hash)...)
	}
	return []trial{{name: "hashes of a signature " + s.String(), steps: hashing}, {name: "parameters of a signature " + s.String(), steps: others}}
}

// prehashed signs what could be a digest, and verifies $a as if it were of one.
func prehashed(s signer, hash string) []step {
	digest := strings.Repeat("YWFh", map[string]int{"sha1": 6, "sha2-256": 10, "sha2-512": 21}[hash]) + "YWE="
	of := func(namesAndValues ...any) string {
		return s.body(append([]any{"input", digest, "prehashed", true}, namesAndValues...)...)
	}
	none := []any{"hash_algorithm", "none", "signature_algorithm", "pkcs1v15"}
	return []step{
		post("sign/$K", of("hash_algorithm", hash)), post("sign/$K", of("hash_algorithm", hash, "signature_algorithm", "pkcs1v15")), post("sign/$K", of(none...)),
		post("verify/$K", of("hash_algorithm", hash, "signature", "$a")), post("verify/$K", of(append(none, "signature", "$a")...)),
		s.refused("input", hello, "prehashed", true), s.verify("$a", "prehashed", true),
	}
}

func verifyTrials(s signer) []trial {
	verify := func(namesAndValues ...any) step { return post("verify/$K", s.body(namesAndValues...)) }
	return []trial{
		{name: "verify " + s.String(), steps: []step{
			s.create(), s.sign("a"), s.sign("j", "marshaling_algorithm", "jws"), verify(), post("verify/$K", ""), verify("input", hello), verify("signature", "$a"),
			verify("signature", "$a", "input", ""), verify("signature", "$a", "input", nil), verify("signature", "$a", "input", bad64), verify("signature", "$a", "input", 5),
			verify("signature", nil, "input", hello), verify("signature", 5, "input", hello), verify("signature", true, "input", hello), verify("signature", []any{}, "input", hello),
			s.verify(inASN1, "marshaling_algorithm", "jws"), s.verify(inJWS), s.verify("$j", "marshaling_algorithm", "jws"), s.verify("$aAAAA"), s.verify("$a="),
			s.verify("$a", "nonsense", 1), s.verify("$a", "reference", "r"), s.verify("$a", "key_version", 9), s.verify("$a", "hmac", "text"), s.verify("$a", "cmac", "text"),
			verify("signature", "", "hmac", "text", "input", hello), verify("input", hello, "hash_algorithm", "other"), get("verify/$K"), del("verify/$K"),
			s.verify("vault:v9:AAAA", "salt_length", 5000), s.verify("vault:v9:AAAA", "signature_algorithm", "other"), s.verify("vault:v1:"+bad64, "signature_algorithm", "other"),
			verify("input", bad64, "context", bad64, "signature", "$a"), s.verify("text", "prehashed", true),
		}},
	}
}

func signBatches(s signer) []trial {
	item := func(namesAndValues ...any) string { return s.body(append([]any{"input", hello}, namesAndValues...)...) }
	batch := func(more string, of ...string) step {
		return post("sign/$K", strings.Replace(items(of...), "{", "{"+more, 1))
	}
	return []trial{
		{name: "sign a batch " + s.String(), steps: []step{
			s.create(), rotate(), batch("", item("reference", "r"), s.body("input", bad64), s.body("input", 5), s.body("input", nil), s.body("reference", "q"), item()),
			batch("", item("key_version", 1), item("key_version", 9), item("key_version", "x"), item("hash_algorithm", "other"), item("salt_length", 5000)),
			batch("", item("key_version", nil), item("reference", nil), item("reference", 5), item("nonsense", 5), object("INPUT", hello, "Reference", "a")),
			batch("", object("input", hello), object("input", hello, "context", topic), object("input", hello, "context", bad64), object("input", hello, "context", 5)),
			batch("", item("signature_context", "Y3R4"), item("signature_context", 5), item()), batch("", item("prehashed", true)), batch("", item("nonsense", []any{})),
			batch("", item("input", true)), batch("", item("reference", false)), batch("", item("context", object())),
			batch(`"input":"!","context":"!","reference":"r","signature_context":"x",`, item()), batch(`"marshaling_algorithm":"jws",`, item()),
			batch(`"hash_algorithm":"sha2-512",`, item()), batch(`"prehashed":true,`, item()), batch(`"salt_length":5000,`, item()),
			batch(`"signature_algorithm":"other",`, item()), batch(`"signature_algorithm":"pkcs1v15",`, item()), batch(`"key_version":9,`, item(), item()),
			batch(`"key_version":-1,`, item()), batch(`"key_version":1,`, item()), batch(`"hash_algorithm":"other",`, item()),
			post("sign/$K/sha2-384", items(item())), post("sign/$K/other", items(item())),
		}},
		{name: "shapes of a batch to sign " + s.String(), steps: append([]step{s.create()}, shapes("sign/$K")...)},
	}
}

// shapes are batches that are not lists of objects.
func shapes(path string) []step {
	var all []step
	for _, shape := range []string{`[]`, `{}`, `null`, `"text"`, `""`, `7`, `true`, `[null]`, `[1]`, `["a"]`, `[[]]`, `[true]`, `[{}]`, `[{"nonsense":1}]`, `[{"reference":"r"}]`} {
		all = append(all, post(path, object("batch_input", literal(shape))), post(path, object("input", hello, "batch_input", literal(shape))))
	}
	return all
}

func verifyBatches(s signer) []trial {
	item := func(namesAndValues ...any) string {
		return s.body(append([]any{"input", hello, "signature", "$a"}, namesAndValues...)...)
	}
	batch := func(more string, of ...string) step {
		return post("verify/$K", strings.Replace(items(of...), "{", "{"+more, 1))
	}
	only := s.body
	return []trial{
		{name: "verify a batch " + s.String(), steps: []step{
			s.create(), s.sign("a"), batch("", item()), batch("", item("reference", "r"), only("input", bad64, "signature", "$a"), only("input", other, "signature", "$a")),
			batch("", item(), only("input", hello, "signature", "text"), only("input", hello, "signature", "vault:v1:"+bad64), only("input", hello, "signature", "")),
			batch("", item(), only("input", hello, "signature", nil), only("input", hello, "signature", 5), only("input", 5, "signature", "$a"), only("input", nil, "signature", "$a")),
			batch("", item("reference", 5), item("reference", nil), item("nonsense", true), item("key_version", "x"), item("prehashed", true)),
			batch("", object("input", hello, "signature", "$a"), object("input", hello, "signature", "$a", "context", bad64), object("input", hello, "signature", "$a", "context", topic)),
			batch("", only("signature", "$a")), batch("", only("input", hello, "signature", "vault:v7:AAAA"), only("input", hello, "signature", "vault:v0:AAAA")),
			batch("", object("INPUT", hello, "SIGNATURE", "$a")), batch("", item("hmac", "text")), batch("", item("hmac", nil)), batch("", item("cmac", "text")),
			batch("", item(), only("input", hello)), batch("", item(), only("input", hello, "hmac", "text")), batch("", only("hmac", "text"), only("cmac", "text")),
			batch("", only("hmac", "text"), only()), batch("", item("signature_context", "Y3R4"), item()),
			batch(`"signature":"!","hmac":"!","input":"!","context":"!",`, item()), batch(`"hmac":"!",`, item()), batch(`"salt_length":5000,`, item()),
			batch(`"salt_length":"other",`, item()), batch(`"marshaling_algorithm":"jws",`, only("input", hello, "signature", inASN1)), batch(`"hash_algorithm":"sha2-512",`, item()),
			batch(`"hash_algorithm":"none",`, item()), batch(`"prehashed":true,`, item()), batch(`"signature_algorithm":"pkcs1v15",`, item()),
			batch(`"signature_algorithm":"other",`, item()), batch(`"hash_algorithm":"other",`, item()), post("verify/$K/sha2-384", items(item())),
		}},
		{name: "shapes of a batch to verify " + s.String(), steps: append([]step{s.create(), s.sign("a")}, shapes("verify/$K")...)},
	}
}

// signNobody signs and verifies with keys that do not, and with none.
func signNobody() []trial {
	const signature = "vault:v1:AAAA"
	var all []trial
	for _, first := range []step{
		get("keys/$K"), f0().create(), post("keys/$K", object("derived", true)),
	} {
		steps := []step{first}
		for _, more := range []string{``, `"hash_algorithm":"other",`, `"hash_algorithm":"none",`, `"salt_length":"other",`, `"marshaling_algorithm":"other",`, `"key_version":9,`, `"batch_input":"text",`} {
			steps = append(steps, post("sign/$K", `{`+more+`"input":"`+hello+`"}`), post("verify/$K", `{`+more+`"input":"`+hello+`","signature":"`+signature+`"}`))
		}
		steps = append(steps,
			post("sign/$K", `{}`), post("sign/$K", object("input", bad64)), post("verify/$K", `{}`), post("verify/$K", object("input", bad64, "signature", signature)),
			post("sign/$K", items()), post("verify/$K", items()), post("sign/$K", items(object("input", hello))), post("sign/$K", items(`{}`)), post("sign/$K", items(`7`)),
			post("verify/$K", items(object("input", hello, "signature", signature))), post("verify/$K", items(object("input", hello))), get("keys/$K"),
		)
		all = append(all, trial{name: "sign with " + first.method + first.body, steps: steps})
	}
	return all
}

// signDifferences are what sign and verify answer otherwise than Transit, on purpose.
func signDifferences() []intended {
	signs := signer{flavour{"ed25519", "plain"}}
	refused := func(words ...string) func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
		return func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
			t.Helper()
			for _, word := range words {
				require.Contains(t, fmt.Sprint(answer.Body["errors"]), word)
			}
		}
	}
	var all []intended
	for _, field := range []string{"input", "context", "reference", "key_version", "nonsense"} {
		all = append(all, intended{
			name: "a number that is no text: sign item " + field, reason: "the plugin boundary: it would be another number",
			before: []step{signs.create()}, differs: post("sign/$K", items(with(object(), "input", literal(`""`)), with(object(), field, literal(`1.5`)))),
			transit: 200, keylife: 400, holds: refused(field, "2^53"),
		})
	}
	for _, field := range []string{"input", "context", "reference", "signature"} {
		item := with(object(), "signature", literal(`"$a"`))
		if field == "signature" {
			item = object()
		}
		all = append(all, intended{
			name: "a boolean that is no text: verify item " + field, reason: "Transit answers 200 with an error in the item; a malformed batch verifies nothing",
			before: []step{signs.create(), signs.sign("a")}, differs: post("verify/$K", items(with(item, field, literal(`true`)))),
			transit: 200, keylife: 400, holds: refused(field, "must be a string"),
		})
	}
	return append(all, intended{
		name: "verify of an HMAC by no hash", reason: "Transit panics, and closes the connection: 400 instead; here with a hash that there is not",
		before: []step{signs.create()}, differs: post("verify/$K", object("input", hello, "hmac", "vault:v1:AAAA", "hash_algorithm", "other")),
		transit: 400, keylife: 400, holds: func(t *testing.T, s *harness.Server, k *side, _ harness.Reply) {
			none := k.send(t, s, post("verify/$K", object("input", hello, "hmac", "vault:v1:AAAA", "hash_algorithm", "none")))
			require.Equal(t, 400, none.Status, "%v", none.Body)
		},
	}, rsaDifference("rewrap/$K", object("ciphertext", "$ct", "associated_data", aad)), rsaDifference("datakey/wrapped/$K", object("associated_data", aad)))
}

func rsaDifference(path, body string) intended {
	rsa := flavour{"rsa-2048", "plain"}
	return intended{
		name: "no associated_data with RSA: " + path, reason: "Transit ignores it with a warning; here rewrap and datakey take it, where the type does",
		before: []step{rsa.create(), rsa.encrypt("ct")}, differs: post(path, body), transit: 200, keylife: 400,
		holds: func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
			require.Contains(t, fmt.Sprint(answer.Body["errors"]), "associated_data")
		},
	}
}

// verifyMACTrials verify HMACs at the path that verifies signatures, too.
func verifyMACTrials() []trial {
	var all []trial
	for _, kind := range []string{"aes256-gcm96", "ed25519"} {
		verify := func(namesAndValues ...any) step {
			return post("verify/$K", object(append([]any{"input", hello}, namesAndValues...)...))
		}
		all = append(all, trial{name: "verify an HMAC " + kind, steps: []step{
			post("keys/$K", object("type", kind)), post("hmac/$K", object("input", hello)).as("h", "hmac"), post("hmac/$K/sha2-512", object("input", hello)).as("l", "hmac"),
			verify("hmac", "$h"), verify("hmac", "$l"), verify("hmac", "$l", "hash_algorithm", "sha2-512"), verify("hmac", "$l", "algorithm", "sha2-512"),
			verify("hmac", "$h", "algorithm", "sha2-512", "hash_algorithm", "sha2-256"), verify("hmac", "$h", "algorithm", "other", "hash_algorithm", "sha2-256"),
			verify("hmac", "$h", "algorithm", "other"), verify("hmac", "$h", "algorithm", ""), verify("hmac", "$h", "hash_algorithm", ""), verify("hmac", "$h", "hash_algorithm", nil),
			verify("hmac", "$h", "hash_algorithm", "other"), verify("hmac", "$h", "salt_length", "other"), verify("hmac", "$h", "marshaling_algorithm", "other"),
			post("verify/$K/sha2-512", object("input", hello, "hmac", "$l", "hash_algorithm", "sha1")), post("verify/$K/other", object("input", hello, "hmac", "$h")),
			verify("hmac", ""), verify("hmac", nil), verify("hmac", "text"), verify("hmac", "vault:v1"), verify("hmac", "vault:v9:AAAA"), verify("hmac", "vault:v0:AAAA"),
			verify("hmac", "vault:v1:"+bad64), verify("hmac", "vault:v1:AAAA"), post("verify/$K", object("hmac", "$h")), post("verify/$K", object("input", bad64, "hmac", "$h")),
			post("verify/$K", items(object("input", hello, "hmac", "$h", "reference", "r"), object("input", other, "hmac", "$h"), object("input", bad64, "hmac", "$h"))),
			post("verify/$K", items(object("input", hello, "hmac", "text"), object("hmac", "$h"))), rotate(), verify("hmac", "$h"), floor(2), verify("hmac", "$h"),
		}})
	}
	return all
}
