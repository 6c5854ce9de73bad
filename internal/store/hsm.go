// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

const (
	hsmPath  = "config/hsm"
	keksPath = "config/keks"
)

// hsmRecord is config/hsm. It stays, empty, where the configuration was deleted: its Put is the commit of that, too.
type hsmRecord struct {
	Schema     int  `json:"schema"`
	Configured bool `json:"configured"`
	tokens.Settings
	journaled
}

// keksRecord is config/keks: all key encryption keys that the mount has had on tokens, in one record, so that one of them
// takes the place of another in one Put.
type keksRecord struct {
	Schema int       `json:"schema"`
	KEKs   []kekJSON `json:"keks"`
	journaled
}

// kekJSON describes a key on a token. It holds no secret: the canary is wrapped by the key.
type kekJSON struct {
	ID          []byte            `json:"id"`
	Purpose     string            `json:"purpose"`
	State       keyring.State     `json:"state"`
	Adopted     bool              `json:"adopted"`
	CKAID       []byte            `json:"cka_id"`
	Label       string            `json:"label"`
	Serial      string            `json:"serial"`
	Suite       hsm.Suite         `json:"suite"`
	OAEPHash    cryptoki.HashType `json:"oaep_hash"`
	RSABits     int               `json:"rsa_bits"`
	MACID       []byte            `json:"mac_id"`
	MACLabel    string            `json:"mac_label"`
	Canary      []byte            `json:"canary"`
	CanarySum   []byte            `json:"canary_sum"`
	Warnings    []string          `json:"warnings"`
	Created     time.Time         `json:"created"`
	Activated   time.Time         `json:"activated"`
	Deactivated time.Time         `json:"deactivated"`
	Retired     time.Time         `json:"retired"`
	Destroyed   time.Time         `json:"destroyed"`
	Gone        bool              `json:"gone"`
	Wraps       uint64            `json:"wraps"`
}

func recordOfKEK(k keyring.TokenKEK) kekJSON {
	return kekJSON{
		ID: k.ID[:], Purpose: k.Purpose, State: k.State, Adopted: k.Adopted, CKAID: k.CKAID, Label: k.Label, Serial: k.Serial,
		Suite: k.Suite, OAEPHash: k.OAEPHash, RSABits: k.RSABits, MACID: k.MACID, MACLabel: k.MACLabel, Canary: k.Canary,
		CanarySum: k.CanarySum, Warnings: k.Warnings, Created: k.Created, Activated: k.Activated, Deactivated: k.Deactivated,
		Retired: k.Retired, Destroyed: k.Destroyed, Gone: k.Gone, Wraps: k.Wraps,
	}
}

func (j kekJSON) kek() keyring.TokenKEK {
	return keyring.TokenKEK{
		KEK: hsm.KEK{
			ID: [16]byte(j.ID), CKAID: j.CKAID, Label: j.Label, Serial: j.Serial, Suite: j.Suite, OAEPHash: j.OAEPHash, RSABits: j.RSABits,
			MACID: j.MACID, MACLabel: j.MACLabel, Canary: j.Canary, CanarySum: j.CanarySum, Created: j.Created, Warnings: j.Warnings,
		},
		Purpose: j.Purpose, State: j.State, Adopted: j.Adopted, Activated: j.Activated, Deactivated: j.Deactivated,
		Retired: j.Retired, Destroyed: j.Destroyed, Gone: j.Gone, Wraps: j.Wraps,
	}
}

// HSM returns what is stored of the mount's token and of the keys on it.
func (r Tokens) HSM(ctx context.Context) (keyring.HSM, error) {
	h, err := r.settings(ctx)
	if err != nil {
		return h, err
	}
	h.KEKs, _, _, err = r.keks(ctx)
	return h, err
}

func (r Tokens) settings(ctx context.Context) (keyring.HSM, error) {
	rec, _, err := r.record(ctx)
	return keyring.HSM{Configured: rec.Configured, Settings: rec.Settings}, err
}

// record reads config/hsm. Settings that it was written without have their defaults.
func (r Tokens) record(ctx context.Context) (rec hsmRecord, rest unknown, err error) {
	rec.Settings = tokens.Defaults()
	if rest, _, err = read(ctx, r.conn, hsmPath, &rec); err != nil || !rec.Configured {
		rec.Settings = tokens.Settings{}
	}
	return rec, rest, err
}

// HSM is keyring.Store's. Where no token is configured, no key on one is of use.
func (r KEKs) HSM(ctx context.Context) (keyring.HSM, error) {
	if h, err := Tokens(r).settings(ctx); err != nil || !h.Configured {
		return keyring.HSM{}, err
	}
	return Tokens(r).HSM(ctx)
}

func (r Tokens) keks(ctx context.Context) (keks []keyring.TokenKEK, rec keksRecord, rest unknown, err error) {
	if rest, _, err = read(ctx, r.conn, keksPath, &rec); err != nil {
		return nil, rec, nil, err
	}
	for _, j := range rec.KEKs {
		if len(j.ID) != len(keyring.TokenKEK{}.ID) || j.Purpose == "" || j.State == "" {
			return nil, rec, nil, fmt.Errorf("%s: %w", keksPath, ErrCorrupt)
		}
		keks = append(keks, j.kek())
	}
	return keks, rec, rest, nil
}

// SetHSM commits what change makes of the settings, between the two custody records of the event; with configured false there
// is no token any more. An event without an act is none that custody keeps. Setting what is set writes nothing. An error of
// change comes back as it is.
func (r Tokens) SetHSM(
	ctx context.Context, event lifecycle.Event, change func(keyring.HSM) (s tokens.Settings, configured bool, err error),
) error {
	unlock, err := r.lock(ctx, &r.s.mount, custody.MountChain)
	if err != nil {
		return err
	}
	defer unlock()
	var was, next hsmRecord
	var rest unknown
	write, err := r.decided(ctx, func() (write bool, err error) {
		if was, rest, err = r.record(ctx); err != nil {
			return false, err
		}
		keks, _, _, err := r.keks(ctx)
		if err != nil {
			return false, err
		}
		next = was
		next.Settings, next.Configured, err = change(keyring.HSM{Configured: was.Configured, Settings: was.Settings, KEKs: keks})
		return next != was, err
	})
	if err != nil || !write {
		return err
	}
	next.Schema = schema
	return r.commit(ctx, event, was.journaled, func(ctx context.Context, by journaled) error {
		next.journaled = by
		return r.put(ctx, hsmPath, next, rest)
	})
}

// SetKEKs commits what change makes of the keys on tokens, between the two custody records of the event that it returns; one
// without an act is none that custody keeps. An error of change
// comes back as it is, and nothing is written.
func (r Tokens) SetKEKs(
	ctx context.Context, change func(keyring.HSM) ([]keyring.TokenKEK, lifecycle.Event, error),
) error {
	unlock, err := r.lock(ctx, &r.s.mount, custody.MountChain)
	if err != nil {
		return err
	}
	defer unlock()
	var rec keksRecord
	var rest unknown
	var next []keyring.TokenKEK
	var event lifecycle.Event
	if _, err := r.decided(ctx, func() (write bool, err error) {
		stored, err := r.HSM(ctx)
		if err != nil {
			return false, err
		}
		if _, rec, rest, err = r.keks(ctx); err != nil {
			return false, err
		}
		next, event, err = change(stored)
		return true, err
	}); err != nil {
		return err
	}
	was := rec.journaled
	rec = keksRecord{Schema: schema, KEKs: make([]kekJSON, len(next))}
	for i, k := range next {
		rec.KEKs[i] = recordOfKEK(k)
	}
	return r.commit(ctx, event, was, func(ctx context.Context, by journaled) error {
		rec.journaled = by
		return r.put(ctx, keksPath, rec, rest)
	})
}

// commit puts a record, for an act that custody keeps or for none: then it names the act that it named before.
func (r Tokens) commit(ctx context.Context, event lifecycle.Event, was journaled, put func(context.Context, journaled) error) error {
	if event.Act == "" {
		return put(ctx, was)
	}
	return Journals(r).onMount(ctx, event, put)
}

// Repeated reports whether the request has done its act on the mount already.
func (r Tokens) Repeated(ctx context.Context) (bool, error) {
	unlock, err := r.lock(ctx, &r.s.mount, custody.MountChain)
	if err != nil {
		return false, err
	}
	defer unlock()
	return Signing(r).repeatedOnMount(ctx), nil
}

// IsHSM reports whether the storage path is that of what is stored of the mount's token.
func IsHSM(path string) bool { return path == hsmPath || path == keksPath }
