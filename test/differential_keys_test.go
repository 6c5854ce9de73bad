// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"slices"
)

// keyTrials create, read and delete keys.
func keyTrials() []trial {
	var all []trial
	for _, f := range flavours() {
		all = append(all, trial{name: "create and read " + f.String(), steps: []step{f.create(), get("keys/$K")}})
	}
	bodies := []string{
		``, `{}`, `null`, `[]`, `"text"`, `{`, `{"type":"aes256-gcm96"}`, `{"type":""}`, `{"type":"AES256-GCM96"}`, `{"type":"des"}`,
		`{"convergent_encryption":true}`, `{"convergent_encryption":true,"derived":false}`, `{"convergent_encryption":true,"derived":true}`,
		`{"exportable":true}`, `{"allow_plaintext_backup":true}`, `{"exportable":true,"allow_plaintext_backup":true}`,
		`{"deletion_allowed":true}`, `{"min_decryption_version":1}`, `{"nonsense":1}`, `{"nonsense":{"a":[1]},"other":null}`, `{"name":"another"}`,
		`{"context":"!"}`, `{"context":"Y29udGV4dA=="}`, `{"key_size":32}`, `{"key_size":0}`,
	}
	for _, body := range bodies {
		all = append(all, trial{name: "create " + body, steps: []step{
			post("keys/$K", body), get("keys/$K"), post("encrypt/$K", object("plaintext", hello)),
		}})
	}
	for _, period := range periods {
		body := object("auto_rotate_period", literal(period))
		all = append(all, trial{name: "create " + body, steps: []step{post("keys/$K", body), get("keys/$K")}})
	}
	return append(all, deleteTrials()...)
}

// periods are JSON values for auto_rotate_period, good and bad.
var periods = []string{
	`0`, `1`, `3599`, `3600`, `3601`, `"3600"`, `"1h"`, `"60m"`, `"59m59s"`, `"24h"`, `"30d"`, `"1w"`, `"90"`, `"0"`, `"0s"`, `""`, `"-1h"`, `-1`, `-3600`,
	`1.5`, `3600.5`, `"1.5h"`, `"one hour"`, `true`, `null`, `[]`, `{}`, `3153600000`, `9223372037`, `99999999999999`, `"87600h"`,
}

// f0 is the default key.
func f0() flavour { return flavour{"aes256-gcm96", "plain"} }

func deleteTrials() []trial {
	return []trial{
		{name: "delete what is not there", steps: []step{del("keys/$K")}},
		{name: "delete is off by default", steps: []step{f0().create(), del("keys/$K"), get("keys/$K")}},
		{name: "delete once allowed", steps: []step{
			f0().create(), f0().encrypt("ct"), config(`{"deletion_allowed":true}`), get("keys/$K"), del("keys/$K"), get("keys/$K"), del("keys/$K"),
			f0().decrypt("$ct"), config(`{"deletion_allowed":true}`), rotate(), post("datakey/wrapped/$K", ""), post("rewrap/$K", object("ciphertext", "$ct")),
		}},
		{name: "delete allowed and forbidden again", steps: []step{
			f0().create(), config(`{"deletion_allowed":true}`), config(`{"deletion_allowed":false}`), del("keys/$K"), get("keys/$K"),
		}},
		{name: "create again after delete", steps: []step{
			f0().create(), rotate(), rotate(), f0().encrypt("ct"), config(`{"deletion_allowed":true}`), del("keys/$K"),
			flavour{"chacha20-poly1305", "plain"}.create(), get("keys/$K"), f0().decrypt("$ct"), f0().encrypt("ct"), f0().decrypt("$ct"),
		}},
		{name: "upsert again after delete", steps: []step{
			f0().create(), config(`{"deletion_allowed":true}`), del("keys/$K"), f0().encrypt("ct"), get("keys/$K"), f0().decrypt("$ct"),
		}},
	}
}

// mountTrials see a whole mount: its list of keys and its configuration.
func mountTrials() []trial {
	all := []trial{
		{name: "list of an empty mount", own: true, steps: []step{list("keys"), list("keys/"), get("keys?list=true"), get("keys/?list=true")}},
		{name: "list is sorted and follows create, upsert, delete", own: true, steps: []step{
			post("keys/b", "{}"), post("keys/a", "{}"), post("encrypt/c", object("plaintext", hello)), post("keys/B", "{}"), post("keys/a.a", "{}"),
			post("keys/a-a", "{}"), list("keys"), get("keys/?list=true"), post("keys/a/config", `{"deletion_allowed":true}`), del("keys/a"), list("keys/"),
		}},
		{name: "list after the last key is deleted", own: true, steps: []step{
			post("keys/a", "{}"), post("keys/a/config", `{"deletion_allowed":true}`), del("keys/a"), list("keys"),
		}},
		{name: "upsert disabled and enabled again", own: true, steps: []step{
			get("config/keys"), post("config/keys", `{"disable_upsert":true}`), get("config/keys"), post("encrypt/$K", object("plaintext", hello)),
			get("keys/$K"), post("encrypt/$K", items(object("plaintext", hello))), post("encrypt/$K", "{}"), post("encrypt/$K", object("plaintext", bad64)),
			post("encrypt/$K", object("plaintext", hello, "type", "nonsense")), post("keys/$K", "{}"), post("encrypt/$K", object("plaintext", hello)),
			post("config/keys", "{}"), get("config/keys"), post("encrypt/$K-2", object("plaintext", hello)),
		}},
	}
	for _, value := range append(slices.Clone(fieldValues), `1e2`, huge) {
		body := object("disable_upsert", literal(value))
		all = append(all, trial{name: "config/keys " + body, own: true, steps: []step{
			post("config/keys", body), get("config/keys"), post("config/keys", `{"disable_upsert":true}`), post("config/keys", body), get("config/keys"),
		}})
	}
	for i, body := range []string{``, `null`, `[]`, `{`, `{"nonsense":true}`, `{"disable_upsert":true,"nonsense":true}`} {
		all = append(all, trial{name: fmt.Sprintf("config/keys body %d", i), own: true, steps: []step{
			post("config/keys", `{"disable_upsert":true}`), post("config/keys", body), get("config/keys"),
		}})
	}
	return all
}
