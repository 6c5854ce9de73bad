//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11

import "github.com/keylife/vault-plugin-keylife/hsm/cryptoki"

// Limit is what a limit of sessions is read as.
var Limit = limit

// DoInto is Do with a buffer that the test looks into afterwards.
func DoInto(
	s cryptoki.Session, out []byte, operation cryptoki.Operation, key cryptoki.Object, mechanism cryptoki.Mechanism, in []byte,
) ([]byte, error) {
	return s.(*session).doInto(out, operation, key, mechanism, in)
}
