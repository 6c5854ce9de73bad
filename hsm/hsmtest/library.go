// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsmtest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// RunLibrary tests what keylife relies on in a library of PKCS#11 and a token that it speaks with. Each call of open makes a
// token of its own, that has no objects yet; of the fixture, Library and Reserved do not matter here.
func RunLibrary(t *testing.T, open func(t *testing.T) (cryptoki.Library, Fixture)) {
	t.Helper()
	for name, test := range map[string]func(*conversation, *testing.T){
		"a token is found by its label":                                      (*conversation).tokens,
		"a token lists the mechanisms that it has":                           (*conversation).mechanisms,
		"a wrong PIN is refused and a second login is told from the first":   (*conversation).login,
		"an object is found by its attributes":                               (*conversation).find,
		"a KEK has the attributes that it was asked for and keeps its value": (*conversation).attributes,
		"AES-GCM opens under the same associated data only":                  (*conversation).gcm,
		"a GCM IV that is missing never reaches the token":                   (*conversation).missingIV,
		"AES-CBC pads what is no multiple of a block":                        (*conversation).cbc,
		"HMAC-SHA-256 depends on data and key":                               (*conversation).hmac,
		"an RSA key pair decrypts what is encrypted without the token":       (*conversation).oaep,
		"an RSA key pair signs what verifies without the token":              (*conversation).rsaSignatures,
		"a pair on a curve signs what verifies without the token":            (*conversation).curveSignatures,
		"a token tells of its mechanisms":                                    (*conversation).mechanismInfo,
		"random bytes come in any number and differ":                         (*conversation).random,
		"a destroyed object is gone":                                         (*conversation).destroy,
		"a key does nothing that its template does not allow":                (*conversation).usage,
		"a mechanism that a token has not is refused":                        (*conversation).noMechanism,
		"an error names the return value and matches it":                     (*conversation).errors,
		"nothing of before an initialisation reaches the token after it":     (*conversation).reinitialize,
		"sessions work beside each other":                                    (*conversation).concurrent,
	} {
		t.Run(name, func(t *testing.T) {
			library, fixture := open(t)
			t.Cleanup(func() { require.NoError(t, library.Close()) })
			test(&conversation{library: library, fixture: fixture}, t)
		})
	}
}

// conversation is a test that speaks with a token.
type conversation struct {
	library  cryptoki.Library
	fixture  Fixture
	loggedIn bool
}

func (c *conversation) token(t *testing.T) cryptoki.Token {
	t.Helper()
	tokens, err := c.library.Tokens()
	require.NoError(t, err)
	for _, token := range tokens {
		if token.Label == c.fixture.Label {
			return token
		}
	}
	require.FailNow(t, "no token "+c.fixture.Label)
	return cryptoki.Token{}
}

func (c *conversation) open(t *testing.T) cryptoki.Session {
	t.Helper()
	session, err := c.library.Open(c.token(t).Slot)
	require.NoError(t, err)
	return session
}

// session returns a new session of the user, who logs in with the first one, which stays open.
func (c *conversation) session(t *testing.T) cryptoki.Session {
	t.Helper()
	if !c.loggedIn {
		require.NoError(t, c.open(t).Login([]byte(c.fixture.PIN)))
		c.loggedIn = true
	}
	return c.open(t)
}

// aesKey makes a KEK: an AES key that does nothing but what it is for, and never leaves the token.
func (c *conversation) aesKey(t *testing.T, label string, mechanism cryptoki.MechanismType) cryptoki.Object {
	t.Helper()
	return c.key(t, cryptoki.AESKeyGen, cryptoki.Template{
		{Type: cryptoki.AttrKeyType, Value: cryptoki.KeyAES},
		{Type: cryptoki.AttrEncrypt, Value: true},
		{Type: cryptoki.AttrDecrypt, Value: true},
		{Type: cryptoki.AttrSign, Value: false},
	}, label, mechanism)
}

func (c *conversation) hmacKey(t *testing.T, label string) cryptoki.Object {
	t.Helper()
	return c.key(t, cryptoki.GenericSecretGen, cryptoki.Template{
		{Type: cryptoki.AttrKeyType, Value: cryptoki.KeyGenericSecret},
		{Type: cryptoki.AttrEncrypt, Value: false},
		{Type: cryptoki.AttrDecrypt, Value: false},
		{Type: cryptoki.AttrSign, Value: true},
	}, label, cryptoki.SHA256HMAC)
}

// key makes a secret key that may be used with one mechanism only, where the token understands that.
func (c *conversation) key(
	t *testing.T, generation cryptoki.MechanismType, template cryptoki.Template, label string, allowed cryptoki.MechanismType,
) cryptoki.Object {
	t.Helper()
	template = append(template, cryptoki.Template{
		{Type: cryptoki.AttrClass, Value: cryptoki.ClassSecretKey},
		{Type: cryptoki.AttrValueLen, Value: uint(32)},
		{Type: cryptoki.AttrLabel, Value: label},
		{Type: cryptoki.AttrID, Value: identifier()},
		{Type: cryptoki.AttrToken, Value: true},
		{Type: cryptoki.AttrPrivate, Value: true},
		{Type: cryptoki.AttrSensitive, Value: true},
		{Type: cryptoki.AttrExtractable, Value: false},
		{Type: cryptoki.AttrModifiable, Value: false},
		{Type: cryptoki.AttrWrap, Value: false},
		{Type: cryptoki.AttrUnwrap, Value: false},
		{Type: cryptoki.AttrDerive, Value: false},
	}...)
	strict := append(slices.Clone(template), cryptoki.Attribute{
		Type: cryptoki.AttrAllowedMechanisms, Value: []cryptoki.MechanismType{allowed},
	})
	session := c.session(t)
	objects, err := session.Generate(cryptoki.Mechanism{Type: generation}, strict)
	for _, refused := range []cryptoki.Error{
		cryptoki.ErrAttributeTypeInvalid, cryptoki.ErrAttributeValueInvalid, cryptoki.ErrTemplateIncomplete,
		cryptoki.ErrGeneralError, // NSS: its database has no room for the attribute
	} {
		if errors.Is(err, refused) {
			objects, err = c.session(t).Generate(cryptoki.Mechanism{Type: generation}, template)
		}
	}
	require.NoError(t, err)
	require.Len(t, objects, 1)
	return objects[0]
}

func identifier() []byte {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return id
}

// requireRV holds that an error is a return value of the token's.
func requireRV(t *testing.T, err error) {
	t.Helper()
	var rv cryptoki.Error
	require.ErrorAs(t, err, &rv)
}

func (c *conversation) tokens(t *testing.T) {
	token := c.token(t)
	require.NotEmpty(t, token.Serial)
	require.NotEmpty(t, token.Manufacturer)
	require.True(t, token.LoginRequired)
	require.True(t, token.Initialized)
	require.True(t, token.PINInitialized)
	require.False(t, token.PINLocked)
	require.Less(t, token.MaxSessions, uint(1)<<31, "a limit of sessions that means none is 0")
	require.Equal(t, token.Label, string(bytes.TrimSpace([]byte(token.Label))))
}

func (c *conversation) mechanisms(t *testing.T) {
	list, err := c.library.Mechanisms(c.token(t).Slot)
	require.NoError(t, err)
	require.Subset(t, list, []cryptoki.MechanismType{
		cryptoki.AESKeyGen, cryptoki.AESCBCPad, cryptoki.GenericSecretGen, cryptoki.SHA256HMAC,
		cryptoki.RSAPKCSKeyPairGen, cryptoki.RSAPKCSOAEP,
	})
	if c.fixture.NoGCM {
		require.NotContains(t, list, cryptoki.AESGCM)
	} else {
		require.Contains(t, list, cryptoki.AESGCM)
	}
}

func (c *conversation) login(t *testing.T) {
	err := c.open(t).Login([]byte(c.fixture.PIN + "?"))
	require.ErrorIs(t, err, cryptoki.ErrPINIncorrect)
	require.NotContains(t, err.Error(), c.fixture.PIN)

	pin := []byte(c.fixture.PIN)
	other := c.open(t)
	requireLoggedIn(t, other, false)
	require.NoError(t, c.open(t).Login(pin))
	requireLoggedIn(t, other, true) // a login is all sessions'
	require.Equal(t, c.fixture.PIN, string(pin), "the PIN is the caller's to wipe")
	require.ErrorIs(t, c.open(t).Login(pin), cryptoki.ErrUserAlreadyLoggedIn)
}

func requireLoggedIn(t *testing.T, session cryptoki.Session, want bool) {
	t.Helper()
	in, err := session.(cryptoki.LoginState).LoggedIn()
	require.NoError(t, err)
	require.Equal(t, want, in)
}

func (c *conversation) find(t *testing.T) {
	one := c.aesKey(t, "one", cryptoki.AESCBCPad)
	for range 12 {
		c.hmacKey(t, "many")
	}
	session := c.session(t)
	secret := cryptoki.Attribute{Type: cryptoki.AttrClass, Value: cryptoki.ClassSecretKey}
	label := func(text string) cryptoki.Attribute { return cryptoki.Attribute{Type: cryptoki.AttrLabel, Value: text} }

	found, err := session.Find(cryptoki.Template{secret, label("one")})
	require.NoError(t, err)
	require.Equal(t, []cryptoki.Object{one}, found)

	values, err := session.Attributes(one, cryptoki.AttrID)
	require.NoError(t, err)
	found, err = session.Find(cryptoki.Template{{Type: cryptoki.AttrID, Value: values[0]}})
	require.NoError(t, err)
	require.Equal(t, []cryptoki.Object{one}, found)

	found, err = session.Find(cryptoki.Template{secret, label("many")})
	require.NoError(t, err)
	require.Len(t, found, 10, "no more than ten are returned")

	found, err = session.Find(cryptoki.Template{secret, label("none")})
	require.NoError(t, err)
	require.Empty(t, found)

	stranger, err := c.library.Open(c.token(t).Slot)
	require.NoError(t, err)
	require.NoError(t, stranger.Close())
}

// attrValue is CKA_VALUE, which keylife never asks for.
const attrValue cryptoki.AttributeType = 0x0011

func (c *conversation) attributes(t *testing.T) {
	key := c.aesKey(t, "kek", cryptoki.AESCBCPad)
	session := c.session(t)
	values, err := session.Attributes(key,
		cryptoki.AttrLabel, attrValue, cryptoki.AttrExtractable, cryptoki.AttrModulus, cryptoki.AttrSensitive, cryptoki.AttrToken,
		cryptoki.AttrPrivate, cryptoki.AttrEncrypt, cryptoki.AttrDecrypt, cryptoki.AttrWrap, cryptoki.AttrUnwrap, cryptoki.AttrSign,
		cryptoki.AttrDerive, cryptoki.AttrModifiable)
	require.NoError(t, err)
	yes, no := []byte{1}, []byte{0}
	require.Equal(t, [][]byte{[]byte("kek"), nil, no, nil, yes, yes, yes, yes, yes, no, no, no, no, no}, values)

	class, err := session.Attributes(key, cryptoki.AttrClass)
	require.NoError(t, err)
	found, err := session.Find(cryptoki.Template{{Type: cryptoki.AttrClass, Value: class[0]}})
	require.NoError(t, err)
	require.Equal(t, []cryptoki.Object{key}, found, "a value is read as it is encoded")
}

func (c *conversation) random(t *testing.T) {
	session := c.session(t)
	seen := map[string]bool{}
	for _, n := range []int{1, 32, 1024, 3000} {
		got, err := session.Random(n)
		require.NoError(t, err)
		require.Len(t, got, n)
		require.False(t, n >= 32 && seen[string(got[:min(n, 32)])])
		seen[string(got[:min(n, 32)])] = true
	}
	got, err := session.Random(3000)
	require.NoError(t, err)
	require.NotContains(t, string(got), string(make([]byte, 16)), "all of it is filled")
}

func (c *conversation) destroy(t *testing.T) {
	key := c.hmacKey(t, "gone")
	session := c.session(t)
	require.NoError(t, session.Destroy(key))
	found, err := session.Find(cryptoki.Template{{Type: cryptoki.AttrLabel, Value: "gone"}})
	require.NoError(t, err)
	require.Empty(t, found)
	requireRV(t, c.session(t).Destroy(key))
	_, err = c.session(t).Do(cryptoki.Sign, key, cryptoki.Mechanism{Type: cryptoki.SHA256HMAC}, []byte("data"))
	requireRV(t, err)
}
