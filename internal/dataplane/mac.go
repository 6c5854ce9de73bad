// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// MACKind is a kind of message authentication code (MAC).
type MACKind string

// The kinds. The key of an HMAC is one that every version has beside its own.
const (
	HMAC MACKind = "HMAC"
	CMAC MACKind = "CMAC"
)

// MACItem is one thing to authenticate, or a MAC to verify.
type MACItem struct {
	Input  *string // base64; nil: it is missing
	MAC    string  // to verify
	Kind   MACKind
	Hash   string // of an HMAC
	Length int    // of a CMAC, in bytes; 0: in full
}

// Verdict is what became of a MAC, or a signature, to verify.
type Verdict struct {
	Valid bool
	Err   error
}

func (v Verdict) failure() error   { return v.Err }
func (v Verdict) unverified() bool { return v.Err == nil && !v.Valid }

// MACs are what is done with message authentication codes.
type MACs struct{ *Session }

// Make authenticates the items with one version of the key; 0: the active one. All items are of one kind. The error is that of the
// request; items fail on their own.
func (s MACs) Make(ctx context.Context, name string, version int, items []MACItem) ([]Outcome, error) {
	if err := checkMACs(items); err != nil {
		return nil, err
	}
	return each(ctx, s.Session, s.counter(items[0].Kind), name, items, func(s *snapshot, ctx context.Context, item *MACItem) Outcome {
		return s.mac(ctx, version, item)
	})
}

// Verify verifies the MACs of the items, which are all of one kind.
func (s MACs) Verify(ctx context.Context, name string, items []MACItem) ([]Verdict, error) {
	if err := checkMACs(items); err != nil {
		return nil, err
	}
	return each(ctx, s.Session, &s.plane.Observe.Verify, name, items, (*snapshot).verifyMAC)
}

// counter counts the MACs of a kind.
func (s MACs) counter(kind MACKind) *observe.Operation {
	if kind == CMAC {
		return &s.plane.Observe.CMAC
	}
	return &s.plane.Observe.HMAC
}

// checkMACs refuses a request as a whole.
func checkMACs(items []MACItem) error {
	if len(items) == 0 {
		return errNothingToSeal
	}
	for _, item := range items {
		if item.Kind == HMAC && !envelope.MakesHMAC(item.Hash) {
			return refusal.InvalidField("algorithm", item.Hash, "unsupported algorithm; must be sha1, sha2-224, sha2-256, sha2-384, sha2-512, sha3-224, sha3-256, sha3-384 or sha3-512")
		}
	}
	return nil
}

// checkMAC refuses a kind of MAC that no version of the key makes, and a use that the key is not for.
func checkMAC(k *lifecycle.Key, kind MACKind, use lifecycle.AllowedUse) error {
	switch {
	case k.Protection == lifecycle.Resident && envelope.Algorithm(k.Type) != envelope.HMAC:
		return refusal.Refusedf("key %q makes no %ss: its versions are on the token, and a key there has no HMAC key", k.Name, kind)
	case k.Type.SupportsCMAC() != (kind == CMAC):
		return refusal.Refusedf("key type %s does not support %s operations", k.Type, kind)
	}
	return lifecycle.CheckUse(k, use)
}

func (s *snapshot) mac(ctx context.Context, requested int, item *MACItem) Outcome {
	version, err := s.may.ToAuthenticate(requested)
	if err == nil {
		err = checkMAC(s.k.Key, item.Kind, lifecycle.UseHMAC)
	}
	if err != nil {
		return Outcome{Err: requestError{err}} // it is about all items
	}
	input, err := item.input("missing input for " + string(item.Kind))
	if err != nil {
		return Outcome{Err: err}
	}
	text, err := s.authenticate(ctx, s.k.Key, version, item, input)
	if err != nil {
		return Outcome{Err: classify(err)}
	}
	// Counted only now, as in encrypt.
	charged, to, err := s.charge(ctx, s.k, version, chargeFor("input", int64(len(input)), requested))
	if err == nil && to != version {
		text, err = s.authenticate(ctx, charged.Key, to, item, input)
	}
	if err != nil {
		return Outcome{Err: classify(err)}
	}
	s.bytes += int64(len(input))
	return s.protected(lifecycle.UseHMAC, Outcome{Text: text, Version: to})
}

func (s *snapshot) authenticate(ctx context.Context, k *lifecycle.Key, version int, item *MACItem, input []byte) (string, error) {
	c, err := s.cipher(ctx, k, version)
	if err != nil {
		return "", err
	}
	mac, err := s.macOf(ctx, k, c, item, input)
	if err != nil {
		return "", err
	}
	return envelope.Format(version, mac), nil
}

func (s *snapshot) verifyMAC(ctx context.Context, item *MACItem) Verdict {
	if err := checkMAC(s.k.Key, item.Kind, lifecycle.UseVerify); err != nil {
		return Verdict{Err: requestError{err}}
	}
	input, err := item.input("missing input")
	if err != nil {
		return Verdict{Err: err}
	}
	version, payload, err := envelope.ParseMAC(string(item.Kind), item.MAC)
	if err == nil {
		err = s.may.ToVerifyMAC(version)
	}
	if err != nil {
		return Verdict{Err: err}
	}
	mac, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		return Verdict{Err: refusal.Invalidf("unable to decode verification %s as base64: %s", item.Kind, err.Error())}
	}
	c, err := s.cipher(ctx, s.k.Key, version)
	if err != nil {
		return Verdict{Err: classify(err)}
	}
	made, err := s.macOf(ctx, s.k.Key, c, item, input)
	if err != nil {
		return Verdict{Err: classify(err)}
	}
	return s.verified(version, input, hmac.Equal(mac, made))
}

// macOf makes the MAC of an input, on the token where the key is there.
func (s *snapshot) macOf(ctx context.Context, k *lifecycle.Key, c *envelope.Cipher, item *MACItem, input []byte) ([]byte, error) {
	if err := s.connected(ctx, c); err != nil {
		return nil, err
	}
	mac, err := item.made(ctx, c, input)
	return mac, s.outcome(ctx, k, c, err)
}

func (i *MACItem) input(missing string) ([]byte, error) {
	if i.Input == nil {
		return nil, refusal.Invalidf("%s", missing)
	}
	input, err := base64.StdEncoding.DecodeString(*i.Input)
	if err != nil {
		return nil, refusal.Invalidf("input: unable to decode input as base64: %s", err.Error())
	}
	return input, nil
}

// made returns the MAC that the version of a cipher makes of the input.
func (i *MACItem) made(ctx context.Context, c *envelope.Cipher, input []byte) ([]byte, error) {
	if i.Kind == CMAC {
		return c.CMAC(input, i.Length)
	}
	return c.HMAC(ctx, i.Hash, input)
}

// citedVersion is [cited]'s.
func (i *MACItem) citedVersion() (int, bool) {
	version, _, err := envelope.ParseMAC(string(i.Kind), i.MAC)
	return version, err == nil
}

// mayBeOf reports whether the MAC is one of the cipher's version, or whether nobody can tell.
func (i *MACItem) mayBeOf(ctx context.Context, c *envelope.Cipher) bool {
	input, err := i.input("")
	if err != nil {
		return false
	}
	_, payload, err := envelope.ParseMAC(string(i.Kind), i.MAC)
	if err != nil {
		return false
	}
	mac, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		return false
	}
	made, err := i.made(ctx, c, input)
	if err != nil {
		return !errors.Is(err, envelope.ErrInput) && c.OnToken()
	}
	return hmac.Equal(mac, made)
}
