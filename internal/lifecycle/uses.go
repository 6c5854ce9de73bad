// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"slices"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// AllowedUse is an operation that a key may be restricted to, by the name of its path.
type AllowedUse string

// The operations.
const (
	UseEncrypt AllowedUse = "encrypt"
	UseDecrypt AllowedUse = "decrypt"
	UseRewrap  AllowedUse = "rewrap"
	UseDatakey AllowedUse = "datakey"
	UseSign    AllowedUse = "sign"
	UseVerify  AllowedUse = "verify"
	UseHMAC    AllowedUse = "hmac"
	UseExport  AllowedUse = "export"
)

// Protects reports a use that makes something of what a caller brings, as encrypting and signing do; the others process what a
// version made.
func (u AllowedUse) Protects() bool {
	return u == UseEncrypt || u == UseDatakey || u == UseSign || u == UseHMAC
}

// CountedUse is a use that one request made of a version.
type CountedUse struct {
	Of      AllowedUse
	Version int
	Count   int
	Denied  bool // the state of the version denied it
}

// uses are all of them, in the order in which a key shows them, with the types that they are of.
var uses = []struct {
	name AllowedUse
	of   func(keytype.Type) bool
}{
	{UseEncrypt, keytype.Type.SupportsEncryption},
	{UseDecrypt, keytype.Type.SupportsEncryption},
	{UseRewrap, keytype.Type.SupportsEncryption},
	{UseDatakey, keytype.Type.SupportsEncryption},
	{UseSign, keytype.Type.SupportsSigning},
	{UseVerify, anyType},
	{UseHMAC, anyType},
	{UseExport, anyType},
}

func anyType(keytype.Type) bool { return true }

// AllowedUses lists the names of the operations, in the order in which a key shows them.
func AllowedUses() []string {
	names := make([]string, len(uses))
	for i, use := range uses {
		names[i] = string(use.name)
	}
	return names
}

// ParseUses returns the operations of those names, each once and in order; nil for none. The error is [refusal.ErrInvalid].
func ParseUses(names []string) ([]AllowedUse, error) {
	for _, name := range names {
		if !slices.Contains(AllowedUses(), name) {
			return nil, refusal.InvalidField("allowed_uses", name, "unknown use; known are "+strings.Join(AllowedUses(), ", "))
		}
	}
	var parsed []AllowedUse
	for _, use := range uses {
		if slices.Contains(names, string(use.name)) {
			parsed = append(parsed, use.name)
		}
	}
	return parsed, nil
}

// CheckUse reports whether the key may be used so at all, whatever the states of its versions. A use that it may not be put to is
// no denied use: it does not tell that a version is needed. The error is [refusal.ErrRefused].
func CheckUse(k *Key, use AllowedUse) error {
	if len(k.Uses) == 0 || slices.Contains(k.Uses, use) {
		return nil
	}
	return refusal.Refusedf("key %q is not for %s: its allowed_uses are %s [use_not_allowed]", k.Name, use, usesText(k.Uses))
}

// checkUses refuses uses that no key of the type has.
func checkUses(k Key) error {
	for _, use := range uses {
		if slices.Contains(k.Uses, use.name) && !TypesOf(&k).Any(use.of) {
			return refusal.InvalidField("allowed_uses", string(use.name), "not a use of keys of type "+TypesOf(&k).text())
		}
	}
	return nil
}

// checkNarrowed refuses uses that the key did not have before: whoever relies on what a key cannot do must not lose that.
func checkNarrowed(before, after []AllowedUse) error {
	if len(before) == 0 {
		return nil
	}
	if len(after) == 0 {
		return refusal.InvalidField("allowed_uses", "", "a restriction cannot be lifted; it is "+usesText(before))
	}
	for _, use := range after {
		if !slices.Contains(before, use) {
			return refusal.InvalidField("allowed_uses", string(use), "can only be narrowed; the key has "+usesText(before))
		}
	}
	return nil
}

// NamesOf returns the names of uses; nil for none.
func NamesOf(uses []AllowedUse) []string {
	var names []string
	for _, use := range uses {
		names = append(names, string(use))
	}
	return names
}

func usesText(uses []AllowedUse) string {
	if len(uses) == 0 {
		return "all"
	}
	return strings.Join(NamesOf(uses), ", ")
}
