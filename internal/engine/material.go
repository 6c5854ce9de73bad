// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// wrapTime bounds the wrapping of a new version.
const wrapTime = 10 * time.Second

// errSelfTest reports new material that did not come back as it was sealed; it is not committed.
var errSelfTest = errors.New("self-test of new key material: it does not open to what was sealed")

// hardware is what a wrapper has besides that keeps its key encryption key in a hardware security module.
type hardware interface{ Hardware() bool }

// requireHardware refuses new material that the policy wants wrapped by an HSM where none does it. It comes before a
// new mount gets its key encryption keys, so that nothing is written.
func requireHardware(ctx context.Context, wrappers dataplane.WrapperSource, p *policy.Policy) error {
	if p == nil || p.HSM != policy.Required {
		return nil
	}
	wrapper, _, err := wrappers.Wrapper(ctx, envelope.PurposeOnline, false)
	if err == nil {
		if w, ok := wrapper.(hardware); ok && w.Hardware() {
			return nil
		}
	}
	if errors.Is(err, envelope.ErrUnavailable) {
		return err
	}
	return refusal.Refusedf("hsm: %q: policy %q wants new versions wrapped by an HSM: no HSM is configured", string(policy.Required), p.Name)
}

// made is a version that was made for an act.
type made struct {
	madeFor
	version *lifecycle.Version
	err     error // why there is none
}

// madeFor is what the material of a version depends on.
type madeFor struct {
	keyID  string
	number int
	spec   envelope.Spec
	hsm    string // the policy that demands that an HSM wraps it; empty: none does
}

// newVersion returns the version that was made for the act, with its date, if it was made for the very key and number and
// for what the policy demands of its wrapper. What was made for another is dropped, as is what another key wraps by now.
func (p *Prepared) newVersion(ctx context.Context, k lifecycle.Key, number int, rules *policy.Policy, at time.Time) (*lifecycle.Version, error) {
	want := madeFor{keyID: k.ID, number: number, spec: dataplane.Spec(&k, number)}
	if rules != nil && rules.HSM == policy.Required {
		want.hsm = rules.Name
	}
	if p.version.madeFor != want || p.version.err == nil && p.isOutdated(ctx, envelope.PurposeOnline, p.version.version.Sealed) {
		return nil, p.lacks(func(ctx context.Context) error {
			v, err := p.makeVersion(ctx, &k, number, rules, at)
			p.version = made{want, v, err}
			return err
		})
	}
	if p.version.err != nil {
		return nil, p.version.err
	}
	v := *p.version.version
	v.Created = at
	return &v, nil
}

// firstVersion returns the first version of a key. It is made anew where another key wraps once it is made.
func (s *Session) firstVersion(ctx context.Context, k *lifecycle.Key, policy *policy.Policy, at time.Time) (*lifecycle.Version, error) {
	for range mostRounds {
		v, err := s.makeVersion(ctx, k, k.Latest, policy, at)
		if err != nil || !s.isOutdated(ctx, envelope.PurposeOnline, v.Sealed) {
			return v, err
		}
	}
	return nil, errOvertaken
}

// makeVersion makes the material of a version, proves that it works and that what is stored opens to it again, and
// returns it sealed. Nothing is written. It must not be called under the lock of a key: it waits for a wrapper.
func (s *Session) makeVersion(
	ctx context.Context, k *lifecycle.Key, number int, policy *policy.Policy, at time.Time,
) (*lifecycle.Version, error) {
	if err := s.requireWrapper(ctx, k, number, policy); err != nil {
		return nil, err
	}
	material, object, err := s.newMaterial(ctx, k, number)
	if err != nil {
		return nil, err
	}
	defer material.Wipe()
	v, err := s.sealVersion(ctx, k, number, material)
	if err != nil {
		return nil, err
	}
	v.Created, v.Object = at, object
	return v, nil
}

// sealVersion returns the version of that material, sealed once it has been seen to work and to come back.
func (s *Session) sealVersion(ctx context.Context, k *lifecycle.Key, number int, material envelope.Material) (*lifecycle.Version, error) {
	sealed, err := s.sealTested(ctx, k, number, material)
	if err != nil {
		return nil, err
	}
	return &lifecycle.Version{
		KeyID: k.ID, Number: number, Fingerprint: material.Fingerprint(), Sealed: sealed, Public: material.Public(),
	}, nil
}

// requireWrapper sees to it that there is a wrapper for new material, and one that the policy and the key take.
func (s *Session) requireWrapper(ctx context.Context, k *lifecycle.Key, number int, policy *policy.Policy) error {
	ctx, cancel := context.WithTimeout(ctx, wrapTime)
	defer cancel()
	if err := requireHardware(ctx, s.data.Wrappers, policy); err != nil {
		return err
	}
	if err := s.requireToken(ctx, k, number); err != nil {
		return err
	}
	_, _, err := s.data.Wrappers.Wrapper(ctx, envelope.PurposeOnline, true)
	return err
}

// sealTested returns material sealed, once it has been seen to work and to come back. Its time begins only here: to draw a long RSA
// key takes seconds.
func (s *Session) sealTested(ctx context.Context, k *lifecycle.Key, number int, material envelope.Material) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, wrapTime)
	defer cancel()
	c, err := s.data.Materials().CipherOf(k, number, material)
	if err != nil {
		return nil, err
	}
	if err := c.SelfTest(ctx); err != nil {
		return nil, err
	}
	wrapper, instance, err := s.data.Wrappers.Wrapper(ctx, envelope.PurposeOnline, false)
	if err != nil {
		return nil, err
	}
	bound := dataplane.Binding(instance, envelope.PurposeOnline, k, number)
	random, err := s.data.Materials().RandomFor(ctx, dataplane.RandomForSealing)
	if err != nil {
		return nil, err
	}
	sealed, err := envelope.Seal(ctx, wrapper, material, bound, random)
	if err != nil {
		return nil, err
	}
	opened, err := envelope.Open(ctx, wrapper, sealed, bound)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSelfTest, err)
	}
	defer opened.Wipe()
	if !opened.Equal(material) {
		return nil, errSelfTest
	}
	return sealed, nil
}

func (s *Session) newSecret(ctx context.Context, k *lifecycle.Key, number int) (envelope.Material, error) {
	ctx, cancel := context.WithTimeout(ctx, wrapTime) // of the token that random bytes may come from
	defer cancel()
	random, err := s.data.Materials().RandomFor(ctx, dataplane.RandomForMaterial)
	if err != nil {
		return envelope.Material{}, err
	}
	return envelope.Generate(dataplane.Spec(k, number), random)
}
