// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Item is one thing to encrypt, decrypt or rewrap. All texts but a ciphertext are standard base64.
type Item struct {
	Text           string // plaintext or ciphertext
	Context        string // for derived keys
	Nonce          string // accepted for Transit's clients, refused where Transit refuses it
	AssociatedData string
	IV             string // accepted for Transit's clients; no key type of this release takes one
	Padding        string // RSA padding scheme; no key type of this release takes one
	Version        int    // to protect with; 0: the active version
}

// Outcome is what became of an item.
type Outcome struct {
	Text    string
	Version int // the version that protected; 0 where nothing was protected
	Err     error
}

// ErrPadding is the error of an item that names a padding scheme for a key that takes none.
var ErrPadding = lifecycle.Invalidf("padding_scheme: padding schemes are for RSA keys only")

// ErrFault is matched by an item's error that is not the caller's fault.
var ErrFault = errors.New("internal error")

// faultError keeps the text of its cause.
type faultError struct{ error }

func (f faultError) Is(target error) bool { return target == ErrFault }
func (f faultError) Unwrap() error        { return f.error }

// classify marks an error as ours unless the caller's data or the key's state caused it.
func classify(err error) error {
	for _, theirs := range []error{envelope.ErrInput, lifecycle.ErrInvalid, lifecycle.ErrRefused, lifecycle.ErrConflict} {
		if errors.Is(err, theirs) {
			return err
		}
	}
	return faultError{err}
}

var (
	errNonce         = lifecycle.Invalidf("provided nonce not allowed for this key")
	errNoCiphertext  = lifecycle.Invalidf("missing ciphertext to decrypt")
	errMixedContext  = lifecycle.Invalidf("context should be set either in all the request blocks or in none")
	errNothingToSeal = lifecycle.Invalidf("missing batch input to process")
)

// checkItems refuses a batch as a whole.
func checkItems(items []Item) error {
	if len(items) == 0 {
		return errNothingToSeal
	}
	for _, item := range items {
		if (item.Context == "") != (items[0].Context == "") {
			return errMixedContext
		}
	}
	return nil
}

// Encrypt protects the items with the key. The error is that of the request; items fail on their own.
func (e *Engine) Encrypt(ctx context.Context, r Repo, name string, items []Item) ([]Outcome, error) {
	return e.each(ctx, r, name, items, e.encrypt)
}

// Decrypt opens the items.
func (e *Engine) Decrypt(ctx context.Context, r Repo, name string, items []Item) ([]Outcome, error) {
	return e.each(ctx, r, name, items, e.decrypt)
}

// Rewrap opens the items and protects them anew; the plaintexts do not leave the engine.
func (e *Engine) Rewrap(ctx context.Context, r Repo, name string, items []Item) ([]Outcome, error) {
	return e.each(ctx, r, name, items, e.rewrap)
}

// governedKey is the key that a request is about, with the rules in force for it.
type governedKey struct {
	*lifecycle.Key
	rules lifecycle.EffectiveRules
}

// governedKey returns one snapshot of the key, so that one request sees one state.
func (e *Engine) governedKey(ctx context.Context, r Repo, name string) (governedKey, error) {
	k, err := e.key(ctx, r, name)
	if err != nil {
		return governedKey{}, err
	}
	rules, err := e.rulesFor(ctx, r, k)
	return governedKey{k, rules}, err
}

type itemFunc = func(ctx context.Context, r Repo, k governedKey, item *Item) Outcome

// snapshots is how often a request begins anew because its key was changed under it.
const snapshots = 3

// each runs an operation over the items.
func (e *Engine) each(ctx context.Context, r Repo, name string, items []Item, do itemFunc) (outcomes []Outcome, err error) {
	if err := checkItems(items); err != nil {
		return nil, err
	}
	for range snapshots {
		k, err := e.governedKey(ctx, r, name)
		if err != nil {
			return nil, err
		}
		if outcomes, err = e.all(ctx, r, k, items, do); !errors.Is(err, errStale) {
			return outcomes, err
		}
	}
	return nil, errStale
}

// all runs it over the items with one snapshot of the key.
func (e *Engine) all(ctx context.Context, r Repo, k governedKey, items []Item, do itemFunc) ([]Outcome, error) {
	outcomes := make([]Outcome, len(items))
	for i := range items {
		outcomes[i] = do(ctx, r, k, &items[i])
		if err := outcomes[i].Err; errors.Is(err, errStale) || errors.As(err, new(leaseError)) {
			return nil, err
		}
	}
	e.countDenied(ctx, r, k.Key, items, outcomes)
	return outcomes, nil
}

// Datakey draws a key of that many bits and returns it in the clear and protected with item's parameters.
func (e *Engine) Datakey(ctx context.Context, r Repo, name string, bits int, item Item) (plaintext string, wrapped Outcome, err error) {
	if _, err := e.key(ctx, r, name); err != nil {
		return "", Outcome{}, err
	}
	if item.Nonce != "" {
		return "", Outcome{}, faultError{errNonce}
	}
	if err := checkAssociatedData(item.AssociatedData); err != nil {
		return "", Outcome{}, err
	}
	raw := make([]byte, bits/8)
	defer clear(raw)
	if _, err := io.ReadFull(e.rand, raw); err != nil {
		return "", Outcome{}, fmt.Errorf("draw data key: %w", err)
	}
	item.Text = base64.StdEncoding.EncodeToString(raw)
	outcomes, err := e.Encrypt(ctx, r, name, []Item{item})
	if err != nil {
		return "", Outcome{}, err
	}
	return item.Text, outcomes[0], outcomes[0].Err
}
