// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"testing"

	"github.com/hashicorp/vault/sdk/helper/keysutil"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// transitOf returns keysutil's policy and our cipher of one version with a known key.
func transitOf(t testing.TB, spec envelope.Spec, key []byte) (*keysutil.Policy, *envelope.Cipher) {
	t.Helper()
	hmacKey := bytes.Repeat([]byte{0x55}, 32) // plays no part
	policy, _ := transit(t, spec, 1)
	entry := policy.Keys["1"]
	entry.Key, entry.HMACKey = key, hmacKey
	policy.Keys["1"] = entry
	return policy, newCipher(t, spec, 1, envelope.NewMaterial(key, hmacKey))
}

func madeConvergent() convergentVectors {
	file := convergentVectors{
		Algorithm: "keylife convergent encryption with associated data",
		Header:    []string{"Made by internal/envelope/convergent_test.go from the definition in docs/adr/0028.", "Keys are test keys."},
		Notes: map[string]string{
			"AssociatedData": "The nonce is of the message and the associated data.",
			"TransitNonce":   "With associated data, as Transit encrypts it: the nonce is of the message alone.",
			"Boundary":       "Message and associated data joined are those of another test.",
			"Modified":       "A valid test of which one bit was changed.",
		},
	}
	id := 0
	for _, a := range algorithms {
		group := aeadGroup{Type: "AeadTest", Algorithm: a, KeySize: 8 * a.KeySize(), IVSize: 96, TagSize: 128}
		for _, test := range convergentTests(a) {
			id++
			test.TCID = id
			group.Tests = append(group.Tests, test)
		}
		file.TestGroups = append(file.TestGroups, group)
	}
	file.NumberOfTests = id
	return file
}

func convergentTests(a envelope.Algorithm) []aeadTest {
	key, context := make([]byte, a.KeySize()), []byte("tenant-17")
	for i := range key {
		key[i] = byte(i)
	}
	var tests []aeadTest
	add := func(comment string, test aeadTest, result string, flags ...string) {
		test.Comment, test.Result, test.Flags = comment, result, append([]string{}, flags...)
		tests = append(tests, test)
	}
	made := func(msg, aad string) aeadTest { return sealed(a, key, context, []byte(msg), []byte(aad), false) }
	old := func(msg, aad string) aeadTest { return sealed(a, key, context, []byte(msg), []byte(aad), true) }

	add("no associated data: Transit's bytes", made("equal message", ""), "valid")
	add("neither message nor associated data: Transit's bytes", made("", ""), "valid")
	for row := range 2 {
		aad := "row-" + strconv.Itoa(row+1)
		add("an equal message under associated data "+aad, made("equal message", aad), "valid", "AssociatedData")
	}
	add("associated data and no message", made("", "row-1"), "valid", "AssociatedData")
	for cut := range len("boundary") {
		add("cut after "+strconv.Itoa(cut), made("boundary"[:cut], "boundary"[cut:]), "valid", "AssociatedData", "Boundary")
	}
	add("the encoding of message and associated data as a message", made(string(nonceInput([]byte("equal message"), []byte("row-1"))), ""), "valid", "Boundary")
	add("blocks", made(string(bytes.Repeat([]byte("0123456789abcdef"), 5)), string(bytes.Repeat([]byte{0xff}, 33))), "valid", "AssociatedData")
	add("another context", sealed(a, key, []byte("tenant-18"), []byte("equal message"), []byte("row-1"), false), "valid", "AssociatedData")
	add("as Transit encrypts it, row-1", old("equal message", "row-1"), "acceptable", "AssociatedData", "TransitNonce")
	add("as Transit encrypts it, row-2", old("equal message", "row-2"), "acceptable", "AssociatedData", "TransitNonce")

	for _, field := range []struct {
		name string
		of   func(*aeadTest) *string
	}{
		{"nonce", func(v *aeadTest) *string { return &v.Nonce }},
		{"ciphertext", func(v *aeadTest) *string { return &v.CT }},
		{"tag", func(v *aeadTest) *string { return &v.Tag }},
		{"associated data", func(v *aeadTest) *string { return &v.AAD }},
		{"context", func(v *aeadTest) *string { return &v.Context }},
	} {
		for _, at := range []string{"first", "last"} {
			test := made("equal message", "row-1")
			*field.of(&test) = flipped(*field.of(&test), at == "last")
			add("changed "+field.name+", "+at+" bit", test, "invalid", "AssociatedData", "Modified")
		}
	}
	moved := made("equal message", "row-1")
	moved.AAD = hex.EncodeToString([]byte("row-2"))
	add("moved to another row", moved, "invalid", "AssociatedData", "Modified")
	dropped := made("equal message", "row-1")
	dropped.AAD = ""
	add("associated data left out", dropped, "invalid", "Modified")
	return tests
}

// flipped changes the first or the last bit of a text in hex.
func flipped(text string, last bool) string {
	raw, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	if last {
		raw[len(raw)-1] ^= 1
	} else {
		raw[0] ^= 0x80
	}
	return hex.EncodeToString(raw)
}
