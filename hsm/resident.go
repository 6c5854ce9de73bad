// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// maxText is the largest text that a resident key takes. Tokens take little in one call; many take less than this.
const maxText = 64 << 10

// KeySpec says what key to make. Its key is one version of what Vault calls a key.
type KeySpec struct {
	Type   KeyType
	Label  string
	Serial string // of the token
	Suite  Suite  // of AES-GCM: where the IV comes from; see Choose
	Size   int    // of type hmac, in bytes
}

// ResidentKey describes a key that lives on a token and never leaves it. It holds no secret, and is for storage to keep.
type ResidentKey struct {
	Type      KeyType
	ID        [16]byte
	CKAID     []byte
	Label     string
	Serial    string
	Suite     Suite // of AES-GCM alone
	Size      int   // of type hmac
	Canary    []byte
	CanarySum []byte
	Public    []byte    // of a pair, in PKIX DER, as the token has made it
	Paddings  []Padding // that the token was seen to decrypt RSA with
	Created   time.Time
	Warnings  []string
}

// described are the same words of a KEK: a key of AES-GCM is made, found and verified as one.
func (k ResidentKey) described() KEK {
	return KEK{
		ID: k.ID, CKAID: k.CKAID, Label: k.Label, Serial: k.Serial, Suite: k.Suite,
		Canary: k.Canary, CanarySum: k.CanarySum, Created: k.Created, Warnings: k.Warnings,
	}
}

// isMade reports a key that was made to its end.
func (k ResidentKey) isMade() bool {
	switch k.Type {
	case AES256GCM96:
		return k.described().isMade()
	case HMAC:
		return len(k.CanarySum) == sha256.Size
	}
	return len(k.Public) > 0
}

// check refuses what no token makes for keylife.
func (k KeySpec) check() error {
	_, known := kinds[k.Type]
	switch {
	case !known:
		return fmt.Errorf("%w: a token cannot hold keys of type %q for keylife", ErrUnsupported, k.Type)
	case k.Type == AES256GCM96 && !k.Suite.gcm():
		return fmt.Errorf("%w: keys of type %s need AES-GCM on the token, which %v is not", ErrUnsupported, k.Type, k.Suite)
	case k.Type == HMAC && (k.Size < minMACKey || k.Size > maxMACKey):
		return fmt.Errorf("%w: keys of type %s have from %d to %d bytes, not %d", ErrUnsupported, k.Type, minMACKey, maxMACKey, k.Size)
	case k.Label == "":
		return errors.New("draw key: it needs a label")
	}
	return nil
}

// DrawKey is [DrawKEK] for a resident key: its description is written down before [GenerateKey] makes the key.
func DrawKey(spec KeySpec, now time.Time, rand io.Reader) (ResidentKey, error) {
	if err := spec.check(); err != nil {
		return ResidentKey{}, err
	}
	var drawn [16]byte
	if _, err := io.ReadFull(rand, drawn[:]); err != nil {
		return ResidentKey{}, fmt.Errorf("draw key: read random bytes: %w", err)
	}
	k := ResidentKey{Type: spec.Type, ID: drawn, CKAID: drawn[:], Label: spec.Label, Serial: spec.Serial, Created: now}
	switch spec.Type {
	case AES256GCM96:
		k.Suite = spec.Suite
	case HMAC:
		k.Size = spec.Size
	}
	return k, nil
}

// GenerateKey makes the key that [DrawKey] described on the token, as [Create] does, and returns the description of the
// finished key.
func GenerateKey(ctx context.Context, t Token, k ResidentKey, rand io.Reader) (ResidentKey, error) {
	if k.Type != AES256GCM96 {
		return createHeld(ctx, t, k)
	}
	made, err := Create(ctx, t, k.described(), rand)
	k.Canary, k.CanarySum, k.Warnings = made.Canary, made.CanarySum, made.Warnings
	return k, err
}

// DestroyKey destroys a resident key on the token: what is secret first, then the public half, where it has one. What it encrypted is
// lost. One whose description says that it was made has to prove itself; of another one, label and CKA_ID do. The error is
// [ErrKEKMissing] where there is none. A token that finds nothing may have lost its login: the token finds that out, and only
// then is its word taken.
func DestroyKey(ctx context.Context, t Token, k ResidentKey) error {
	if k.isMade() {
		if err := mustBeOurs(ctx, t, k); err != nil {
			return fmt.Errorf("destroy key %q: %w", k.Label, err)
		}
	}
	missing := 0
	classes := []uint{cryptoki.ClassSecretKey, cryptoki.ClassPrivateKey, cryptoki.ClassPublicKey}
	for _, class := range classes {
		switch err := destroyAll(ctx, t, named(class, k.Label, k.CKAID)); {
		case errors.Is(err, ErrKEKMissing):
			missing++
		case err != nil:
			return fmt.Errorf("destroy key %q: %w", k.Label, err)
		}
	}
	if missing == len(classes) {
		return fmt.Errorf("destroy key %q: %w", k.Label, ErrKEKMissing)
	}
	return nil
}

// mustBeOurs refuses a key that does not prove itself. One that is missing is nobody's.
func mustBeOurs(ctx context.Context, t Token, k ResidentKey) error {
	if k.Type == AES256GCM96 {
		return newTokenKey(t, k.described(), nil).mustBeOurs(ctx)
	}
	held, err := newHeld(t, k)
	if err != nil {
		return err
	}
	return held.mustBeOurs(ctx, held.find())
}

// destroyAll destroys the one object that a template finds, and sees that it is gone.
func destroyAll(ctx context.Context, t Token, find cryptoki.Template) error {
	destroyed := 0
	for range verdicts {
		err := t.Run(ctx, func(s cryptoki.Session, _ uint64) error {
			found, err := findOne(s, find)
			if err != nil {
				return err
			}
			return s.Destroy(found)
		})
		switch {
		case errors.Is(err, ErrKEKMissing) && destroyed > 0:
			return nil
		case err != nil:
			return err
		}
		destroyed++
	}
	return errors.New("the token has it still")
}

// Resident encrypts and decrypts with a key that never leaves its token. It is safe for concurrent use if its source of
// randomness is.
//
// A ciphertext is what Transit's clients get, without prefix and base64: nonce | ciphertext | tag 16. The nonce of 12 bytes
// is drawn here with SuiteGCM, and by the token with SuiteGCMTokenIV. With SuiteGCMAppended it is the token's, and has 16
// bytes. A caller never chooses it: that a nonce does not repeat is all that AES-GCM rests on (NIST SP 800-38D section 8).
// Nonces are random, so one key should encrypt no more than 2^32 texts.
type Resident struct {
	key func() *tokenKey // see Wrapper
}

// NewResident returns the cipher of a key that [GenerateKey] returned.
func NewResident(t Token, k ResidentKey, rand io.Reader) (*Resident, error) {
	switch {
	case k.Type != AES256GCM96 || !k.Suite.gcm():
		return nil, fmt.Errorf("new resident key: %w: type %q with %v", ErrUnsupported, k.Type, k.Suite)
	case !k.isMade():
		return nil, errUnfinished(k)
	}
	key := newTokenKey(t, k.described(), rand)
	return &Resident{func() *tokenKey { return key }}, nil
}

func errUnfinished(k ResidentKey) error {
	return fmt.Errorf("new resident key: %w: key %x was not made to its end", ErrKEKMissing, k.ID)
}

// Text is what a resident key encrypts or decrypts.
type Text struct {
	Bytes          []byte
	AssociatedData []byte
	Nonce          []byte // a caller's: Encrypt refuses it, Decrypt ignores it, as with all keys here
}

// check refuses what no call to a token is made for.
func (t Text) check(ctx context.Context, limit int) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case len(t.Bytes) > limit || len(t.AssociatedData) > maxAAD:
		return fmt.Errorf("%w: %d bytes with %d of associated data are too many for a token", ErrUnsupported, len(t.Bytes), len(t.AssociatedData))
	case bytes.HasPrefix(t.AssociatedData, []byte(outerDomain)):
		return fmt.Errorf("%w: associated data that begins with %q is kept for wrapped keys", ErrUnsupported, outerDomain)
	}
	return nil
}

// Encrypt returns the ciphertext of a text.
func (r *Resident) Encrypt(ctx context.Context, text Text) ([]byte, error) {
	if err := text.check(ctx, maxText); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	if len(text.Nonce) > 0 {
		return nil, fmt.Errorf("encrypt: %w: a nonce was given: keys on a token have theirs drawn", ErrUnsupported)
	}
	k := r.key()
	chance, err := k.draw(k.rand)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	aad := bytes.Clone(text.AssociatedData)
	out, err := k.run(ctx, text.Bytes, func(s cryptoki.Session, h handles, text []byte) ([]byte, error) {
		w, err := k.seal(s, h, text, aad, chance)
		return append(w.iv, w.text...), err
	})
	switch {
	case isDataError(err):
		return nil, fmt.Errorf("encrypt: %w: %d bytes are too many for this token", ErrUnsupported, len(text.Bytes))
	case err != nil:
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return out, nil
}

// Decrypt returns the text of a ciphertext, in a buffer for the caller to wipe. The error matches [ErrCorrupt] if it does
// not open.
func (r *Resident) Decrypt(ctx context.Context, text Text) ([]byte, error) {
	k := r.key()
	nonce := shapes[k.suite].ivSize
	if err := text.check(ctx, maxText+nonce+tagSize); err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	if len(text.Bytes) < nonce+tagSize {
		return nil, ErrCorrupt
	}
	w := wrapping{suite: k.suite, iv: text.Bytes[:nonce], text: text.Bytes[nonce:]}.clone()
	out, err := k.unwrap(ctx, w, bytes.Clone(text.AssociatedData))
	switch {
	case errors.Is(err, ErrCorrupt):
		return nil, ErrCorrupt
	case err != nil:
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	return out, nil
}

// String names the key by its identifier.
func (r *Resident) String() string {
	id := r.key().kek.ID
	return "resident key " + hex.EncodeToString(id[:])
}

// GoString returns what [Resident.String] does.
func (r *Resident) GoString() string { return r.String() }

// Format prints what [Resident.String] returns for every verb.
func (r *Resident) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }
