// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mounttest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/kwp/subtle"
)

// imports is what a mount stores that has a wrapping key and nothing else. It is made once: the key takes seconds.
var imports struct {
	sync.Once
	entries map[string][]byte
}

// NewForImports is [New] for a mount that has its wrapping key.
func NewForImports(t testing.TB) *Mount {
	t.Helper()
	imports.Do(func() {
		made := New(t)
		made.Must(made.Read("wrapping_key"))
		imports.entries = made.Storage.All()
	})
	m := New(t)
	m.Load(imports.entries)
	return m
}

// Wrapped returns a key as an import takes it.
func (m *Mount) Wrapped(key []byte) string {
	m.T.Helper()
	block, _ := pem.Decode([]byte(m.Must(m.Read("wrapping_key")).Data["public_key"].(string)))
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(m.T, err)
	ephemeral := make([]byte, 32)
	_, err = rand.Read(ephemeral)
	require.NoError(m.T, err)
	first, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, parsed.(*rsa.PublicKey), ephemeral, nil)
	require.NoError(m.T, err)
	kwp, err := subtle.NewKWP(ephemeral)
	require.NoError(m.T, err)
	second, err := kwp.Wrap(key)
	require.NoError(m.T, err)
	return base64.StdEncoding.EncodeToString(append(first, second...))
}

// OutsideRSA returns a key that the mount did not make: the private half in PKCS#8, and the public one in PEM.
func OutsideRSA(t testing.TB) (private []byte, public string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	private, err = x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return private, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// Opened returns a key that was wrapped for the private key of [OutsideRSA].
func Opened(t testing.TB, private []byte, wrapped string) []byte {
	t.Helper()
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	require.NoError(t, err)
	key := parsed.(*rsa.PrivateKey)
	raw, err := base64.StdEncoding.DecodeString(wrapped)
	require.NoError(t, err)
	ephemeral, err := rsa.DecryptOAEP(sha256.New(), nil, key, raw[:key.Size()], nil)
	require.NoError(t, err)
	kwp, err := subtle.NewKWP(ephemeral)
	require.NoError(t, err)
	target, err := kwp.Unwrap(raw[key.Size():])
	require.NoError(t, err)
	return target
}
