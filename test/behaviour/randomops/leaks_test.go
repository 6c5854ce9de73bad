// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package randomops_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// forms are how a secret might lie about: as it is, in hexadecimal digits, and in base64 at each of three places in a text.
func forms(secret []byte) [][]byte {
	all := [][]byte{secret, []byte(hex.EncodeToString(secret))}
	for skip := range 3 {
		whole := secret[skip : skip+(len(secret)-skip)/3*3]
		all = append(all, []byte(base64.RawStdEncoding.EncodeToString(whole)), []byte(base64.RawURLEncoding.EncodeToString(whole)))
	}
	return all
}

// requireNoSecret demands that no material of a version lies in the storage or the log: neither all of it, nor what makes a private
// half private.
func (w *typesWalk) requireNoSecret() {
	w.T.Helper()
	all := []byte(w.Log.String())
	for path, entry := range w.Storage.All() {
		all = fmt.Appendf(all, "\n%s\n%s", path, entry)
	}
	for name, s := range w.keys {
		for v := 1; v <= s.count; v++ {
			material, found := opened(w.Mount, name, v)
			if !found {
				continue
			}
			key, hmacKey := material.Reveal()
			for _, secret := range append(privateParts(key), key, hmacKey) {
				requireNowhere(w.T, secret, all, fmt.Sprintf("version %d of %s", v, name))
			}
		}
	}
}

// privateParts are the secrets in a private half, in PKCS#8; none: it is a symmetric key.
func privateParts(key []byte) [][]byte {
	private, err := x509.ParsePKCS8PrivateKey(key)
	if err != nil {
		return nil
	}
	switch k := private.(type) {
	case *rsa.PrivateKey:
		return [][]byte{k.D.Bytes(), k.Primes[0].Bytes(), k.Primes[1].Bytes()}
	case interface{ Seed() []byte }:
		return [][]byte{k.Seed()}
	case interface{ Bytes() ([]byte, error) }:
		d, _ := k.Bytes()
		return [][]byte{d}
	}
	return nil
}

func requireNowhere(t testing.TB, secret, all []byte, of string) {
	t.Helper()
	if len(secret) == 0 {
		return
	}
	for _, form := range forms(secret) {
		require.False(t, bytes.Contains(all, form), "%s lies in the clear", of)
	}
}

// opened opens what is stored of a version of a key, wherever it is, and reports whether there is any.
func opened(m *mounttest.Mount, key string, version int) (material envelope.Material, found bool) {
	m.T.Helper()
	ctx, k := context.Background(), m.Storage.Key(key)
	ring, found, err := m.Storage.Store().KEKs().Keyring(ctx)
	require.NoError(m.T, err)
	require.True(m.T, found)
	blob, purpose, kek := m.Storage.Sealed(fmt.Sprintf("versions/%s/%d", key, version)), envelope.PurposeOnline, ring.Use
	if len(blob) == 0 {
		blob, purpose, kek = m.Storage.Sealed(fmt.Sprintf("archive/%s/%d", key, version)), envelope.PurposeArchive, ring.Archive
	}
	if len(blob) == 0 {
		return material, false
	}
	wrapper, err := hsm.NewSoftware(kek.ID, kek.Key, rand.Reader)
	require.NoError(m.T, err)
	material, err = envelope.Open(ctx, wrapper, blob, envelope.Binding{
		Instance: ring.Instance, KeyID: k.ID, Version: version, Algorithm: envelope.Algorithm(k.Type), Purpose: purpose,
	})
	require.NoError(m.T, err)
	return material, true
}
