// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// held is a key that signs on a token, or makes MACs: a pair, or a secret. Its canary is a text that everybody knows: what a pair
// signs has to verify with the public half that is stored, and the MAC of it has to have the digest that is stored.
type held struct {
	*epochs
	key    ResidentKey
	public crypto.PublicKey // of a pair
}

// newHeld returns a key that [GenerateKey] made.
func newHeld(t Token, k ResidentKey) (*held, error) {
	h := &held{key: k}
	h.epochs = &epochs{of: h, token: t}
	if !kinds[k.Type].isPair() {
		return h, nil
	}
	public, err := kinds[k.Type].parsePublic(k.Public)
	h.public = public
	return h, err
}

// find finds what is secret of the key.
func (h *held) find() cryptoki.Template {
	class := cryptoki.ClassSecretKey
	if kinds[h.key.Type].isPair() {
		class = cryptoki.ClassPrivateKey
	}
	return named(class, h.key.Label, h.key.CKAID)
}

func (h *held) locate(s cryptoki.Session) (found handles, err error) {
	found.key, err = findOne(s, h.find())
	return found, err
}

// canaryText is what every key of a token signs to prove itself.
var canaryText = []byte("keylife/resident/canary/v1")

func (h *held) checkCanary(s cryptoki.Session, found handles) error {
	if h.public != nil {
		_, err := h.sign(s, found, h.canaryInput(), h.canaryOptions())
		return err
	}
	sum, err := canaryMAC(s, found.key)
	if err == nil && !bytes.Equal(sum, h.key.CanarySum) {
		return errCanary
	}
	return err
}

func canaryMAC(s cryptoki.Session, key cryptoki.Object) ([]byte, error) {
	mac, err := s.Do(cryptoki.Sign, key, cryptoki.Mechanism{Type: cryptoki.SHA256HMAC}, canaryText)
	sum := sha256.Sum256(mac)
	return sum[:], err
}

func (h *held) canaryInput() []byte {
	if h.key.Type == Ed25519 {
		return canaryText
	}
	digest := sha256.Sum256(canaryText)
	return digest[:]
}

func (h *held) canaryOptions() crypto.SignerOpts {
	if h.key.Type == Ed25519 {
		return crypto.Hash(0)
	}
	return crypto.SHA256
}

// exercise needs nothing: the canary is no secret, and a token that is not well answers to it with an error of its own.
func (*held) exercise() (func(s cryptoki.Session, found handles) error, error) {
	return func(cryptoki.Session, handles) error { return nil }, nil
}

// createHeld makes a key that [DrawKey] described, as [Create] does, and tests it.
func createHeld(ctx context.Context, t Token, k ResidentKey) (ResidentKey, error) {
	if k.isMade() {
		return ResidentKey{}, fmt.Errorf("create key %q: it was made before", k.Label)
	}
	of := kinds[k.Type]
	h := &held{key: k}
	h.epochs = &epochs{of: h, token: t}
	p := part{h.find(), of.generation, k.templates(), of.uses}
	if k.Type == HMAC {
		has, err := t.Mechanisms(ctx)
		if err != nil {
			return ResidentKey{}, fmt.Errorf("create key %q: list mechanisms: %w", k.Label, err)
		}
		p.allowed = slices.DeleteFunc(macMechanisms(), func(m cryptoki.MechanismType) bool { return !slices.Contains(has, m) })
	}
	err := p.make(ctx, t)
	if err == nil {
		err = h.finish(ctx)
	}
	if err == nil && of.keyType == cryptoki.KeyRSA {
		err = h.tryPaddings(ctx)
	}
	if err != nil {
		return ResidentKey{}, fmt.Errorf("create key %q: %w", k.Label, err)
	}
	return h.key, nil
}

// finish reads the key back: that it stays on the token, its public half or the MAC of the canary, and that it proves itself.
func (h *held) finish(ctx context.Context) error {
	var made ResidentKey
	err := h.token.Run(ctx, func(s cryptoki.Session, _ uint64) error {
		one, err := h.readBack(s)
		if err == nil {
			made = one
		}
		return err
	})
	if err != nil {
		return err
	}
	h.key = made
	if len(made.Public) > 0 {
		if h.public, err = kinds[made.Type].parsePublic(made.Public); err != nil {
			return err
		}
	}
	return h.verify(ctx)
}

func (h *held) readBack(s cryptoki.Session) (k ResidentKey, err error) {
	k = h.key
	found, err := h.locate(s)
	if err != nil {
		return k, err
	}
	of, err := inspectKept(s, found.key, "key")
	if err != nil {
		return k, err
	}
	k.Warnings = excess(of, "key")
	if !kinds[k.Type].isPair() {
		k.CanarySum, err = canaryMAC(s, found.key)
		return k, err
	}
	k.Public, err = kinds[k.Type].readPublic(s, named(cryptoki.ClassPublicKey, k.Label, k.CKAID))
	return k, err
}

// Padding is a padding scheme of RSA encryption, in Transit's words.
type Padding string

// The paddings. OAEP is with SHA-256, and MGF1 of it.
const (
	OAEP     Padding = "oaep"
	PKCS1v15 Padding = "pkcs1v15"
)

// tryPaddings notes the paddings that the token decrypts: many a token knows OAEP with SHA-1 only, and does not say so before. What
// it does not decrypt must never be encrypted.
func (h *held) tryPaddings(ctx context.Context) error {
	public, _ := h.public.(*rsa.PublicKey)
	text := []byte("keylife/self-test/v1")
	oaep, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, text, nil)
	if err != nil {
		return fmt.Errorf("encrypt with the public key: %w", err)
	}
	pkcs, err := rsa.EncryptPKCS1v15(rand.Reader, public, text)
	if err != nil {
		return fmt.Errorf("encrypt with the public key: %w", err)
	}
	for _, one := range []struct {
		padding    Padding
		ciphertext []byte
	}{{OAEP, oaep}, {PKCS1v15, pkcs}} {
		got, err := h.decrypt(ctx, one.ciphertext, one.padding)
		switch {
		case errors.Is(err, ErrUnsupported), errors.Is(err, ErrCorrupt):
			continue
		case err != nil:
			return err
		case !bytes.Equal(got, text):
			return fmt.Errorf("%w: it does not open what its public half has encrypted", ErrKEKMismatch)
		}
		h.key.Paddings = append(h.key.Paddings, one.padding)
	}
	return nil
}
