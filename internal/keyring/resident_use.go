// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keyring

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// Residents are the keys on the mount's token, by the references that are sealed of them.
type Residents struct{ keyring *Keyring }

// Residents returns those of the keyring's token.
func (k *Keyring) Residents() Residents { return Residents{k} }

// ResidentKey returns the key that a reference names, which encrypts. The token is not asked.
func (r Residents) ResidentKey(reference []byte) (envelope.ResidentKey, error) {
	key, err := newResident(r.keyring, reference, func(use *tokens.Use, key hsm.ResidentKey) (*hsm.Resident, error) {
		return hsm.NewResident(use, key, r.keyring.Rand)
	})
	if err != nil {
		return nil, err
	}
	return residentKey{key}, nil
}

// ResidentPair returns the private half of the key that a reference names. The token is not asked.
func (r Residents) ResidentPair(reference []byte) (envelope.ResidentPair, error) {
	key, err := newResident(r.keyring, reference, func(use *tokens.Use, key hsm.ResidentKey) (*hsm.ResidentPair, error) {
		return hsm.NewResidentPair(use, key)
	})
	if err != nil {
		return nil, err
	}
	return residentPair{key}, nil
}

// ResidentMAC returns the key that a reference names, which makes HMACs. The token is not asked.
func (r Residents) ResidentMAC(reference []byte) (envelope.ResidentMAC, error) {
	key, err := newResident(r.keyring, reference, func(use *tokens.Use, key hsm.ResidentKey) (*hsm.ResidentMAC, error) {
		return hsm.NewResidentMAC(use, key)
	})
	if err != nil {
		return nil, err
	}
	return residentMAC{key}, nil
}

// resident is a key on the mount's token. It is kept in memory, and outlives a change of the configuration: each call takes
// the use of the token that is in force.
type resident[K any] struct {
	keyring *Keyring
	key     hsm.ResidentKey
	open    func(use *tokens.Use, key hsm.ResidentKey) (K, error)

	mu   sync.Mutex
	use  *tokens.Use // that made is of
	made K           // its handles mean something to that use alone
}

func newResident[K any](k *Keyring, reference []byte, open func(*tokens.Use, hsm.ResidentKey) (K, error)) (*resident[K], error) {
	key, err := decodeReference(reference)
	return &resident[K]{keyring: k, key: key, open: open}, err
}

func (r *resident[K]) on(use *tokens.Use) (K, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.use == use {
		return r.made, nil
	}
	made, err := r.open(use, r.key)
	if err == nil {
		r.use, r.made = use, made
	}
	return made, err
}

// call has the token do something, if it is not known to be away.
func (r *resident[K]) call(ctx context.Context, do func(K) ([]byte, error)) ([]byte, error) {
	use := r.keyring.inUse()
	if use == nil {
		return nil, errNoToken
	}
	key, err := r.on(use)
	if err != nil {
		return nil, err
	}
	var out []byte
	through := r.keyring.gate(use)
	err = through.call(ctx, &through.hsm.Use, func() (err error) {
		out, err = do(key)
		return err
	})
	switch {
	case errors.Is(err, hsm.ErrUnsupported):
		return nil, unsupported(err.Error())
	case errors.Is(err, hsm.ErrKEKMissing), errors.Is(err, hsm.ErrKEKMismatch):
		return nil, fmt.Errorf("the token does not have the key of this version: %w", err)
	}
	return out, err
}

type residentKey struct{ *resident[*hsm.Resident] }

// Encrypt is envelope.ResidentKey's.
func (r residentKey) Encrypt(ctx context.Context, text, associatedData []byte) ([]byte, error) {
	return r.call(ctx, func(k *hsm.Resident) ([]byte, error) {
		return k.Encrypt(ctx, hsm.Text{Bytes: text, AssociatedData: associatedData})
	})
}

// Decrypt is envelope.ResidentKey's.
func (r residentKey) Decrypt(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	return r.call(ctx, func(k *hsm.Resident) ([]byte, error) {
		return k.Decrypt(ctx, hsm.Text{Bytes: ciphertext, AssociatedData: associatedData})
	})
}

type residentPair struct{ *resident[*hsm.ResidentPair] }

// Sign is envelope.ResidentPair's.
func (r residentPair) Sign(ctx context.Context, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	return r.call(ctx, func(k *hsm.ResidentPair) ([]byte, error) { return k.Sign(ctx, digest, options) })
}

// Decrypt is envelope.ResidentPair's.
func (r residentPair) Decrypt(ctx context.Context, ciphertext []byte, padding string) ([]byte, error) {
	return r.call(ctx, func(k *hsm.ResidentPair) ([]byte, error) { return k.Decrypt(ctx, ciphertext, hsm.Padding(padding)) })
}

// Decrypts is envelope.ResidentPair's.
func (r residentPair) Decrypts(padding string) bool {
	return r.key.Decrypts(hsm.Padding(padding))
}

type residentMAC struct{ *resident[*hsm.ResidentMAC] }

// MAC is envelope.ResidentMAC's.
func (r residentMAC) MAC(ctx context.Context, hash crypto.Hash, input []byte) ([]byte, error) {
	return r.call(ctx, func(k *hsm.ResidentMAC) ([]byte, error) { return k.MAC(ctx, hash, input) })
}
