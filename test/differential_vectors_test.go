// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"encoding/base64"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
	"github.com/keylife/vault-plugin-keylife/test/wycheproof"
)

// encodingDifferences are signatures of ECDSA that somebody wrote anew, without the key. Transit verifies them.
func encodingDifferences() []intended {
	const reason = "a signature has one encoding (Project Wycheproof; RFC 7518, section 3.4)"
	return []intended{
		{
			name: "a signature has nothing more in its sequence", reason: reason, before: []step{importsVector("ecdsa_secp256r1_sha256")},
			differs: verifiesVector("ecdsa_secp256r1_sha256", "appending null value to sequence [r, s]"), transit: 200, keylife: 400,
			holds: func(*testing.T, *harness.Server, *side, harness.Reply) {},
		},
		{
			name: "the numbers of a signature for JWS have their full length", reason: reason, before: []step{importsVector("ecdsa_secp256r1_sha256_p1363")},
			differs: verifiesVector("ecdsa_secp256r1_sha256_p1363", "incorrect size of signature"), transit: 200, keylife: 200,
			holds: func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
				t.Helper()
				require.Equal(t, false, answer.Data()["valid"])
			},
		},
	}
}

// vectorOf returns the first vector of a file that has the comment, or any, and its group.
func vectorOf(file, comment string) (wycheproof.Group, wycheproof.Vector) {
	for _, family := range []string{"ecdsa", "ecdsa_p1363"} {
		for _, g := range wycheproof.Groups(new(testing.T), family) {
			for _, v := range g.Vectors {
				if g.File == file && (comment == "" || v.Comment == comment) {
					return g, v
				}
			}
		}
	}
	panic("internal error: no vector " + comment)
}

func importsVector(file string) step {
	g, _ := vectorOf(file, "")
	return post("keys/$K/import", object("type", "ecdsa-p256", "public_key", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: g.Public}))))
}

func verifiesVector(file, comment string) step {
	_, v := vectorOf(file, comment)
	encoding, form := base64.StdEncoding, "asn1"
	if file == "ecdsa_secp256r1_sha256_p1363" {
		encoding, form = base64.RawURLEncoding, "jws"
	}
	return post("verify/$K", object("input", base64.StdEncoding.EncodeToString(v.Message), "marshaling_algorithm", form,
		"signature", "vault:v1:"+encoding.EncodeToString(v.Signature)))
}
