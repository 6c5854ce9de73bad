// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"
)

const checkpointContext = "keylife/checkpoint/v1\n"

// KeyHead is the head of one key's chain.
type KeyHead struct {
	Key   string `json:"key"`
	Count int    `json:"count"`
	Hash  string `json:"hash"`
}

// Checkpoint states where all chains of a mount stood at one time:
//
//	{"format":1,"instance":"8f14…","time":"2026-03-01T12:00:00Z","heads":[{"key":"orders","count":8,"hash":"51ab…"}]}
//
// Heads are ordered by key.
type Checkpoint struct {
	Format   int       `json:"format"` // set by [SignCheckpoint]
	Instance string    `json:"instance"`
	Time     time.Time `json:"time"`
	Heads    []KeyHead `json:"heads"`
}

// Signed is a checkpoint as it is handed out and kept. The payload is a text and not an object, so
// that it passes through any program that reads and writes JSON without a byte being changed.
type Signed struct {
	Payload   string `json:"payload"`   // the JSON of the checkpoint
	KeyID     string `json:"key_id"`    // of the public key
	Signature string `json:"signature"` // base64, Ed25519 over "keylife/checkpoint/v1\n" || payload
}

// SignCheckpoint orders the heads and signs. The error matches [ErrInvalid].
func SignCheckpoint(c Checkpoint, key SigningKey) (Signed, error) {
	c.Format = format
	c.Time = c.Time.Round(0).UTC()
	c.Heads = append([]KeyHead{}, c.Heads...)
	slices.SortFunc(c.Heads, byKey)
	if err := c.check(); err != nil {
		return Signed{}, fmt.Errorf("%w checkpoint: %w", ErrInvalid, err)
	}
	payload, err := canonical(c)
	if err != nil {
		return Signed{}, fmt.Errorf("%w checkpoint: %w", ErrInvalid, err)
	}
	signature, err := key.sign(checkpointContext, payload)
	if err != nil {
		return Signed{}, fmt.Errorf("sign checkpoint: %w", err)
	}
	return Signed{Payload: string(payload), KeyID: key.public.ID, Signature: signature}, nil
}

func byKey(a, b KeyHead) int { return cmp.Compare(a.Key, b.Key) }

func (c Checkpoint) check() error {
	if c.Time.IsZero() {
		return errors.New("time is needed")
	}
	if c.Instance == "" {
		return errors.New("instance is needed")
	}
	if err := checkText("instance", c.Instance, maxText); err != nil {
		return err
	}
	for i, head := range c.Heads {
		if i > 0 && byKey(c.Heads[i-1], head) >= 0 {
			return errors.New("a key has two heads, or heads are not in order")
		}
		if head.Key == "" || head.Count < 1 || head.Count > MaxSeq || !isHash(head.Hash) {
			return errors.New("a head needs a key, a count and the hash of its last record")
		}
		if err := checkText("key", head.Key, maxKeyName); err != nil {
			return err
		}
	}
	return nil
}

// Open returns the checkpoint if one of keys signed it. Call [PublicKeys.Check] on keys first. The
// error matches [ErrSignature], [ErrMalformed] or [ErrNewer].
func (s Signed) Open(keys PublicKeys) (Checkpoint, error) {
	if err := s.check(checkpointContext, keys); err != nil {
		return Checkpoint{}, err
	}
	var c Checkpoint
	if err := decode([]byte(s.Payload), &c, &c.Format); err != nil {
		return Checkpoint{}, err
	}
	if err := c.check(); err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return c, nil
}

// unbase64 is strict, so that a value has one text only.
func unbase64(text string, size int) ([]byte, bool) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	return raw, err == nil && len(raw) == size
}

func (k PublicKey) verify(context string, message []byte, signature string) bool {
	key, ok := unbase64(k.Key, ed25519.PublicKeySize)
	if !ok {
		return false
	}
	raw, ok := unbase64(signature, ed25519.SignatureSize)
	return ok && ed25519.Verify(key, append([]byte(context), message...), raw)
}
