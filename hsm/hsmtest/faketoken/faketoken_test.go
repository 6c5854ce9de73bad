// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package faketoken_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
)

var pin = []byte("1234")

func device(c faketoken.Config) *faketoken.Device {
	c.Label, c.Serial, c.PIN = "label", "serial", string(pin)
	return faketoken.NewDevice(c)
}

func open(t *testing.T, l *faketoken.Library) cryptoki.Session {
	t.Helper()
	s, err := l.Open(0)
	require.NoError(t, err)
	return s
}

func login(t *testing.T, l *faketoken.Library) cryptoki.Session {
	t.Helper()
	s := open(t, l)
	require.NoError(t, s.Login(pin))
	in, err := s.(cryptoki.LoginState).LoggedIn()
	require.NoError(t, err)
	require.True(t, in)
	return s
}

func template(label string) cryptoki.Template {
	return cryptoki.Template{
		{Type: cryptoki.AttrToken, Value: true},
		{Type: cryptoki.AttrLabel, Value: label},
		{Type: cryptoki.AttrValueLen, Value: uint(32)},
		{Type: cryptoki.AttrEncrypt, Value: true},
		{Type: cryptoki.AttrDecrypt, Value: true},
	}
}

func generate(t *testing.T, s cryptoki.Session, label string) cryptoki.Object {
	t.Helper()
	made, err := s.Generate(cryptoki.Mechanism{Type: cryptoki.AESKeyGen}, template(label))
	require.NoError(t, err)
	return made[0]
}

func find(t *testing.T, s cryptoki.Session, label string) []cryptoki.Object {
	t.Helper()
	found, err := s.Find(cryptoki.Template{{Type: cryptoki.AttrLabel, Value: label}})
	require.NoError(t, err)
	return found
}

func gcm(aad string) cryptoki.Mechanism {
	return cryptoki.Mechanism{Type: cryptoki.AESGCM, GCM: &cryptoki.GCM{IV: []byte("twelve bytes"), AAD: []byte(aad)}}
}

func TestWhatIsEncryptedDecrypts(t *testing.T) {
	s := login(t, faketoken.NewLibrary(device(faketoken.Config{})))
	key := generate(t, s, "kek")
	cbc := cryptoki.Mechanism{Type: cryptoki.AESCBCPad, IV: make([]byte, 16)}
	for _, m := range []cryptoki.Mechanism{gcm("aad"), cbc} {
		sealed, err := s.Do(cryptoki.Encrypt, key, m, []byte("secret"))
		require.NoError(t, err)
		opened, err := s.Do(cryptoki.Decrypt, key, m, sealed)
		require.NoError(t, err)
		require.Equal(t, "secret", string(opened))
	}
}

func TestRSAAndHMACWork(t *testing.T) {
	s := login(t, faketoken.NewLibrary(device(faketoken.Config{})))
	pair, err := s.Generate(cryptoki.Mechanism{Type: cryptoki.RSAPKCSKeyPairGen},
		cryptoki.Template{{Type: cryptoki.AttrModulusBits, Value: uint(2048)}, {Type: cryptoki.AttrEncrypt, Value: true}},
		cryptoki.Template{{Type: cryptoki.AttrDecrypt, Value: true}})
	require.NoError(t, err)
	for _, hash := range []cryptoki.HashType{cryptoki.SHA256, cryptoki.SHA1} {
		m := cryptoki.Mechanism{Type: cryptoki.RSAPKCSOAEP, OAEP: &cryptoki.OAEP{Hash: hash}}
		sealed, err := s.Do(cryptoki.Encrypt, pair[0], m, []byte("secret"))
		require.NoError(t, err)
		opened, err := s.Do(cryptoki.Decrypt, pair[1], m, sealed)
		require.NoError(t, err)
		require.Equal(t, "secret", string(opened))
	}
	mac, err := s.Generate(cryptoki.Mechanism{Type: cryptoki.GenericSecretGen}, cryptoki.Template{
		{Type: cryptoki.AttrValueLen, Value: uint(32)}, {Type: cryptoki.AttrSign, Value: true},
	})
	require.NoError(t, err)
	one, err := s.Do(cryptoki.Sign, mac[0], cryptoki.Mechanism{Type: cryptoki.SHA256HMAC}, []byte("text"))
	require.NoError(t, err)
	require.Len(t, one, 32)
}

func TestATamperedCiphertextIsAnsweredAsConfigured(t *testing.T) {
	for _, rv := range []cryptoki.Error{0, cryptoki.ErrGeneralError} {
		s := login(t, faketoken.NewLibrary(device(faketoken.Config{Tampered: rv})))
		key := generate(t, s, "kek")
		sealed, err := s.Do(cryptoki.Encrypt, key, gcm("aad"), []byte("secret"))
		require.NoError(t, err)
		_, err = s.Do(cryptoki.Decrypt, key, gcm("other"), sealed)
		require.ErrorIs(t, err, map[bool]cryptoki.Error{true: cryptoki.ErrEncryptedDataInvalid, false: cryptoki.ErrGeneralError}[rv == 0])
	}
}

func TestADeviceMayChooseTheIVItself(t *testing.T) {
	s := login(t, faketoken.NewLibrary(device(faketoken.Config{GCM: faketoken.WritesIV})))
	key, m := generate(t, s, "kek"), gcm("aad")
	sealed, err := s.Do(cryptoki.Encrypt, key, m, []byte("secret"))
	require.NoError(t, err)
	require.NotEqual(t, "twelve bytes", string(m.GCM.IV))
	opened, err := s.Do(cryptoki.Decrypt, key, m, sealed)
	require.NoError(t, err)
	require.Equal(t, "secret", string(opened))

	s = login(t, faketoken.NewLibrary(device(faketoken.Config{GCM: faketoken.AppendsIV})))
	key = generate(t, s, "kek")
	sealed, err = s.Do(cryptoki.Encrypt, key, gcm("aad"), []byte("secret"))
	require.NoError(t, err)
	require.Len(t, sealed, 6+16+16)
	m = cryptoki.Mechanism{Type: cryptoki.AESGCM, GCM: &cryptoki.GCM{IV: sealed[22:], AAD: []byte("aad")}}
	opened, err = s.Do(cryptoki.Decrypt, key, m, sealed[:22])
	require.NoError(t, err)
	require.Equal(t, "secret", string(opened))
}

func TestARestartLosesSessionsLoginsAndHandles(t *testing.T) {
	d := device(faketoken.Config{})
	l := faketoken.NewLibrary(d)
	s := login(t, l)
	key := generate(t, s, "kek")
	d.Restart()
	_, err := s.Random(1)
	require.ErrorIs(t, err, cryptoki.ErrSessionHandleInvalid)
	s = open(t, l)
	in, err := s.(cryptoki.LoginState).LoggedIn()
	require.NoError(t, err)
	require.False(t, in)
	require.Empty(t, find(t, s, "kek"))
	_, err = s.Do(cryptoki.Encrypt, key, gcm(""), nil)
	require.ErrorIs(t, err, cryptoki.ErrObjectHandleInvalid)

	s = login(t, l)
	require.Len(t, find(t, s, "kek"), 1)
	require.NotContains(t, find(t, s, "kek"), key)
	require.Equal(t, 2, d.Sessions())
}

func TestAHandleMayComeToNameAnotherKey(t *testing.T) {
	l := faketoken.NewLibrary(device(faketoken.Config{ReuseHandles: true}))
	s := login(t, l)
	generate(t, s, "a")
	generate(t, s, "b")
	before := find(t, s, "b")
	require.NoError(t, l.Reinitialize())
	s = login(t, l)
	require.Equal(t, before, find(t, s, "a"))
}

func TestADeviceThatVanishedComesBackByInitializeOnly(t *testing.T) {
	d := device(faketoken.Config{})
	l := faketoken.NewLibrary(d)
	s := login(t, l)
	key := generate(t, s, "kek")
	d.Vanish()
	for range 2 {
		s = open(t, l)
		_, err := s.Random(1)
		require.NoError(t, err)
		_, err = s.Do(cryptoki.Encrypt, key, gcm(""), nil)
		require.ErrorIs(t, err, cryptoki.ErrObjectHandleInvalid)
		d.Return()
	}
	require.NoError(t, l.Reinitialize())
	require.Len(t, find(t, login(t, l), "kek"), 1)
}

func TestADeviceThatWasUnpluggedComesBackByItself(t *testing.T) {
	d := device(faketoken.Config{})
	l := faketoken.NewLibrary(d)
	s := login(t, l)
	d.Unplug()
	_, err := s.Random(1)
	require.ErrorIs(t, err, cryptoki.ErrDeviceRemoved)
	_, err = l.Open(0)
	require.ErrorIs(t, err, cryptoki.ErrTokenNotPresent)
	tokens, err := l.Tokens()
	require.NoError(t, err)
	require.Empty(t, tokens)
	d.Return()
	login(t, l)
}

func TestThePINIsLockedByWrongOnes(t *testing.T) {
	l := faketoken.NewLibrary(device(faketoken.Config{LockAfter: 2}))
	require.ErrorIs(t, open(t, l).Login([]byte("no")), cryptoki.ErrPINIncorrect)
	tokens, err := l.Tokens()
	require.NoError(t, err)
	require.True(t, tokens[0].PINFinalTry)
	require.ErrorIs(t, open(t, l).Login([]byte("no")), cryptoki.ErrPINIncorrect)
	require.ErrorIs(t, open(t, l).Login(pin), cryptoki.ErrPINLocked)
	tokens, err = l.Tokens()
	require.NoError(t, err)
	require.True(t, tokens[0].PINLocked)
	require.Equal(t, 3, l.BadLogins())
}

func TestTheLoginEndsWithTheLastSession(t *testing.T) {
	l := faketoken.NewLibrary(device(faketoken.Config{}))
	s := login(t, l)
	other := open(t, l)
	require.ErrorIs(t, other.Login([]byte("wrong")), cryptoki.ErrUserAlreadyLoggedIn)
	require.NoError(t, s.Close())
	require.NoError(t, other.Close())
	require.NoError(t, open(t, l).Login(pin))
}

func TestSessionsAreLimited(t *testing.T) {
	d := device(faketoken.Config{MaxSessions: 1})
	l := faketoken.NewLibrary(d)
	s := open(t, l)
	_, err := l.Open(0)
	require.ErrorIs(t, err, cryptoki.ErrSessionCount)
	require.NoError(t, s.Close())
	open(t, l)
	d.Restart()
	open(t, l)
}

func TestFaultsBefallTheNextCalls(t *testing.T) {
	d := device(faketoken.Config{})
	l := faketoken.NewLibrary(d)
	l.Fail(faketoken.OpenSession, cryptoki.ErrDeviceError, 2)
	for range 2 {
		_, err := l.Open(0)
		require.ErrorIs(t, err, cryptoki.ErrDeviceError)
	}
	s := login(t, l)
	l.FailLate(faketoken.GenerateKey, cryptoki.ErrDeviceError, 1)
	_, err := s.Generate(cryptoki.Mechanism{Type: cryptoki.AESKeyGen}, template("kek"))
	require.ErrorIs(t, err, cryptoki.ErrDeviceError)
	require.Equal(t, 1, d.Objects())
	_, err = s.Random(1)
	require.ErrorIs(t, err, cryptoki.ErrOperationActive, "a session in which a call failed is to be closed")
	require.Equal(t, 3, l.Calls(faketoken.OpenSession))
}

func TestCallsHangUntilTheyAreReleased(t *testing.T) {
	l := faketoken.NewLibrary(device(faketoken.Config{}))
	s := login(t, l)
	hold := l.Hang(faketoken.GenerateRandom, 1)
	done := make(chan error)
	go func() {
		_, err := s.Random(1)
		done <- err
	}()
	<-hold.Entered
	require.NoError(t, l.Reinitialize())
	require.Len(t, l.Misuse(), 1)
	hold.Release()
	require.ErrorIs(t, <-done, cryptoki.ErrSessionHandleInvalid)
}

func TestMisuseIsKept(t *testing.T) {
	l := faketoken.NewLibrary(device(faketoken.Config{}))
	s := login(t, l)
	key := generate(t, s, "kek")
	_, err := s.Do(cryptoki.Encrypt, key, cryptoki.Mechanism{Type: cryptoki.AESGCM, GCM: &cryptoki.GCM{}}, nil)
	require.ErrorIs(t, err, cryptoki.ErrMechanismParamInvalid)
	require.NoError(t, s.Close())
	_, err = s.Random(1)
	require.Error(t, err)
	require.Len(t, l.Misuse(), 2)
}

func TestMechanismsMayBeMissing(t *testing.T) {
	l := faketoken.NewLibrary(device(faketoken.Config{
		Missing: []cryptoki.MechanismType{cryptoki.AESGCM},
		Hidden:  []cryptoki.MechanismType{cryptoki.AESCBCPad},
	}))
	list, err := l.Mechanisms(0)
	require.NoError(t, err)
	require.NotContains(t, list, cryptoki.AESGCM)
	require.Contains(t, list, cryptoki.AESCBCPad)
	for _, m := range []cryptoki.Mechanism{gcm(""), {Type: cryptoki.AESCBCPad, IV: make([]byte, 16)}} {
		s := login(t, l)
		_, err = s.Do(cryptoki.Encrypt, generate(t, s, "kek"), m, nil)
		require.ErrorIs(t, err, cryptoki.ErrMechanismInvalid)
		require.NoError(t, s.Close())
	}
}

func TestKeysKeepTheirAttributes(t *testing.T) {
	s := login(t, faketoken.NewLibrary(device(faketoken.Config{
		RefusedInKeys: []cryptoki.AttributeType{cryptoki.AttrAllowedMechanisms},
		Forced:        cryptoki.Template{{Type: cryptoki.AttrExtractable, Value: true}},
	})))
	key := generate(t, s, "kek")
	values, err := s.Attributes(key, cryptoki.AttrExtractable, cryptoki.AttrWrap, cryptoki.AttrLabel, cryptoki.AttrModulus)
	require.NoError(t, err)
	require.Equal(t, [][]byte{{1}, {0}, []byte("kek"), nil}, values)
	_, err = s.Generate(cryptoki.Mechanism{Type: cryptoki.AESKeyGen}, append(template("kek"),
		cryptoki.Attribute{Type: cryptoki.AttrAllowedMechanisms, Value: []cryptoki.MechanismType{cryptoki.AESGCM}}))
	require.ErrorIs(t, err, cryptoki.ErrAttributeTypeInvalid)
}

func TestAKeyMayBeBoundToMechanisms(t *testing.T) {
	s := login(t, faketoken.NewLibrary(device(faketoken.Config{})))
	made, err := s.Generate(cryptoki.Mechanism{Type: cryptoki.AESKeyGen}, append(template("kek"),
		cryptoki.Attribute{Type: cryptoki.AttrAllowedMechanisms, Value: []cryptoki.MechanismType{cryptoki.AESGCM}}))
	require.NoError(t, err)
	_, err = s.Do(cryptoki.Encrypt, made[0], gcm(""), bytes.Repeat([]byte{1}, 32))
	require.NoError(t, err)
	_, err = s.Do(cryptoki.Encrypt, made[0], cryptoki.Mechanism{Type: cryptoki.AESCBCPad, IV: make([]byte, 16)}, nil)
	require.ErrorIs(t, err, cryptoki.ErrKeyFunctionNotPermitted)
}

func TestObjectsOfASessionEndWithIt(t *testing.T) {
	d := device(faketoken.Config{})
	s := login(t, faketoken.NewLibrary(d))
	_, err := s.Generate(cryptoki.Mechanism{Type: cryptoki.AESKeyGen}, template("kek")[1:])
	require.NoError(t, err)
	require.Equal(t, 1, d.Objects())
	require.NoError(t, s.Close())
	require.Zero(t, d.Objects())
}

func TestTwoLibrariesShareADevice(t *testing.T) {
	d := device(faketoken.Config{})
	generate(t, login(t, faketoken.NewLibrary(d)), "kek")
	s := login(t, faketoken.NewLibrary(d))
	found := find(t, s, "kek")
	require.Len(t, found, 1)
	require.NoError(t, s.Destroy(found[0]))
	require.False(t, errors.Is(s.Destroy(found[0]), nil))
	require.Zero(t, d.Objects())
}
