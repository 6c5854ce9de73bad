// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// CertificateFiles makes connections present the client certificate of two PEM files, which each handshake reads anew: a
// certificate that is renewed in place needs no restart. It changes the configuration, before a client is made of it.
func CertificateFiles(c *api.Config, certFile, keyFile string) error {
	if c == nil || c.HttpClient == nil {
		return fmt.Errorf("client certificate: no configuration as of api.DefaultConfig: %w", kle1.ErrInput)
	}
	transport, ok := c.HttpClient.Transport.(*http.Transport)
	if !ok {
		return fmt.Errorf("client certificate: transport %T, want *http.Transport: %w", c.HttpClient.Transport, kle1.ErrInput)
	}
	files := &certificateFiles{cert: certFile, key: keyFile}
	if _, err := files.read(nil); err != nil {
		return err
	}
	if transport.TLSClientConfig == nil {
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	transport.TLSClientConfig.GetClientCertificate = files.read
	return nil
}

// certificateFiles are read at each handshake. While one of them is being replaced they do not fit together; what was read
// before serves until it expires.
type certificateFiles struct {
	cert, key string
	last      atomic.Pointer[tls.Certificate]
}

func (f *certificateFiles) read(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err == nil {
		f.last.Store(&pair)
	} else if last := f.last.Load(); last == nil || expired(last.Leaf) {
		return nil, fmt.Errorf("client certificate %s, key %s: %w", f.cert, f.key, err)
	} else {
		pair = *last
	}
	if expired(pair.Leaf) {
		return nil, fmt.Errorf("client certificate %s: expired at %s", f.cert, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return &pair, nil
}

func expired(leaf *x509.Certificate) bool { return time.Now().After(leaf.NotAfter) }
