// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"encoding/base64"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

func (s *snapshot) encrypt(ctx context.Context, item *Item) Outcome {
	return s.protected(lifecycle.UseEncrypt, s.sealed(ctx, item))
}

func (s *snapshot) datakey(ctx context.Context, item *Item) Outcome {
	return s.protected(lifecycle.UseDatakey, s.sealed(ctx, item))
}

// sealed protects an item.
func (s *snapshot) sealed(ctx context.Context, item *Item) Outcome {
	params, err := item.params()
	if err != nil {
		return Outcome{Err: err}
	}
	if err := item.checkExtras(lifecycle.TypesOf(s.k.Key).Named(item.Version)); err != nil {
		return Outcome{Err: err}
	}
	version, err := s.may.ToProtect(item.Version)
	if err != nil {
		return Outcome{Err: err}
	}
	text, err := s.protect(ctx, s.k.Key, version, item.Text, params)
	if err != nil {
		return Outcome{Err: classify(err)}
	}
	// Counted only now, so that nothing is charged, or rotated, for what cannot be encrypted. If we crash here, nobody has
	// the ciphertext.
	size := plaintextSize(item.Text)
	charged, to, err := s.charge(ctx, s.k, version, chargeFor("plaintext", size, item.Version))
	if err == nil && to != version {
		if err = item.checkExtras(lifecycle.TypesOf(charged.Key).Of(to)); err != nil { // which may be another type
			return Outcome{Err: err}
		}
		text, err = s.protect(ctx, charged.Key, to, item.Text, params)
	}
	if err != nil {
		return Outcome{Err: classify(err)}
	}
	s.bytes += size
	return Outcome{Text: text, Version: to}
}

func (s *snapshot) protect(ctx context.Context, k *lifecycle.Key, version int, text string, params envelope.Params) (string, error) {
	c, err := s.cipher(ctx, k, version)
	if err != nil {
		return "", err
	}
	if err := s.connected(ctx, c); err != nil {
		return "", err
	}
	ciphertext, err := c.Encrypt(ctx, text, params)
	return ciphertext, s.outcome(ctx, k, c, err)
}

func (s *snapshot) decrypt(ctx context.Context, item *Item) Outcome {
	opened := s.opened(ctx, item, (*lifecycle.Permissions).ToProcess)
	if opened.Err == nil {
		s.admitted(lifecycle.UseDecrypt, opened.from)
		s.bytes += plaintextSize(opened.Text)
	}
	return opened
}

// opened opens an item of a version that may be opened.
func (s *snapshot) opened(
	ctx context.Context, item *Item, may func(p *lifecycle.Permissions, version int) error,
) Outcome {
	if item.Text == "" {
		return Outcome{Err: errNoCiphertext}
	}
	params, err := item.params()
	if err != nil {
		return Outcome{Err: err}
	}
	version, payload, malformed := envelope.Parse(item.Text)
	types := lifecycle.TypesOf(s.k.Key)
	if err := item.checkTypes(types.Of(version), types.Active()); err != nil {
		return Outcome{Err: err}
	}
	if malformed != nil {
		return Outcome{Err: malformed}
	}
	if err := may(&s.may, version); err != nil {
		return Outcome{Err: err}
	}
	c, err := s.cipher(ctx, s.k.Key, version)
	if err == nil {
		err = s.connected(ctx, c)
	}
	if err != nil {
		return Outcome{Err: classify(err)}
	}
	text, err := c.Decrypt(ctx, payload, params)
	if err = s.outcome(ctx, s.k.Key, c, err); err != nil {
		return Outcome{Err: classify(err)}
	}
	return Outcome{Text: text, from: version}
}

func (s *snapshot) rewrap(ctx context.Context, item *Item) Outcome {
	if err := checkAssociatedData(item.AssociatedData); err != nil {
		return Outcome{Err: err}
	}
	if err := item.checkHashes(s.k.Key); err != nil {
		return Outcome{Err: err}
	}
	opened := s.opened(ctx, item, (*lifecycle.Permissions).ToRewrap)
	if opened.Err != nil {
		return opened
	}
	again := *item
	again.Text, again.Padding, again.Hash = opened.Text, item.NewPadding, item.NewHash
	protected := s.encrypt(ctx, &again)
	if protected.Err == nil {
		s.admitted(lifecycle.UseRewrap, opened.from)
	}
	return protected
}

// params decodes what goes with the text. A broken associated_data is left to the cipher: Transit holds it for an error
// of its own and finds it after most others, and clients branch on that.
func (i *Item) params() (p envelope.Params, err error) {
	if p.Context, err = decodeBase64("context", i.Context); err != nil {
		return p, err
	}
	if p.Nonce, err = decodeBase64("nonce", i.Nonce); err != nil {
		return p, err
	}
	if _, err = decodeBase64("iv", i.IV); err != nil {
		return p, err
	}
	p.Padding, p.Hash = i.Padding, i.Hash
	p.AssociatedData, p.AssociatedDataErr = decodeBase64("associated_data", i.AssociatedData)
	return p, nil
}

// checkExtras refuses what the type does not take. In Transit a broken plaintext comes before; that counts,
// as a batch with nothing but bad padding schemes has not failed.
func (i *Item) checkExtras(t keytype.Type) error {
	if i.Nonce == "" && i.Padding == "" && i.Hash == "" && i.AssociatedData == "" {
		return nil
	}
	if _, err := decodeBase64("plaintext", i.Text); err != nil {
		return err
	}
	if i.Nonce != "" {
		return errNonce
	}
	return i.checkTypes(t, t)
}

// checkTypes refuses padding schemes and hashes for what is no RSA key, and associated data for what does not authenticate any. What is
// rewrapped is opened by a version of one type, and protected by one of another.
func (i *Item) checkTypes(opens, protects keytype.Type) error {
	if err := checkPadding(opens, "padding_scheme", i.Padding); err != nil {
		return err
	}
	if err := checkPadding(protects, "encrypt_padding_scheme", i.NewPadding); err != nil {
		return err
	}
	if i.AssociatedData != "" && !opens.Authenticates() {
		return extraError{refusal.Invalidf("associated_data: keys of type %s authenticate none", opens)}
	}
	return checkHash(opens, "hash_algorithm", i.Hash, i.Padding)
}

func checkPadding(t keytype.Type, field, scheme string) error {
	if scheme == "" {
		return nil
	}
	if !t.IsRSA() {
		return extraError{refusal.Invalidf("%s: padding schemes are for RSA keys, and the key is of type %s", field, t)}
	}
	if err := envelope.CheckPadding(scheme); err != nil {
		return extraError{refusal.InvalidField(field, scheme, err.Error()+"; must be oaep or pkcs1v15")}
	}
	return nil
}

// OAEPHashes says which hashes there are for OAEP.
const OAEPHashes = "sha1, sha2-224, sha2-256, sha2-384, sha2-512, sha3-224, sha3-256, sha3-384 or sha3-512"

// checkHashes is checkHash for both directions of a rewrap.
func (i *Item) checkHashes(k *lifecycle.Key) error {
	version, _, _ := envelope.Parse(i.Text)
	types := lifecycle.TypesOf(k)
	if err := checkHash(types.Of(version), "decrypt_hash_algorithm", i.Hash, i.Padding); err != nil {
		return err
	}
	return checkHash(types.Active(), "encrypt_hash_algorithm", i.NewHash, i.NewPadding)
}

// checkHash refuses what is no hash of OAEP, and a hash where nothing would be hashed with it.
func checkHash(t keytype.Type, field, hash, scheme string) error {
	switch {
	case hash == "":
		return nil
	case !t.IsRSA():
		return refusal.InvalidField(field, hash, "is for RSA keys, and the key is of type "+string(t))
	case scheme == envelope.PKCS1v15:
		return refusal.InvalidField(field, hash, "is of oaep, and the padding scheme is pkcs1v15, which has no hash")
	case !envelope.MakesHMAC(hash):
		return refusal.InvalidField(field, hash, "must be "+OAEPHashes)
	default:
		return nil
	}
}

func decodeBase64(field, text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, refusal.Invalidf("%s: %s", field, err.Error())
	}
	return raw, nil
}

// checkAssociatedData is for the operations where Transit has no associated data, so that its odd answer binds nobody.
func checkAssociatedData(text string) error {
	_, err := decodeBase64("associated_data", text)
	return err
}
