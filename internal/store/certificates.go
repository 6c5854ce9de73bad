// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

const certificatesPrefix = "certificates/"

func certificatePath(name, digest string) string { return certificatesPrefix + name + "/" + digest }

// certificateRecord is certificates/<name>/<digest>: a chain, the leaf first. It never changes: another chain is another entry.
type certificateRecord struct {
	Schema int      `json:"schema"`
	Chain  [][]byte `json:"chain"`
}

// certificateJSON names the chain of a version in its key's record.
type certificateJSON struct {
	Version int    `json:"v"`
	Digest  string `json:"d"`
}

func certificatesJSON(list lifecycle.Certificates) []certificateJSON {
	var out []certificateJSON
	for _, c := range list {
		out = append(out, certificateJSON(c))
	}
	return out
}

func certificatesOf(list []certificateJSON) (out lifecycle.Certificates) {
	for _, c := range list {
		out = append(out, lifecycle.Certificate(c))
	}
	return out
}

// CertificateChain returns the chain of that digest, which a version of the key has.
func (r Versions) CertificateChain(ctx context.Context, name, digest string) ([][]byte, error) {
	var rec certificateRecord
	path := certificatePath(name, digest)
	_, found, err := read(ctx, r.conn, path, &rec)
	if err != nil {
		return nil, err
	}
	if !found || lifecycle.NewCertificateChain(rec.Chain).Digest != digest {
		return nil, fmt.Errorf("%s: %w", path, ErrCorrupt)
	}
	return rec.Chain, nil
}

// putChains writes the chains that the next record refers to.
func (r Keys) putChains(ctx context.Context, c change) error {
	for _, chain := range c.Chains {
		if err := r.put(ctx, certificatePath(c.Key.Name, chain.Digest), certificateRecord{schema, chain.DER}, nil); err != nil {
			return err
		}
	}
	return nil
}

// dropChains removes the chains that only the record before referred to.
func (r Keys) dropChains(ctx context.Context, c change) {
	if len(c.Chains) == 0 {
		return
	}
	for _, was := range c.current.Certificates {
		if !c.Key.Certificates.Has(was.Digest) {
			r.dropped("certificate chain that no version has is left", r.delete(ctx, certificatePath(c.Key.Name, was.Digest)))
		}
	}
}
