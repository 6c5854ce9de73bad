//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11

// #include "pkcs11.h"
import "C"

import (
	"encoding/binary"
	"fmt"

	"github.com/miekg/pkcs11"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// attributes encodes a template as C has it (CK_ATTRIBUTE).
func attributes(template cryptoki.Template) ([]*pkcs11.Attribute, error) {
	list := make([]*pkcs11.Attribute, len(template))
	for i, attribute := range template {
		switch value := attribute.Value.(type) {
		case bool, uint, string, []byte:
			list[i] = pkcs11.NewAttribute(uint(attribute.Type), value)
		case []cryptoki.MechanismType:
			list[i] = pkcs11.NewAttribute(uint(attribute.Type), ulongs(value))
		default:
			return nil, fmt.Errorf("attribute 0x%X has a value of type %T, which PKCS#11 does not know", uint(attribute.Type), value)
		}
	}
	return list, nil
}

// ulongs encodes an array of CK_ULONG.
func ulongs(values []cryptoki.MechanismType) []byte {
	var out []byte
	for _, value := range values {
		if C.sizeof_CK_ULONG == 4 {
			out = binary.NativeEndian.AppendUint32(out, uint32(value))
		} else {
			out = binary.NativeEndian.AppendUint64(out, uint64(value))
		}
	}
	return out
}
