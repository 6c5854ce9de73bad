// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/transitformat"
)

// Backup gives out a key with the material of all its versions, in the clear, as Transit does. None leaves that custody has not kept
// the leaving of.
func (s Transfers) Backup(ctx context.Context, name, reason string) (string, error) {
	b := &backup{reason: reason}
	k, err := s.Acts().UpdatePrepared(ctx, name, b.decide(ctx))
	switch {
	case errors.Is(err, refusal.ErrRepeated): // it is kept already
		if _, err := b.allowed(ctx, s, k); err != nil {
			return "", err
		}
		b.write(ctx, s, &k)
		return b.text, b.err
	case errors.Is(err, refusal.ErrNotFound):
		return "", refusal.AsFault(refusal.NotFoundf("key %q not found", name))
	case err != nil:
		return "", err
	}
	s.Log.Info("backed up key", "key", name, "versions", len(b.versions), "reason", reason)
	return b.text, nil
}

// backup is one on its way. It is written while the key's lock is free, and counts if it is of the key as it is.
type backup struct {
	reason   string
	keyID    string
	revision int
	versions []int // that have material
	text     string
	err      error // why there is none
}

// decide is the [PreparedAct].
func (b *backup) decide(ctx context.Context) PreparedAct {
	return func(p *Prepared, k lifecycle.Key, _ time.Time) (c lifecycle.Commit, err error) {
		policy, err := b.allowed(ctx, p.Transfers(), k)
		if err != nil {
			return c, err
		}
		event := lifecycle.Event{Act: string(acts.Backup), Reason: b.reason}
		if event, err = p.gate().permitKey(ctx, &k, ofKey(acts.GateBackup, &k, policy, Precondition{Reason: b.reason}), event); err != nil {
			return c, err
		}
		if b.keyID != k.ID || b.revision != k.Revision {
			return c, p.lacks(func(ctx context.Context) error {
				b.write(ctx, p.Transfers(), &k)
				return b.err
			})
		}
		return lifecycle.Commit{Key: k, KeyStays: true, Event: event.About(b.versions).Under(policy)}, b.err
	}
}

func (b *backup) allowed(ctx context.Context, s Transfers, k lifecycle.Key) (*policy.Policy, error) {
	if err := lifecycle.CheckBackup(k); err != nil {
		return nil, err
	}
	policy, err := s.mayLeave(ctx, k, true)
	if err != nil {
		return nil, err
	}
	return policy, policy.CheckReason(acts.Backup, b.reason)
}

// write opens all versions, and writes them.
func (b *backup) write(ctx context.Context, s Transfers, k *lifecycle.Key) {
	b.keyID, b.revision, b.versions = k.ID, k.Revision, nil
	all := transitformat.Backup{Key: *k, Versions: map[int]transitformat.Version{}}
	defer all.Wipe()
	if b.err = b.open(ctx, s, all); b.err == nil {
		b.text, b.err = all.Write(s.Now())
	}
}

func (b *backup) open(ctx context.Context, s Transfers, all transitformat.Backup) error {
	k, from := &all.Key, max(all.Key.MinAvailable, 1)
	dates, err := s.store.Versions.Dates(ctx, *k, from)
	if err != nil {
		return err
	}
	for n := from; n <= k.Latest; n++ {
		v := transitformat.Version{Created: dates[n]}
		if v.Chain, err = s.PublicHalves().chain(ctx, k, n); err != nil {
			return err
		}
		if k.IsDestroyed(n) {
			v.Material, err = s.publicLeft(ctx, k, n)
		} else {
			v.Material, err = s.loaded(ctx, k, n)
			b.versions = append(b.versions, n)
		}
		if err != nil {
			return err
		}
		all.Versions[n] = v
	}
	b.versions = slices.Clip(b.versions)
	return nil
}

// loaded opens the material of a version.
func (s Transfers) loaded(ctx context.Context, k *lifecycle.Key, n int) (envelope.Material, error) {
	ctx, cancel := context.WithTimeout(ctx, wrapTime)
	defer cancel()
	material, err := s.data.Materials().Load(ctx, k, n)
	if err != nil {
		err = fmt.Errorf("load key %q version %d: %w", k.Name, n, err)
	}
	return material, err
}

// publicLeft returns what is left of a version that was destroyed: its public half, where it has one.
func (s Transfers) publicLeft(ctx context.Context, k *lifecycle.Key, n int) (m envelope.Material, err error) {
	v, err := s.store.Versions.Version(ctx, k.Name, n)
	switch {
	case errors.Is(err, refusal.ErrNotFound):
		return m, nil
	case err != nil || v.KeyID != k.ID || len(v.Public) == 0:
		return m, err
	}
	return envelope.NewKeyPair(nil, v.Public, nil), nil
}
