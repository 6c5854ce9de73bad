// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"fmt"
	"slices"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// Suite counts the ways of wrapping. Numbers are stored and never given twice.
type Suite uint8

// The suites. Software writes the first. What the last two store is encrypted, then authenticated: the key of the MAC is a
// second key on the token, and the MAC is verified before anything is decrypted. Without it a token that tells a wrong
// padding from a wrong tag would give the secret away, and anybody could encrypt with a public key.
const (
	SuiteGCM         Suite = 1 // AES-256-GCM, the caller chooses the IV of 12 random bytes
	SuiteGCMTokenIV  Suite = 2 // AES-256-GCM, the token writes an IV of its own over the caller's (AWS CloudHSM)
	SuiteGCMAppended Suite = 3 // AES-256-GCM, the token appends the IV of 16 bytes to its output (Thales Luna in FIPS mode)
	SuiteCBC         Suite = 4 // AES-256-CBC with PKCS padding, HMAC-SHA256
	SuiteOAEP        Suite = 5 // RSA-OAEP, HMAC-SHA256; encrypted here, decrypted by the token
)

// shape is what a suite writes, and what it asks of a token.
type shape struct {
	name       string
	mechanism  cryptoki.MechanismType
	generation cryptoki.MechanismType
	ivSize     int
	mac        bool
}

var shapes = map[Suite]shape{
	SuiteGCM:         {"aes-gcm", cryptoki.AESGCM, cryptoki.AESKeyGen, 12, false},
	SuiteGCMTokenIV:  {"aes-gcm-token-iv", cryptoki.AESGCM, cryptoki.AESKeyGen, 12, false},
	SuiteGCMAppended: {"aes-gcm-appended-iv", cryptoki.AESGCM, cryptoki.AESKeyGen, 16, false},
	SuiteCBC:         {"aes-cbc-hmac", cryptoki.AESCBCPad, cryptoki.AESKeyGen, 16, true},
	SuiteOAEP:        {"rsa-oaep-hmac", cryptoki.RSAPKCSOAEP, cryptoki.RSAPKCSKeyPairGen, 0, true},
}

// Suites returns all suites in the order they are preferred in.
func Suites() []Suite {
	return []Suite{SuiteGCM, SuiteGCMTokenIV, SuiteGCMAppended, SuiteCBC, SuiteOAEP}
}

// String returns the name of the suite.
func (s Suite) String() string {
	if known, ok := shapes[s]; ok {
		return known.name
	}
	return fmt.Sprintf("suite %d", uint8(s))
}

// gcm reports a suite of AES-GCM, whose secrets may be of any size.
func (s Suite) gcm() bool { return shapes[s].mechanism == cryptoki.AESGCM }

// fits reports whether what was wrapped has the sizes of the suite.
func (s shape) fits(w wrapping) bool {
	n := len(w.text)
	switch s.mechanism {
	case cryptoki.AESGCM:
		return n > tagSize && n <= maxSecret+tagSize
	case cryptoki.AESCBCPad:
		return n > 0 && n%blockSize == 0 && n <= maxSecret+blockSize
	default: // as long as the modulus
		return n >= minModulus && n <= maxModulus
	}
}

// lacks returns the mechanisms that the suite needs and that are not among those of a token.
func (s shape) lacks(has []cryptoki.MechanismType, generate bool) (missing []cryptoki.MechanismType) {
	needs := []cryptoki.MechanismType{s.mechanism}
	if s.mac {
		needs = append(needs, cryptoki.SHA256HMAC)
	}
	if generate {
		needs = append(needs, s.generation)
	}
	if generate && s.mac {
		needs = append(needs, cryptoki.GenericSecretGen)
	}
	for _, m := range needs {
		if !slices.Contains(has, m) {
			missing = append(missing, m)
		}
	}
	return missing
}
