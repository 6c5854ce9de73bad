// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mounttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Certified returns a certificate of a public half in PEM, as a key's view shows it. No two are the same.
func Certified(t testing.TB, public string) string {
	t.Helper()
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	block, _ := pem.Decode([]byte(public))
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "key"}, NotBefore: time.Unix(1, 0), NotAfter: time.Unix(1<<33, 0),
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key, authority)
	require.NoError(t, err)
	return strings.TrimSuffix(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), "\n")
}

// CertificateChain returns the certificate chain that the view of a key shows of a version.
func CertificateChain(m *Mount, key string, version int) string {
	m.T.Helper()
	data, err := json.Marshal(m.Must(m.Read("keys/" + key)).Data["keys"])
	require.NoError(m.T, err)
	var shown map[string]struct {
		Chain string `json:"certificate_chain"`
	}
	require.NoError(m.T, json.Unmarshal(data, &shown))
	return shown[strconv.Itoa(version)].Chain
}
