// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/keylife/vault-plugin-keylife/client/internal/datakeys"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// EncryptStream begins a stream on w and returns where its plaintext goes. The stream is whole when Close returned nil.
// A caller that cannot finish the plaintext must not close it. What becomes of the key, or of the client, meanwhile does not end it.
func (k *Key) EncryptStream(ctx context.Context, w io.Writer, c Context) (io.WriteCloser, error) {
	stream, source, err := k.encryptStream(ctx, w, c)
	k.count("encrypt", source, err)
	if err != nil {
		return nil, err
	}
	return stream, nil
}

func (k *Key) encryptStream(ctx context.Context, w io.Writer, c Context) (*writer, datakeys.Source, error) {
	if k.err != nil {
		return nil, datakeys.Nobody, k.err
	}
	for {
		d, source, err := k.keys.Protecting(ctx, 0)
		if err != nil {
			return nil, source, err
		}
		stream, err := d.NewWriter(w, c)
		if errors.Is(err, kle1.ErrWiped) { // it was dropped since; nothing is written yet
			continue
		}
		return &writer{stream, k.keys, d}, source, err
	}
}

// writer counts what a data key encrypts.
type writer struct {
	io.WriteCloser
	keys *datakeys.Key
	d    *datakeys.DataKey
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.WriteCloser.Write(p)
	w.keys.Count(w.d, n)
	return n, err
}

// DecryptStream opens a stream. That nothing is missing at its end is known at io.EOF only.
func (k *Key) DecryptStream(ctx context.Context, r io.Reader, c Context) (io.Reader, error) {
	plaintext, source, err := k.decryptStream(ctx, r, c)
	k.count("decrypt", source, err)
	return plaintext, err
}

func (k *Key) decryptStream(ctx context.Context, r io.Reader, c Context) (io.Reader, datakeys.Source, error) {
	if k.err != nil {
		return nil, datakeys.Nobody, k.err
	}
	h, err := kle1.ReadHeader(r)
	if err == nil && h.Suite != kle1.Stream {
		err = ErrInvalidMessage
	}
	if err != nil {
		return nil, datakeys.Nobody, err
	}
	for {
		d, source, err := k.keys.Processing(ctx, h.EDK)
		if err != nil {
			return nil, source, err
		}
		plaintext, err := d.NewReader(h, r, c)
		if errors.Is(err, kle1.ErrWiped) { // it was dropped since; nothing is read yet
			continue
		}
		return plaintext, source, err
	}
}

// RewrapStream copies a message of any size from r to w, under the newest version of the key. It takes the binary form.
func (k *Key) RewrapStream(ctx context.Context, w io.Writer, r io.Reader) error {
	source, err := k.rewrapStream(ctx, w, r)
	k.count("rewrap", source, err)
	return err
}

func (k *Key) rewrapStream(ctx context.Context, w io.Writer, r io.Reader) (datakeys.Source, error) {
	if k.err != nil {
		return datakeys.Nobody, k.err
	}
	h, err := kle1.ReadHeader(r)
	if err != nil {
		return datakeys.Nobody, err
	}
	item := k.keys.Rewrap(ctx, []string{string(h.EDK)})[0]
	if item.Err != nil {
		return datakeys.Nobody, item.Err
	}
	head, err := h.Rewrapped(item.EDK)
	if err == nil {
		_, err = io.Copy(w, io.MultiReader(bytes.NewReader(head), r))
	}
	return datakeys.Asked, err
}
