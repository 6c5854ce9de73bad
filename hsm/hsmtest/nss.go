//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsmtest

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/miekg/pkcs11"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// nssLabel is what NSS calls the token that keeps keys.
const nssLabel = "NSS Certificate DB"

// NSS makes a token of NSS softokn, the second implementation: other return values, and strict about its initialisation. It is
// configured by pReserved of C_Initialize.
func NSS(t testing.TB) Fixture {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("NSS_MAX_MP_PBE_ITERATION_COUNT", "1") // it derives a key from the PIN anew for each attribute that it reads or writes
	fixture := Fixture{
		Library:  library(t, "libnss3", "/usr/lib/*/libsoftokn3.so", "/usr/lib/*/nss/libsoftokn3.so", "/usr/lib*/libsoftokn3.so"),
		Reserved: fmt.Sprintf("configdir='sql:%s' certPrefix='' keyPrefix='' secmod='secmod.db' flags=noModDB", dir),
		Label:    nssLabel, PIN: "5678-user", Store: dir, OAEP: cryptoki.SHA256,
	}
	fixture.setPIN(t)
	return fixture
}

// setPIN makes the database, as the security officer, who has no PIN yet.
func (f Fixture) setPIN(t testing.TB) {
	t.Helper()
	ctx := pkcs11.New(f.Library)
	require.NotNil(t, ctx, "load %s", f.Library)
	reserved := append([]byte(f.Reserved), 0)
	require.NoError(t, ctx.Initialize(pkcs11.InitializeWithReserved(unsafe.Pointer(&reserved[0])))) //nolint:gosec // for C
	defer func() { require.NoError(t, ctx.Finalize()) }()
	slots, err := ctx.GetSlotList(true)
	require.NoError(t, err)
	for _, slot := range slots {
		info, err := ctx.GetTokenInfo(slot)
		require.NoError(t, err)
		if info.Label != f.Label {
			continue
		}
		session, err := ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
		require.NoError(t, err)
		require.NoError(t, ctx.Login(session, pkcs11.CKU_SO, ""))
		require.NoError(t, ctx.InitPIN(session, f.PIN))
		return
	}
	require.FailNow(t, "NSS has no token "+f.Label)
}
