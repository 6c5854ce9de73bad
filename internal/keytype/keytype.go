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
	AES128GCM96       Type = "aes128-gcm96"
	AES256GCM96       Type = "aes256-gcm96"
	ChaCha20Poly1305  Type = "chacha20-poly1305"
	XChaCha20Poly1305 Type = "xchacha20-poly1305" // OpenBao's; Vault has none
	Ed25519           Type = "ed25519"
	ECDSAP256         Type = "ecdsa-p256"
	ECDSAP384         Type = "ecdsa-p384"
	ECDSAP521         Type = "ecdsa-p521"
	RSA2048           Type = "rsa-2048"
	RSA3072           Type = "rsa-3072"
	RSA4096           Type = "rsa-4096"
	MLDSA44           Type = "mldsa-44" // OpenBao's name; Vault has ml-dsa and a parameter set
	MLDSA65           Type = "mldsa-65"
	MLDSA87           Type = "mldsa-87"
	HMAC              Type = "hmac"
	AES128CMAC        Type = "aes128-cmac"
	AES192CMAC        Type = "aes192-cmac"
	AES256CMAC        Type = "aes256-cmac"
)

// Default is what a key gets whose creator names no type.
const Default = AES256GCM96

// The sizes that a key of type hmac may have, in bytes.
const (
	MinHMACSize = 32
	MaxHMACSize = 512
)

// traits is what the rest of the package asks of a type.
type traits struct {
	strength   int  // security strength in bits, SP 800-57 Part 1 Rev 5 table 2
	encryption bool // encrypts and decrypts
	derivation bool // can derive a key per context
	convergent bool // can encrypt equal plaintexts to equal ciphertexts
	signing    bool
	cmac       bool   // makes CMACs, and no HMACs
	asymmetric bool   // has a public half
	token      bool   // its keys can be made on a token, and stay there
	set        string // the parameter set of an ML-DSA key
	shown      string // how a version's entry calls the type, where Transit has another word for it
}

// types is the whole list of key types; nothing else enumerates them. That of rsa-4096 is SP 800-56B Rev 2, table 4; those of
// ML-DSA are of the security categories 2, 3 and 5 of FIPS 204.
var types = map[Type]traits{
	AES128GCM96:       {strength: 128, encryption: true, derivation: true, convergent: true},
	AES256GCM96:       {strength: 256, encryption: true, derivation: true, convergent: true, token: true},
	ChaCha20Poly1305:  {strength: 256, encryption: true, derivation: true, convergent: true},
	XChaCha20Poly1305: {strength: 256, encryption: true, derivation: true},
	Ed25519:           {strength: 128, derivation: true, signing: true, asymmetric: true, token: true},
	ECDSAP256:         {strength: 128, signing: true, asymmetric: true, token: true, shown: "P-256"},
	ECDSAP384:         {strength: 192, signing: true, asymmetric: true, token: true, shown: "P-384"},
	ECDSAP521:         {strength: 256, signing: true, asymmetric: true, token: true, shown: "P-521"},
	RSA2048:           {strength: 112, encryption: true, signing: true, asymmetric: true, token: true},
	RSA3072:           {strength: 128, encryption: true, signing: true, asymmetric: true, token: true},
	RSA4096:           {strength: 152, encryption: true, signing: true, asymmetric: true, token: true},
	MLDSA44:           {strength: 128, signing: true, asymmetric: true, set: "44"},
	MLDSA65:           {strength: 192, signing: true, asymmetric: true, set: "65"},
	MLDSA87:           {strength: 256, signing: true, asymmetric: true, set: "87"},
	HMAC:              {strength: 256, token: true},
	AES128CMAC:        {strength: 128, cmac: true},
	AES192CMAC:        {strength: 192, cmac: true},
	AES256CMAC:        {strength: 256, cmac: true},
}

// Parse returns the type of that name. The error is [refusal.ErrInvalid].
func Parse(name string) (Type, error) {
	if _, ok := types[Type(name)]; !ok {
		return "", refusal.InvalidField("type", name, "unknown key type; known are "+strings.Join(Names(), ", "))
	}
	return Type(name), nil
}

// MLDSA is what Vault calls the types of ML-DSA, beside a parameter set.
const MLDSA = "ml-dsa"

// ParseWithSet is Parse for a name that a parameter set may go with.
func ParseWithSet(name, set string) (Type, error) {
	if name == MLDSA {
		for _, t := range []Type{MLDSA44, MLDSA65, MLDSA87} {
			if types[t].set == set {
				return t, nil
			}
		}
		return "", refusal.InvalidField("parameter_set", set, "must be 44, 65 or 87 for type "+MLDSA)
	}
	t, err := Parse(name)
	if err == nil && set != "" && types[t].set != set {
		err = refusal.InvalidField("parameter_set", set, "not of type "+name)
	}
	return t, err
}

// Shown returns the name of the type as Vault shows it, and the parameter set that goes with it; empty: none does.
func (t Type) Shown() (name, set string) {
	if set = types[t].set; set != "" {
		return MLDSA, set
	}
	return string(t), ""
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

// TokenNames lists the types whose keys can be made on a token, in alphabetical order.
func TokenNames() []string {
	return slices.DeleteFunc(Names(), func(name string) bool { return !Type(name).CanStayOnToken() })
}

// StrengthBits is the security strength in bits (SP 800-57 Part 1 Rev 5, section 5.6.1.1). That of hmac keys is of the shortest.
func (t Type) StrengthBits() int { return types[t].strength }

// SupportsEncryption reports whether keys of the type encrypt and decrypt.
func (t Type) SupportsEncryption() bool { return types[t].encryption }

// Authenticates reports whether keys of the type authenticate data that they do not encrypt.
func (t Type) Authenticates() bool { return types[t].encryption && !types[t].asymmetric }

// SupportsDerivation reports whether keys of the type can derive one key per context.
func (t Type) SupportsDerivation() bool { return types[t].derivation }

// SupportsConvergent reports whether keys of the type can encrypt equal plaintexts to equal ciphertexts.
func (t Type) SupportsConvergent() bool { return types[t].convergent }

// CanStayOnToken reports whether keys of the type can be made on a token, and used there.
func (t Type) CanStayOnToken() bool { return types[t].token }

// SupportsSigning reports whether keys of the type sign and verify.
func (t Type) SupportsSigning() bool { return types[t].signing }

// SupportsCMAC reports whether keys of the type make CMACs. All others make HMACs.
func (t Type) SupportsCMAC() bool { return types[t].cmac }

// IsAsymmetric reports whether keys of the type have a public half.
func (t Type) IsAsymmetric() bool { return types[t].asymmetric }

// IsRSA reports whether keys of the type are RSA keys.
func (t Type) IsRSA() bool { return types[t].asymmetric && types[t].encryption }

// SizeOf returns the size in bytes of a key of the type which is so long; 0: all keys of the type have the same.
func (t Type) SizeOf(length int) int {
	if t != HMAC {
		return 0
	}
	return length
}

// purposes are what keys are for; each type has at least one of them.
var purposes = []func(t traits) bool{
	func(t traits) bool { return t.encryption },
	func(t traits) bool { return t.signing },
	func(t traits) bool { return t.cmac },
	func(t traits) bool { return !t.encryption && !t.signing && !t.cmac }, // HMACs, and nothing else
}

// SharePurpose reports whether there is something that keys of all the types are for.
func SharePurpose(of ...Type) bool {
	return slices.ContainsFunc(purposes, func(is func(traits) bool) bool {
		return !slices.ContainsFunc(of, func(t Type) bool { return !is(types[t]) })
	})
}

// VersionName is what Transit calls the type where it shows a version: the curve of an ECDSA key.
func (t Type) VersionName() string {
	if shown := types[t].shown; shown != "" {
		return shown
	}
	return string(t)
}
