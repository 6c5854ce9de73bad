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

// long is a plaintext that is too long for any RSA key.
var long = strings.Repeat("YWFh", 400)

// schemes are padding schemes, and what is none.
var schemes = []string{"oaep", "pkcs1v15", "other", "OAEP", ""}

// rsaTrials encrypt and decrypt with a key of RSA, with each padding scheme.
func rsaTrials() []trial {
	rsa := flavour{"rsa-2048", "plain"}
	start := []step{
		rsa.create(), rsa.encrypt("o"), post("encrypt/$K", object("plaintext", hello, "padding_scheme", "pkcs1v15")).as("w", "ciphertext"), rotate(),
	}
	sealed := func(name string) []step { return append(slices.Clone(start), rsaSteps(name)...) }
	return []trial{
		{name: "rsa encrypts", steps: sealed("encrypt")},
		{name: "rsa decrypts", steps: sealed("decrypt")},
		{name: "rsa rewraps", steps: sealed("rewrap")},
		{name: "rsa data keys", steps: sealed("datakey")},
	}
}

func rsaSteps(verb string) []step {
	switch verb {
	case "encrypt":
		return rsaEncrypts()
	case "decrypt":
		return rsaDecrypts()
	case "rewrap":
		return rsaRewraps()
	}
	var steps []step
	for _, scheme := range schemes {
		for _, form := range []string{"wrapped", "plaintext"} {
			steps = append(steps, post("datakey/"+form+"/$K", object("padding_scheme", scheme)))
		}
	}
	steps = append(steps, rsaOpens(post("datakey/wrapped/$K", object("padding_scheme", "pkcs1v15")))...)
	steps = append(steps, rsaOpens(post("datakey/wrapped/$K", "{}"))...)
	for _, body := range []string{
		object("padding_scheme", nil), object("bits", 512), object("nonce", nonce), object("key_version", 9), object("key_version", 1),
		object("bits", 5, "padding_scheme", "other"), object("context", topic),
	} {
		steps = append(steps, post("datakey/wrapped/$K", body))
	}
	return steps
}

// rsaOpens shows with which scheme the ciphertext of an answer opens.
func rsaOpens(s step) []step {
	return []step{s.as("new", "ciphertext"), post("rewrap/$K", object("ciphertext", "$new", "decrypt_padding_scheme", "oaep"))}
}

func rsaEncrypts() []step {
	var steps []step
	encrypt := func(namesAndValues ...any) string {
		return object(append([]any{"plaintext", hello}, namesAndValues...)...)
	}
	for _, scheme := range schemes {
		steps = append(steps,
			post("encrypt/$K", encrypt("padding_scheme", scheme)), post("encrypt/$K", items(encrypt("padding_scheme", scheme))),
			post("encrypt/$K", items(encrypt(), encrypt("padding_scheme", scheme))), post("encrypt/$K", with(items(encrypt()), "padding_scheme", literal(`"`+scheme+`"`))),
			post("encrypt/$K", object("plaintext", bad64, "padding_scheme", scheme)), post("encrypt/$K", object("plaintext", "", "padding_scheme", scheme)),
		)
	}
	for _, body := range []string{
		object("plaintext", bad64), object("plaintext", long), encrypt("context", topic), encrypt("associated_data", aad), encrypt("associated_data", bad64),
		encrypt("nonce", nonce), encrypt("key_version", 1), encrypt("key_version", 3), encrypt("padding_scheme", nil),
	} {
		steps = append(steps, post("encrypt/$K", body), post("encrypt/$K", items(body)), post("encrypt/$K", items(encrypt(), body)),
			post("encrypt/$K", with(items(encrypt(), body), "partial_failure_response_code", literal(`202`))))
	}
	return steps
}

func rsaDecrypts() []step {
	var steps []step
	of := func(name string, namesAndValues ...any) string {
		return object(append([]any{"ciphertext", name}, namesAndValues...)...)
	}
	for _, scheme := range schemes {
		if scheme != "pkcs1v15" { // by that scheme it opens once in a while, to something
			steps = append(steps, post("decrypt/$K", of("$o", "padding_scheme", scheme)))
		}
		steps = append(steps,
			post("decrypt/$K", of("$w", "padding_scheme", scheme)),
			post("decrypt/$K", items(of("$w"), of("$w", "padding_scheme", scheme))), post("decrypt/$K", of("vault:v9:AAAA", "padding_scheme", scheme)),
			post("decrypt/$K", of("vault:v1:AAAA", "padding_scheme", scheme)), post("decrypt/$K", of("vault:v1:"+bad64, "padding_scheme", scheme)),
		)
	}
	for _, body := range []string{
		of("$o"), of("$w"), of("vault:v1:"), of("vault:v9:AAAA"), of("text"), of(""), of("$o", "associated_data", aad), of("$o", "associated_data", bad64), of("$o", "nonce", nonce),
		of("$o", "context", topic), of("$o", "padding_scheme", nil),
	} {
		steps = append(steps, post("decrypt/$K", body), post("decrypt/$K", items(body)), post("decrypt/$K", items(of("$o"), body)))
	}
	return append(steps, floor(2), post("decrypt/$K", of("$o")), post("rewrap/$K", of("$o")))
}

func rsaRewraps() []step {
	var steps []step
	of := func(name string, namesAndValues ...any) string {
		return object(append([]any{"ciphertext", name}, namesAndValues...)...)
	}
	for _, old := range schemes {
		steps = append(steps, post("rewrap/$K", of("$w", "decrypt_padding_scheme", old)), post("rewrap/$K", items(of("$o"), of("$w", "decrypt_padding_scheme", old))),
			post("rewrap/$K", of("$o", "encrypt_padding_scheme", old)), post("rewrap/$K", items(of("$o"), of("$o", "encrypt_padding_scheme", old))),
			post("rewrap/$K", of("$w", "padding_scheme", old)))
	}
	steps = slices.Concat(steps,
		rsaOpens(post("rewrap/$K", of("$o"))), rsaOpens(post("rewrap/$K", of("$o", "encrypt_padding_scheme", "pkcs1v15"))),
		rsaOpens(post("rewrap/$K", of("$w", "decrypt_padding_scheme", "pkcs1v15"))),
		rsaOpens(post("rewrap/$K", of("$w", "decrypt_padding_scheme", "pkcs1v15", "encrypt_padding_scheme", "pkcs1v15"))))
	return append(steps, post("rewrap/$K", with(items(of("$w")), "decrypt_padding_scheme", literal(`"pkcs1v15"`))), post("rewrap/$K", of("$o", "key_version", 1)))
}

// oaepDifferences are the hash of OAEP, which Transit has from Vault 2 on. Vault 1 ignores the field, and encrypts with SHA-256.
func oaepDifferences() []intended {
	rsa, aes := flavour{"rsa-2048", "plain"}, flavour{"aes256-gcm96", "plain"}
	const reason = "as Vault 2 (hashicorp/vault#8045); a hash that was asked for must not be another"
	opensWithSHA1Alone := func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
		t.Helper()
		require.True(t, k.remember(kept{"new", "ciphertext"}, answer))
		require.Equal(t, 500, k.send(t, s, post("decrypt/$K", object("ciphertext", "$new"))).Status)
		require.Equal(t, 200, k.send(t, s, post("decrypt/$K", object("ciphertext", "$new", "hash_algorithm", "sha1"))).Status)
	}
	refused := func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
		t.Helper()
		require.Contains(t, fmt.Sprint(answer.Body["errors"]), "hash_algorithm: ")
	}
	start := []step{rsa.create(), rsa.encrypt("ct")}
	return []intended{
		{
			name: "encrypt takes hash_algorithm", reason: reason, before: start, transit: 200, keylife: 200,
			differs: post("encrypt/$K", object("plaintext", hello, "hash_algorithm", "sha1")), holds: opensWithSHA1Alone,
		},
		{
			name: "datakey takes hash_algorithm", reason: reason, before: start, transit: 200, keylife: 200,
			differs: post("datakey/wrapped/$K", object("hash_algorithm", "sha1")), holds: opensWithSHA1Alone,
		},
		{
			name: "rewrap takes encrypt_hash_algorithm", reason: reason, before: start, transit: 200, keylife: 200,
			differs: post("rewrap/$K", object("ciphertext", "$ct", "encrypt_hash_algorithm", "sha1")), holds: opensWithSHA1Alone,
		},
		{
			name: "decrypt takes hash_algorithm", reason: reason, before: start, transit: 200, keylife: 500,
			differs: post("decrypt/$K", object("ciphertext", "$ct", "hash_algorithm", "sha1")),
			holds:   func(*testing.T, *harness.Server, *side, harness.Reply) {},
		},
		{
			name: "hash_algorithm is for RSA keys", reason: reason, before: []step{aes.create()}, transit: 200, keylife: 400,
			differs: post("encrypt/$K", object("plaintext", hello, "hash_algorithm", "sha1")), holds: refused,
		},
		{
			name: "hash_algorithm is for OAEP", reason: reason, before: start, transit: 200, keylife: 400,
			differs: post("encrypt/$K", object("plaintext", hello, "hash_algorithm", "sha1", "padding_scheme", "pkcs1v15")), holds: refused,
		},
	}
}
