// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Item is one thing to encrypt, decrypt or rewrap. All texts but a ciphertext are standard base64.
type Item struct {
	Text           string // plaintext or ciphertext
	Context        string // for derived keys
	Nonce          string // accepted for Transit's clients, refused where Transit refuses it
	AssociatedData string
	IV             string // accepted for Transit's clients; no key type of this release takes one
	Padding        string // of RSA keys; where it is rewrapped, for opening it
	NewPadding     string // of RSA keys, where it is rewrapped, for protecting it anew
	Hash           string // of OAEP; where it is rewrapped, for opening it
	NewHash        string // of OAEP, where it is rewrapped, for protecting it anew
	Version        int    // to protect with; 0: the active version
}

// Outcome is what became of an item.
type Outcome struct {
	Text    string
	Version int // the version that protected; 0 where nothing was protected
	Err     error

	from int // the version that opened
}

func (o Outcome) failure() error   { return o.Err }
func (o Outcome) unverified() bool { return false }

// ErrExtra is matched by the error of an item that brings what keys of its type do not take: a padding scheme, or associated data.
var ErrExtra = errors.New("not taken by keys of this type")

// extraError keeps the text of its cause.
type extraError struct{ error }

func (e extraError) Is(target error) bool { return target == ErrExtra }
func (e extraError) Unwrap() error        { return e.error }

// ErrFault is matched by an item's error that is not the caller's fault.
var ErrFault = errors.New("internal error")

// faultError keeps the text of its cause.
type faultError struct{ error }

func (f faultError) Is(target error) bool { return target == ErrFault }
func (f faultError) Unwrap() error        { return f.error }

// IsFault reports whether an error is neither the caller's to mend nor a refusal.
func IsFault(err error) bool { return errors.Is(classify(err), ErrFault) }

// classify marks an error as ours unless the caller's data or the key's state caused it.
func classify(err error) error {
	for _, theirs := range []error{envelope.ErrInput, refusal.ErrInvalid, refusal.ErrRefused, refusal.ErrConflict, refusal.ErrConsent} {
		if errors.Is(err, theirs) {
			return err
		}
	}
	return faultError{err}
}

var (
	errNonce         = refusal.Invalidf("provided nonce not allowed for this key")
	errNoCiphertext  = refusal.Invalidf("missing ciphertext to decrypt")
	errMixedContext  = refusal.Invalidf("context should be set either in all the request blocks or in none")
	errNothingToSeal = refusal.Invalidf("missing batch input to process")
)

// checkItems refuses a batch as a whole.
func checkItems(items []Item) error {
	if len(items) == 0 {
		return errNothingToSeal
	}
	for i := range items {
		if (items[i].Context == "") != (items[0].Context == "") {
			return errMixedContext
		}
	}
	return nil
}

// Encrypt protects the items with the key. The error is that of the request; items fail on their own.
func (s *Session) Encrypt(ctx context.Context, name string, items []Item) ([]Outcome, error) {
	return s.each(ctx, &s.plane.Observe.Encrypt, name, items, allowed(lifecycle.UseEncrypt, (*snapshot).encrypt))
}

// Decrypt opens the items.
func (s *Session) Decrypt(ctx context.Context, name string, items []Item) ([]Outcome, error) {
	return s.each(ctx, &s.plane.Observe.Decrypt, name, items, allowed(lifecycle.UseDecrypt, (*snapshot).decrypt))
}

// Rewrap opens the items and protects them anew; the plaintexts do not leave the data plane.
func (s *Session) Rewrap(ctx context.Context, name string, items []Item) ([]Outcome, error) {
	return s.each(ctx, &s.plane.Observe.Rewrap, name, items, allowed(lifecycle.UseRewrap, (*snapshot).rewrap))
}

func (s *Session) each(
	ctx context.Context, of *observe.Operation, name string, items []Item, do func(*snapshot, context.Context, *Item) Outcome,
) ([]Outcome, error) {
	if err := checkItems(items); err != nil {
		return nil, err
	}
	return each(ctx, s, of, name, items, do)
}

// allowed is do for keys that may be used so. Others refuse the request, whatever its items are.
func allowed(use lifecycle.AllowedUse, do func(*snapshot, context.Context, *Item) Outcome) func(*snapshot, context.Context, *Item) Outcome {
	return func(s *snapshot, ctx context.Context, item *Item) Outcome {
		if err := lifecycle.CheckUse(s.k.Key, use); err != nil {
			return Outcome{Err: requestError{err}}
		}
		return do(s, ctx, item)
	}
}
