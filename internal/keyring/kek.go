// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keyring

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// KEK is a key encryption key of the software wrapper.
type KEK struct {
	ID      [16]byte
	Key     []byte `json:"-"` // 32 bytes; secret
	Created time.Time
}

// Format keeps the key out of logs and errors, whatever the verb.
func (k KEK) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "KEK %x [redacted]", k.ID[:]) }

// KEKs are the key encryption keys of a mount.
type KEKs struct {
	Instance string // random; names the mount's data for ever, also after a restore elsewhere
	Use      KEK    // for material in use
	Archive  KEK    // for archived material; empty where it is missing: what is in use works without it
}

// State is that of a key encryption key on a token.
type State string

// The states. One that is pending was written down before it was made; what it is to wrap nothing yet.
const (
	Pending     State = "pending"
	Active      State = "active"       // wraps and unwraps
	DecryptOnly State = "decrypt_only" // unwraps
	Retired     State = "retired"      // nothing is wrapped by it any more; it unwraps until it is destroyed
	Destroyed   State = "destroyed"    // to be taken off the token, or off it already
)

// TokenKEK is a key encryption key on a token, with what has become of it.
type TokenKEK struct {
	hsm.KEK
	Purpose string // of what it wraps: an envelope.Purpose...
	State   State
	Adopted bool   // somebody else made it
	Wraps   uint64 // how often it wrapped, as the ticks have noted it

	Activated, Deactivated, Retired, Destroyed time.Time
	Gone                                       bool // of one that is destroyed: it was seen off the token, or left there for who made it
}

// Opens reports a key that opens what it wrapped.
func (k TokenKEK) Opens() bool {
	return k.State == Active || k.State == DecryptOnly || k.State == Retired
}

// HSM is what is stored of a mount's token.
type HSM struct {
	Configured bool
	Settings   tokens.Settings
	KEKs       []TokenKEK // of all times, in the order they were drawn
}

// ActiveOf returns the key that wraps for a purpose, if the token does.
func (h HSM) ActiveOf(purpose string) (TokenKEK, bool) {
	for _, k := range h.KEKs {
		if k.Purpose == purpose && k.State == Active && h.Configured && h.Settings.Enabled {
			return k, true
		}
	}
	return TokenKEK{}, false
}

// Store keeps the key encryption keys of a mount. It is safe for concurrent use.
type Store interface {
	// Keyring returns them; found is false before the first key is made.
	Keyring(ctx context.Context) (keks KEKs, found bool, err error)
	// CreateKeyring commits those of a new mount and returns the ones in force, which are another's where two requests came
	// at once.
	CreateKeyring(ctx context.Context, keks KEKs) (KEKs, error)
	// HSM returns what is stored of the mount's token.
	HSM(ctx context.Context) (HSM, error)
}

// ErrNoArchiveKEK reports archived material without its key encryption key.
var ErrNoArchiveKEK = errors.New("config/archive-kek is missing: archived material cannot be read")

// draw returns the key encryption keys of a new mount.
func draw(rand io.Reader, now time.Time) (KEKs, error) {
	var drawn [16 + 2*(16+32)]byte
	if _, err := io.ReadFull(rand, drawn[:]); err != nil {
		return KEKs{}, fmt.Errorf("draw key encryption keys: %w", err)
	}
	return KEKs{
		Instance: hex.EncodeToString(drawn[:16]),
		Use:      KEK{ID: [16]byte(drawn[16:32]), Key: drawn[32:64], Created: now},
		Archive:  KEK{ID: [16]byte(drawn[64:80]), Key: drawn[80:], Created: now},
	}, nil
}
