//go:build !cgo || nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/p11"
)

func TestABinaryWithoutCSaysWhichOneSpeaksPKCS11(t *testing.T) {
	library, err := p11.Open(p11.Options{Path: "/usr/lib/softhsm/libsofthsm2.so"})
	require.ErrorIs(t, err, p11.ErrNotBuilt)
	require.ErrorContains(t, err, "vault-plugin-keylife-hsm")
	require.Nil(t, library)
	require.False(t, p11.Built)
}
