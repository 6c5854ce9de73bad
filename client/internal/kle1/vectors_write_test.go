// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1_test

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// Encrypted data keys of the vectors: of the first data key, of another, and of the first after a rewrap.
const (
	edkOther     = "vault:v3:9yazmAc2BWxczpAO0yoTQE20sJlCWjLrqXW3Ickf7XP3Lyb6cGBI5enVcakbsmQbEA4GN6Trt6U2y//Q"
	edkRewrapped = "vault:v4:Qk1azmAc2BWxczpAO0yoTQE20sJlCWjLrqXW3Ickf7XP3Lyb6cGBI5enVcakbsmQbEA4GN6Trt6U2y//"
)

func count(from byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

func fieldVectors(t *testing.T) *vectors {
	t.Helper()
	v := &vectors{Suite: kle1.Field, DataKeys: map[string]hexBytes{edk: count(0, 32), edkOther: count(0x80, 32), edkRewrapped: count(0, 32)}}
	k := v.keys(t)[edk].WithNonce(count(0xa0, 12))
	v.Derived, _, _, _ = k.Derived(kle1.Field, nil)
	add := func(name, plaintext string, c kle1.Context) []byte {
		message := seal(t, k, plaintext, c)
		_, _, commitment, aad := k.Derived(kle1.Field, c)
		v.Valid = append(v.Valid, vector{
			Name: name, Context: c, Nonce: count(0xa0, 12), Plaintext: []byte(plaintext), Commitment: commitment, AAD: aad, Message: message, Text: kle1.Text(message),
		})
		return message
	}
	message := add("a card", "4111111111111111", row)
	add("no plaintext", "", row)
	add("no context", "x", nil)
	add("context in UTF-8, an empty value", "xy", kle1.Context{"é": "ü", "Z": "", "a": "\x00"})
	rewrapped, err := kle1.Rewrapped(message, edkRewrapped)
	require.NoError(t, err)
	v.Valid = append(v.Valid, vector{Name: "rewrapped", Context: row, Plaintext: []byte("4111111111111111"), Message: rewrapped})
	renamed := bytes.Replace(message, []byte("orders"), []byte("orderz"), 1)
	v.Valid = append(v.Valid, vector{Name: "another name, which is a hint", Context: row, Plaintext: []byte("4111111111111111"), Message: renamed})
	v.Invalid = badFields(t, message)
	return v
}

func badFields(t *testing.T, message []byte) (bad []vector) {
	t.Helper()
	add := func(name string, message []byte) {
		bad = append(bad, vector{Name: name, Context: row, Message: message})
	}
	end := len(message)
	for name, at := range fieldsOf {
		if at < 0 {
			at += end
		}
		flipped := bytes.Clone(message)
		flipped[at] ^= 1
		add("flipped: "+name, flipped)
	}
	sortByName(bad)
	swapped, err := kle1.Rewrapped(message, edkOther)
	require.NoError(t, err)
	add("encrypted data key of another data key", swapped)
	for _, n := range []int{0, 4, 6, 7, 20, 103, end - 29, end - 16, end - 1} {
		add("cut", message[:n])
	}
	add("a byte more", append(bytes.Clone(message), 0))
	add("header a byte longer", bytes.Replace(message, []byte{1, 0, 130, 6}, []byte{1, 0, 131, 6}, 1))
	add("suite 0", bytes.Replace(message, []byte("KLE1\x01"), []byte("KLE1\x00"), 1))
	add("suite 2", bytes.Replace(message, []byte("KLE1\x01"), []byte("KLE1\x02"), 1))
	add("suite 3", bytes.Replace(message, []byte("KLE1\x01"), []byte("KLE1\x03"), 1))
	add("a name that is a path", bytes.Replace(message, []byte("orders"), []byte("../sys"), 1))
	add("an encrypted data key of no version", bytes.Replace(message, []byte("vault:v3"), []byte("vault:v0"), 1))
	for name, c := range map[string]kle1.Context{"no context": nil, "another context": {"table": "cards", "row": "18"}, "context swapped": {"cards": "table", "17": "row"}} {
		bad = append(bad, vector{Name: name, Context: c, Message: message})
	}
	sortByName(bad[len(bad)-3:])
	return append(bad, badTexts(message)...)
}

// fieldsOf are places of the fields in the message of the vectors, from its end where negative.
var fieldsOf = map[string]int{
	"magic": 0, "suite": 4, "header length": 6, "name length": 7, "encrypted data key length": 15, "encrypted data key": 60, "first of commitment": 105,
	"last of commitment": 136, "nonce": 137, "ciphertext": -17, "tag": -1,
}

func badTexts(message []byte) (bad []vector) {
	text := kle1.Text(message)
	if len(message)%3 != 1 {
		panic("bits that do not count need a message of 3n+1 bytes")
	}
	last := strings.IndexByte(alphabet, text[len(text)-1])
	for _, c := range []struct{ name, text string }{
		{"bits that do not count", text[:len(text)-1] + string(alphabet[last|1])},
		{"padding", text + "=="},
		{"line break at the end", text + "\n"},
		{"line break inside", text[:40] + "\r\n" + text[40:]},
		{"space", text[:40] + " " + text[40:]},
		{"alphabet of base64", text[:40] + "+" + text[41:]},
		{"prefix in capitals", "KLE1." + text[5:]},
		{"no prefix", text[5:]},
		{"a character too many", text + "AAA"},
	} {
		bad = append(bad, vector{Name: "text: " + c.name, Context: row, Text: c.text})
	}
	return bad
}

func streamVectors(t *testing.T) *vectors {
	t.Helper()
	v := &vectors{Suite: kle1.Stream, DataKeys: map[string]hexBytes{edk: count(0, 32)}}
	k := v.keys(t)[edk]
	_, v.Derived, _, _ = k.Derived(kle1.Stream, nil)
	for _, c := range []struct {
		name   string
		length int
	}{{"empty", 0}, {"short", 100}, {"one whole segment", first}, {"a byte more", first + 1}, {"three segments", first + whole + 10}} {
		valid := vector{Name: c.name, Context: file, Salt: count(0x40, 32), Prefix: count(0xb0, 7), Length: &c.length}
		message := writeVector(t, k, valid)
		digest := sha256.Sum256(message)
		_, _, valid.Commitment, valid.AAD = k.Derived(kle1.Stream, file)
		valid.Head, _ = segmentsOf(t, message)
		valid.SHA256 = digest[:]
		v.Valid = append(v.Valid, valid)
	}
	bad := func(name, of string, c vector) {
		c.Name, c.Of = name, of
		if c.Context == nil {
			c.Context = file
		}
		v.Invalid = append(v.Invalid, c)
	}
	const three = "three segments"
	bad("last one missing", three, vector{Segments: []int{0, 1}})
	bad("one cut out", three, vector{Segments: []int{0, 2}})
	bad("first one missing", three, vector{Segments: []int{1, 2}})
	bad("two swapped", three, vector{Segments: []int{1, 0, 2}})
	bad("one repeated", three, vector{Segments: []int{0, 1, 1, 2}})
	bad("last one repeated", three, vector{Segments: []int{0, 1, 2, 2}})
	bad("all but the first missing", three, vector{Segments: []int{0}})
	bad("last one cut", three, vector{Cut: 3})
	bad("tag cut", three, vector{Cut: 11})
	bad("trailing byte", three, vector{Append: []byte{0}})
	bad("whole segment, last one empty", "one whole segment", vector{Append: make([]byte, 16)})
	bad("cut to the header", "empty", vector{Cut: 16})
	bad("cut in the tag", "empty", vector{Cut: 1})
	bad("another context", "short", vector{Context: row})
	for _, at := range []int{0, 4, 6, 7, 15, 105, 136, 137, 138, 169, 170, 176, 177, 276, 277, 292} {
		bad("flipped", "short", vector{Flip: &at})
	}
	return v
}
