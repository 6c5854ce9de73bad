// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// A ciphertext, as Transit writes it and as clients and their regular expressions expect it:
//
//	vault:v 12 : bm9uY2UgY2lwaGVydGV4dCB0YWc=
//	        |    `- standard base64 of nonce 12 or 24 | ciphertext | tag 16
//	        `- version, decimal
const ciphertextPrefix = "vault:v"

// Parse splits a ciphertext into its version and the payload that [Cipher.Decrypt] takes. Version 0
// is an alias of 1, from the days when Transit counted from zero.
//
// It is as lenient as keysutil: "+1", "007" and negative numbers parse. Ranges are for the caller,
// who alone knows them; a negative version is below every floor, which is also how keysutil ends up
// refusing it.
func Parse(ciphertext string) (version int, payload string, err error) {
	version, payload, err = parse(ciphertext, "ciphertext", "ciphertext")
	if version == 0 && err == nil {
		version = 1
	}
	return version, payload, err
}

// ParseMAC splits a message authentication code of a kind, which has the form of a ciphertext. There is no version 0.
func ParseMAC(kind, mac string) (version int, payload string, err error) {
	return parse(mac, kind+" to verify", kind)
}

// parse splits a text; its errors call it by these names, as Transit does.
func parse(text, whole, what string) (version int, payload string, err error) {
	rest, ok := strings.CutPrefix(text, ciphertextPrefix)
	if !ok {
		return 0, "", inputError("invalid " + whole + ": no prefix")
	}
	number, payload, ok := strings.Cut(rest, ":")
	if !ok {
		return 0, "", inputError("invalid " + what + ": wrong number of fields")
	}
	version, err = strconv.Atoi(number)
	if err != nil {
		return 0, "", inputError("invalid " + what + ": version number could not be decoded")
	}
	return version, payload, nil
}

// Truncated reports a payload that is too short for the shortest nonce and a tag, so that no cipher opens it.
func Truncated(payload string) bool {
	return len(payload) < base64.StdEncoding.EncodedLen(nonceSize+tagSize)
}

// Format returns the ciphertext of raw under version.
func Format(version int, raw []byte) string {
	return prefix(version) + base64.StdEncoding.EncodeToString(raw)
}

func prefix(version int) string {
	return ciphertextPrefix + strconv.Itoa(version) + ":"
}
