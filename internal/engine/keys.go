// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// View is a key as it is shown.
type View struct {
	Key        lifecycle.Key
	Dates      map[int]time.Time // when each version from the floor on was made
	Chains     map[int]string    // the certificate chains of these versions, PEM
	PublicKeys map[int]string    // the public halves of these versions, as Transit shows them; nil: the type has none
	Plan       lifecycle.RotationPlan
	Policy     *policy.Policy       // the revision in force; nil: none governs the key
	Fault      error                // why the policy that the key names does not; nil: it does, or the key names none
	Pending    bool                 // after an act: material is still where it was, which a tick changes
	Protection lifecycle.Protection // of the active version, else of the newest; empty: it was destroyed, or nobody can tell
	Unread     error                // after an urgent act: why nothing but the key itself is shown; nil: all is
}

// Precondition is what a caller may demand of, and say about, any change.
type Precondition struct {
	CAS    *int   // the revision that the change is for; nil: any. 0: the thing must not exist
	Reason string // free text for the log and the record

	BreakGlass bool // nobody is asked for consent now: people review the act afterwards
}

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

// Keys is what is done with whole keys.
type Keys struct{ *Session }

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

// Exists reports whether a key has the name. One of which the record cannot be read has it: the storage's error has a method
// Unreadable() bool.
func (s Keys) Exists(ctx context.Context, name string) (bool, error) {
	_, err := s.data.Key(ctx, name)
	if errors.Is(err, refusal.ErrNotFound) {
		return false, nil
	}
	var record interface{ Unreadable() bool }
	if errors.As(err, &record) && record.Unreadable() {
		return true, nil
	}
	return err == nil, err
}

// Read returns the key as it is shown, or refusal.ErrNotFound.
func (s Keys) Read(ctx context.Context, name string) (View, error) {
	k, err := s.data.Key(ctx, name)
	if err != nil {
		return View{}, err
	}
	return s.view(ctx, *k)
}

// view shows a key whatever is the matter with its policy: an act that is done is not to look like one that failed.
func (s Keys) view(ctx context.Context, k lifecycle.Key) (View, error) {
	v := s.summary(ctx, &k)
	v.Protection = s.protectionOf(ctx, &k, cmp.Or(k.Primary, k.Latest))
	var err error
	if v.Dates, err = s.store.Versions.Dates(ctx, k, k.MinDecryption); err == nil && lifecycle.TypesOf(&k).Any(keytype.Type.IsAsymmetric) {
		if v.PublicKeys, err = s.PublicHalves().keys(ctx, k); err == nil {
			v.Chains, err = s.PublicHalves().certificateChains(ctx, &k)
		}
	}
	return v, err
}

// left returns what shows a key that an act has just left like that. Another act may have deleted it since: that takes nothing back, so
// the key is shown as it was left, without what is gone.
func (s Keys) left(k lifecycle.Key, view View, err error) (View, error) {
	if errors.Is(err, refusal.ErrNotFound) {
		return View{Key: k, Plan: lifecycle.Plan(k, nil, s.Now()), Unread: err}, nil
	}
	return view, err
}

// shown is view of a key that an act has just left like that.
func (s Keys) shown(ctx context.Context, k lifecycle.Key) (View, error) {
	view, err := s.view(ctx, k)
	return s.left(k, view, err)
}

// summary is view without dates.
func (s Keys) summary(ctx context.Context, k *lifecycle.Key) View {
	policy, fault := s.data.Ruling(ctx, k)
	v := View{Key: *k, Policy: policy, Fault: fault, Plan: lifecycle.Plan(*k, policy, s.Now())}
	if fault != nil {
		v.Plan.Why += ": " + fault.Error()
	}
	return v
}

// Summary returns a key for a table of many: without dates.
func (s Keys) Summary(ctx context.Context, name string) (View, error) {
	k, err := s.data.KeyOfMany(ctx, name)
	if err != nil {
		return View{}, err
	}
	return s.summary(ctx, k), nil
}

// Forecast returns the key and the next n things that the clock will do to it.
func (s Keys) Forecast(ctx context.Context, name string, n int) (View, []lifecycle.Forecasted, error) {
	view, err := s.Read(ctx, name)
	if err != nil {
		return View{}, nil, err
	}
	return view, lifecycle.Forecast(view.Key, view.Policy, view.Dates, s.Now(), n), nil
}

// Names returns the names of all keys in alphabetical order.
func (s Keys) Names(ctx context.Context) ([]string, error) { return s.store.Keys.KeyNames(ctx) }

// Configure changes settings of a key and returns what the operator should be warned of.
func (s Keys) Configure(
	ctx context.Context, name string, c lifecycle.ConfigChange, pre Precondition,
) (View, []string, error) {
	view, warnings, err := s.configure(ctx, name, c, pre)
	if errors.Is(err, refusal.ErrRepeated) {
		err = nil
	}
	return view, warnings, err
}

// configure is Configure; a request that comes again has its answer beside [refusal.ErrRepeated].
func (s Keys) configure(
	ctx context.Context, name string, c lifecycle.ConfigChange, pre Precondition,
) (View, []string, error) {
	var warnings []string
	changed := false
	var review *consent.Review
	k, err := s.Acts().Update(ctx, name, func(k lifecycle.Key, at time.Time) (commit lifecycle.Commit, err error) {
		if err := refusal.CheckRevision(pre.CAS, k.Revision); err != nil {
			return commit, err
		}
		next, w, err := k.Configure(c)
		if err != nil {
			return commit, err
		}
		warnings, changed = w, next.Revision != k.Revision
		if !changed {
			return lifecycle.Commit{Key: k}, nil
		}
		commit, err = s.configured(ctx, k, next, pre, at)
		review = commit.Event.Review
		return commit, err
	})
	if errors.Is(err, refusal.ErrRepeated) {
		view, viewErr := s.shown(ctx, k)
		return view, nil, cmp.Or(viewErr, err)
	}
	if err != nil {
		return View{}, nil, err
	}
	if changed {
		s.Approvals().Reviews().logUnruled(review)
		s.Log.Info("configured key", "key", name, "revision", k.Revision, "policy", k.Policy, "reason", pre.Reason)
	}
	view, err := s.shown(ctx, k)
	return view, warnings, err
}

// configured decides a change of settings.
func (s Keys) configured(
	ctx context.Context, k, next lifecycle.Key, pre Precondition, at time.Time,
) (c lifecycle.Commit, err error) {
	was, err := s.data.PolicyOf(ctx, &k)
	if err != nil {
		return c, err
	}
	policy, err := s.policyAfter(ctx, k, next, at)
	if err != nil {
		return c, err
	}
	if err := checkReasons(k, next, pre.Reason, was, policy); err != nil {
		return c, err
	}
	if next.Policy != k.Policy {
		denied, err := s.data.DeniedUses(ctx, k, 0)
		if err != nil {
			return c, err
		}
		next = next.PinQuietPeriods(k.RulesFor(was), denied.Last)
	}
	event := lifecycle.Event{Act: string(acts.Configure), Reason: pre.Reason, Details: lifecycle.Differences(k, next)}
	if event, err = s.permitConfigure(ctx, k, next, was, policy, pre, event); err != nil {
		return c, err
	}
	if event, err = s.leaving(ctx, k, next, was, pre, event); err != nil {
		return c, err
	}
	return s.Acts().Complete(ctx, lifecycle.Commit{Key: next, Event: event}, policy, at)
}

// checkReasons asks the policy that the key had and the one that it gets.
func checkReasons(before, after lifecycle.Key, reason string, policies ...*policy.Policy) error {
	ops := []acts.Name{acts.Configure}
	if after.MinDecryption < before.MinDecryption {
		ops = append(ops, acts.Recover) // the versions between decrypt again
	}
	for _, policy := range policies {
		for _, op := range ops {
			if err := policy.CheckReason(op, reason); err != nil {
				return err
			}
		}
	}
	return nil
}

// policyAfter returns the policy of the changed key. One that is newly bound has to admit the key, and so has the one that
// a key has whose flags are loosened. Otherwise it is asked again at the next version, so that no key is stuck with what
// it was.
func (s Keys) policyAfter(
	ctx context.Context, before, after lifecycle.Key, at time.Time,
) (*policy.Policy, error) {
	loosened := after.Exportable != before.Exportable || after.AllowPlaintextBackup != before.AllowPlaintextBackup
	switch {
	case after.Policy == "" && before.Policy != "":
		return nil, s.checkDetach(ctx)
	case after.Policy != before.Policy || loosened:
		return s.policyIfAdmitted(ctx, after, at)
	default:
		return s.data.PolicyOf(ctx, &after)
	}
}

// Delete destroys a key and its material at once, where the key allows it. Nothing is protected with it once it is
// gone: erasing the material takes longer. Of a key with very many versions a tick erases the rest.
func (s Keys) Delete(ctx context.Context, name string, pre Precondition) error {
	k, err := s.store.Keys.DeleteKey(ctx, name, func(k lifecycle.Key) error {
		if err := refusal.CheckRevision(pre.CAS, k.Revision); err != nil {
			return err
		}
		return k.CheckDelete()
	}, pre.Reason)
	s.Plane.ForgetKey(name)
	switch {
	case err == nil:
		s.Log.Info("deleted key", "key", name, "versions", k.Latest, "reason", pre.Reason)
	case !errors.Is(err, refusal.ErrRepeated):
		return err
	}
	err = s.store.Keys.FinishErasure(ctx, name)
	if k.Protection == lifecycle.Resident {
		s.Acts().settleObjectsNow(ctx)
	}
	return err
}
