// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"cmp"
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Signing is how the items of a request are signed, in Transit's words.
type Signing struct {
	Hash       string // one of [envelope.IsHash]
	Marshaling string // asn1 or jws
	Scheme     string // of RSA keys, pss or pkcs1v15; empty: pss
	SaltLength int    // of RSA keys, as [envelope.SignParams] has it
	Prehashed  bool   // the input is a digest by the hash
	Version    int    // to sign with; 0: the active one
}

// SignItem is one thing to sign, or a signature to verify. All texts but a signature are standard base64.
type SignItem struct {
	Input            *string // nil: it is missing
	Context          string  // for derived keys
	SignatureContext string  // accepted for Transit's clients; no key type of this release takes one
	Signature        string  // to verify

	how *Signing
}

// Signed is what became of an item to sign.
type Signed struct {
	envelope.Signature
	Version int // 0 where nothing was signed
	Err     error
}

func (s Signed) failure() error   { return s.Err }
func (s Signed) unverified() bool { return false }

// Sign signs the items with a key. The error is that of the request; items fail on their own.
func (h *Signing) Sign(ctx context.Context, s *Session, name string, items []SignItem) ([]Signed, error) {
	if err := h.over(items); err != nil {
		return nil, err
	}
	return each(ctx, s, &s.plane.Observe.Sign, name, items, (*snapshot).sign)
}

// Verify tells of which items the signature is one of the key.
func (h *Signing) Verify(ctx context.Context, s *Session, name string, items []SignItem) ([]Verdict, error) {
	if err := h.over(items); err != nil {
		return nil, err
	}
	return each(ctx, s, &s.plane.Observe.Verify, name, items, (*snapshot).verify)
}

// Check refuses what the key does to no item.
func (h *Signing) Check(ctx context.Context, s *Session, name string) error {
	k, err := s.Key(ctx, name)
	if err != nil {
		return err
	}
	return h.check(k, h.Version)
}

// over makes it how the items are signed.
func (h *Signing) over(items []SignItem) error {
	if len(items) == 0 {
		return errNothingToSeal
	}
	for i := range items {
		items[i].how = h
	}
	return nil
}

// check refuses what a version does to no item; 0: the active one. The error is about all items where no version of the key does it.
func (h *Signing) check(k *lifecycle.Key, version int) error {
	switch t := lifecycle.TypesOf(k).Named(version); {
	case !t.SupportsSigning() && lifecycle.TypesOf(k).Any(keytype.Type.SupportsSigning):
		return refusal.Refusedf("key_version %d is of type %s, which does not support signing", version, t)
	case !t.SupportsSigning():
		return requestError{refusal.Refusedf("key type %s does not support signing", t)}
	case h.Hash == "none" && (!h.Prehashed || h.Scheme != "pkcs1v15"):
		return requestError{refusal.Invalidf("hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15")}
	}
	return nil
}

// checkUse is [lifecycle.CheckUse] for all items.
func checkUse(k *lifecycle.Key, use lifecycle.AllowedUse) error {
	if err := lifecycle.CheckUse(k, use); err != nil {
		return requestError{err}
	}
	return nil
}

func (s *snapshot) sign(ctx context.Context, item *SignItem) Signed {
	requested := item.how.Version
	if err := cmp.Or(item.how.check(s.k.Key, requested), checkUse(s.k.Key, lifecycle.UseSign)); err != nil {
		return Signed{Err: err}
	}
	m, err := item.message(lifecycle.TypesOf(s.k.Key).Named(requested))
	if err != nil {
		return Signed{Err: err}
	}
	version, err := s.may.ToSign(requested)
	if err != nil {
		return Signed{Err: orFault(s.k.Key, requested, err)}
	}
	signature, err := s.signature(ctx, s.k.Key, version, m)
	if err != nil {
		return Signed{Err: classify(err)}
	}
	// Counted only now, as in encrypt.
	charged, to, err := s.charge(ctx, s.k, version, chargeFor("input", int64(len(m.input)), requested))
	if err == nil && to != version {
		if m, err = item.message(lifecycle.TypesOf(charged.Key).Of(to)); err == nil { // which may be another type
			signature, err = s.signature(ctx, charged.Key, to, m)
		}
	}
	if err != nil {
		return Signed{Err: classify(err)}
	}
	s.admitted(lifecycle.UseSign, to)
	s.bytes += int64(len(m.input))
	return Signed{Signature: signature, Version: to}
}

// orFault is the refusal of a version that a caller named. Transit answers one that is out of range as a fault.
func orFault(k *lifecycle.Key, requested int, refused error) error {
	inRange := max(1, k.MinAvailable, k.MinDecryption, k.MinEncryption) <= requested && requested <= k.Latest
	if requested == 0 || inRange {
		return refused
	}
	return refusal.AsFault(refused)
}

// signature signs with a version. Transit answers what is wrong with the parameters as a fault.
func (s *snapshot) signature(ctx context.Context, k *lifecycle.Key, version int, m message) (envelope.Signature, error) {
	c, err := s.cipher(ctx, k, version)
	if err != nil {
		return envelope.Signature{}, err
	}
	if err := s.connected(ctx, c); err != nil {
		return envelope.Signature{}, err
	}
	signature, err := c.Sign(ctx, m.signedBy(c), m.SignParams)
	if errors.Is(err, envelope.ErrInput) && !errors.Is(err, envelope.ErrUnsupported) {
		err = refusal.AsFault(err)
	}
	return signature, s.outcome(ctx, k, c, err)
}

func (s *snapshot) verify(ctx context.Context, item *SignItem) Verdict {
	version, payload, malformed := envelope.ParseSignature(item.Signature)
	if err := cmp.Or(item.how.check(s.k.Key, version), checkUse(s.k.Key, lifecycle.UseVerify)); err != nil {
		return Verdict{Err: err}
	}
	m, err := item.message(lifecycle.TypesOf(s.k.Key).Named(version))
	if err == nil {
		err = malformed
	}
	if err == nil {
		err = s.may.ToVerify(version)
	}
	if err != nil {
		return Verdict{Err: err}
	}
	c, err := opening{s.Session, s.k.Key, version}.verifier(ctx)
	if err != nil {
		return Verdict{Err: classify(err)}
	}
	valid, err := c.Verify(ctx, m.signedBy(c), payload, m.SignParams)
	if err != nil {
		return Verdict{Err: classify(err)}
	}
	return s.verified(version, m.input, valid)
}

// message is what is signed, and how.
type message struct {
	envelope.SignParams
	input     []byte
	prehashed bool
}

// signedBy returns what the cipher signs of the message: its digest, but for algorithms that sign texts.
func (m message) signedBy(c *envelope.Cipher) []byte {
	if m.prehashed || !c.SignsDigests() {
		return m.input
	}
	return envelope.Digest(m.Hash, m.input)
}

func (i *SignItem) message(t keytype.Type) (m message, err error) {
	h := i.how
	m = message{prehashed: h.Prehashed, SignParams: envelope.SignParams{
		Hash: h.Hash, Marshaling: h.Marshaling, Scheme: h.Scheme, SaltLength: h.SaltLength,
	}}
	if i.Input == nil {
		return m, refusal.Invalidf("missing input")
	}
	if m.input, err = decodeBase64("input", *i.Input); err != nil {
		return m, err
	}
	if m.Context, err = decodeBase64("context", i.Context); err != nil {
		return m, err
	}
	switch _, set := t.Shown(); {
	case t == keytype.Ed25519:
		err = i.checkPure()
	case set != "":
		err = i.checkWhole()
	}
	return m, err
}

// checkPure refuses what would ask for another Ed25519 than the pure one (RFC 8032, section 5.1).
func (i *SignItem) checkPure() error {
	switch {
	case i.how.Prehashed:
		return refusal.InvalidField("prehashed", true, "must be false: Ed25519 signs texts, not digests")
	case i.how.Hash == "sha2-512":
		return refusal.InvalidField("hash_algorithm", i.how.Hash, "must not be set: Ed25519 signs texts, not digests")
	case i.SignatureContext != "":
		return refusal.Invalidf("signature_context: must be empty: Ed25519 signs without one")
	}
	return nil
}

// checkWhole refuses what ML-DSA keys do not sign: digests, and texts under a context string.
func (i *SignItem) checkWhole() error {
	switch {
	case i.how.Prehashed:
		return refusal.InvalidField("prehashed", true, "must be false: ML-DSA signs texts, not digests")
	case i.SignatureContext != "":
		return refusal.Invalidf("signature_context: must be empty: ML-DSA keys sign without one here")
	}
	return nil
}

// citedVersion is [cited]'s.
func (i *SignItem) citedVersion() (int, bool) {
	version, _, err := envelope.ParseSignature(i.Signature)
	return version, err == nil
}

// mayBeOf reports whether the signature is one of the cipher's version.
func (i *SignItem) mayBeOf(ctx context.Context, c *envelope.Cipher) bool {
	m, err := i.message("")
	if err != nil {
		return false
	}
	_, payload, err := envelope.ParseSignature(i.Signature)
	if err != nil {
		return false
	}
	valid, err := c.Verify(ctx, m.signedBy(c), payload, m.SignParams)
	return err == nil && valid
}

// witness returns the cipher that tells what the version made.
func (s *snapshot) witness(ctx context.Context, version int, item cited) (*envelope.Cipher, error) {
	if _, signature := item.(*SignItem); signature && lifecycle.VerifiesByPublicHalf(s.k.Key, version) {
		return opening{s.Session, s.k.Key, version}.verifier(ctx)
	}
	return s.Materials().Cipher(ctx, s.k.Key, version)
}
