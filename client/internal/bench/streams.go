// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/client"
)

const (
	piece      = 1 << 20
	pieces     = 1 << 10 // a stream of 1 GiB
	heldPieces = 64      // of a message that is kept in memory
)

// streams compares streams with AES-256-GCM of the same size in pieces of 1 MiB.
func streams(ctx context.Context, b *bench) error {
	c, key, err := open(b.vault)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	raw, err := rawSteps()
	if err != nil {
		return err
	}
	own, err := ownSteps(ctx, key)
	if err != nil {
		return err
	}
	used, err := b.meter.inTurns(raw[0], own[0], raw[1], own[1], own[2])
	if err != nil {
		return err
	}
	for name, values := range used {
		b.results[name+"_mib_per_s"] = pieces / median(values)
	}
	b.results["stream_encrypt_ratio"] = ratio(used["raw_encrypt"], used["stream_encrypt"])
	b.results["stream_decrypt_ratio"] = ratio(used["raw_decrypt"], used["stream_decrypt"])
	b.results["stream_read_ratio"] = ratio(used["raw_decrypt"], used["stream_read"])
	return nil
}

// rawSteps are what there is to compare with. They read as much memory as the streams, and write to the same again and again.
func rawSteps() (steps [2]step, err error) {
	gcm, err := rawGCM()
	if err != nil {
		return steps, err
	}
	plaintext, out, nonce := make([]byte, piece), make([]byte, 0, piece+gcm.Overhead()), make([]byte, gcm.NonceSize())
	sealed := make([][]byte, heldPieces)
	for i := range sealed {
		sealed[i] = gcm.Seal(nil, nonce, plaintext, nil) //nolint:gosec // G407: nothing of it is kept
	}
	encrypt := func() error {
		for range pieces {
			gcm.Seal(out, nonce, plaintext, nil)
		}
		return nil
	}
	decrypt := func() error {
		for i := range pieces {
			if _, err := gcm.Open(out, nonce, sealed[i%heldPieces], nil); err != nil {
				return err
			}
		}
		return nil
	}
	return [2]step{{"raw_encrypt", 1, encrypt}, {"raw_decrypt", 1, decrypt}}, nil
}

// ownSteps encrypt, decrypt by io.Copy, and decrypt by reads of a mebibyte, which copy the plaintext once more.
func ownSteps(ctx context.Context, key *client.Key) (steps [3]step, err error) {
	buffer := make([]byte, piece)
	encryptTo := func(w io.Writer, count int) error {
		stream, err := key.EncryptStream(ctx, w, fieldContext)
		if err != nil {
			return err
		}
		return writePieces(stream, buffer, count)
	}
	var message bytes.Buffer
	if err := encryptTo(&message, heldPieces); err != nil {
		return steps, err
	}
	decrypt := func(take func(io.Reader) error) func() error {
		return func() error {
			for range pieces / heldPieces {
				stream, err := key.DecryptStream(ctx, bytes.NewReader(message.Bytes()), fieldContext)
				if err != nil {
					return err
				}
				if err := take(stream); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return [3]step{
		{"stream_encrypt", 1, func() error { return encryptTo(io.Discard, pieces) }},
		{"stream_decrypt", 1, decrypt(copyPieces)},
		{"stream_read", 1, decrypt(func(stream io.Reader) error { return readPieces(stream, buffer, heldPieces) })},
	}, nil
}

func copyPieces(stream io.Reader) error {
	n, err := io.Copy(io.Discard, stream)
	if err == nil && n != heldPieces*piece {
		err = fmt.Errorf("%d bytes, want %d", n, heldPieces*piece)
	}
	return err
}

func rawGCM() (cipher.AEAD, error) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func writePieces(stream io.WriteCloser, plaintext []byte, count int) error {
	for range count {
		if _, err := stream.Write(plaintext); err != nil {
			return err
		}
	}
	return stream.Close()
}

func readPieces(stream io.Reader, buffer []byte, count int) error {
	for n := range count {
		if _, err := io.ReadFull(stream, buffer); err != nil {
			return fmt.Errorf("piece %d: %w", n, err)
		}
	}
	switch _, err := io.ReadFull(stream, buffer[:1]); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fmt.Errorf("after the last piece: %w", err)
	}
	return errors.New("more than was written")
}

// printPeak encrypts so many pieces and decrypts them at the same time, in a process that does nothing else.
func printPeak(ctx context.Context, vault *api.Client, count int) error {
	c, key, err := open(vault)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	source, target := io.Pipe()
	written := make(chan error, 1)
	go func() {
		stream, err := key.EncryptStream(ctx, target, nil)
		if err == nil {
			err = writePieces(stream, make([]byte, piece), count)
		}
		written <- target.CloseWithError(err)
	}()
	stream, err := key.DecryptStream(ctx, source, nil)
	if err != nil {
		return err
	}
	if err := readPieces(stream, make([]byte, piece), count); err != nil {
		return err
	}
	if err := <-written; err != nil {
		return err
	}
	peak, err := peakMiB()
	if err == nil {
		fmt.Printf("%.1f\n", peak)
	}
	return err
}
