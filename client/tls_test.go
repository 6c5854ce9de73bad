// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/clienttest"
	"github.com/keylife/vault-plugin-keylife/client/internal/engine"
)

// authority issues client certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return authority{cert, key}
}

// issue writes a certificate and its key to files.
func (a authority) issue(t *testing.T, dir, name string, ends time.Time) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: ends,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return certFile, keyFile
}

// tlsVault is a Vault that wants client certificates of the authority, and closes each connection after its request.
func tlsVault(t *testing.T, a authority, f *clienttest.FakeVault) (url string, config func() *api.Config, seen func() []string) {
	t.Helper()
	var mu sync.Mutex
	var names []string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		names = append(names, r.TLS.PeerCertificates[0].Subject.CommonName)
		mu.Unlock()
		f.ServeHTTP(w, r)
	}))
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	server.Config.SetKeepAlivesEnabled(false)
	server.StartTLS()
	t.Cleanup(server.Close)
	config = func() *api.Config {
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		return &api.Config{Address: server.URL, HttpClient: &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		}}}
	}
	return server.URL, config, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return names
	}
}

func engineOver(t *testing.T, c *api.Config, auth api.AuthMethod) *engine.Engine {
	t.Helper()
	vault, err := api.NewClient(c)
	require.NoError(t, err)
	e, err := engine.New(engine.Options{Vault: vault, Auth: auth, Mount: "keylife"})
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

func TestARenewedCertificateNeedsNoRestart(t *testing.T) {
	f := clienttest.New(t)
	f.CreateKey("orders")
	a, dir := newAuthority(t), t.TempDir()
	_, config, seen := tlsVault(t, a, f)
	c := config()
	require.NoError(t, client.CertificateFiles(c, first(a.issue(t, dir, "one", time.Now().Add(time.Hour))), filepath.Join(dir, "key.pem")))
	e := engineOver(t, c, client.Certificate("billing"))
	_, err := e.Make(t.Context(), "orders")
	require.NoError(t, err)
	a.issue(t, dir, "two", time.Now().Add(time.Hour))
	_, err = e.Make(t.Context(), "orders")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), []byte("half of a ke"), 0o600))
	_, err = e.Make(t.Context(), "orders")
	require.NoError(t, err, "files that are being replaced")
	require.Equal(t, []string{"one", "one", "two", "two"}, seen())
	require.Equal(t, 1, f.Requests()["login"])
}

func first(certFile, _ string) string { return certFile }

func TestAnExpiredCertificateIsAnOutageWithItsReason(t *testing.T) {
	f := clienttest.New(t)
	f.CreateKey("orders")
	a, dir := newAuthority(t), t.TempDir()
	_, config, _ := tlsVault(t, a, f)
	c := config()
	certFile, keyFile := a.issue(t, dir, "one", time.Now().Add(time.Hour))
	require.NoError(t, client.CertificateFiles(c, certFile, keyFile))
	e := engineOver(t, c, client.Certificate(""))
	_, err := e.Make(t.Context(), "orders")
	require.NoError(t, err)

	a.issue(t, dir, "one", time.Now().Add(-time.Minute))
	_, err = e.Make(t.Context(), "orders")
	require.ErrorIs(t, err, client.ErrUnavailable)
	require.ErrorContains(t, err, "client certificate "+certFile+": expired at ")
	require.Equal(t, 1, f.Requests()["datakey"])
}

func TestAServerThatIsNotTrustedIsAnOutage(t *testing.T) {
	f := clienttest.New(t)
	a, dir := newAuthority(t), t.TempDir()
	url, _, _ := tlsVault(t, a, f)
	c := &api.Config{Address: url, HttpClient: &http.Client{Transport: &http.Transport{}}}
	certFile, keyFile := a.issue(t, dir, "one", time.Now().Add(time.Hour))
	require.NoError(t, client.CertificateFiles(c, certFile, keyFile))
	_, err := engineOver(t, c, client.Certificate("")).Make(t.Context(), "orders")
	require.ErrorIs(t, err, client.ErrUnavailable)
	require.ErrorContains(t, err, "certificate")
	require.Empty(t, f.Requests())
}

func TestCertificateFilesThatAreNotThereAreToldAtOnce(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	certFile, keyFile := a.issue(t, dir, "one", time.Now().Add(-time.Minute))
	c := &api.Config{HttpClient: &http.Client{Transport: &http.Transport{}}}
	require.ErrorContains(t, client.CertificateFiles(c, certFile, keyFile), "expired")
	require.ErrorContains(t, client.CertificateFiles(c, certFile, filepath.Join(dir, "none.pem")), "none.pem")
	require.ErrorIs(t, client.CertificateFiles(nil, certFile, keyFile), client.ErrInput)
	require.ErrorIs(t, client.CertificateFiles(&api.Config{HttpClient: &http.Client{Transport: clienttest.New(t)}}, certFile, keyFile), client.ErrInput)
}
