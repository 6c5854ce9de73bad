//go:build !cgo || nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11

import "github.com/keylife/vault-plugin-keylife/hsm/cryptoki"

// Built says whether this binary speaks with PKCS#11 libraries.
const Built = false

// Open returns ErrNotBuilt.
func Open(Options) (cryptoki.Library, error) { return nil, ErrNotBuilt }
