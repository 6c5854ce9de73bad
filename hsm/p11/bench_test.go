//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11_test

import (
	"testing"
	"time"

	"github.com/miekg/pkcs11"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
)

// BenchmarkUnwrap opens a key of 32 bytes, by the shim and by the binding that it stands in for, with a token that answers at
// once and with one that takes 2 ms a call.
func BenchmarkUnwrap(b *testing.B) {
	for name, delay := range map[string]time.Duration{"at once": 0, "in 2 ms": 2 * time.Millisecond} {
		fixture := hsmtest.SoftHSM(b)
		if delay > 0 {
			slow, faults := hsmtest.Faulty(b, fixture)
			faults.Set("C_Decrypt", hsmtest.Rule{Delay: delay})
			fixture = slow
		}
		library := open(b, fixture)
		session := loggedIn(b, library, fixture)
		key := aesKey(b, session, "kek")
		iv := make([]byte, 12)
		sealed, err := session.Do(cryptoki.Encrypt, key, gcm(iv), dek)
		require.NoError(b, err)
		b.Run("shim "+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := session.Do(cryptoki.Decrypt, key, gcm(iv), sealed); err != nil {
					b.Fatal(err)
				}
			}
		})
		ctx := pkcs11.New(fixture.Library) // initialised already, with a user who is logged in
		other, err := ctx.OpenSession(slotOf(b, library, fixture), pkcs11.CKF_SERIAL_SESSION)
		require.NoError(b, err)
		b.Run("miekg "+name, func(b *testing.B) {
			for b.Loop() {
				params := pkcs11.NewGCMParams(iv, aad, 128)
				mechanism := []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}
				err := ctx.DecryptInit(other, mechanism, pkcs11.ObjectHandle(key))
				if err == nil {
					_, err = ctx.Decrypt(other, sealed)
				}
				params.Free()
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		require.NoError(b, library.Close())
	}
}
