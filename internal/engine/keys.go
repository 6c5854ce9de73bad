// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"cmp"
	"context"
	"errors"
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

// Keys is what is done with whole keys.
type Keys struct{ *Session }

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
