//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/hsm/p11"
)

var (
	dek = []byte("a data encryption key of 32 byte")
	aad = []byte("associated data")
)

// open opens the library of a fixture, for the test.
func open(t testing.TB, fixture hsmtest.Fixture) cryptoki.Library {
	t.Helper()
	library, err := p11.Open(options(fixture))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, library.Close()) })
	return library
}

func options(fixture hsmtest.Fixture) p11.Options {
	return p11.Options{Path: fixture.Library, Reserved: fixture.Reserved}
}

// faulty returns a library that fails as it is told, before a token of SoftHSM.
func faulty(t testing.TB) (hsmtest.Fixture, *hsmtest.Faults) {
	t.Helper()
	return hsmtest.Faulty(t, hsmtest.SoftHSM(t))
}

func slotOf(t testing.TB, library cryptoki.Library, fixture hsmtest.Fixture) uint {
	t.Helper()
	tokens, err := library.Tokens()
	require.NoError(t, err)
	for _, token := range tokens {
		if token.Label == fixture.Label {
			return token.Slot
		}
	}
	require.FailNow(t, "the token is not there")
	return 0
}

func sessionOf(t testing.TB, library cryptoki.Library, fixture hsmtest.Fixture) cryptoki.Session {
	t.Helper()
	session, err := library.Open(slotOf(t, library, fixture))
	require.NoError(t, err)
	return session
}

// loggedIn returns a session of a user who was not logged in.
func loggedIn(t testing.TB, library cryptoki.Library, fixture hsmtest.Fixture) cryptoki.Session {
	t.Helper()
	session := sessionOf(t, library, fixture)
	require.NoError(t, session.Login([]byte(fixture.PIN)))
	return session
}

// aesKey makes a KEK of a label.
func aesKey(t testing.TB, session cryptoki.Session, label string) cryptoki.Object {
	t.Helper()
	keys, err := session.Generate(cryptoki.Mechanism{Type: cryptoki.AESKeyGen}, kek(label))
	require.NoError(t, err)
	return keys[0]
}

func kek(label string) cryptoki.Template {
	return cryptoki.Template{
		{Type: cryptoki.AttrClass, Value: cryptoki.ClassSecretKey},
		{Type: cryptoki.AttrKeyType, Value: cryptoki.KeyAES},
		{Type: cryptoki.AttrValueLen, Value: uint(32)},
		{Type: cryptoki.AttrLabel, Value: label},
		{Type: cryptoki.AttrToken, Value: true},
		{Type: cryptoki.AttrPrivate, Value: true},
		{Type: cryptoki.AttrSensitive, Value: true},
		{Type: cryptoki.AttrExtractable, Value: false},
		{Type: cryptoki.AttrEncrypt, Value: true},
		{Type: cryptoki.AttrDecrypt, Value: true},
	}
}

func labelled(label string) cryptoki.Template {
	return cryptoki.Template{{Type: cryptoki.AttrLabel, Value: label}}
}

func gcm(iv []byte) cryptoki.Mechanism {
	return cryptoki.Mechanism{Type: cryptoki.AESGCM, GCM: &cryptoki.GCM{IV: iv, AAD: aad}}
}

// until returns once a condition holds, which another thread is about to make true.
func until(condition func() bool) {
	for !condition() {
		runtime.Gosched()
	}
}
