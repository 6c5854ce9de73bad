// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// inspected are the attributes that are read back of a key, in order.
var inspected = []cryptoki.AttributeType{
	cryptoki.AttrExtractable, cryptoki.AttrSensitive, cryptoki.AttrValueLen,
	cryptoki.AttrWrap, cryptoki.AttrUnwrap, cryptoki.AttrDerive, cryptoki.AttrSign,
}

// superfluous are what a key should not be able to do, by attribute.
var superfluous = map[cryptoki.AttributeType]string{
	cryptoki.AttrWrap:   "CKA_WRAP: it can take other keys off the token",
	cryptoki.AttrUnwrap: "CKA_UNWRAP: it can bring keys onto the token",
	cryptoki.AttrDerive: "CKA_DERIVE: other keys can be derived from it",
	cryptoki.AttrSign:   "CKA_SIGN: it can make MACs or signatures",
}

// inspect reads the attributes of a key back: what the template asked for is not what every token does. It refuses a key
// that may leave the token, or of which the token does not say that it may not, and returns what else it may do beyond
// its purpose.
func (k *tokenKey) inspect(ctx context.Context) (warnings []string, err error) {
	err = k.token.Run(ctx, func(s cryptoki.Session, _ uint64) error {
		h, err := k.locate(s)
		if err != nil {
			return err
		}
		found, err := k.inspectOne(s, h.key, "key", cryptoki.AttrSign)
		if err == nil && shapes[k.suite].mac {
			var more []string
			more, err = k.inspectOne(s, h.mac, "key of the MAC")
			found = append(found, more...)
		}
		if err == nil {
			warnings = found
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return warnings, nil
}

// inspectOne inspects an object. CKA_SIGN is what a key of a MAC is for.
func (k *tokenKey) inspectOne(s cryptoki.Session, o cryptoki.Object, name string, also ...cryptoki.AttributeType) (warnings []string, err error) {
	of, err := inspectKept(s, o, name)
	if err != nil {
		return nil, err
	}
	if size, ok := number(of[cryptoki.AttrValueLen]); ok && size < kekSize && k.suite != SuiteOAEP {
		return nil, fmt.Errorf("%w: %s has %d bytes, want %d", ErrKEKMismatch, name, size, kekSize)
	}
	return excess(of, name, also...), nil
}

// inspectKept reads the attributes of a key that must stay on the token.
func inspectKept(s cryptoki.Session, o cryptoki.Object, name string) (of map[cryptoki.AttributeType][]byte, err error) {
	values, err := s.Attributes(o, inspected...)
	if err != nil {
		return nil, err
	}
	if len(values) != len(inspected) {
		return nil, fmt.Errorf("%w: the token tells %d attributes of %d", ErrUnsupported, len(values), len(inspected))
	}
	of = map[cryptoki.AttributeType][]byte{}
	for i, a := range inspected {
		of[a] = values[i]
	}
	switch {
	case !isFalse(of[cryptoki.AttrExtractable]):
		return nil, fmt.Errorf("%w: %s may leave the token (CKA_EXTRACTABLE)", ErrKEKMismatch, name)
	case !isTrue(of[cryptoki.AttrSensitive]):
		return nil, fmt.Errorf("%w: %s may be read off the token (CKA_SENSITIVE is not set)", ErrKEKMismatch, name)
	}
	return of, nil
}

// excess says what else a key may do.
func excess(of map[cryptoki.AttributeType][]byte, name string, also ...cryptoki.AttributeType) (warnings []string) {
	for _, a := range append([]cryptoki.AttributeType{cryptoki.AttrWrap, cryptoki.AttrUnwrap, cryptoki.AttrDerive}, also...) {
		if isTrue(of[a]) {
			warnings = append(warnings, name+" has "+superfluous[a])
		}
	}
	return warnings
}

// Tokens encode a CK_BBOOL in one byte.
func isTrue(value []byte) bool  { return len(value) == 1 && value[0] != 0 }
func isFalse(value []byte) bool { return len(value) == 1 && value[0] == 0 }

// number decodes a CK_ULONG, which is as long as the machine's.
func number(value []byte) (n uint64, ok bool) {
	switch len(value) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(value)), true
	case 8:
		return binary.NativeEndian.Uint64(value), true
	}
	return 0, false
}
