// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// A trial is a short script that both engines answer. Paths and bodies are templates: $K stands for a key name that no
// other trial uses, $name for a value kept from an earlier answer of the same engine.
type trial struct {
	name  string
	own   bool // run on mounts of its own: the trial lists keys or changes the mount
	steps []step
}

// step is one request of a trial, sent to each engine below its own mount.
type step struct {
	method, path, body string
	keep               []kept
}

// kept copies one value of an answer into a variable. For a ciphertext "vault:v1:AAAA" kept as $ct, $ct_payload is "AAAA".
type kept struct{ name, at string }

func post(path, body string) step { return step{method: http.MethodPost, path: path, body: body} }
func get(path string) step        { return step{method: http.MethodGet, path: path} }
func list(path string) step       { return step{method: "LIST", path: path} }
func del(path string) step        { return step{method: http.MethodDelete, path: path} }

// as keeps the value at a dotted place of the answer's data.
func (s step) as(name, at string) step {
	s.keep = append(s.keep[:len(s.keep):len(s.keep)], kept{name, at})
	return s
}

// object renders a JSON object from names and values. A value that is a raw literal stands as it is.
func object(namesAndValues ...any) string {
	var members []string
	for i := 0; i < len(namesAndValues); i += 2 {
		value, err := json.Marshal(namesAndValues[i+1])
		if err != nil {
			panic(fmt.Sprintf("internal error: %v", err))
		}
		members = append(members, fmt.Sprintf("%q:%s", namesAndValues[i], value))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// literal is JSON text.
type literal = json.RawMessage

// items renders a batch body.
func items(of ...string) string { return `{"batch_input":[` + strings.Join(of, ",") + `]}` }

// with adds one member in front of the others of a JSON object.
func with(body, name string, value literal) string {
	rest := strings.TrimPrefix(strings.TrimSpace(body), "{")
	if rest != "}" {
		rest = "," + rest
	}
	return fmt.Sprintf("{%q:%s%s", name, value, rest)
}

// Values that many trials use; all are base64 except the last.
const (
	hello = "aGVsbG8="
	topic = "Y29udGV4dA=="
	other = "b3RoZXI="
	nonce = "AAAAAAAAAAAAAAAA"
	bad64 = "no*base64"
)

// flavour is one way of using one key type.
type flavour struct {
	kind, mode string
}

func flavours() []flavour {
	var all []flavour
	for _, kind := range []string{"aes128-gcm96", "aes256-gcm96", "chacha20-poly1305"} {
		for _, mode := range []string{"plain", "derived", "convergent"} {
			all = append(all, flavour{kind, mode})
		}
	}
	return all
}

func (f flavour) String() string { return f.kind + " " + f.mode }

func (f flavour) derived() bool { return f.mode != "plain" }

// create makes the key of a trial.
func (f flavour) create() step {
	return post("keys/$K", object("type", f.kind, "derived", f.derived(), "convergent_encryption", f.mode == "convergent"))
}

// body renders a request body with the context that the flavour needs.
func (f flavour) body(namesAndValues ...any) string {
	if f.derived() {
		namesAndValues = append(namesAndValues, "context", topic)
	}
	return object(namesAndValues...)
}

// encrypt encrypts hello and keeps the ciphertext.
func (f flavour) encrypt(as string) step {
	return post("encrypt/$K", f.body("plaintext", hello)).as(as, "ciphertext")
}

// decrypt decrypts a ciphertext template.
func (f flavour) decrypt(ciphertext string) step {
	return post("decrypt/$K", f.body("ciphertext", ciphertext))
}

func rotate() step                 { return post("keys/$K/rotate", "") }
func config(body string) step      { return post("keys/$K/config", body) }
func floor(version int) step       { return config(object("min_decryption_version", version)) }
func encryptFrom(version int) step { return config(object("min_encryption_version", version)) }
