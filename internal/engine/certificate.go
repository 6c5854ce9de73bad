// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// errOtherLeaf refuses a certificate of another key.
var errOtherLeaf = refusal.AsFault(refusal.Invalidf("certificate_chain: leaf certificate public key does not match the key version selected"))

// SetCertificate gives a version, or the newest one, the certificate chain of its public half, and returns the key.
func (s Versions) SetCertificate(ctx context.Context, name string, number int, chain envelope.Chain, pre Precondition) (lifecycle.Key, error) {
	k, err := s.Acts().Update(ctx, name, func(k lifecycle.Key, at time.Time) (c lifecycle.Commit, err error) {
		if err := refusal.CheckRevision(pre.CAS, k.Revision); err != nil {
			return c, err
		}
		return s.certified(ctx, k, cmp.Or(number, k.Latest), chain, pre.Reason, at)
	})
	switch {
	case errors.Is(err, refusal.ErrRepeated):
		return k, nil
	case err == nil:
		s.Log.Info("set certificate", "key", name, "version", cmp.Or(number, k.Latest), "reason", pre.Reason)
	}
	return k, err
}

// certified decides it.
func (s Versions) certified(
	ctx context.Context, k lifecycle.Key, number int, chain envelope.Chain, reason string, at time.Time,
) (c lifecycle.Commit, err error) {
	t := lifecycle.TypesOf(&k).Of(number)
	switch {
	case !t.SupportsSigning():
		return c, refusal.Invalidf("key type %s does not support signing", t)
	case k.Derived:
		return c, refusal.Invalidf("operation not supported on keys with derivation enabled")
	}
	if err := envelope.Algorithm(t).CheckLeaf(chain); err != nil {
		return c, err
	}
	stored := lifecycle.NewCertificateChain(chain.DER)
	c.Chains = []lifecycle.CertificateChain{stored}
	if c.Key, err = lifecycle.WithCertificate(k, number, stored.Digest); err != nil {
		return c, err
	}
	public, err := s.PublicHalves().of(ctx, &k, number)
	switch {
	case err != nil:
		return c, err
	case !bytes.Equal(public, chain.Public):
		return c, errOtherLeaf
	case c.Key.Revision == k.Revision:
		return lifecycle.Commit{Key: k}, nil
	}
	policy, err := s.data.PolicyOf(ctx, &k)
	if err != nil {
		return c, err
	}
	c.Event = lifecycle.Event{
		Act: string(acts.SetCertificate), Versions: []int{number}, Reason: reason, Details: map[string]string{"certificate_chain": stored.Digest},
	}
	return s.Acts().Complete(ctx, c, policy, at)
}

// CertificateChain returns the certificate chain of a version in PEM; empty: it has none.
func (s PublicHalves) CertificateChain(ctx context.Context, k *lifecycle.Key, number int) (string, error) {
	der, err := s.chain(ctx, k, number)
	return envelope.FormatChain(der), err
}

// chain is CertificateChain, in DER.
func (s PublicHalves) chain(ctx context.Context, k *lifecycle.Key, number int) ([][]byte, error) {
	digest := k.Certificates.Of(number)
	if digest == "" {
		return nil, nil
	}
	return s.store.Versions.CertificateChain(ctx, k.Name, digest)
}

// certificateChains returns those of the versions from the floor on.
func (s PublicHalves) certificateChains(ctx context.Context, k *lifecycle.Key) (map[int]string, error) {
	chains := map[int]string{}
	for _, c := range k.Certificates {
		if c.Version < k.MinDecryption {
			continue
		}
		text, err := s.CertificateChain(ctx, k, c.Version)
		if err != nil {
			return nil, err
		}
		chains[c.Version] = text
	}
	return chains, nil
}
