// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package apps_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// authority issues the certificates of the server and of its clients.
type authority struct {
	dir         string
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	file        string // its certificate in PEM
}

// newAuthority makes an authority whose certificate is in a directory.
func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{dir: dir, key: key, file: filepath.Join(dir, "ca.pem")}
	template := form("authority", time.Now().Add(time.Hour))
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return a, writePEM(a.file, "CERTIFICATE", der)
}

func form(name string, until time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
}

// issue writes a certificate and its key, in place of those that the files may hold. Each file is replaced whole.
func (a *authority) issue(name string, until time.Time) (certificate, key string, err error) {
	certificate, key = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		return "", "", err
	}
	der, err := x509.CreateCertificate(rand.Reader, form(name, until), a.certificate, secret.Public(), a.key)
	if err != nil {
		return "", "", err
	}
	if err := writePEM(key, "PRIVATE KEY", encoded); err != nil {
		return "", "", err
	}
	return certificate, key, writePEM(certificate, "CERTIFICATE", der)
}

func (a *authority) listener() (*harness.TLS, error) {
	certificate, key, err := a.issue("server", time.Now().Add(time.Hour))
	return &harness.TLS{Certificate: certificate, Key: key, ClientCA: a.file}, err
}

func writePEM(path, kind string, der []byte) error {
	partial := path + ".partial"
	if err := os.WriteFile(partial, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return err
	}
	return os.Rename(partial, path)
}
