// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package keytype knows the algorithms that a key may have: their names, strength and what they can do.
package keytype

import (
	"slices"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Type is the algorithm of a key, by the name Vault Transit gives it.
type Type string

// The key types of this release.
const (
	AES128GCM96      Type = "aes128-gcm96"
	AES256GCM96      Type = "aes256-gcm96"
	ChaCha20Poly1305 Type = "chacha20-poly1305"
)

// Default is what a key gets whose creator names no type.
const Default = AES256GCM96

// traits is what the rest of the package asks of a type.
type traits struct {
	strength   int  // security strength in bits, SP 800-57 Part 1 Rev 5 table 2
	encryption bool // encrypts and decrypts
	derivation bool // can derive a key per context
	signing    bool
	token      bool // its keys can be made on a token, and stay there
}

// types is the whole list of key types; nothing else enumerates them.
var types = map[Type]traits{
	AES128GCM96:      {strength: 128, encryption: true, derivation: true},
	AES256GCM96:      {strength: 256, encryption: true, derivation: true, token: true},
	ChaCha20Poly1305: {strength: 256, encryption: true, derivation: true},
}

// Parse returns the type of that name. The error is [refusal.ErrInvalid].
func Parse(name string) (Type, error) {
	if _, ok := types[Type(name)]; !ok {
		return "", refusal.InvalidField("type", name, "unknown key type; known are "+strings.Join(Names(), ", "))
	}
	return Type(name), nil
}

// Names lists the known types in alphabetical order.
func Names() []string {
	names := make([]string, 0, len(types))
	for t := range types {
		names = append(names, string(t))
	}
	slices.Sort(names)
	return names
}

// StrengthBits is the security strength in bits (SP 800-57 Part 1 Rev 5, section 5.6.1.1).
func (t Type) StrengthBits() int { return types[t].strength }

// SupportsEncryption reports whether keys of the type encrypt and decrypt.
func (t Type) SupportsEncryption() bool { return types[t].encryption }

// SupportsDerivation reports whether keys of the type can derive one key per context.
func (t Type) SupportsDerivation() bool { return types[t].derivation }

// CanStayOnToken reports whether keys of the type can be made on a token, and used there.
func (t Type) CanStayOnToken() bool { return types[t].token }

// SupportsSigning reports whether keys of the type sign and verify.
func (t Type) SupportsSigning() bool { return types[t].signing }
