// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package cryptoki

import "fmt"

// MechanismType is a CK_MECHANISM_TYPE.
type MechanismType uint

// The mechanisms that keylife uses.
const (
	RSAPKCSKeyPairGen   MechanismType = 0x0000 // CKM_RSA_PKCS_KEY_PAIR_GEN
	RSAPKCS             MechanismType = 0x0001 // CKM_RSA_PKCS
	RSAPKCSOAEP         MechanismType = 0x0009 // CKM_RSA_PKCS_OAEP
	RSAPKCSPSS          MechanismType = 0x000D // CKM_RSA_PKCS_PSS
	SHA1HMAC            MechanismType = 0x0221 // CKM_SHA_1_HMAC
	SHA256HMAC          MechanismType = 0x0251 // CKM_SHA256_HMAC
	SHA224HMAC          MechanismType = 0x0256 // CKM_SHA224_HMAC
	SHA384HMAC          MechanismType = 0x0261 // CKM_SHA384_HMAC
	SHA512HMAC          MechanismType = 0x0271 // CKM_SHA512_HMAC
	SHA3256HMAC         MechanismType = 0x02B1 // CKM_SHA3_256_HMAC
	SHA3224HMAC         MechanismType = 0x02B6 // CKM_SHA3_224_HMAC
	SHA3384HMAC         MechanismType = 0x02C1 // CKM_SHA3_384_HMAC
	SHA3512HMAC         MechanismType = 0x02D1 // CKM_SHA3_512_HMAC
	GenericSecretGen    MechanismType = 0x0350 // CKM_GENERIC_SECRET_KEY_GEN
	ECKeyPairGen        MechanismType = 0x1040 // CKM_EC_KEY_PAIR_GEN
	ECDSA               MechanismType = 0x1041 // CKM_ECDSA: over a digest; its signatures are r and s in a row
	ECEdwardsKeyPairGen MechanismType = 0x1055 // CKM_EC_EDWARDS_KEY_PAIR_GEN
	EDDSA               MechanismType = 0x1057 // CKM_EDDSA: without a parameter, pure Ed25519
	AESKeyGen           MechanismType = 0x1080 // CKM_AES_KEY_GEN
	AESCBCPad           MechanismType = 0x1085 // CKM_AES_CBC_PAD
	AESGCM              MechanismType = 0x1087 // CKM_AES_GCM
)

var mechanismNames = map[MechanismType]string{ //nolint:gosec // names of mechanisms, no credentials
	RSAPKCSKeyPairGen: "CKM_RSA_PKCS_KEY_PAIR_GEN", RSAPKCS: "CKM_RSA_PKCS", RSAPKCSOAEP: "CKM_RSA_PKCS_OAEP", RSAPKCSPSS: "CKM_RSA_PKCS_PSS",
	SHA1HMAC: "CKM_SHA_1_HMAC", SHA224HMAC: "CKM_SHA224_HMAC", SHA256HMAC: "CKM_SHA256_HMAC", SHA384HMAC: "CKM_SHA384_HMAC",
	SHA512HMAC: "CKM_SHA512_HMAC", SHA3224HMAC: "CKM_SHA3_224_HMAC", SHA3256HMAC: "CKM_SHA3_256_HMAC", SHA3384HMAC: "CKM_SHA3_384_HMAC",
	SHA3512HMAC: "CKM_SHA3_512_HMAC", GenericSecretGen: "CKM_GENERIC_SECRET_KEY_GEN", ECKeyPairGen: "CKM_EC_KEY_PAIR_GEN",
	ECDSA: "CKM_ECDSA", ECEdwardsKeyPairGen: "CKM_EC_EDWARDS_KEY_PAIR_GEN", EDDSA: "CKM_EDDSA", AESKeyGen: "CKM_AES_KEY_GEN",
	AESCBCPad: "CKM_AES_CBC_PAD", AESGCM: "CKM_AES_GCM",
}

// String names the mechanism as the specification does.
func (m MechanismType) String() string {
	if name := mechanismNames[m]; name != "" {
		return name
	}
	return fmt.Sprintf("CKM 0x%X", uint(m))
}

// MechanismInfo is what a token says of a mechanism (CK_MECHANISM_INFO): the sizes of its keys, in bits for RSA and for curves. Two
// zeros say nothing.
type MechanismInfo struct {
	MinKeySize, MaxKeySize uint
}

// Mechanism is a mechanism with its parameter (CK_MECHANISM). At most one of the parameters is set.
type Mechanism struct {
	Type MechanismType
	IV   []byte // of AESCBCPad, 16 bytes
	GCM  *GCM
	OAEP *OAEP
	PSS  *PSS
}

// GCM is the parameter of AESGCM (CK_GCM_PARAMS, section 6.13.3), with a tag of 128 bits. The IV must not be empty: there
// are tokens that take a missing one for one of zeros. A token that chooses the IV itself writes it over IV, as AWS CloudHSM
// does, or appends it to its output, as Thales Luna does.
type GCM struct {
	IV, AAD []byte
}

// OAEP is the parameter of RSAPKCSOAEP (CK_RSA_PKCS_OAEP_PARAMS, section 6.1.8), without a label and with MGF1 of the same
// hash.
type OAEP struct {
	Hash HashType
}

// PSS is the parameter of RSAPKCSPSS (CK_RSA_PKCS_PSS_PARAMS, section 6.1.10), with MGF1 of the same hash. What is signed is a digest.
type PSS struct {
	Hash HashType
	Salt int // its length in bytes
}

// HashType tells hashes of OAEP and PSS apart.
type HashType int

// The hashes. The first two are those of OAEP.
const (
	SHA256  HashType = iota // CKM_SHA256, CKG_MGF1_SHA256
	SHA1                    // CKM_SHA_1, CKG_MGF1_SHA1: what many tokens know only
	SHA224                  // CKM_SHA224, CKG_MGF1_SHA224
	SHA384                  // CKM_SHA384, CKG_MGF1_SHA384
	SHA512                  // CKM_SHA512, CKG_MGF1_SHA512
	SHA3224                 // CKM_SHA3_224, CKG_MGF1_SHA3_224
	SHA3256                 // CKM_SHA3_256, CKG_MGF1_SHA3_256
	SHA3384                 // CKM_SHA3_384, CKG_MGF1_SHA3_384
	SHA3512                 // CKM_SHA3_512, CKG_MGF1_SHA3_512
)

// AttributeType is a CK_ATTRIBUTE_TYPE.
type AttributeType uint

// The attributes that keylife uses.
const (
	AttrClass             AttributeType = 0x0000
	AttrToken             AttributeType = 0x0001
	AttrPrivate           AttributeType = 0x0002
	AttrLabel             AttributeType = 0x0003
	AttrKeyType           AttributeType = 0x0100
	AttrID                AttributeType = 0x0102
	AttrSensitive         AttributeType = 0x0103
	AttrEncrypt           AttributeType = 0x0104
	AttrDecrypt           AttributeType = 0x0105
	AttrWrap              AttributeType = 0x0106
	AttrUnwrap            AttributeType = 0x0107
	AttrSign              AttributeType = 0x0108
	AttrVerify            AttributeType = 0x010A
	AttrDerive            AttributeType = 0x010C
	AttrModulus           AttributeType = 0x0120
	AttrModulusBits       AttributeType = 0x0121
	AttrPublicExponent    AttributeType = 0x0122
	AttrValueLen          AttributeType = 0x0161
	AttrExtractable       AttributeType = 0x0162
	AttrModifiable        AttributeType = 0x0170
	AttrECParams          AttributeType = 0x0180
	AttrECPoint           AttributeType = 0x0181
	AttrAllowedMechanisms AttributeType = 0x40000600
)

// Classes of objects and types of keys, as values of AttrClass and AttrKeyType.
const (
	ClassPublicKey  uint = 2 // CKO_PUBLIC_KEY
	ClassPrivateKey uint = 3 // CKO_PRIVATE_KEY
	ClassSecretKey  uint = 4 // CKO_SECRET_KEY

	KeyRSA           uint = 0x00 // CKK_RSA
	KeyEC            uint = 0x03 // CKK_EC
	KeyGenericSecret uint = 0x10 // CKK_GENERIC_SECRET
	KeyAES           uint = 0x1F // CKK_AES
	KeyECEdwards     uint = 0x40 // CKK_EC_EDWARDS
)

// Attribute is an attribute with its value: a bool, a uint, a string, []byte, or []MechanismType.
type Attribute struct {
	Type  AttributeType
	Value any
}

// Template is what an object is made with, or found by.
type Template []Attribute
