// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// typeJSON is the type of versions before a change of type: up to one of them.
type typeJSON struct {
	Until int    `json:"u"`
	Type  string `json:"t"`
	Size  int    `json:"s,omitempty"`
}

func typesJSON(list []lifecycle.TypeUntil) []typeJSON {
	var out []typeJSON
	for _, t := range list {
		out = append(out, typeJSON{t.Until, string(t.Type), t.Size})
	}
	return out
}

// typesOf reads them back; ok is false for what no key has.
func typesOf(list []typeJSON, latest int) (out []lifecycle.TypeUntil, ok bool) {
	before := 0
	for _, t := range list {
		parsed, err := keytype.Parse(t.Type)
		if err != nil || t.Until <= before || t.Until >= latest || t.Size < 0 {
			return nil, false
		}
		out = append(out, lifecycle.TypeUntil{Until: t.Until, Type: parsed, Size: t.Size})
		before = t.Until
	}
	return out, true
}
