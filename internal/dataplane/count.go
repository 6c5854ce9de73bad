// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"errors"
	"sync/atomic"

	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// limitError is a refusal because a usage limit leaves no room. It keeps text and kind of its cause.
type limitError struct{ error }

func (l limitError) Unwrap() error { return l.error }

func limitf(kind func(format string, args ...any) error, format string, args ...any) error {
	return limitError{kind(format, args...)}
}

// count counts the items of a request that ran to its end.
func count[O resultOf](of *observe.Operation, outcomes []O, bytes int64) {
	for _, o := range outcomes {
		counterOf(of, o).Add(1)
	}
	of.Bytes.Add(bytes)
}

// counterOf returns what counts an item of that outcome.
func counterOf[O resultOf](of *observe.Operation, o O) *atomic.Int64 {
	err := o.failure()
	switch {
	case err != nil:
		return counterOfError(of, err)
	case o.unverified():
		return &of.Invalid
	default:
		return &of.OK
	}
}

// counterOfError returns what counts items that end with the error.
func counterOfError(of *observe.Operation, err error) *atomic.Int64 {
	switch {
	case errors.As(err, new(limitError)):
		return &of.Limit
	case errors.Is(err, refusal.ErrRefused):
		return &of.Denied
	case errors.Is(err, refusal.ErrNotFound), !IsFault(err):
		return &of.Invalid
	default:
		return &of.Error
	}
}

// isForwarded reports an error of a node that must not write what the request needs: the node that may counts the request.
func isForwarded(p *Plane, err error) bool {
	return p.ReadOnly != nil && p.ReadOnly() && IsFault(err) && !errors.Is(err, refusal.ErrNotFound)
}
