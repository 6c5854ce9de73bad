//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11_test

import (
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/hsm/p11"
)

// What tokens do when things go wrong, as SoftHSM does them: what recovers from these is package token's.

func TestARestartLosesSessionsAndLoginAndKeepsKeys(t *testing.T) {
	fixture, faults := faulty(t)
	library := open(t, fixture)
	before := loggedIn(t, library, fixture)
	aesKey(t, before, "kek")
	faults.Restart()
	_, err := before.Random(1)
	require.ErrorIs(t, err, cryptoki.ErrSessionHandleInvalid)

	session := sessionOf(t, library, fixture)
	found, err := session.Find(labelled("kek"))
	require.NoError(t, err)
	require.Empty(t, found, "a private object is not found without a login")
	require.NoError(t, session.Login([]byte(fixture.PIN)))
	found, err = session.Find(labelled("kek"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	_, err = session.Do(cryptoki.Encrypt, found[0], gcm(make([]byte, 12)), dek)
	require.NoError(t, err)
}

func TestATokenThatVanishedComesBackWithAnInitialisationOnly(t *testing.T) {
	fixture := hsmtest.SoftHSM(t)
	library := open(t, fixture)
	session := loggedIn(t, library, fixture)
	key, slot := aesKey(t, session, "kek"), slotOf(t, library, fixture)
	encrypt := func(session cryptoki.Session, key cryptoki.Object) error {
		_, err := session.Do(cryptoki.Encrypt, key, gcm(make([]byte, 12)), dek)
		return err
	}
	require.NoError(t, encrypt(session, key))

	fixture.TakeAway(t)
	requireRV(t, encrypt(session, key))
	_, err := sessionOfSlot(t, library, slot).Random(8)
	require.NoError(t, err, "what needs no object goes on as if nothing were: health is to be asked of a key")
	fixture.GiveBack(t)
	requireRV(t, encrypt(session, key))

	require.NoError(t, library.Reinitialize())
	session = loggedIn(t, library, fixture)
	found, err := session.Find(labelled("kek"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.NoError(t, encrypt(session, found[0]))
}

func TestAnErrorOfTheLibraryIsTheCallers(t *testing.T) {
	fixture, faults := faulty(t)
	library := open(t, fixture)
	session := loggedIn(t, library, fixture)
	key := aesKey(t, session, "kek")
	slot := slotOf(t, library, fixture)
	mac := cryptoki.Mechanism{Type: cryptoki.SHA256HMAC}
	for function, call := range map[string]func() error{
		"C_GetSlotList":       func() error { _, err := library.Tokens(); return err },
		"C_GetTokenInfo":      func() error { _, err := library.Tokens(); return err },
		"C_GetMechanismList":  func() error { _, err := library.Mechanisms(slot); return err },
		"C_GetMechanismInfo":  func() error { _, err := library.MechanismInfo(slot, cryptoki.AESKeyGen); return err },
		"C_OpenSession":       func() error { _, err := library.Open(slot); return err },
		"C_FindObjectsInit":   func() error { _, err := session.Find(nil); return err },
		"C_FindObjects":       func() error { _, err := session.Find(nil); return err },
		"C_FindObjectsFinal":  func() error { _, err := session.Find(nil); return err },
		"C_GetAttributeValue": func() error { _, err := session.Attributes(key, cryptoki.AttrLabel); return err },
		"C_GenerateKey": func() error {
			_, err := session.Generate(cryptoki.Mechanism{Type: cryptoki.AESKeyGen}, kek("no"))
			return err
		},
		"C_GenerateKeyPair": func() error {
			_, err := session.Generate(cryptoki.Mechanism{Type: cryptoki.RSAPKCSKeyPairGen}, nil, nil)
			return err
		},
		"C_EncryptInit":    func() error { _, err := session.Do(cryptoki.Encrypt, key, gcm(make([]byte, 12)), dek); return err },
		"C_DecryptInit":    func() error { _, err := session.Do(cryptoki.Decrypt, key, gcm(make([]byte, 12)), dek); return err },
		"C_SignInit":       func() error { _, err := session.Do(cryptoki.Sign, key, mac, dek); return err },
		"C_GenerateRandom": func() error { _, err := session.Random(1); return err },
		"C_Login":          func() error { return session.Login([]byte(fixture.PIN)) },
		"C_DestroyObject":  func() error { return session.Destroy(key) },
	} {
		session = sessionOf(t, library, fixture) // that of a call that failed is half done
		faults.Set(function, hsmtest.Rule{Return: cryptoki.ErrDeviceRemoved})
		err := call()
		faults.Clear(function)
		require.ErrorIs(t, err, cryptoki.ErrDeviceRemoved, function)
		require.ErrorContains(t, err, "CKR_DEVICE_REMOVED (0x32)", function)
		require.Positive(t, faults.Hits(function), function)
	}
}

func TestATokenThatDoesNotAnswerHidesNoOther(t *testing.T) {
	fixture, faults := faulty(t)
	library := open(t, fixture)
	all, err := library.Tokens()
	require.NoError(t, err)
	require.Len(t, all, 2, "SoftHSM adds one that is not initialised")
	faults.Set("C_GetTokenInfo", hsmtest.Rule{Return: cryptoki.ErrDeviceRemoved, Calls: 1})
	left, err := library.Tokens()
	require.NoError(t, err)
	require.Equal(t, all[1:], left)
}

func TestAVendorsReturnValueIsNamedByItsNumber(t *testing.T) {
	fixture, faults := faulty(t)
	session := loggedIn(t, open(t, fixture), fixture)
	faults.Set("C_GenerateRandom", hsmtest.Rule{Return: 0x80000123})
	_, err := session.Random(1)
	require.ErrorContains(t, err, "C_GenerateRandom: CKR 0x80000123")
}

func TestAPINThatIsLockedIsToldFromAWrongOne(t *testing.T) {
	fixture, faults := faulty(t)
	session := sessionOf(t, open(t, fixture), fixture)
	require.ErrorIs(t, session.Login([]byte("wrong")), cryptoki.ErrPINIncorrect)
	faults.Set("C_Login", hsmtest.Rule{Return: cryptoki.ErrPINLocked})
	require.ErrorIs(t, session.Login([]byte(fixture.PIN)), cryptoki.ErrPINLocked)
}

// Whoever is logged in already is told so, whatever the PIN: a login that succeeds says nothing about a PIN that is new.
func TestALoginThatIsAlreadyThereIsNotCheckedAgain(t *testing.T) {
	fixture, _ := faulty(t)
	library := open(t, fixture)
	loggedIn(t, library, fixture)
	require.ErrorIs(t, sessionOf(t, library, fixture).Login([]byte("wrong")), cryptoki.ErrUserAlreadyLoggedIn)
}

func TestOfManyLoginsAtOnceOneSucceedsAndNoneFails(t *testing.T) {
	fixture, _ := faulty(t)
	library := open(t, fixture)
	results := make(chan error, 16)
	var logins sync.WaitGroup
	for range cap(results) {
		session := sessionOf(t, library, fixture)
		logins.Go(func() { results <- session.Login([]byte(fixture.PIN)) })
	}
	logins.Wait()
	close(results)
	succeeded := 0
	for err := range results {
		if err == nil {
			succeeded++
			continue
		}
		require.ErrorIs(t, err, cryptoki.ErrUserAlreadyLoggedIn)
	}
	require.Equal(t, 1, succeeded)
}

func TestATokenWithoutRoomForASessionSaysSo(t *testing.T) {
	fixture, faults := faulty(t)
	library := open(t, fixture)
	slot := slotOf(t, library, fixture)
	faults.MaxSessions(2)
	one, err := library.Open(slot)
	require.NoError(t, err)
	_, err = library.Open(slot)
	require.NoError(t, err)
	_, err = library.Open(slot)
	require.ErrorIs(t, err, cryptoki.ErrSessionCount)
	require.NoError(t, one.Close())
	_, err = library.Open(slot)
	require.NoError(t, err)
	require.Equal(t, 2, faults.Sessions())
}

func TestALimitOfSessionsThatMeansNoneIsNone(t *testing.T) {
	const unavailable, openCryptoki = ^uint(0), ^uint(1)
	for told, read := range map[uint]uint{0: 0, unavailable: 0, openCryptoki: 0, 1: 1, 16: 16} {
		require.Equal(t, read, p11.Limit(told))
	}
}

func TestALengthBeyondTheBufferIsNotBelieved(t *testing.T) {
	token := newToken(t)
	keys, err := token.Generate(cryptoki.Mechanism{Type: cryptoki.GenericSecretGen}, cryptoki.Template{
		{Type: cryptoki.AttrValueLen, Value: uint(32)}, {Type: cryptoki.AttrSign, Value: true},
	})
	require.NoError(t, err)
	sign := func() ([]byte, error) {
		return token.Do(cryptoki.Sign, keys[0], cryptoki.Mechanism{Type: cryptoki.SHA256HMAC}, dek)
	}
	_, err = sign()
	require.NoError(t, err)
	for _, boast := range []int{1 << 20, -64} {
		token.faults.Boast(boast)
		mac, err := sign()
		require.ErrorContains(t, err, "wrote more than there was room for")
		require.Nil(t, mac)
	}
}

func TestASessionInWhichACallFailedIsHalfDone(t *testing.T) {
	token := newToken(t)
	iv := make([]byte, 12)
	token.faults.Set("C_Encrypt", hsmtest.Rule{Return: cryptoki.ErrDeviceError, Calls: 1})
	_, err := token.Do(cryptoki.Encrypt, token.key, gcm(iv), dek)
	require.ErrorIs(t, err, cryptoki.ErrDeviceError)
	_, err = token.Do(cryptoki.Encrypt, token.key, gcm(iv), dek)
	require.ErrorIs(t, err, cryptoki.ErrOperationActive)
}

func TestAKeyWhoseGenerationGotNoAnswerIsThere(t *testing.T) {
	token := newToken(t)
	token.faults.Set("C_GenerateKey", hsmtest.Rule{Return: cryptoki.ErrDeviceError, Lose: true, Calls: 1})
	_, err := token.Generate(cryptoki.Mechanism{Type: cryptoki.AESKeyGen}, kek("orphan"))
	require.ErrorIs(t, err, cryptoki.ErrDeviceError)
	found, err := token.Find(labelled("orphan"))
	require.NoError(t, err)
	require.Len(t, found, 1)
}

func TestALabelIsNoKey(t *testing.T) {
	token := newToken(t)
	aesKey(t, token, "kek")
	found, err := token.Find(labelled("kek"))
	require.NoError(t, err)
	require.Len(t, found, 2)
}

func TestACallThatHangsHoldsUpItsCallerOnly(t *testing.T) {
	fixture, faults := faulty(t)
	library := open(t, fixture)
	session := loggedIn(t, library, fixture)
	key := aesKey(t, session, "kek")
	faults.Set("C_Encrypt", hsmtest.Rule{Hang: true, Calls: 1})
	var hung sync.WaitGroup
	hung.Go(func() {
		_, err := session.Do(cryptoki.Encrypt, key, gcm(make([]byte, 12)), dek)
		assert.NoError(t, err)
	})
	until(func() bool { return faults.Hanging("C_Encrypt") == 1 })
	for range 10 {
		_, err := sessionOf(t, library, fixture).Do(cryptoki.Encrypt, key, gcm(make([]byte, 12)), dek)
		require.NoError(t, err)
	}
	require.Equal(t, 1, faults.Hanging("C_Encrypt"))
	faults.Clear("C_Encrypt")
	hung.Wait()
}

func TestWhatPKCS11DoesNotKnowNeverReachesTheLibrary(t *testing.T) {
	token := newToken(t)
	template := cryptoki.Template{{Type: cryptoki.AttrLabel, Value: 3.5}}
	_, err := token.Find(template)
	require.ErrorContains(t, err, "attribute 0x3 has a value of type float64")
	_, err = token.Generate(cryptoki.Mechanism{Type: cryptoki.AESKeyGen}, template)
	require.ErrorContains(t, err, "attribute 0x3 has a value of type float64")
	_, err = token.Generate(cryptoki.Mechanism{Type: cryptoki.AESKeyGen})
	require.ErrorContains(t, err, "from one template")
	_, err = token.Do(cryptoki.Decrypt, token.key, cryptoki.Mechanism{Type: cryptoki.RSAPKCSOAEP}, dek)
	require.ErrorIs(t, err, cryptoki.ErrMechanismParamInvalid)
	_, err = token.Do(cryptoki.Operation(9), token.key, gcm(make([]byte, 12)), dek)
	require.ErrorContains(t, err, "operation 9 is not known")
	require.Zero(t, token.faults.Calls("C_FindObjectsInit")+token.faults.Calls("C_DecryptInit"))
	require.Equal(t, 1, token.faults.Calls("C_GenerateKey"), "that of the token's own key")
}

// childLibrary names, in the environment of a child process, the library that is to crash in it.
const childLibrary = "KEYLIFE_TEST_CRASHING_LIBRARY"

func TestALibraryThatCrashesTakesItsProcessAlong(t *testing.T) {
	if path := os.Getenv(childLibrary); path != "" {
		session := sessionOf(t, open(t, hsmtest.Fixture{Library: path}), hsmtest.Fixture{Label: "keylife-test"})
		_, err := session.Random(8)
		require.NoError(t, err, "it crashes before")
		return
	}
	fixture, faults := faulty(t)
	session := loggedIn(t, open(t, fixture), fixture)
	faults.Set("C_GenerateRandom", hsmtest.Rule{Crash: true, Calls: 1})
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), childLibrary+"="+fixture.Library)
	out, err := child.CombinedOutput()
	require.Error(t, err, "%s", out)
	require.Contains(t, string(out), "SIGSEGV", "the crash is of the library")
	require.Equal(t, 1, faults.Hits("C_GenerateRandom"))

	_, err = session.Random(8)
	require.NoError(t, err, "the token goes on for the others")
}

func requireRV(t *testing.T, err error) {
	t.Helper()
	var rv cryptoki.Error
	require.ErrorAs(t, err, &rv)
}

// sessionOfSlot opens a session with a token that does not tell what it is called.
func sessionOfSlot(t *testing.T, library cryptoki.Library, slot uint) cryptoki.Session {
	t.Helper()
	session, err := library.Open(slot)
	require.NoError(t, err)
	return session
}
