// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package migrate

import (
	"encoding/json"
	"fmt"
	"strings"
)

// view is what an engine shows of a key.
type view struct {
	Type          string `json:"type"`
	ParameterSet  string `json:"parameter_set"`
	KeySize       int    `json:"key_size"`
	Derived       bool   `json:"derived"`
	KDF           string `json:"kdf"`
	Convergent    bool   `json:"convergent_encryption"`
	Imported      bool   `json:"imported_key"`
	MayRotate     bool   `json:"imported_key_allow_rotation"`
	Encrypts      bool   `json:"supports_encryption"`
	Signs         bool   `json:"supports_signing"`
	Latest        int    `json:"latest_version"`
	MinDecryption int    `json:"min_decryption_version"`
	MinEncryption int    `json:"min_encryption_version"`
	MinAvailable  int    `json:"min_available_version"`

	AutoRotatePeriod int  `json:"auto_rotate_period"`
	Exportable       bool `json:"exportable"`
	PlaintextBackup  bool `json:"allow_plaintext_backup"`
	DeletionAllowed  bool `json:"deletion_allowed"`

	Versions map[int]shown `json:"keys"`

	// Of keylife alone.
	Policy     string   `json:"policy"`
	State      string   `json:"state"`
	Primary    int      `json:"primary_version"`
	Staged     int      `json:"staged_version"`
	Hold       bool     `json:"legal_hold"`
	Protection string   `json:"protection"`
	Uses       []string `json:"allowed_uses"`
}

// shown is a version: of a type without a public half, a time alone.
type shown struct {
	Public string `json:"public_key"`
	Chain  string `json:"certificate_chain"`
}

// UnmarshalJSON reads an object, and passes over a time.
func (s *shown) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] != '{' {
		return nil
	}
	type plain shown
	return json.Unmarshal(data, (*plain)(s))
}

// active is the version that protects.
func (v *view) active() int {
	if v.State != "" { // only keylife has states
		return v.Primary
	}
	return v.Latest
}

// oldest is the first version that may still be used.
func (v *view) oldest() int { return max(v.MinDecryption, v.MinAvailable, 1) }

// row is a field that two views are compared by.
type row struct {
	name string
	of   func(v *view) any
}

// What two views differ in. Keys that differ in identity are two keys. Settings change with time; a policy may change the terms.
var (
	identity = []row{
		{"type", func(v *view) any { return v.Type }},
		{"parameter_set", func(v *view) any { return v.ParameterSet }},
		{"key_size", func(v *view) any { return v.KeySize }},
		{"derived", func(v *view) any { return v.Derived }},
		{"kdf", func(v *view) any { return v.KDF }},
		{"convergent_encryption", func(v *view) any { return v.Convergent }},
	}
	settings = []row{
		{"latest_version", func(v *view) any { return v.Latest }},
		{"min_decryption_version", func(v *view) any { return v.MinDecryption }},
		{"min_encryption_version", func(v *view) any { return v.MinEncryption }},
		{"min_available_version", func(v *view) any { return v.MinAvailable }},
		{"imported_key", func(v *view) any { return v.Imported }},
		{"imported_key_allow_rotation", func(v *view) any { return v.MayRotate }},
		{"allowed_uses", func(v *view) any { return strings.Join(v.Uses, ",") }},
	}
	terms = []row{
		{"auto_rotate_period", func(v *view) any { return v.AutoRotatePeriod }},
		{"exportable", func(v *view) any { return v.Exportable }},
		{"allow_plaintext_backup", func(v *view) any { return v.PlaintextBackup }},
		{"deletion_allowed", func(v *view) any { return v.DeletionAllowed }},
	}
)

// differences says where two views of a key differ, as "field: here; there at the target".
func differences(rows []row, source, target *view) (all []string) {
	for _, r := range rows {
		if a, b := r.of(source), r.of(target); a != b {
			all = append(all, fmt.Sprintf("%s: %v, at the target %v", r.name, a, b))
		}
	}
	return all
}

// same reports whether nothing of a key has changed that a copy has to have.
func (v *view) same(other *view) bool {
	_, chains := publicDifferences(v, other)
	return len(differences(identity, v, other))+len(differences(settings, v, other))+len(chains) == 0
}

// publicDifferences compares the public halves and certificate chains of the versions that both show.
func publicDifferences(source, target *view) (keys, chains []string) {
	for n := max(source.oldest(), target.oldest()); n <= min(source.Latest, target.Latest); n++ {
		a, b := source.Versions[n], target.Versions[n]
		if strings.TrimSpace(a.Public) != strings.TrimSpace(b.Public) {
			keys = append(keys, fmt.Sprintf("version %d: public_key differs", n))
		}
		if strings.TrimSpace(a.Chain) != strings.TrimSpace(b.Chain) {
			chains = append(chains, fmt.Sprintf("version %d: certificate_chain differs", n))
		}
	}
	return keys, chains
}
