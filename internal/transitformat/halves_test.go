// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package transitformat_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/transitformat"
)

// certified returns a chain of one certificate of the version.
func certified(t *testing.T, b transitformat.Backup, n int) [][]byte {
	t.Helper()
	private, public, err := envelope.Algorithm(b.Key.Type).KeyPair(b.Versions[n].Material)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(int64(n)), NotBefore: start, NotAfter: start.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	require.NoError(t, err)
	return [][]byte{der}
}

// TestAnImportedKeyComesBackAsOne: of one version there is a public half alone, and each has a certificate.
func TestAnImportedKeyComesBackAsOne(t *testing.T) {
	for _, kind := range []keytype.Type{keytype.Ed25519, keytype.ECDSAP256, keytype.ECDSAP384, keytype.ECDSAP521, keytype.RSA2048, keytype.MLDSA65} {
		t.Run(string(kind), func(t *testing.T) {
			b := made(t, lifecycle.Key{Type: kind, Origin: lifecycle.Origin{Imported: true}}, 3)
			if kind != keytype.MLDSA65 { // no library makes certificates for it yet
				for n, v := range b.Versions {
					v.Chain = certified(t, b, n)
					b.Versions[n] = v
				}
				for n := 1; n <= 3; n++ {
					b.Key.Certificates = append(b.Key.Certificates, lifecycle.Certificate{Version: n, Digest: lifecycle.NewCertificateChain(b.Versions[n].Chain).Digest})
				}
			}
			v := b.Versions[2]
			v.Material = v.Material.WithoutPrivate()
			b.Versions[2], b.Key.PublicOnly = v, []int{2}
			for _, rotates := range []bool{false, true} {
				b.Key.AllowRotation, b.Key.AutoRotatePeriod = rotates, 0
				if rotates {
					b.Key.AutoRotatePeriod = 24 * time.Hour
				}
				got, err := transitformat.Read(written(t, b), rand.Reader)
				require.NoError(t, err)
				requireSame(t, b, got)
				got.Key.Overrides = nil
				require.Equal(t, b.Key, got.Key)
				for n, v := range b.Versions {
					require.Equal(t, v.Chain, got.Versions[n].Chain)
				}
			}
			_, err := transitformat.Read(edited(t, written(t, b), func(_, p map[string]any) {
				keys := p["keys"].(map[string]any)
				keys["1"].(map[string]any)["certificate_chain"] = keys["2"].(map[string]any)["certificate_chain"]
			}), rand.Reader)
			if kind != keytype.MLDSA65 {
				require.ErrorContains(t, err, "version 1: certificate_chain: the leaf certificate is of another key")
			}
		})
	}
}

// TestImportedHMACKeysHaveTheirOwnSizes: key_size is that of the newest version.
func TestImportedHMACKeysHaveTheirOwnSizes(t *testing.T) {
	b := made(t, lifecycle.Key{Type: keytype.HMAC, Size: 48, Origin: lifecycle.Origin{Imported: true}}, 2)
	long := bytes.Repeat([]byte{7}, 512)
	b.Versions[1] = transitformat.Version{Created: b.Versions[1].Created, Material: envelope.NewMaterial(long, long)}
	got, err := transitformat.Read(written(t, b), rand.Reader)
	require.NoError(t, err)
	requireSame(t, b, got)
	_, err = transitformat.Read(edited(t, written(t, b), inVersion("key", "QUJD")), rand.Reader)
	require.ErrorContains(t, err, "version 2: key of 3 bytes")
}

// TestWhatWasErasedStaysSo: also where a backup has what its own member says is gone.
func TestWhatWasErasedStaysSo(t *testing.T) {
	b := made(t, lifecycle.Key{Type: keytype.ECDSAP256, Uses: []lifecycle.AllowedUse{lifecycle.UseVerify, lifecycle.UseExport}}, 3)
	b.Key.PrivateFrom = 3
	got, err := transitformat.Read(written(t, b), rand.Reader)
	require.NoError(t, err)
	got.Key.Overrides = nil
	require.Equal(t, b.Key, got.Key)
	for n, v := range got.Versions {
		require.Equal(t, n == 3, v.Material.HasKey(), "version %d", n)
		require.Equal(t, b.Versions[n].Material.Public(), v.Material.Public())
	}
}

func TestADerivedKeyWithoutItsPrivateHalfIsRefused(t *testing.T) {
	b := made(t, lifecycle.Key{Type: keytype.Ed25519, Derived: true}, 2)
	_, err := transitformat.Read(edited(t, written(t, b), inVersion("key", nil)), rand.Reader)
	require.ErrorIs(t, err, refusal.ErrInvalid)
	require.ErrorContains(t, err, "version 2: has no private half, of which keys are derived")
}

// TestAPeriodThatNeverRotatedIsNotRestored: Transit rotates no imported key that its owner does not let rotate.
func TestAPeriodThatNeverRotatedIsNotRestored(t *testing.T) {
	b := made(t, lifecycle.Key{Type: keytype.AES256GCM96, AutoRotatePeriod: 24 * time.Hour, Origin: lifecycle.Origin{Imported: true}}, 1)
	got, err := transitformat.Read(written(t, b), rand.Reader)
	require.NoError(t, err)
	require.Zero(t, got.Key.AutoRotatePeriod)
}
