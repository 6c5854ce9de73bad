// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client

import (
	"context"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/client/internal/datakeys"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// Context is authenticated with a message and not stored in it: whoever opens the message gives it again.
type Context = kle1.Context

// Key encrypts and decrypts under one key of the engine. It may be used by many goroutines at once.
type Key struct {
	client *Client
	name   string
	keys   *datakeys.Key
	err    error // of the name
}

// Encrypt encrypts at most 64 MiB to a message.
func (k *Key) Encrypt(ctx context.Context, plaintext []byte, c Context) ([]byte, error) {
	message, source, err := k.encrypt(ctx, plaintext, c)
	k.count("encrypt", source, err)
	return message, err
}

func (k *Key) encrypt(ctx context.Context, plaintext []byte, c Context) ([]byte, datakeys.Source, error) {
	if k.err != nil {
		return nil, datakeys.Nobody, k.err
	}
	if err := kle1.CheckPlaintext(plaintext); err != nil {
		return nil, datakeys.Nobody, err
	}
	d, source, err := k.keys.Protecting(ctx, len(plaintext))
	if err != nil {
		return nil, source, err
	}
	message, err := d.Seal(plaintext, c)
	return message, source, err
}

// EncryptText is Encrypt to the text form, for columns that take no bytes.
func (k *Key) EncryptText(ctx context.Context, plaintext []byte, c Context) (string, error) {
	message, err := k.Encrypt(ctx, plaintext, c)
	if err != nil {
		return "", err
	}
	return kle1.Text(message), nil
}

// Decrypt opens a message, in its binary or its text form.
func (k *Key) Decrypt(ctx context.Context, message []byte, c Context) ([]byte, error) {
	plaintext, source, err := k.decrypt(ctx, message, c)
	k.count("decrypt", source, err)
	return plaintext, err
}

func (k *Key) decrypt(ctx context.Context, message []byte, c Context) ([]byte, datakeys.Source, error) {
	m, err := k.field(message)
	if err != nil {
		return nil, datakeys.Nobody, err
	}
	d, source, err := k.keys.Processing(ctx, m.EDK)
	if err != nil {
		return nil, source, err
	}
	plaintext, err := d.Open(m, c)
	return plaintext, source, err
}

// field takes a message in one piece apart.
func (k *Key) field(message []byte) (kle1.Message, error) {
	if k.err != nil {
		return kle1.Message{}, k.err
	}
	m, _, err := parse(message)
	if err == nil && m.Suite != kle1.Field {
		err = ErrInvalidMessage
	}
	return m, err
}

// DecryptMany opens messages; data keys that are not in memory are asked for in one request. Contexts are one for each message, or one for
// all. The error joins an [ItemError] for each message that did not open; its plaintext is nil.
func (k *Key) DecryptMany(ctx context.Context, messages [][]byte, contexts ...Context) ([][]byte, error) {
	if n := len(contexts); n > 1 && n != len(messages) {
		return nil, fmt.Errorf("contexts: %d for %d messages, want one for each or one for all: %w", n, len(messages), ErrInput)
	}
	b := newBatch(len(messages))
	parsed := make([]kle1.Message, len(messages))
	for i, message := range messages {
		m, err := k.field(message)
		parsed[i] = m
		b.add(i, m.EDK, err)
	}
	if k.err == nil {
		k.keys.ProcessingMany(ctx, b.uses)
	}
	plaintexts := make([][]byte, len(messages))
	err := b.finish(func(i int, u datakeys.Use, err error) error {
		if err == nil {
			plaintexts[i], err = u.DataKey.Open(parsed[i], contextOf(contexts, i))
		}
		k.count("decrypt", u.Source, err)
		return err
	})
	return plaintexts, err
}

func contextOf(contexts []Context, i int) Context {
	switch len(contexts) {
	case 0:
		return nil
	case 1:
		return contexts[0]
	}
	return contexts[i]
}

// Rewrap puts messages under the newest version of the key. Neither plaintext nor data key is seen, and bodies stay; so does the form of each
// message. Errors are as of DecryptMany.
func (k *Key) Rewrap(ctx context.Context, messages [][]byte) ([][]byte, error) {
	b := newBatch(len(messages))
	for i, message := range messages {
		m, _, err := parse(message)
		if k.err != nil {
			err = k.err
		}
		b.add(i, m.EDK, err)
	}
	edks := k.rewrapped(ctx, b.uses)
	rewrapped := make([][]byte, len(messages))
	err := b.finish(func(i int, u datakeys.Use, err error) error {
		if err == nil {
			rewrapped[i], err = withEDK(messages[i], edks[u.EDK])
		}
		k.count("rewrap", u.Source, err)
		return err
	})
	return rewrapped, err
}

// rewrapped asks for the EDKs of uses under the newest version, and puts the refusals into the uses.
func (k *Key) rewrapped(ctx context.Context, uses []datakeys.Use) map[string]string {
	if len(uses) == 0 {
		return nil
	}
	old := make([]string, len(uses))
	for i, u := range uses {
		old[i] = u.EDK
	}
	edks := map[string]string{}
	for i, item := range k.keys.Rewrap(ctx, old) {
		uses[i].Err = item.Err
		if item.Err == nil {
			uses[i].Source, edks[old[i]] = datakeys.Asked, item.EDK
		}
	}
	return edks
}

// withEDK replaces the encrypted data key of a message and keeps its form.
func withEDK(message []byte, edk string) ([]byte, error) {
	_, binary, err := parse(message)
	if err != nil {
		return nil, err
	}
	rewrapped, err := kle1.Rewrapped(binary, edk)
	if err == nil && isText(message) {
		rewrapped = []byte(kle1.Text(rewrapped))
	}
	return rewrapped, err
}

// Version tells the version that Encrypt uses now.
func (k *Key) Version(ctx context.Context) (int, error) {
	if k.err != nil {
		return 0, k.err
	}
	return k.keys.Version(ctx)
}

// Refresh asks the engine now for what it would be asked for in time: which data key encrypts, and proofs of those in use. A rotation, or a
// refusal, that was before the call shows from then on. Of a key that is not in use it asks nothing.
func (k *Key) Refresh(ctx context.Context) error {
	if k.err != nil {
		return k.err
	}
	return k.keys.Refresh(ctx)
}
