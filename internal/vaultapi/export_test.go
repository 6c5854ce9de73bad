// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import "github.com/hashicorp/hcl/v2"

// Problem is what Parse reports of what the parser of HCL says.
func (h HCL) Problem(said hcl.Diagnostics) error { return h.problem(said) }

// DecodePlain returns what parsePlain reads as encoding/json decodes it.
func DecodePlain(text string) (map[string]any, bool) {
	p, ok := parsePlain(text)
	if !ok {
		return nil, false
	}
	s := Source{members: p.members, batch: &p}
	decoded := map[string]any{}
	for _, name := range s.names() {
		decoded[name], _ = s.get(name)
	}
	return decoded, true
}
