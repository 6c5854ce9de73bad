// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"strings"
)

// batchTrials hold the rules of reference/transit.md, section 1.7, one by one.
func batchTrials() []trial {
	var all []trial
	for _, f := range flavours() {
		all = append(all, trial{name: "batch round trip " + f.String(), steps: []step{
			f.create(), rotate(),
			post("encrypt/$K", items(f.body("plaintext", hello, "reference", "a"), f.body("plaintext", "", "key_version", 1), f.body("plaintext", hello))).
				as("a", "batch_results.0.ciphertext").as("b", "batch_results.1.ciphertext"),
			post("decrypt/$K", items(f.body("ciphertext", "$b", "reference", "b"), f.body("ciphertext", "$a"))),
			post("rewrap/$K", items(f.body("ciphertext", "$b", "reference", "b"), f.body("ciphertext", "$a", "key_version", 1))),
		}}, trial{name: "batch with associated data " + f.String(), steps: []step{
			f.create(),
			post("encrypt/$K", items(f.body("plaintext", hello, "associated_data", "YWFk"), f.body("plaintext", hello), f.body("plaintext", hello, "associated_data", bad64))).
				as("a", "batch_results.0.ciphertext").as("b", "batch_results.1.ciphertext"),
			post("decrypt/$K", items(f.body("ciphertext", "$a", "associated_data", "YWFk"), f.body("ciphertext", "$b"))),
			post("decrypt/$K", items(f.body("ciphertext", "$a"), f.body("ciphertext", "$b", "associated_data", "YWFk"))),
			post("decrypt/$K", items(f.body("ciphertext", "$a", "associated_data", bad64), f.body("ciphertext", "$b"))),
			post("decrypt/$K", items(f.body("ciphertext", "$a", "associated_data", bad64))),
		}}, trial{name: "batch under floors " + f.String(), steps: threeVersions(f, floor(2), encryptFrom(3),
			post("encrypt/$K", items(f.body("plaintext", hello), f.body("plaintext", hello, "key_version", 2), f.body("plaintext", hello, "key_version", 3), f.body("plaintext", hello, "key_version", 4))),
			post("decrypt/$K", items(f.body("ciphertext", "$v1"), f.body("ciphertext", "$v2"), f.body("ciphertext", "$v3"))),
			post("rewrap/$K", items(f.body("ciphertext", "$v1"), f.body("ciphertext", "$v2"), f.body("ciphertext", "$v2", "key_version", 2))),
		)}, trial{name: "batch with nonce " + f.String(), steps: []step{
			f.create(), f.encrypt("ct"),
			post("encrypt/$K", items(f.body("plaintext", hello, "nonce", nonce), f.body("plaintext", hello, "nonce", bad64), f.body("plaintext", hello, "nonce", ""))),
			post("decrypt/$K", items(f.body("ciphertext", "$ct", "nonce", nonce), f.body("ciphertext", "$ct", "nonce", bad64))),
			post("rewrap/$K", items(f.body("ciphertext", "$ct", "nonce", nonce), f.body("ciphertext", "$ct", "nonce", bad64))),
		}})
		all = append(all, mixedContext(f))
	}
	return append(all, batchShapes()...)
}

func mixedContext(f flavour) trial {
	have, none := object("plaintext", hello, "context", topic), object("plaintext", hello)
	opened := func(topic string) string { return object("ciphertext", "$ct", "context", topic) }
	bare := object("ciphertext", "$ct")
	return trial{name: "batch with mixed context " + f.String(), steps: []step{
		f.create(), f.encrypt("ct"), post("encrypt/$K", items(have, none)), post("encrypt/$K", items(none, have)), post("encrypt/$K", items(none, none)),
		post("encrypt/$K", items(have, object("plaintext", hello, "context", other))), post("encrypt/$K", items(have, object("plaintext", hello, "context", bad64))),
		post("encrypt/$K", items(have, object("plaintext", hello, "context", ""))),
		post("decrypt/$K", items(opened(topic), bare)), post("decrypt/$K", items(bare, opened(topic))), post("decrypt/$K", items(opened(topic), opened(bad64))),
		post("decrypt/$K", items(opened(topic), opened(other))), post("decrypt/$K", items(bare, bare)),
		post("rewrap/$K", items(opened(topic), bare)), post("rewrap/$K", items(bare, opened(topic))), post("rewrap/$K", items(opened(topic), opened(bad64))),
		post("rewrap/$K", items(opened(topic), opened(other))), post("rewrap/$K", items(bare, bare)),
	}}
}

// batchShapes send batches that are not lists of objects, and batches beside single fields.
func batchShapes() []trial {
	shapes := []string{`[]`, `{}`, `null`, `"text"`, `""`, `7`, `true`, `[null]`, `[1]`, `["a"]`, `[[]]`, `[true]`, `[{}]`, `[{"nonsense":1}]`, `[{"reference":"r"}]`}
	var all []trial
	for _, path := range []string{"encrypt", "decrypt", "rewrap"} {
		text := map[string]string{"encrypt": object("plaintext", hello), "decrypt": object("ciphertext", "$ct"), "rewrap": object("ciphertext", "$ct")}[path]
		for _, shape := range shapes {
			all = append(all, trial{name: path + " batch_input " + shape, steps: []step{
				f0().create(), f0().encrypt("ct"), post(path+"/$K", object("batch_input", literal(shape))),
				post(path+"/$K", with(text, "batch_input", literal(shape))), post(path+"/$K", items(text, strings.Trim(shape, "[]")+"{}")),
			}})
		}
		for _, extra := range []string{`"context":"Y29udGV4dA=="`, `"nonce":"AAAA"`, `"associated_data":"YWFk"`, `"key_version":9`, `"plaintext":"!"`, `"ciphertext":"!"`, `"reference":"r"`} {
			if path == "rewrap" && strings.Contains(extra, "associated_data") || path != "decrypt" && strings.Contains(extra, "key_version") {
				continue // an intended difference
			}
			all = append(all, trial{name: path + " batch beside " + extra, steps: []step{
				f0().create(), f0().encrypt("ct"), post(path+"/$K", `{`+extra+`,"batch_input":[`+text+`,`+text+`]}`),
			}})
		}
		all = append(all, trial{name: path + " batch on no key", steps: []step{f0().create(), f0().encrypt("ct"), post(path+"/$K", items(text, "{}"))}})
	}
	return append(all, bigBatch())
}

func bigBatch() trial {
	const size = 500
	encrypts, decrypts := make([]string, size), make([]string, size)
	sealing := post("encrypt/$K", "")
	for i := range size {
		encrypts[i] = object("plaintext", hello, "reference", fmt.Sprint(i), "key_version", i%3)
		decrypts[i] = object("ciphertext", fmt.Sprintf("$item-%d-", i), "reference", fmt.Sprint(i))
		sealing = sealing.as(fmt.Sprintf("item-%d-", i), fmt.Sprintf("batch_results.%d.ciphertext", i))
	}
	sealing.body = items(encrypts...)
	return trial{name: "batch of 500", steps: []step{f0().create(), rotate(), sealing, post("decrypt/$K", items(decrypts...)), post("rewrap/$K", items(decrypts...))}}
}
