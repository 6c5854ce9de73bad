// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

// configTrials change a key that has three versions.
func configTrials() []trial {
	bodies := []string{
		``, `{}`, `null`, `[]`, `{"nonsense":1}`, `{"name":"another"}`, `{"type":"chacha20-poly1305"}`, `{"derived":true}`, `{"min_available_version":2}`,
		`{"min_decryption_version":0}`, `{"min_decryption_version":1}`, `{"min_decryption_version":3}`, `{"min_decryption_version":4}`,
		`{"min_decryption_version":-1}`, `{"min_encryption_version":0}`, `{"min_encryption_version":1}`, `{"min_encryption_version":3}`,
		`{"min_encryption_version":4}`, `{"min_encryption_version":-1}`, `{"min_decryption_version":2,"min_encryption_version":1}`,
		`{"min_decryption_version":2,"min_encryption_version":2}`, `{"min_decryption_version":2,"min_encryption_version":3}`,
		`{"min_decryption_version":3,"min_encryption_version":0}`, `{"min_decryption_version":0,"min_encryption_version":0}`,
		`{"min_decryption_version":2,"min_encryption_version":9}`, `{"min_decryption_version":2,"auto_rotate_period":"1m"}`,
		`{"min_decryption_version":9,"deletion_allowed":true}`, `{"exportable":true,"min_encryption_version":9}`,
		`{"deletion_allowed":true}`, `{"deletion_allowed":false}`, `{"exportable":true}`, `{"exportable":false}`, `{"allow_plaintext_backup":true}`,
		`{"allow_plaintext_backup":false}`, `{"min_decryption_version":"2"}`, `{"min_decryption_version":2.5}`,
		`{"min_decryption_version":2147483648}`, `{"min_encryption_version":"2"}`,
		`{"min_decryption_version":2,"min_encryption_version":2,"deletion_allowed":true,"exportable":true,"allow_plaintext_backup":true,"auto_rotate_period":"48h"}`,
	}
	for _, period := range periods {
		bodies = append(bodies, object("auto_rotate_period", literal(period)))
	}
	all := []trial{{name: "config of no key", steps: []step{config(`{"deletion_allowed":true}`), config(``), config(`{"min_decryption_version":9}`)}}}
	for _, body := range bodies {
		all = append(all, trial{name: "config " + body, steps: []step{
			f0().create(), f0().encrypt("v1"), rotate(), rotate(), config(body), get("keys/$K"), f0().encrypt("new"), f0().decrypt("$v1"), config(body), get("keys/$K"),
		}})
	}
	return append(all, configSequences()...)
}

// configSequences are rules that need more than one change to show.
func configSequences() []trial {
	return []trial{
		{name: "exportable and backup never go back", steps: []step{
			f0().create(), config(`{"exportable":true,"allow_plaintext_backup":true}`), config(`{"exportable":true}`), get("keys/$K"),
		}},
		{name: "auto_rotate_period set, kept and cleared", steps: []step{
			f0().create(), config(`{"auto_rotate_period":"48h"}`), config(`{"deletion_allowed":true}`), get("keys/$K"), rotate(), get("keys/$K"),
			config(`{"auto_rotate_period":0}`), get("keys/$K"),
		}},
		{name: "the floors move together", steps: []step{
			f0().create(), rotate(), rotate(), rotate(), encryptFrom(2), floor(3), encryptFrom(3), floor(3), encryptFrom(2), floor(2), encryptFrom(2),
			encryptFrom(0), floor(4), encryptFrom(4), floor(1), encryptFrom(1), get("keys/$K"),
		}},
		{name: "a refused change changes nothing", steps: []step{
			f0().create(), rotate(), config(`{"deletion_allowed":true,"exportable":true,"min_encryption_version":5}`), get("keys/$K"),
			config(`{"deletion_allowed":true,"auto_rotate_period":"1m"}`), get("keys/$K"), config(`{"deletion_allowed":"perhaps","exportable":true}`), get("keys/$K"),
		}},
		{name: "a floor stays under rotation", steps: []step{
			f0().create(), rotate(), floor(2), encryptFrom(2), rotate(), rotate(), get("keys/$K"),
		}},
		{name: "rotate ignores its body", steps: []step{
			f0().create(), post("keys/$K/rotate", "{}"), post("keys/$K/rotate", `{"nonsense":1}`), post("keys/$K/rotate", `[]`), post("keys/$K/rotate", `{`), get("keys/$K"),
		}},
		{name: "rotate no key", steps: []step{rotate(), post("keys/$K/rotate", `{"nonsense":1}`)}},
	}
}
