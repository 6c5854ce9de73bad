// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import "io"

// Reencode decodes a wrapping and encodes it again.
func Reencode(wrapped []byte) ([]byte, error) {
	w, err := decode(wrapped)
	if err != nil {
		return nil, err
	}
	return w.encode(), nil
}

// NewUncheckedWrapper returns the wrapper of a key without a canary.
func NewUncheckedWrapper(t Token, k KEK, rand io.Reader) *Wrapper {
	key := newTokenKey(t, k, rand)
	return &Wrapper{func() *tokenKey { return key }}
}

// WithoutCanary returns the description of the key before it was finished.
func (k KEK) WithoutCanary() KEK {
	k.Canary, k.CanarySum = nil, nil
	return k
}

// NewUncheckedResident returns the cipher of a key without a canary.
func NewUncheckedResident(t Token, k ResidentKey, rand io.Reader) *Resident {
	key := newTokenKey(t, k.described(), rand)
	return &Resident{func() *tokenKey { return key }}
}
