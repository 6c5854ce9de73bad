// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"bytes"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
)

// errExtraData is keysutil's answer to a signature with something behind it.
var errExtraData = inputError("supplied signature contains extra data")

// A signature of ECDSA in one form has one encoding: what keysutil reads with something more in it, or shorter, is none. Otherwise whoever
// has a signature could make others of the same text.

// hasForm reports whether a payload is what it is in its form, or what keysutil refuses in words of its own.
func hasForm(curve elliptic.Curve, payload, marshaling string) (bool, error) {
	if marshaling == "jws" { // RFC 7518, section 3.4: both numbers in full length
		raw, err := base64.RawURLEncoding.DecodeString(payload)
		return err != nil || len(raw) == 2*((curve.Params().BitSize+7)/8), nil
	}
	raw, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		return true, nil //nolint:nilerr // keysutil says so
	}
	var pair struct{ R, S *big.Int } // ECDSA-Sig-Value of RFC 3279, section 2.2.3; Go's reader passes over what else the sequence has
	rest, err := asn1.Unmarshal(raw, &pair)
	if err != nil || len(rest) > 0 {
		return true, nil //nolint:nilerr // as above
	}
	again, err := asn1.Marshal(pair)
	if err != nil || !bytes.Equal(again, raw) {
		return false, errExtraData
	}
	return true, nil
}
