// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"slices"
)

// outcomes are batches by how many of their items fail, for a key with $v1 and $v2 and a floor of 2.
var outcomes = []struct{ name, encrypt, open string }{
	{"none fails", items(object("plaintext", hello)), items(object("ciphertext", "$v2"))},
	{"one fails", items(object("plaintext", hello), object("plaintext", bad64)), items(object("ciphertext", "$v2"), object("ciphertext", "$v1"))},
	{"first fails", items(object("plaintext", bad64), object("plaintext", hello)), items(object("ciphertext", ""), object("ciphertext", "$v2"))},
	{"all fail", items(object("plaintext", bad64)), items(object("ciphertext", "$v1"))},
	{"padding fails", items(object("plaintext", hello, "padding_scheme", "x")), items(object("ciphertext", "$v2", "padding_scheme", "x"))},
}

// internal are batches with an item that fails inside: bad associated data, which rewrap does not take in Transit.
var internal = []struct{ name, encrypt, open string }{
	{"one fails inside", items(object("plaintext", hello), badInside("plaintext", hello)), items(object("ciphertext", "$v2"), badInside("ciphertext", "$v2"))},
	{"one fails, one inside", items(object("plaintext", bad64), badInside("plaintext", hello)), items(object("ciphertext", "$v1"), badInside("ciphertext", "$v2"))},
	{"all fail inside", items(badInside("plaintext", hello)), items(badInside("ciphertext", "$v2"))},
	{
		"all ways at once", items(object("plaintext", hello), object("plaintext", bad64), badInside("plaintext", hello)),
		items(object("ciphertext", "$v2"), object("ciphertext", "$v1"), badInside("ciphertext", "$v2")),
	},
}

func badInside(field, value string) string { return object(field, value, "associated_data", bad64) }

// batchCodeTrials choose the status of a batch that fails in part. Codes below 200 and above
// 599 are an intended difference.
func batchCodeTrials() []trial {
	codes := []string{
		`200`, `201`, `207`, `299`, `400`, `404`, `409`, `418`, `422`, `499`, `500`, `503`, `599`,
		`"207"`, `"x"`, `207.5`, `null`, `[]`, `{}`,
	}
	var all []trial
	for _, code := range codes {
		steps := threeVersions(f0(), floor(2))
		for _, o := range outcomes {
			steps = append(steps,
				post("encrypt/$K", with(o.encrypt, "partial_failure_response_code", literal(code))),
				post("decrypt/$K", with(o.open, "partial_failure_response_code", literal(code))),
				post("rewrap/$K", with(o.open, "partial_failure_response_code", literal(code))),
			)
		}
		for _, o := range internal {
			steps = append(steps,
				post("encrypt/$K", with(o.encrypt, "partial_failure_response_code", literal(code))),
				post("decrypt/$K", with(o.open, "partial_failure_response_code", literal(code))),
			)
		}
		all = append(all, trial{name: "partial_failure_response_code " + code, steps: steps})
	}
	for _, o := range outcomes {
		all = append(all, trial{name: "batch where " + o.name, steps: threeVersions(f0(), floor(2),
			post("encrypt/$K", o.encrypt), post("decrypt/$K", o.open), post("rewrap/$K", o.open))})
	}
	for _, o := range internal {
		all = append(all, trial{name: "batch where " + o.name, steps: threeVersions(f0(), floor(2), post("encrypt/$K", o.encrypt), post("decrypt/$K", o.open))})
	}
	return append(all, trial{name: "partial_failure_response_code of a single request", steps: threeVersions(f0(), floor(2),
		post("encrypt/$K", object("plaintext", bad64, "partial_failure_response_code", 202)),
		post("decrypt/$K", object("ciphertext", "$v1", "partial_failure_response_code", 202)),
		post("decrypt/$K", object("ciphertext", "$v2", "partial_failure_response_code", 202)))})
}

// fieldValues are JSON values of every kind, to stand where another is wanted.
var fieldValues = []string{
	`"text"`, `""`, `"7"`, `"true"`, `"aGVsbG8="`, `7`, `0`, `1`, `2`, `-1`, `1.5`, `true`, `false`, `null`, `[]`, `["a"]`, `[1]`, `{}`, `{"a":1}`,
}

// huge is no number that Go has.
const huge = `99999999999999999999`

// valuesFor adds the odd forms of numbers where they can be told apart: behind the plugin boundary, where Vault hands
// over every number as a float64, 1e2 is 100 and the text of a huge one is lost.
func valuesFor(field string) []string {
	switch field {
	case "derived", "convergent_encryption", "exportable", "allow_plaintext_backup", "deletion_allowed":
		return append(slices.Clone(fieldValues), `1e2`, huge)
	case "key_version", "bits", "min_decryption_version", "min_encryption_version", "partial_failure_response_code", "key_size", "auto_rotate_period":
		return append(slices.Clone(fieldValues), huge)
	default: // texts, for which a number that is not whole is an intended difference
		return slices.DeleteFunc(slices.Clone(fieldValues), func(value string) bool { return value == `1.5` })
	}
}

// fieldTrials put every kind of value into every field.
func fieldTrials() []trial {
	endpoints := []struct {
		path, body string
		fields     []string
	}{
		{"keys/$K-new", `{}`, []string{"type", "derived", "convergent_encryption", "exportable", "allow_plaintext_backup", "auto_rotate_period", "context", "name", "key_size"}},
		{"keys/$K/config", `{}`, []string{"min_decryption_version", "min_encryption_version", "deletion_allowed", "exportable", "allow_plaintext_backup", "auto_rotate_period", "name"}},
		{"keys/$K/rotate", `{}`, []string{"name"}},
		{"encrypt/$K", object("plaintext", hello), []string{
			"plaintext", "context", "nonce", "associated_data", "key_version", "partial_failure_response_code", "type",
			"convergent_encryption", "padding_scheme", "name",
		}},
		{"decrypt/$K", object("ciphertext", "$ct"), []string{"ciphertext", "context", "nonce", "associated_data", "partial_failure_response_code", "padding_scheme", "name"}},
		{"rewrap/$K", object("ciphertext", "$ct"), []string{"ciphertext", "context", "nonce", "key_version", "encrypt_padding_scheme", "decrypt_padding_scheme", "name"}},
		{"datakey/plaintext/$K", `{}`, []string{"bits", "context", "nonce", "key_version", "padding_scheme", "name"}},
	}
	var all []trial
	for _, e := range endpoints {
		for _, field := range e.fields {
			for _, value := range valuesFor(field) {
				all = append(all, trial{name: fmt.Sprintf("%s %s=%s", e.path, field, value), steps: []step{
					f0().create(), rotate(), f0().encrypt("ct"), post(e.path, replace(e.body, field, value)), get("keys/$K"), get("keys/$K-new"),
				}})
			}
		}
	}
	return all
}

// replace is a body with one field set, and no other field of that name.
func replace(body, field, value string) string {
	if body == object("plaintext", hello) && field == "plaintext" || body == object("ciphertext", "$ct") && field == "ciphertext" {
		body = "{}"
	}
	return with(body, field, literal(value))
}

// itemTrials put every kind of value into every field of a batch item.
func itemTrials() []trial {
	fields := []string{"context", "nonce", "key_version", "associated_data", "reference", "nonsense", "padding_scheme", "iv"}
	endpoints := map[string]struct{ body, text string }{
		"encrypt": {object("plaintext", hello), "plaintext"},
		"decrypt": {object("ciphertext", "$ct"), "ciphertext"},
		"rewrap":  {object("ciphertext", "$ct"), "ciphertext"},
	}
	var all []trial
	for _, path := range []string{"encrypt", "decrypt", "rewrap"} {
		e := endpoints[path]
		for _, field := range append([]string{e.text}, fields...) {
			if path == "rewrap" && field == "associated_data" {
				continue // an intended difference
			}
			steps := []step{f0().create(), rotate(), f0().encrypt("ct")}
			values := fieldValues
			if path == "rewrap" { // which takes numbers for texts
				values = valuesFor(field)
			}
			for _, value := range values {
				item := replace(e.body, field, value)
				steps = append(steps, post(path+"/$K", items(item)), post(path+"/$K", items(e.body, item)))
			}
			all = append(all, trial{name: fmt.Sprintf("%s item %s", path, field), steps: steps})
		}
	}
	return all
}
