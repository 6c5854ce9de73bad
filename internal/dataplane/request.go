// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// CertificateRequest returns a certificate request of a version, signed with it, in PEM. It has what template asks for, in PEM, too.
// It is a use of the key like a signature.
func CertificateRequest(ctx context.Context, s *Session, name string, version int, template string) (string, error) {
	outcomes, err := s.each(ctx, &s.plane.Observe.CSR, name, []Item{{Text: template, Version: version}}, allowed(lifecycle.UseSign, (*snapshot).certificateRequest))
	if err != nil {
		return "", err
	}
	return outcomes[0].Text, outcomes[0].Err
}

func (s *snapshot) certificateRequest(ctx context.Context, item *Item) Outcome {
	switch t := lifecycle.TypesOf(s.k.Key).Named(item.Version); {
	case !t.SupportsSigning():
		return Outcome{Err: refusal.Invalidf("key type '%s' does not support signing", t)}
	case s.k.Derived:
		return Outcome{Err: refusal.Invalidf("operation not supported on keys with derivation enabled")}
	}
	version, err := s.may.ToProtect(item.Version)
	if err != nil {
		return Outcome{Err: err}
	}
	text, err := s.request(ctx, s.k.Key, version, item.Text)
	if err != nil {
		return Outcome{Err: classify(err)}
	}
	charged, to, err := s.charge(ctx, s.k, version, chargeFor("csr", int64(len(item.Text)), item.Version))
	if err == nil && to != version {
		text, err = s.request(ctx, charged.Key, to, item.Text)
	}
	if err != nil {
		return Outcome{Err: classify(err)}
	}
	s.bytes += int64(len(item.Text))
	return s.protected(lifecycle.UseSign, Outcome{Text: text, Version: to})
}

func (s *snapshot) request(ctx context.Context, k *lifecycle.Key, version int, template string) (string, error) {
	wanted, err := envelope.ParseRequest(template)
	if err != nil {
		return "", err
	}
	c, err := s.cipher(ctx, k, version)
	if err != nil {
		return "", err
	}
	if err := s.connected(ctx, c); err != nil {
		return "", err
	}
	text, err := c.Request(ctx, wanted)
	return text, s.outcome(ctx, k, c, err)
}
