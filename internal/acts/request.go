// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package acts

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Request is what somebody asks for, in a form that can be stored, compared and consented to.
type Request struct {
	Act        Name
	Scope      Scope
	Subject    string            // name of the key or of the policy; empty: the mount
	Version    int               // of a key; 0: none in particular
	Parameters map[string]string // those given, as parsed, each as one text
	Reason     string

	CAS *int // the revision that the change is for; nil: any. It is a condition, not content: the hash is without it
}

// Hash returns the SHA-256, in hex, of the content as JSON behind the line "keylife/request/v1": with the fields in the
// order below, the names of parameters sorted. It is the same for equal content, however and whenever it is asked for:
//
//	{"act":"retire","scope":"version","subject":"orders","version":3,"parameters":{},"reason":"CHG-4711"}
func (r Request) Hash() string {
	content := struct {
		Act        Name              `json:"act"`
		Scope      Scope             `json:"scope"`
		Subject    string            `json:"subject"`
		Version    int               `json:"version"`
		Parameters map[string]string `json:"parameters"`
		Reason     string            `json:"reason"`
	}{r.Act, r.Scope, r.Subject, r.Version, r.Parameters, r.Reason}
	if content.Parameters == nil {
		content.Parameters = map[string]string{}
	}
	text := bytes.NewBufferString("keylife/request/v1\n")
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(content); err != nil {
		panic("internal error: a request is always JSON: " + err.Error())
	}
	sum := sha256.Sum256(bytes.TrimSuffix(text.Bytes(), []byte("\n")))
	return hex.EncodeToString(sum[:])
}
