// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"strconv"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// WrappedExport asks for a key wrapped with another one, as an import takes it.
type WrappedExport struct {
	Source, Destination string
	Version             string // of the source, as in [Exporting]
	Hash                string
	Reason              string
}

// ExportWrapped gives out versions of the source, wrapped for the active version of an RSA key. It is an export like those in the clear:
// whoever has the private half of the destination has the material.
func (s Transfers) ExportWrapped(ctx context.Context, in WrappedExport) (Exported, error) {
	newHash, err := envelope.WrapHash(in.Hash)
	if err != nil {
		return Exported{}, asFault(err)
	}
	destination, err := s.data.Governed(ctx, in.Destination)
	if err != nil {
		return Exported{}, asFault(err)
	}
	source, err := s.data.Key(ctx, in.Source)
	if err != nil {
		return Exported{}, asFault(err)
	}
	if err := lifecycle.CheckExport(*source); err != nil {
		return Exported{}, err
	}
	to, err := s.wrapsFor(ctx, destination)
	if err != nil {
		return Exported{}, err
	}
	kind := exportKind{supported: every, private: func(_ envelope.Algorithm, m envelope.Material, _ envelope.Encoding) (any, error) {
		text, err := envelope.WrapKey(m, to.Public, newHash, s.Rand)
		return text, asFault(err)
	}}
	e := &exporting{
		Exporting: Exporting{Version: in.Version, Reason: in.Reason}, kind: kind, act: acts.ExportWrapped,
		details: map[string]string{"destination": in.Destination, "destination_version": strconv.Itoa(to.Number), "destination_fingerprint": to.Fingerprint},
	}
	return e.run(ctx, s, in.Source)
}

// wrapsFor returns the active version of an RSA key, for its public half.
func (s Transfers) wrapsFor(ctx context.Context, destination dataplane.Governed) (v lifecycle.Version, err error) {
	if t := lifecycle.TypesOf(destination.Key).Active(); !t.IsRSA() {
		return v, refusal.AsFault(refusal.Invalidf("destination: key %q is of type %s: must be a rsa key", destination.Name, t))
	}
	number, err := destination.Permissions(destination.Rules).ToProtect(0)
	if err != nil {
		return v, err
	}
	v, err = s.store.Versions.Version(ctx, destination.Name, number)
	if err == nil && v.KeyID != destination.ID {
		err = refusal.NoVersion(destination.Name, number)
	}
	return v, err
}
