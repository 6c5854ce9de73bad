// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client

import (
	"context"
	"errors"
	"io"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// Context is authenticated with a message and not stored in it: whoever opens the message gives it again.
type Context = kle1.Context

// Key encrypts and decrypts under one key of the engine. It may be used by many goroutines at once.
type Key struct{ name string }

var errNotBuilt = errors.New("not built")

// Encrypt encrypts at most 64 MiB to a message.
func (k *Key) Encrypt(ctx context.Context, plaintext []byte, c Context) ([]byte, error) {
	return nil, errNotBuilt
}

// EncryptText is Encrypt to the text form, for columns that take no bytes.
func (k *Key) EncryptText(ctx context.Context, plaintext []byte, c Context) (string, error) {
	return "", errNotBuilt
}

// Decrypt opens a message, in its binary or its text form.
func (k *Key) Decrypt(ctx context.Context, message []byte, c Context) ([]byte, error) {
	return nil, errNotBuilt
}

// DecryptMany opens messages; data keys that are not in memory are asked for in one request. Contexts are one for each message, or one for
// all. The error joins an [ItemError] for each message that did not open; its plaintext is nil.
func (k *Key) DecryptMany(ctx context.Context, messages [][]byte, contexts ...Context) ([][]byte, error) {
	return nil, errNotBuilt
}

// EncryptStream begins a stream on w and returns where its plaintext goes. The stream is whole when Close returned nil.
// A caller that cannot finish the plaintext must not close it.
func (k *Key) EncryptStream(ctx context.Context, w io.Writer, c Context) (io.WriteCloser, error) {
	return nil, errNotBuilt
}

// DecryptStream opens a stream. That nothing is missing at its end is known at io.EOF only.
func (k *Key) DecryptStream(ctx context.Context, r io.Reader, c Context) (io.Reader, error) {
	return nil, errNotBuilt
}

// Rewrap puts messages under the newest version of the key. Neither plaintext nor data key is seen, and bodies stay. Errors are as of
// DecryptMany.
func (k *Key) Rewrap(ctx context.Context, messages [][]byte) ([][]byte, error) {
	return nil, errNotBuilt
}

// RewrapStream copies a message of any size from r to w, under the newest version of the key.
func (k *Key) RewrapStream(ctx context.Context, w io.Writer, r io.Reader) error {
	return errNotBuilt
}

// Version tells the version that Encrypt uses now.
func (k *Key) Version(ctx context.Context) (int, error) { return 0, errNotBuilt }

// Refresh asks the engine now for what it would be asked for in time: a new data key, and proofs of those in use.
func (k *Key) Refresh(ctx context.Context) error { return errNotBuilt }
