// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package fuzz_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/vault/sdk/helper/jsonutil"
	"github.com/hashicorp/vault/sdk/logical"
)

// input is what is left of the bytes that the fuzzer chose. When they are used up, every choice is the first.
type input []byte

// choose draws a number below n, which is at most 256.
func (in *input) choose(n int) int {
	if len(*in) == 0 {
		return 0
	}
	first := (*in)[0]
	*in = (*in)[1:]
	return int(first) % n
}

// of draws one of the texts.
func (in *input) of(texts []string) string { return texts[in.choose(len(texts))] }

var (
	long  = strings.Repeat("n", 300)
	plain = base64.StdEncoding.EncodeToString([]byte("secret"))
)

// names are keys and policies besides the ones that are there.
var names = []string{"l", "p", "k", "K.k-1_", long, "..", "k%2f", "schlüssel", "\u202e", "a b", "0", "-"}

// sound are JSON values of fields, in which the one or other request succeeds.
var sound = map[string][]string{
	"policy": {`"p"`}, "default_policy": {`"p"`}, "owner": {`"o"`}, "plaintext": {q(plain)}, "reason": {`"because of a fuzzer"`}, "key_version": {"0", "1", "2"},
	"type": {`"aes256-gcm96"`, `"chacha20-poly1305"`, `"aes128-gcm96"`}, "context": {q(plain)}, "associated_data": {q(plain)}, "acknowledge": {"true"},
	"hold": {"true", "false"}, "stage": {"true"}, "cas": {"1", "2", "3", "0"}, "min_decryption_version": {"1", "2"}, "min_encryption_version": {"0", "1", "2"},
	"min_available_version": {"1", "2"}, "deletion_allowed": {"true"}, "rotation_period": {`"1h"`, "0"}, "max_encryptions": {"2", "10", "0"}, "max_bytes": {"64", "1000"},
	"on_limit": {`"block"`, `"rotate"`}, "archive_after": {`"1h"`}, "retire_after": {`"2h"`}, "quiet_period": {"0"}, "destroy_delay": {`"24h"`}, "staging_time": {`"10m"`},
	"rotation_jitter": {`"0s"`}, "min_versions_kept": {"0"}, "document": {`"owner = \"o\""`}, "bits": {"128", "256", "512"}, "labels": {`{"a":"b"}`}, "time_limit": {`"1h"`},
	"limit": {"1", "2", "1000"}, "reason_code": {`"key_compromise"`}, "rotation_mode": {`"auto"`, `"manual"`}, "batch_input": {`[{"plaintext":` + q(plain) + `}]`, `[]`, `[{}]`},
}

// nasty are JSON values that nothing asks for.
var nasty = []string{
	"null", "true", "0", "-1", "1", "9223372036854775807", "-9223372036854775808", "18446744073709551616", "4294967296", "2147483647", "1e400", "1e-999999999", "0.5",
	`""`, `" "`, `"NaN"`, `"-Inf"`, `"9223372036854775807"`, `"9223372036854775808"`, `"00"`, `"0x10"`, `"1e3"`, `"１"`, `"vault:v1:"`, `"vault:v9223372036854775808:AAAA"`,
	`"vault:v-1:AAAA"`, `[]`, `[null]`, `[[]]`, `[1,2]`, `{}`, `{"":null}`, `{"a":{"b":[1]}}`, `[{"plaintext":1}]`, `[{"ciphertext":"vault:v1:AAAA"},null]`, `"\u0000"`,
	`"\ud800"`, `"\u202e"`, `"=== "`, q(long), q(strings.Repeat("x", 3000)), `"292y"`, `"1h1h"`, `"-1s"`, `"* * * * *"`, `"0 0 30 2 *"`, `"0000-01-01T00:00:00+23:59"`,
	`"owner = \"` + strings.Repeat("(", 200) + `"`, `"owner = \"o\"\nmax_bytes = 1e-999999999"`, `"posix/Europe/Berlin"`, `"` + strings.Repeat("é", 200) + `"`,
}

func q(text string) string { return fmt.Sprintf("%q", text) }

var parameter = regexp.MustCompile(`\{[^}]+\}`)

// request draws a request to one of the endpoints. Numbers arrive as a plugin gets them from Vault.
func (m *machine) request(in *input) *logical.Request {
	to := m.endpoints[in.choose(len(m.endpoints))]
	req := &logical.Request{Operation: to.op, Storage: m.storage, MountPoint: "keylife/"}
	req.Path = parameter.ReplaceAllStringFunc(to.path, func(name string) string {
		switch name {
		case "{version}", "{revision}":
			return in.of([]string{"1", "2", "3", "0", "-1", "01", "4294967297", "9223372036854775807", "9223372036854775808", "x"})
		case "{plaintext}":
			return in.of([]string{"plaintext", "wrapped", "x"})
		default:
			if in.choose(4) == 1 {
				return in.of(names)
			}
			return map[bool]string{true: "p", false: "k"}[strings.HasPrefix(to.path, "policies/")]
		}
	})
	body := m.body(in, to.fields)
	if err := jsonutil.DecodeJSON([]byte(body), &req.Data); err != nil {
		panic(fmt.Sprintf("internal error: %s: %v", body, err)) // the tables hold JSON only
	}
	m.note("%s %s %s", req.Operation, req.Path, body)
	return req
}

// body draws the fields of a request. In most, all values are sound.
func (m *machine) body(in *input, fields []string) string {
	var members []string
	wild := in.choose(3) == 1
	for _, field := range fields {
		switch values := m.known(field); {
		case wild && in.choose(4) == 1:
			members = append(members, q(field)+":"+in.of(nasty))
		case len(values) > 0 && in.choose(2) == 1:
			members = append(members, q(field)+":"+in.of(values))
		}
	}
	if wild && in.choose(16) == 1 {
		members = append(members, `"unknown":`+in.of(nasty))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// known are values of a field with which a request may succeed: what the mount gave out last is among them.
func (m *machine) known(field string) []string {
	if field == "ciphertext" && len(m.ciphertexts) > 0 {
		return m.ciphertexts
	}
	return sound[field]
}

// learn keeps a ciphertext that was given out, to be sent back.
func (m *machine) learn(resp *logical.Response) {
	if resp == nil {
		return
	}
	if ciphertext, ok := resp.Data["ciphertext"].(string); ok {
		const few = 4
		text, _ := json.Marshal(ciphertext)
		m.ciphertexts = append(m.ciphertexts[max(0, len(m.ciphertexts)+1-few):], string(text))
	}
}
