// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"hash"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// WrappedExport asks for a key wrapped with another one, as an import takes it.
type WrappedExport struct {
	Source, Destination string
	Version             int // of the source; 0: all that process
	Hash                string
}

// AllVersions and LatestVersion are what a [WrappedExport] may name instead of a number.
const (
	AllVersions   = 0
	LatestVersion = -1
)

// ExportWrapped returns the source and its versions, wrapped for the active version of an RSA key. Versions that a state keeps
// from processing are left out; to name one is refused.
func (s Transfers) ExportWrapped(ctx context.Context, in WrappedExport) (k lifecycle.Key, wrapped map[int]string, err error) {
	newHash, err := envelope.WrapHash(in.Hash)
	if err != nil {
		return k, nil, asFault(err)
	}
	destination, err := s.data.Governed(ctx, in.Destination)
	if err != nil {
		return k, nil, asFault(err)
	}
	source, err := s.data.Governed(ctx, in.Source)
	if err != nil {
		return k, nil, asFault(err)
	}
	if !source.Exportable {
		return k, nil, refusal.Refusedf("key %q: private key material is not exportable", in.Source)
	}
	to, err := s.wrapsFor(ctx, destination)
	if err != nil {
		return k, nil, err
	}
	wrapped, err = s.wrapVersions(ctx, source, in.Version, to, newHash)
	return *source.Key, wrapped, err
}

// wrapsFor returns the public half of the active version of an RSA key.
func (s Transfers) wrapsFor(ctx context.Context, destination dataplane.Governed) ([]byte, error) {
	if t := lifecycle.TypesOf(destination.Key).Active(); !t.IsRSA() {
		return nil, refusal.AsFault(refusal.Invalidf("destination: key %q is of type %s: must be a rsa key", destination.Name, t))
	}
	number, err := destination.Permissions(destination.Rules).ToProtect(0)
	if err != nil {
		return nil, err
	}
	return s.PublicHalves().of(ctx, destination.Key, number)
}

func (s Transfers) wrapVersions(
	ctx context.Context, source dataplane.Governed, number int, to []byte, newHash func() hash.Hash,
) (map[int]string, error) {
	from, until := source.MinDecryption, source.Latest
	switch {
	case number == LatestVersion:
		from = until
	case number != AllVersions:
		from, until = number, number
	}
	wrapped := map[int]string{}
	for n := from; n <= until; n++ {
		if err := source.Permissions(source.Rules).ToProcess(n); err != nil {
			if number == AllVersions && errors.Is(err, refusal.ErrRefused) {
				continue
			}
			return nil, err
		}
		text, err := s.wrapVersion(ctx, source.Key, n, to, newHash)
		if err != nil {
			return nil, err
		}
		wrapped[n] = text
	}
	return wrapped, nil
}

func (s Transfers) wrapVersion(ctx context.Context, k *lifecycle.Key, n int, to []byte, newHash func() hash.Hash) (string, error) {
	m, err := s.data.Materials().Load(ctx, k, n)
	if err != nil {
		return "", err
	}
	defer m.Wipe()
	if m.Reference() != nil {
		return "", refusal.Refusedf("version %d of key %q is on the token and never leaves it", n, k.Name)
	}
	text, err := envelope.WrapKey(m, to, newHash, s.Rand)
	return text, asFault(err)
}
