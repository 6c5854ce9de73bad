// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

// snapshot is the key of a request as the request sees it.
type snapshot struct {
	*Session
	k     Governed
	may   lifecycle.Permissions
	used  tally
	bytes int64 // that were protected, opened, signed, verified or authenticated
}

// snapshots is how often a request begins anew because its key was changed under it.
const snapshots = 3

// An itemOf is an item of any kind, such as [Item].
type itemOf[I any] interface {
	*I
	cited
}

// cited is an item that brings something which a version made. Those that do not bring anything are never denied.
type cited interface {
	// citedVersion returns the version that the item says made it; false: nothing could have.
	citedVersion() (int, bool)
	// mayBeOf reports whether the version of the cipher made it, or whether nobody can tell because the token that has to be
	// asked is away.
	mayBeOf(ctx context.Context, c *envelope.Cipher) bool
}

// resultOf is what became of an item.
type resultOf interface {
	failure() error
	unverified() bool // it did not fail, and what was to be verified is not the key's
}

// requestError is an error of an item that ends the request.
type requestError struct{ error }

func (r requestError) Unwrap() error { return r.error }

// each runs an operation over the items, and counts what became of them.
func each[I any, P itemOf[I], O resultOf](
	ctx context.Context, s *Session, of *observe.Operation, name string, items []I, do func(*snapshot, context.Context, P) O,
) ([]O, error) {
	outcomes, bytes, err := eachAnew(ctx, s, name, items, do)
	switch {
	case err == nil:
		count(of, outcomes, bytes)
	case !isForwarded(s.plane, err):
		counterOfError(of, err).Add(int64(len(items)))
	}
	return outcomes, err
}

// eachAnew runs an operation over the items, and begins anew where the key is changed under it.
func eachAnew[I any, P itemOf[I], O resultOf](
	ctx context.Context, s *Session, name string, items []I, do func(*snapshot, context.Context, P) O,
) (outcomes []O, bytes int64, err error) {
	for range snapshots {
		k, err := s.Governed(ctx, name)
		if err != nil {
			return nil, 0, err
		}
		of := &snapshot{Session: s, k: k, may: *k.Permissions(k.Rules)}
		if outcomes, err = all(ctx, of, items, do); !errors.Is(err, errStale) {
			return outcomes, of.bytes, err
		}
	}
	return nil, 0, errStale
}

// all runs it over the items with one snapshot of the key.
func all[I any, P itemOf[I], O resultOf](ctx context.Context, s *snapshot, items []I, do func(*snapshot, context.Context, P) O) ([]O, error) {
	outcomes := make([]O, len(items))
	for i := range items {
		outcomes[i] = do(s, ctx, &items[i])
		if err := outcomes[i].failure(); err != nil && (errors.Is(err, errStale) || errors.As(err, new(requestError))) {
			return nil, err
		}
	}
	denied := deniedAmong[I, P](items, outcomes)
	if s.countDenied(ctx, denied) && s.plane.ReadOnly != nil && s.plane.ReadOnly() {
		return outcomes, s.StoreDenied(ctx, s.k.Name) // no tick does it here; the storage says who can
	}
	s.countUses(denied)
	return outcomes, nil
}
