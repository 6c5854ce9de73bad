// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"fmt"
	"slices"
)

// reportContext keeps the signature of a page of a report from being taken for that of anything else.
const reportContext = "keylife/report/v1\n"

// SignReport signs a page of a compliance report as a checkpoint is signed: Ed25519 over "keylife/report/v1\n" || page. What the
// page says is internal/report's.
func SignReport(page []byte, key SigningKey) (Signed, error) {
	signature, err := key.sign(reportContext, page)
	if err != nil {
		return Signed{}, fmt.Errorf("sign report: %w", err)
	}
	return Signed{Payload: string(page), KeyID: key.public.ID, Signature: signature}, nil
}

// OpenReport returns the page if one of keys signed it. Call [PublicKeys.Check] on keys first. The error matches [ErrSignature].
func (s Signed) OpenReport(keys PublicKeys) ([]byte, error) {
	if err := s.check(reportContext, keys); err != nil {
		return nil, err
	}
	return []byte(s.Payload), nil
}

// check tells whether one of keys signed the payload in the context.
func (s Signed) check(context string, keys PublicKeys) error {
	i := slices.IndexFunc(keys, func(k PublicKey) bool { return k.ID == s.KeyID })
	if i < 0 {
		return fmt.Errorf("%w: no public key %q", ErrSignature, s.KeyID)
	}
	if !keys[i].verify(context, []byte(s.Payload), s.Signature) {
		return fmt.Errorf("%w: not made by public key %q", ErrSignature, s.KeyID)
	}
	return nil
}
