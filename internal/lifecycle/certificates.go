// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Certificate names the certificate chain of a version.
type Certificate struct {
	Version int
	Digest  string // of the chain
}

// Certificates are those of a key, by version, ascending. They are shared between snapshots of the key, so never changed in place.
type Certificates []Certificate

// mostCertificates bounds how many versions of a key may have one: its record names them.
const mostCertificates = 1024

// CertificateChain is a chain that a commit stores.
type CertificateChain struct {
	Digest string
	DER    [][]byte
}

// NewCertificateChain returns the chain with its digest.
func NewCertificateChain(der [][]byte) CertificateChain {
	sum := sha256.New()
	for _, one := range der {
		digest := sha256.Sum256(one)
		sum.Write(digest[:])
	}
	return CertificateChain{hex.EncodeToString(sum.Sum(nil)[:16]), der}
}

// Of returns the digest of a version's chain; empty: it has none.
func (c Certificates) Of(version int) string {
	i, found := c.find(version)
	if !found {
		return ""
	}
	return c[i].Digest
}

// Has reports whether a version has the chain.
func (c Certificates) Has(digest string) bool {
	return slices.ContainsFunc(c, func(one Certificate) bool { return one.Digest == digest })
}

func (c Certificates) find(version int) (int, bool) {
	return slices.BinarySearchFunc(c, version, func(one Certificate, v int) int { return one.Version - v })
}

// WithCertificate returns the key with the chain of a version. The error is [refusal.ErrRefused].
func WithCertificate(k Key, version int, digest string) (Key, error) {
	switch {
	case version < max(k.MinDecryption, 1) || version > k.Latest:
		return k, refusal.Refusedf("no such key version: version %d of key %q, which has %d to %d", version, k.Name, k.MinDecryption, k.Latest)
	case k.IsDestroyed(version):
		return k, refusal.Refusedf("version %d of key %q is destroyed: it gets no certificate", version, k.Name)
	case k.Certificates.Of(version) == digest:
		return k, nil
	}
	next := k
	next.Certificates = slices.Clone(k.Certificates)
	if i, found := k.Certificates.find(version); found {
		next.Certificates[i].Digest = digest
	} else {
		next.Certificates = slices.Insert(next.Certificates, i, Certificate{version, digest})
	}
	if len(next.Certificates) > mostCertificates {
		return k, refusal.Refusedf("key %q has %d versions with a certificate, and can have no more", k.Name, mostCertificates)
	}
	next.Revision = after(k.Revision)
	return next, nil
}
