// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package cryptoki

// MechanismType is a CK_MECHANISM_TYPE.
type MechanismType uint

// The mechanisms that keylife uses.
const (
	RSAPKCSKeyPairGen MechanismType = 0x0000 // CKM_RSA_PKCS_KEY_PAIR_GEN
	RSAPKCSOAEP       MechanismType = 0x0009 // CKM_RSA_PKCS_OAEP
	SHA256HMAC        MechanismType = 0x0251 // CKM_SHA256_HMAC
	GenericSecretGen  MechanismType = 0x0350 // CKM_GENERIC_SECRET_KEY_GEN
	AESKeyGen         MechanismType = 0x1080 // CKM_AES_KEY_GEN
	AESCBCPad         MechanismType = 0x1085 // CKM_AES_CBC_PAD
	AESGCM            MechanismType = 0x1087 // CKM_AES_GCM
)

// Mechanism is a mechanism with its parameter (CK_MECHANISM). At most one of the parameters is set.
type Mechanism struct {
	Type MechanismType
	IV   []byte // of AESCBCPad, 16 bytes
	GCM  *GCM
	OAEP *OAEP
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

// HashType tells hashes of OAEP apart.
type HashType int

// The hashes of OAEP.
const (
	SHA256 HashType = iota // CKM_SHA256, CKG_MGF1_SHA256
	SHA1                   // CKM_SHA_1, CKG_MGF1_SHA1: what many tokens know only
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
	AttrAllowedMechanisms AttributeType = 0x40000600
)

// Classes of objects and types of keys, as values of AttrClass and AttrKeyType.
const (
	ClassPublicKey  uint = 2 // CKO_PUBLIC_KEY
	ClassPrivateKey uint = 3 // CKO_PRIVATE_KEY
	ClassSecretKey  uint = 4 // CKO_SECRET_KEY

	KeyRSA           uint = 0x00 // CKK_RSA
	KeyGenericSecret uint = 0x10 // CKK_GENERIC_SECRET
	KeyAES           uint = 0x1F // CKK_AES
)

// Attribute is an attribute with its value: a bool, a uint, a string, []byte, or []MechanismType.
type Attribute struct {
	Type  AttributeType
	Value any
}

// Template is what an object is made with, or found by.
type Template []Attribute
