// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// This file is about keys that were made elsewhere. What is sent of one is opened and read before any lock is taken; from there on
// it goes the way of every new version. Refusals have the status of Transit's, which mostly is that of a fault.

// Import is what a request brings: a wrapped key, or a public half.
type Import struct {
	Ciphertext string // wrapped with the wrapping key; empty: PublicKey
	Hash       string // of RSA-OAEP
	PublicKey  string // PEM
	Version    int    // the version whose private half it is; 0: a new one
}

// materialSource gives the material of a version that is to be made. Whoever asks wipes it.
type materialSource = func(ctx context.Context, k *lifecycle.Key, number int) (envelope.Material, error)

// imported is what a request brought, as material.
type imported struct {
	material envelope.Material
	next     lifecycle.NextType
}

// importedPart is the detail of a custody record that says what was imported.
const importedPart = "imported"

func (i *imported) part() string {
	switch {
	case i.material.Public() == nil:
		return "key"
	case i.material.HasKey():
		return "private key"
	default:
		return "public key"
	}
}

// WrappingKey returns the public half, in PEM, of the key that keys are wrapped for which are to be imported. The first call makes
// it.
func (s Transfers) WrappingKey(ctx context.Context) (string, error) {
	k, err := s.data.Key(ctx, lifecycle.WrappingKey)
	if errors.Is(err, refusal.ErrNotFound) {
		if _, _, err = s.Create(ctx, Creation{Spec: lifecycle.NewWrappingKey()}); err == nil {
			k, err = s.data.Key(ctx, lifecycle.WrappingKey)
		}
	}
	if err != nil {
		return "", err
	}
	public, err := s.PublicHalves().of(ctx, k, k.Primary)
	if err != nil {
		return "", err
	}
	return envelope.FormatPublic(public)
}

// errNoWrappingKey reports a wrapped key where there is nothing that it can be wrapped for.
var errNoWrappingKey = refusal.Invalidf("ciphertext: the mount has no wrapping key yet: read wrapping_key, and wrap with that")

// received returns what a request brought of that type. The caller wipes it.
func (s Transfers) received(ctx context.Context, t keytype.Type, in Import) (*imported, error) {
	random, err := s.data.Materials().RandomFor(ctx, dataplane.RandomForMaterial)
	if err != nil {
		return nil, err
	}
	alg := envelope.Algorithm(t)
	if in.Ciphertext == "" {
		if !t.IsAsymmetric() {
			return nil, refusal.Invalidf("ciphertext: is needed: provided type does not support public_key import: %s", t)
		}
		m, err := envelope.ImportPublicKey(alg, in.PublicKey, random)
		return &imported{m, lifecycle.NextType{Type: t}}, err
	}
	target, err := s.unwrapped(ctx, in)
	if err != nil {
		return nil, err
	}
	defer clear(target)
	m, err := envelope.ImportKey(alg, target, random)
	if err != nil {
		return nil, err
	}
	return &imported{m, lifecycle.NextType{Type: t, Size: t.SizeOf(len(target))}}, nil
}

// unwrapped opens what was wrapped with the wrapping key.
func (s Transfers) unwrapped(ctx context.Context, in Import) ([]byte, error) {
	newHash, err := envelope.WrapHash(in.Hash)
	if err != nil {
		return nil, err
	}
	k, err := s.data.Key(ctx, lifecycle.WrappingKey)
	if errors.Is(err, refusal.ErrNotFound) {
		return nil, errNoWrappingKey
	}
	if err != nil {
		return nil, err
	}
	wrapping, err := s.data.Materials().Load(ctx, k, k.Primary)
	if err != nil {
		return nil, err
	}
	defer wrapping.Wipe()
	return envelope.UnwrapKey(wrapping, newHash, in.Ciphertext)
}

// importing returns a session in which new material is what was imported. The private half of a version that has a public one is
// sealed with what is there.
func (s Transfers) importing(from *imported) *Session {
	next := *s.Session
	next.made = func(ctx context.Context, k *lifecycle.Key, number int) (envelope.Material, error) {
		if !k.IsPublicOnly(number) || !from.material.HasKey() {
			return from.material.Clone(), nil
		}
		public, err := s.data.Materials().Load(ctx, k, number)
		if err != nil {
			return public, err
		}
		defer public.Wipe()
		return public.WithPrivate(from.material), nil
	}
	return &next
}

// asFault gives a refusal the status that Transit gives it.
func asFault(err error) error {
	for _, theirs := range []error{envelope.ErrInput, refusal.ErrInvalid, refusal.ErrRefused, refusal.ErrNotFound} {
		if errors.Is(err, theirs) {
			return refusal.AsFault(err)
		}
	}
	return err
}

// Import makes a key of material that was made elsewhere.
func (s Transfers) Import(ctx context.Context, c Creation, in Import) error {
	if _, err := envelope.WrapHash(in.Hash); err != nil { // which is no fault in Transit, either
		return err
	}
	from, err := s.received(ctx, c.Spec.Type, in)
	if err != nil {
		return asFault(err)
	}
	defer from.material.Wipe()
	c.from, c.Spec.Imported, c.Spec.Size = from, true, from.next.Size
	if !from.material.HasKey() {
		c.Spec.PublicOnly = []int{1}
	}
	at := s.Now()
	k, err := lifecycle.New(c.spec(), at)
	if err != nil {
		return err
	}
	err = s.importing(from).Keys().create(ctx, k, c, at)
	if !errors.Is(err, refusal.ErrExists) {
		return err
	}
	if _, again := s.existing(ctx, Creation{Spec: lifecycle.Key{Name: k.Name}}); errors.Is(again, refusal.ErrRepeated) {
		return nil // it made the key
	}
	return refusal.AsFault(refusal.Existsf("the import path cannot be used with an existing key: key %s already existed; use import_version", k.Name))
}

// ImportVersion gives an imported key another version, or a version of it its private half.
func (s Transfers) ImportVersion(ctx context.Context, name string, in Import, pre Precondition) error {
	of, err := s.data.Key(ctx, name)
	if err != nil {
		return asFault(err)
	}
	if err := lifecycle.CheckImport(*of); err != nil {
		return err
	}
	if _, err := envelope.WrapHash(in.Hash); err != nil {
		return err
	}
	from, err := s.received(ctx, lifecycle.TypesOf(of).Named(in.Version), in)
	if err != nil {
		return asFault(err)
	}
	defer from.material.Wipe()
	k, err := s.importing(from).Acts().UpdatePrepared(ctx, name, func(p *Prepared, k lifecycle.Key, at time.Time) (c lifecycle.Commit, err error) {
		if err := refusal.CheckRevision(pre.CAS, k.Revision); err != nil {
			return c, err
		}
		if k.ID != of.ID {
			return c, refusal.Refusedf("key %q was deleted and made anew meanwhile", name)
		}
		return p.importVersion(ctx, k, from, in.Version, pre.Reason, at)
	})
	if errors.Is(err, refusal.ErrRepeated) {
		_, err = s.Versions().answerAgain(ctx, k)
		return err
	}
	if err != nil {
		return err
	}
	s.Log.Info("imported version", "key", name, "version", k.Latest, "imported", from.part(), "reason", pre.Reason)
	_, err = s.SystemActs().CheckPromoted(ctx, k)
	return err
}

// importVersion decides an import: into the version that is named, into the newest one if it lacks this very private half, as
// Transit does, or as a new one.
func (p *Prepared) importVersion(
	ctx context.Context, k lifecycle.Key, from *imported, number int, reason string, at time.Time,
) (c lifecycle.Commit, err error) {
	if err := lifecycle.CheckImport(k); err != nil {
		return c, err
	}
	if number == 0 && from.material.HasKey() && k.IsPublicOnly(k.Latest) {
		public, err := p.PublicHalves().of(ctx, &k, k.Latest)
		if err != nil {
			return c, err
		}
		if bytes.Equal(public, from.material.Public()) {
			number = k.Latest
		}
	}
	if number == 0 {
		return p.NewVersion(ctx, k, Rotation{Trigger: lifecycle.ByImport, Reason: reason, from: from}, at)
	}
	policy, err := p.demanded(ctx, &k)
	if err == nil && policy != nil {
		err = policy.AdmitsVersion(lifecycle.TypesOf(&k).Of(number), at)
	}
	if err != nil {
		return c, err
	}
	if err := policy.CheckReason(acts.Import, reason); err != nil {
		return c, err
	}
	return p.complete(ctx, k, policy, from, number, reason, at)
}

var (
	errPublicAgain = refusal.AsFault(refusal.Invalidf("cannot add a public key to a key version that already has a public key set"))
	errOtherPair   = refusal.AsFault(refusal.Invalidf("cannot import key, key pair does not match"))
)

// complete decides the import of a private half. The version is stored anew before the commit, and has its private half from the
// commit on: the record says so, see [lifecycle.Origin].
func (p *Prepared) complete(
	ctx context.Context, k lifecycle.Key, rules *policy.Policy, from *imported, number int, reason string, at time.Time,
) (c lifecycle.Commit, err error) {
	if !from.material.HasKey() {
		return c, errPublicAgain
	}
	if c.Key, err = lifecycle.WithPrivate(k, number); err != nil {
		return c, err
	}
	stored, err := p.store.Versions.Version(ctx, k.Name, number)
	switch {
	case err != nil:
		return c, err
	case stored.KeyID != k.ID || !bytes.Equal(stored.Public, from.material.Public()):
		return c, errOtherPair
	}
	c.Event = lifecycle.Event{
		Act: string(acts.Import), Versions: []int{number}, Reason: reason,
		Details: map[string]string{importedPart: "private half of a version that had none", "fingerprint": stored.Fingerprint},
	}
	g := ofKey(acts.GateImport, &k, rules, Precondition{Reason: reason}).ofVersion(p.Session, number)
	g.parameters = c.Event.Details
	if c.Event, err = p.gate().permitKey(ctx, &k, g, c.Event); err != nil {
		return c, err
	}
	if c.Version, err = p.newVersion(ctx, k, number, rules, at); err != nil {
		return c, err
	}
	c.Version.Created = stored.Created
	return p.Complete(ctx, c, rules, at)
}
