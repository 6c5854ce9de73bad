// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import "strings"

// upsertTrials encrypt with a key that does not exist. Bad input is in the table of intended differences.
func upsertTrials() []trial {
	var all []trial
	for _, f := range flavours() {
		body := f.body("plaintext", hello, "type", f.kind, "convergent_encryption", f.mode == "convergent")
		all = append(all, trial{name: "upsert " + f.String(), steps: []step{
			post("encrypt/$K", body).as("ct", "ciphertext"), get("keys/$K"), post("encrypt/$K", body), f.decrypt("$ct"), get("keys/$K"),
		}})
		all = append(all, trial{name: "upsert by batch " + f.String(), steps: []step{
			post("encrypt/$K", with(items(f.body("plaintext", hello), f.body("plaintext", "", "reference", "r")), "type", literal(`"`+f.kind+`"`))).
				as("ct", "batch_results.0.ciphertext"),
			get("keys/$K"), f.decrypt("$ct"),
		}})
	}
	return append(all, upsertRules()...)
}

func upsertRules() []trial {
	var all []trial
	bodies := []string{
		object("plaintext", hello), object("plaintext", ""), object("plaintext", hello, "context", ""), object("plaintext", hello, "type", ""),
		object("plaintext", hello, "type", "nonsense"), object("plaintext", hello, "type", "AES256-GCM96"), object("plaintext", hello, "type", 5),
		object("plaintext", hello, "convergent_encryption", true), object("plaintext", hello, "convergent_encryption", "true", "context", topic),
		object("plaintext", hello, "convergent_encryption", "maybe"), object("plaintext", hello, "derived", true), object("plaintext", hello, "exportable", true),
		object("plaintext", hello, "key_version", 1), object("plaintext", hello, "nonsense", 1), `{}`, ``, `null`, `[]`,
		`{"batch_input":[]}`, `{"batch_input":{}}`, `{"batch_input":"x"}`, `{"batch_input":[{}]}`, `{"batch_input":null}`, `{"batch_input":[1]}`,
		items(object("plaintext", hello), object("plaintext", hello, "context", topic)),
		items(object("plaintext", hello, "context", topic), object("plaintext", hello)),
		items(object("plaintext", hello), object("plaintext", bad64)), items(object("plaintext", hello), object("plaintext", hello, "key_version", 7)),
		object("plaintext", hello, "type", "ed25519"), object("plaintext", hello, "type", "ecdsa-p256"), object("plaintext", hello, "type", "hmac"),
		object("plaintext", hello, "type", "rsa-2048", "context", topic), object("plaintext", hello, "type", "rsa-2048", "convergent_encryption", true),
		object("plaintext", hello, "type", "rsa-2048", "padding_scheme", "pkcs1v15"), with(items(object("plaintext", hello)), "type", literal(`"rsa-2048"`)),
		object("plaintext", hello, "type", "aes128-cmac"),
		with(items(object("plaintext", hello)), "convergent_encryption", literal("true")),
		with(items(object("plaintext", hello, "context", topic)), "convergent_encryption", literal("true")),
	}
	for _, body := range bodies {
		all = append(all, trial{name: "upsert " + body, steps: []step{post("encrypt/$K", body), get("keys/$K"), post("encrypt/$K", body)}})
	}
	return append(all, trial{name: "upsert rsa-2048", steps: []step{
		post("encrypt/$K", object("plaintext", hello, "type", "rsa-2048")).as("ct", "ciphertext"), get("keys/$K"), post("decrypt/$K", object("ciphertext", "$ct")),
	}}, trial{name: "only encrypt creates keys", steps: []step{
		post("decrypt/$K", object("ciphertext", "vault:v1:AAAA")), post("rewrap/$K", object("ciphertext", "vault:v1:AAAA")),
		post("datakey/plaintext/$K", "{}"), post("decrypt/$K", items(object("ciphertext", "vault:v1:AAAA"))),
		post("rewrap/$K", items(object("ciphertext", "vault:v1:AAAA"))), get("keys/$K"),
	}}, trial{name: "existing key ignores upsert fields", steps: []step{
		f0().create(), post("encrypt/$K", object("plaintext", hello, "type", "chacha20-poly1305")), post("encrypt/$K", object("plaintext", hello, "type", "nonsense")),
		post("encrypt/$K", object("plaintext", hello, "convergent_encryption", true)), post("encrypt/$K", object("plaintext", hello, "context", topic)), get("keys/$K"),
	}})
}

// ciphertextTrials hand decrypt and rewrap what is not quite a ciphertext of the key.
func ciphertextTrials() []trial {
	broken := []string{
		"", " ", "text", "vault", "vault:", "vault:v", "vault:v1", "vault:v1:", "vault:v1::", "vault:v1:!", "vault:v1:AAAA", "vault:v1:" + strings.Repeat("A", 36),
		"vault:v1:" + strings.Repeat("A", 40), "vault:v1:" + strings.Repeat("A", 400), "vault:v0:$ct_payload", "vault:v00:$ct_payload", "vault:v01:$ct_payload",
		"vault:v+1:$ct_payload", "vault:v 1:$ct_payload", "vault:v-1:$ct_payload", "vault:v2:$ct_payload", "vault:v3:$ct_payload", "vault:v1.0:$ct_payload",
		"vault:v1e0:$ct_payload", "vault:v99999999999999999999:$ct_payload", "vault:v2147483648:$ct_payload", "vault:vx:$ct_payload", "vault:1:$ct_payload",
		"Vault:v1:$ct_payload", "VAULT:V1:$ct_payload", "vault:v1:$ct_payload=", "vault:v1:$ct_payload ", " vault:v1:$ct_payload", "vault:v1:$ct_payload\n",
		"vault:v1:x$ct_payload", "vault:v1:AAAA$ct_payload", "vault:v1:$ct_payload:", "vault:v1:v1:$ct_payload", "$ct_payload", "$ct$ct", "vault:v1:\u0000",
	}
	var all []trial
	for _, f := range flavours() {
		steps := []step{f.create(), f.encrypt("ct"), rotate()}
		for _, text := range broken {
			steps = append(steps, f.decrypt(text), post("rewrap/$K", f.body("ciphertext", text)))
		}
		all = append(all, trial{name: "broken ciphertexts " + f.String(), steps: steps})
	}
	for _, text := range broken {
		all = append(all, trial{name: "broken ciphertext in a batch " + strings.ToValidUTF8(text[:min(len(text), 24)], ""), steps: []step{
			f0().create(), f0().encrypt("ct"), rotate(),
			post("decrypt/$K", items(object("ciphertext", "$ct"), object("ciphertext", text))),
			post("rewrap/$K", items(object("ciphertext", "$ct"), object("ciphertext", text))),
		}})
	}
	return append(all, trial{name: "ciphertext of another key", steps: []step{
		f0().create(), f0().encrypt("ct"), post("keys/$K-2", "{}"), post("decrypt/$K-2", object("ciphertext", "$ct")), post("rewrap/$K-2", object("ciphertext", "$ct")),
	}}, trial{name: "floor and v0", steps: []step{
		f0().create(), f0().encrypt("ct"), rotate(), floor(2), f0().decrypt("vault:v0:$ct_payload"), f0().decrypt("$ct"),
	}})
}
