//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// What an output may have beyond its input: a tag or padding of a block, a block of an IV that the token appends, and as much
// again for libraries that ask for more than they use. A signature is no longer than one of RSA with 8192 bits.
const (
	slack        = 64
	maxSignature = 1024
	maxRandom    = 1024 // a call: what Google's library takes
)

// Login is C_Login with CKU_USER.
func (s *session) Login(pin []byte) error {
	entered, err := s.enter()
	if err != nil {
		return err
	}
	defer entered.leave()
	rv := C.keylife_login(s.module.functions, C.CK_SESSION_HANDLE(s.handle), first(pin), C.CK_ULONG(len(pin)))
	return returned("C_Login", rv)
}

// Random is C_GenerateRandom, in parts that every token takes.
func (s *session) Random(n int) ([]byte, error) {
	entered, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer entered.leave()
	out := make([]byte, n)
	for part := out; len(part) > 0; part = part[min(len(part), maxRandom):] {
		length := min(len(part), maxRandom)
		rv := C.keylife_random(s.module.functions, C.CK_SESSION_HANDLE(s.handle), first(part), C.CK_ULONG(length))
		if err := returned("C_GenerateRandom", rv); err != nil {
			clear(out)
			return nil, err
		}
	}
	return out, nil
}

// Do is C_EncryptInit and C_Encrypt, or their like, in one crossing into C. Where the token chooses the IV of GCM and writes
// it where it was given one, it is in mechanism.GCM.IV afterwards.
func (s *session) Do(operation cryptoki.Operation, key cryptoki.Object, mechanism cryptoki.Mechanism, in []byte) ([]byte, error) {
	return s.doInto(make([]byte, room(operation, len(in))), operation, key, mechanism, in)
}

func room(operation cryptoki.Operation, input int) int {
	if operation == cryptoki.Sign {
		return maxSignature
	}
	return max(input, maxSignature) + slack
}

// doInto does it into a buffer. It wipes what it does not return of it, which is all where it fails.
func (s *session) doInto(
	out []byte, operation cryptoki.Operation, key cryptoki.Object, mechanism cryptoki.Mechanism, in []byte,
) ([]byte, error) {
	call, err := parameter(mechanism)
	if err != nil {
		return nil, err
	}
	names, known := functions[operation]
	if !known {
		return nil, fmt.Errorf("operation %d is not known", operation)
	}
	entered, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer entered.leave()
	call.operation, call.session, call.key = names.number, C.CK_SESSION_HANDLE(s.handle), C.CK_OBJECT_HANDLE(key)
	call.in, call.in_length = first(in), C.CK_ULONG(len(in))
	call.out, call.room = first(out), C.CK_ULONG(len(out))
	result := C.keylife_do(s.module.functions, call)
	if err := returned(names.text, result.rv); err != nil {
		clear(out)
		return nil, err
	}
	n := int(result.length) // an overflow is negative
	if n < 0 || n > len(out) {
		clear(out)
		return nil, errors.New("the PKCS#11 library says that it wrote more than there was room for")
	}
	clear(out[n:])
	return out[:n:n], nil
}

// functions has for each operation its number in the shim, and its C functions by name.
var functions = map[cryptoki.Operation]struct {
	number C.int
	text   string
}{
	cryptoki.Encrypt: {C.KEYLIFE_ENCRYPT, "C_Encrypt"},
	cryptoki.Decrypt: {C.KEYLIFE_DECRYPT, "C_Decrypt"},
	cryptoki.Sign:    {C.KEYLIFE_SIGN, "C_Sign"},
}

// parameter returns a call with its mechanism. It refuses a parameter that is no mechanism's of keylife's before a library can
// take it for something else: there are some that encrypt under an IV of zeros where it is missing.
func parameter(mechanism cryptoki.Mechanism) (C.keylife_call, error) {
	call := C.keylife_call{mechanism: C.CK_MECHANISM_TYPE(mechanism.Type)}
	switch mechanism.Type {
	case cryptoki.AESGCM:
		if mechanism.GCM == nil || len(mechanism.GCM.IV) == 0 {
			return call, fmt.Errorf("AES-GCM without an IV: %w", cryptoki.ErrMechanismParamInvalid)
		}
		call.parameter = C.KEYLIFE_GCM
		call.iv, call.iv_length = first(mechanism.GCM.IV), C.CK_ULONG(len(mechanism.GCM.IV))
		call.aad, call.aad_length = first(mechanism.GCM.AAD), C.CK_ULONG(len(mechanism.GCM.AAD))
	case cryptoki.AESCBCPad:
		if len(mechanism.IV) != aesBlock {
			return call, fmt.Errorf("AES-CBC without an IV of %d bytes: %w", aesBlock, cryptoki.ErrMechanismParamInvalid)
		}
		call.parameter = C.KEYLIFE_IV
		call.iv, call.iv_length = first(mechanism.IV), C.CK_ULONG(len(mechanism.IV))
	case cryptoki.RSAPKCSOAEP:
		if mechanism.OAEP == nil {
			return call, fmt.Errorf("RSA-OAEP without a hash: %w", cryptoki.ErrMechanismParamInvalid)
		}
		call.parameter = C.KEYLIFE_OAEP
		call.hash, call.mgf = hashes[mechanism.OAEP.Hash].hash, hashes[mechanism.OAEP.Hash].mgf
	case cryptoki.RSAPKCSPSS:
		if mechanism.PSS == nil || mechanism.PSS.Salt < 0 {
			return call, fmt.Errorf("RSA-PSS without a hash: %w", cryptoki.ErrMechanismParamInvalid)
		}
		call.parameter = C.KEYLIFE_PSS
		call.hash, call.mgf = hashes[mechanism.PSS.Hash].hash, hashes[mechanism.PSS.Hash].mgf
		call.salt = C.CK_ULONG(mechanism.PSS.Salt)
	default:
		call.parameter = C.KEYLIFE_PLAIN
	}
	return call, nil
}

const aesBlock = 16

// hashes are the numbers of CKM_SHA_1 and its like, and of CKG_MGF1_SHA1 and its like.
var hashes = map[cryptoki.HashType]struct {
	hash C.CK_MECHANISM_TYPE
	mgf  C.CK_ULONG
}{
	cryptoki.SHA1: {0x220, 1}, cryptoki.SHA256: {0x250, 2}, cryptoki.SHA384: {0x260, 3}, cryptoki.SHA512: {0x270, 4}, cryptoki.SHA224: {0x255, 5},
	cryptoki.SHA3224: {0x2B5, 6}, cryptoki.SHA3256: {0x2B0, 7}, cryptoki.SHA3384: {0x2C0, 8}, cryptoki.SHA3512: {0x2D0, 9},
}

// first returns the address of bytes for C, or NULL for none.
func first(b []byte) *C.CK_BYTE { return (*C.CK_BYTE)(unsafe.SliceData(b)) }

func returned(function string, rv C.CK_RV) error {
	if rv == C.CKR_OK {
		return nil
	}
	return fmt.Errorf("%s: %w", function, cryptoki.Error(rv))
}
