// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Creation asks for a new key. Of Spec, the name, type and flags are taken; nil is what the request leaves out.
type Creation struct {
	Spec   lifecycle.Key
	Policy *string
	Owner  *string
	Labels map[string]string
	Uses   *[]lifecycle.AllowedUse
	Precondition

	from *imported // what is imported; nil: the key is made here
}

// spec is the key as it is to be made.
func (c Creation) spec() lifecycle.Key {
	spec := c.Spec
	spec.Labels = c.Labels
	if c.Policy != nil {
		spec.Policy = *c.Policy
	}
	if c.Owner != nil {
		spec.Owner = *c.Owner
	}
	if c.Uses != nil {
		spec.Uses = *c.Uses
	}
	return spec
}

// event is what custody keeps of it.
func (c Creation) event() lifecycle.Event {
	e := lifecycle.Event{Act: string(acts.Create), Versions: []int{1}, From: lifecycle.NoState.String(), To: lifecycle.Active.String(), Reason: c.Reason}
	if c.from != nil {
		e.Act = string(acts.Import)
		e = e.With(importedPart, c.from.part())
	}
	return e
}

// Create makes a key with its first version. Where the name is taken it returns the key that is there, with existed
// set, and as in Transit its settings stay; what Transit does not have (policy, owner, labels, allowed uses) is brought in line with
// the request, so that a configuration tool that writes the same key again sees what it wrote.
func (s Keys) Create(ctx context.Context, c Creation) (view View, existed bool, err error) {
	at := s.Now()
	k, err := lifecycle.New(c.spec(), at)
	if err != nil {
		return View{}, false, err
	}
	for range creations {
		err = s.create(ctx, k, c, at)
		if !errors.Is(err, refusal.ErrExists) {
			break
		}
		view, err = s.existing(ctx, c)
		switch {
		case errors.Is(err, refusal.ErrRepeated): // it made the key
			return view, false, nil
		case !errors.Is(err, refusal.ErrNotFound):
			return view, true, err
		}
	}
	if err != nil {
		return View{}, false, err
	}
	view, err = s.Read(ctx, k.Name)
	view, err = s.left(k, view, err)
	return view, false, err
}

// MakeKey makes a key to encrypt with, where there is none.
func (s Keys) MakeKey(ctx context.Context, spec lifecycle.Key) (existed bool, err error) {
	_, existed, err = s.Create(ctx, Creation{Spec: spec})
	return existed, err
}

// creations is how often a key is made anew that others delete meanwhile.
const creations = 3

func (s Keys) existing(ctx context.Context, c Creation) (View, error) {
	view, _, err := s.configure(ctx, c.Spec.Name, lifecycle.ConfigChange{Policy: c.Policy, Owner: c.Owner, Labels: c.Labels, Uses: c.Uses}, c.Precondition)
	return view, err
}

// create commits the key unless the name is taken.
func (s Keys) create(ctx context.Context, k lifecycle.Key, in Creation, at time.Time) error {
	pre := in.Precondition
	found, err := s.Exists(ctx, k.Name)
	if err != nil {
		return err
	}
	if found {
		return refusal.Existsf("key %s already existed", k.Name)
	}
	if err := refusal.CheckRevision(pre.CAS, 0); err != nil {
		return err
	}
	if k, err = s.withDefaultPolicy(ctx, k, in.Policy); err != nil {
		return err
	}
	policy, err := s.policyIfAdmitted(ctx, k, at)
	if err != nil {
		return err
	}
	event := in.event()
	if err := policy.CheckReason(acts.Name(event.Act), pre.Reason); err != nil {
		return err
	}
	if event, err = s.permitImport(ctx, k, in, policy, event); err != nil {
		return s.gate().filed(ctx, err)
	}
	if k.ID, err = s.newID(); err != nil {
		return err
	}
	version, err := s.firstVersion(ctx, &k, policy, at)
	if err != nil {
		return err
	}
	k.Rotation.Reason = pre.Reason
	c, err := s.Acts().Complete(ctx, lifecycle.Commit{Key: k, Version: version, Event: event}, policy, at)
	if err != nil {
		return err
	}
	defer s.Plane.KeyChanged(k.Name)
	if err := s.store.Keys.CreateKey(ctx, c); err != nil {
		return err
	}
	s.claimed(ctx, version)
	s.Plane.ForgetDenied(k.Name)
	s.Log.Info("created key", "key", k.Name, "act", event.Act, "type", string(k.Type), "policy", k.Policy, "reason", pre.Reason)
	return nil
}

// policyIfAdmitted returns the policy that is to govern the key, if it admits it.
func (s Keys) policyIfAdmitted(ctx context.Context, k lifecycle.Key, at time.Time) (*policy.Policy, error) {
	policy, err := s.demanded(ctx, &k)
	if policy == nil || err != nil { // no policy admits every key
		return nil, err
	}
	return policy, policy.Admits(k.Attributes(), at)
}

func (s Keys) newID() (string, error) {
	var id [16]byte
	if _, err := io.ReadFull(s.Rand, id[:]); err != nil {
		return "", fmt.Errorf("draw key id: %w", err)
	}
	return hex.EncodeToString(id[:]), nil
}
