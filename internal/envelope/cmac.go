// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"fmt"
	"io"

	"github.com/tink-crypto/tink-go/v2/mac/subtle"
)

// The lengths in bytes that a CMAC may have: that of a block of AES, or what is left of it when it is cut off (NIST SP 800-38B,
// section 5.5). Below four bytes a MAC that somebody guesses passes too often.
const (
	maxCMACSize = 16
	minCMACSize = 4
)

// cmacMode is that of keys which make CMACs with AES (NIST SP 800-38B, RFC 4493) and do nothing else.
type cmacMode struct {
	noMode
	mac *subtle.AESCMAC
}

// isCMAC reports whether keys of a make CMACs.
func (a Algorithm) isCMAC() bool { return a == AES128CMAC || a == AES192CMAC || a == AES256CMAC }

func newCMAC(spec Spec, _ int, m Material, _ io.Reader) (mode, error) {
	key, _ := m.Reveal()
	mac, err := subtle.NewAESCMAC(key, maxCMACSize)
	if err != nil {
		return nil, fmt.Errorf("%w: new cipher: %w", ErrInternal, err)
	}
	return cmacMode{noMode{spec.Algorithm}, mac}, nil
}

// CMAC returns the CMAC of input, cut off after so many bytes; 0: in full.
func (c *Cipher) CMAC(input []byte, length int) ([]byte, error) {
	m, ok := c.mode.(cmacMode)
	switch {
	case !ok:
		return nil, inputError("key type " + string(c.spec.Algorithm) + " does not support CMAC operations")
	case length == 0:
		length = maxCMACSize
	case length < minCMACSize || length > maxCMACSize:
		return nil, inputError(fmt.Sprintf("mac_length: %d: must be 0, which is %d, or from %d to %[2]d bytes", length, maxCMACSize, minCMACSize))
	}
	full, err := m.mac.ComputeMAC(input)
	if err != nil {
		return nil, fmt.Errorf("%w: make CMAC: %w", ErrInternal, err)
	}
	return full[:length], nil
}
