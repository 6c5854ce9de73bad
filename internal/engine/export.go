// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Transfers is what brings keys in that were made elsewhere, and lets them out.
type Transfers struct{ Keys }

// Exporting asks for what versions of a key hold.
type Exporting struct {
	Kind     ExportKind
	Version  string // a number, which may have a v before it, or latest; empty: all from the floor on
	Encoding envelope.Encoding
	Reason   string
}

// Exported is what was asked for of each version: a text, or a JSON object.
type Exported struct {
	Key    lifecycle.Key
	Values map[int]any
}

// Export gives out material of versions in the clear, or their public halves. No material leaves that custody has not kept
// the leaving of; public halves are no secret, and it does not ask for those.
func (s Transfers) Export(ctx context.Context, name string, in Exporting) (Exported, error) {
	kind, err := in.kind()
	if err != nil {
		return Exported{}, err
	}
	if kind.private == nil {
		return s.exportPublic(ctx, name, in, kind)
	}
	e := &exporting{Exporting: in, kind: kind, act: acts.Export, details: map[string]string{"kind": string(in.Kind)}}
	return e.run(ctx, s, name)
}

// run gives out the versions, once custody has kept that they leave.
func (e *exporting) run(ctx context.Context, s Transfers, name string) (Exported, error) {
	k, err := s.Acts().UpdatePrepared(ctx, name, e.decide(ctx))
	switch {
	case errors.Is(err, refusal.ErrRepeated): // it is kept already
		if e.versions, _, err = e.allowed(ctx, s, k); err != nil {
			return Exported{}, err
		}
		e.open(ctx, s, &k)
		return Exported{k, e.values}, e.err
	case err != nil:
		return Exported{}, err
	}
	s.Log.Info("exported key", "key", name, "act", string(e.act), "kind", string(e.Kind), "versions", len(e.versions), "reason", e.Reason)
	return Exported{k, e.values}, nil
}

// exporting is an export on its way. Material is opened while the key's lock is free, and leaves if the versions are still the
// ones that may.
type exporting struct {
	Exporting
	kind     exportKind
	act      acts.Name
	details  map[string]string // that custody keeps of it
	keyID    string
	versions []int // that values are of
	values   map[int]any
	err      error // why there are none
}

// decide is the [PreparedAct].
func (e *exporting) decide(ctx context.Context) PreparedAct {
	return func(p *Prepared, k lifecycle.Key, _ time.Time) (c lifecycle.Commit, err error) {
		versions, policy, err := e.allowed(ctx, p.Transfers(), k)
		if err != nil {
			return c, err
		}
		event, err := e.permit(ctx, p, &k, policy, e.event(versions))
		if err != nil {
			return c, err
		}
		if e.keyID != k.ID || !slices.Equal(e.versions, versions) {
			return c, p.lacks(func(ctx context.Context) error {
				e.versions = versions
				e.open(ctx, p.Transfers(), &k)
				return e.err
			})
		}
		if e.err != nil {
			return c, e.err
		}
		return lifecycle.Commit{Key: k, KeyStays: true, Event: event.Under(policy)}, nil
	}
}

// event is what custody keeps: which versions left, and in which form.
func (e *exporting) event(versions []int) lifecycle.Event {
	event := lifecycle.Event{Act: string(e.act), Reason: e.Reason, Details: e.details}
	return event.About(versions).With("format", string(e.Encoding))
}

// allowed returns the versions that may leave as the request asks, and the policy that lets them.
func (e *exporting) allowed(ctx context.Context, s Transfers, k lifecycle.Key) ([]int, *policy.Policy, error) {
	policy, err := s.mayLeave(ctx, k, false)
	if err != nil {
		return nil, nil, err
	}
	if err := policy.CheckReason(e.act, e.Reason); err != nil {
		return nil, nil, err
	}
	if err := e.kind.check(&k); err != nil {
		return nil, nil, err
	}
	versions, err := e.of(k, e.kind.of(&k, k.Permissions(k.RulesFor(policy)).ToExport))
	return versions, policy, err
}

// mayLeave returns the policy of a key whose material is to leave. The error is [refusal.ErrRefused] where the key, or its policy,
// does not let it.
func (s Transfers) mayLeave(ctx context.Context, k lifecycle.Key, backup bool) (*policy.Policy, error) {
	if err := lifecycle.CheckExport(k); err != nil {
		return nil, err
	}
	p, err := s.demanded(ctx, &k)
	if err != nil {
		return nil, err
	}
	return p, p.LetsLeave(policy.Attributes{Exportable: true, AllowPlaintextBackup: backup})
}

// open opens the versions, one after the other.
func (e *exporting) open(ctx context.Context, s Transfers, k *lifecycle.Key) {
	e.keyID, e.values, e.err = k.ID, make(map[int]any, len(e.versions)), nil
	for _, n := range e.versions {
		if e.values[n], e.err = e.openOne(ctx, s, k, n); e.err != nil {
			e.values = nil
			return
		}
	}
}

func (e *exporting) openOne(ctx context.Context, s Transfers, k *lifecycle.Key, n int) (any, error) {
	material, err := s.loaded(ctx, k, n)
	if err != nil {
		return nil, err
	}
	defer material.Wipe()
	return e.kind.private(dataplane.Spec(k, n).Algorithm, material, e.Encoding)
}

// exportPublic gives out what is no secret.
func (s Transfers) exportPublic(ctx context.Context, name string, in Exporting, kind exportKind) (out Exported, err error) {
	k, err := s.data.Key(ctx, name)
	if err != nil {
		return out, err
	}
	if err := kind.check(k); err != nil {
		return out, err
	}
	versions, err := in.of(*k, kind.of(k, k.Permissions(k.RulesFor(nil)).ToShow))
	if err != nil {
		return out, err
	}
	out = Exported{*k, make(map[int]any, len(versions))}
	for _, n := range versions {
		v, err := s.store.Versions.Version(ctx, name, n)
		if err == nil && v.KeyID != k.ID {
			err = refusal.NoVersion(name, n)
		}
		if err != nil {
			return Exported{}, err
		}
		if out.Values[n], err = kind.public(ctx, s.PublicHalves(), versionOf{v, k}, in.Encoding); err != nil {
			return Exported{}, err
		}
	}
	return out, nil
}

// of returns the versions that are asked for and allowed. Of all from the floor on, those are left out that are not, but not
// the last one.
func (in Exporting) of(k lifecycle.Key, allowed func(n int) error) (versions []int, err error) {
	if in.Version != "" {
		n := k.Latest
		if in.Version != "latest" {
			if n, err = strconv.Atoi(strings.TrimPrefix(in.Version, "v")); err != nil {
				return nil, refusal.Invalidf("invalid key version: %.32q: must be a number, or latest", in.Version)
			}
		}
		return []int{n}, allowed(n)
	}
	for n := max(k.MinDecryption, 1); n <= k.Latest; n++ {
		if err = allowed(n); err == nil {
			versions = append(versions, n)
		}
	}
	if len(versions) > 0 {
		err = nil
	}
	return versions, err
}
