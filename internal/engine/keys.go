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

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// View is a key as it is shown.
type View struct {
	Key     lifecycle.Key
	Dates   map[int]time.Time // when each version from the floor on was made
	Plan    lifecycle.RotationPlan
	Policy  *lifecycle.Policy // the revision in force; nil: none governs the key
	Fault   error             // why the policy that the key names does not; nil: it does, or the key names none
	Pending bool              // after an act: material is still where it was, which a tick changes
	Unread  error             // after an urgent act: why nothing but the key itself is shown; nil: all is
}

// Precondition is what a caller may demand of, and say about, any change.
type Precondition struct {
	CAS    *int   // the revision that the change is for; nil: any. 0: the thing must not exist
	Reason string // free text for the log and the record
}

// Creation asks for a new key. Of Spec, the name, type and flags are taken; nil is what the request leaves out.
type Creation struct {
	Spec   lifecycle.Key
	Policy *string
	Owner  *string
	Labels map[string]string
	Precondition
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
	return spec
}

// Create makes a key with its first version. Where the name is taken it returns the key that is there, with existed
// set, and as in Transit its settings stay; what Transit does not have (policy, owner, labels) is brought in line with
// the request, so that a configuration tool that writes the same key again sees what it wrote.
func (e *Engine) Create(ctx context.Context, r Repo, c Creation) (view View, existed bool, err error) {
	k, err := lifecycle.New(c.spec(), e.now())
	if err != nil {
		return View{}, false, err
	}
	for range creations {
		err = e.create(ctx, r, k, c)
		if !errors.Is(err, lifecycle.ErrExists) {
			break
		}
		view, err = e.existing(ctx, r, c)
		switch {
		case errors.Is(err, lifecycle.ErrRepeated): // it made the key
			return view, false, nil
		case !errors.Is(err, lifecycle.ErrNotFound):
			return view, true, err
		}
	}
	if err != nil {
		return View{}, false, err
	}
	view, err = e.Read(ctx, r, k.Name)
	return view, false, err
}

// creations is how often a key is made anew that others delete meanwhile.
const creations = 3

func (e *Engine) existing(ctx context.Context, r Repo, c Creation) (View, error) {
	view, _, err := e.configure(ctx, r, c.Spec.Name, lifecycle.ConfigChange{Policy: c.Policy, Owner: c.Owner, Labels: c.Labels}, c.Precondition)
	return view, err
}

// create commits the key unless the name is taken.
func (e *Engine) create(ctx context.Context, r Repo, k lifecycle.Key, in Creation) error {
	pre := in.Precondition
	found, err := e.Exists(ctx, r, k.Name)
	if err != nil {
		return err
	}
	if found {
		return lifecycle.Existsf("key %s already existed", k.Name)
	}
	if err := lifecycle.CheckRevision(pre.CAS, 0); err != nil {
		return err
	}
	if k, err = e.withDefaultPolicy(ctx, r, k, in.Policy); err != nil {
		return err
	}
	policy, err := e.policyIfAdmitted(ctx, r, k)
	if err != nil {
		return err
	}
	if err := policy.CheckReason("create", pre.Reason); err != nil {
		return err
	}
	if k.ID, err = e.newID(); err != nil {
		return err
	}
	version, err := e.newVersion(ctx, r, &k, k.Latest, policy)
	if err != nil {
		return err
	}
	k.Rotation.Reason = pre.Reason
	event := lifecycle.Event{Act: "create", Versions: []int{1}, From: lifecycle.NoState.String(), To: lifecycle.Active.String(), Reason: pre.Reason}
	c, err := e.commit(ctx, r, lifecycle.Commit{Key: k, Version: version, Event: event}, policy)
	if err != nil {
		return err
	}
	defer e.keys.drop(k.Name)
	if err := r.CreateKey(ctx, c); err != nil {
		return err
	}
	e.denied.forget(k.Name)
	e.log.Info("created key", "key", k.Name, "type", string(k.Type), "policy", k.Policy, "reason", pre.Reason)
	return nil
}

// policyIfAdmitted returns the policy that is to govern the key, if it admits it.
func (e *Engine) policyIfAdmitted(ctx context.Context, r Repo, k lifecycle.Key) (*lifecycle.Policy, error) {
	policy, err := e.demanded(ctx, r, k)
	if policy == nil || err != nil { // no policy admits every key
		return nil, err
	}
	return policy, policy.Admits(k, e.now())
}

func (e *Engine) newID() (string, error) {
	var id [16]byte
	if _, err := io.ReadFull(e.rand, id[:]); err != nil {
		return "", fmt.Errorf("draw key id: %w", err)
	}
	return hex.EncodeToString(id[:]), nil
}

// Exists reports whether a key has the name.
func (e *Engine) Exists(ctx context.Context, r Repo, name string) (bool, error) {
	_, err := e.key(ctx, r, name)
	if errors.Is(err, lifecycle.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Read returns the key as it is shown, or lifecycle.ErrNotFound.
func (e *Engine) Read(ctx context.Context, r Repo, name string) (View, error) {
	k, err := e.key(ctx, r, name)
	if err != nil {
		return View{}, err
	}
	return e.view(ctx, r, *k)
}

// view shows a key whatever is the matter with its policy: an act that is done is not to look like one that failed.
func (e *Engine) view(ctx context.Context, r Repo, k lifecycle.Key) (View, error) {
	policy, fault := e.ruling(ctx, r, k)
	dates, err := r.Dates(ctx, k, k.MinDecryption)
	if err != nil {
		return View{}, err
	}
	v := View{Key: k, Dates: dates, Policy: policy, Fault: fault, Plan: lifecycle.Plan(k, policy, e.now())}
	if fault != nil {
		v.Plan.Why += ": " + fault.Error()
	}
	return v, nil
}

// Names returns the names of all keys in alphabetical order.
func (e *Engine) Names(ctx context.Context, r Repo) ([]string, error) { return r.KeyNames(ctx) }

// Configure changes settings of a key and returns what the operator should be warned of.
func (e *Engine) Configure(
	ctx context.Context, r Repo, name string, c lifecycle.ConfigChange, pre Precondition,
) (View, []string, error) {
	view, warnings, err := e.configure(ctx, r, name, c, pre)
	if errors.Is(err, lifecycle.ErrRepeated) {
		err = nil
	}
	return view, warnings, err
}

// configure is Configure; a request that comes again has its answer beside [lifecycle.ErrRepeated].
func (e *Engine) configure(
	ctx context.Context, r Repo, name string, c lifecycle.ConfigChange, pre Precondition,
) (View, []string, error) {
	var warnings []string
	changed := false
	k, err := e.update(ctx, r, name, func(k lifecycle.Key) (commit lifecycle.Commit, err error) {
		if err := lifecycle.CheckRevision(pre.CAS, k.Revision); err != nil {
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
		return e.configured(ctx, r, k, next, pre)
	})
	if errors.Is(err, lifecycle.ErrRepeated) {
		view, viewErr := e.view(ctx, r, k)
		return view, nil, cmp.Or(viewErr, err)
	}
	if err != nil {
		return View{}, nil, err
	}
	if changed {
		e.log.Info("configured key", "key", name, "revision", k.Revision, "policy", k.Policy, "reason", pre.Reason)
	}
	view, err := e.view(ctx, r, k)
	return view, warnings, err
}

// configured decides a change of settings.
func (e *Engine) configured(ctx context.Context, r Repo, k, next lifecycle.Key, pre Precondition) (c lifecycle.Commit, err error) {
	was, err := e.policyOf(ctx, r, k)
	if err != nil {
		return c, err
	}
	policy, err := e.policyAfter(ctx, r, k, next)
	if err != nil {
		return c, err
	}
	if err := checkReasons(k, next, pre.Reason, was, policy); err != nil {
		return c, err
	}
	if next.Policy != k.Policy {
		denied, err := e.deniedUses(ctx, r, k, 0)
		if err != nil {
			return c, err
		}
		next = next.PinQuietPeriods(k.RulesFor(was), denied.last)
	}
	event := lifecycle.Event{Act: "configure", Reason: pre.Reason, Details: k.Differences(next)}
	return e.commit(ctx, r, lifecycle.Commit{Key: next, Event: event}, policy)
}

// checkReasons asks the policy that the key had and the one that it gets.
func checkReasons(before, after lifecycle.Key, reason string, policies ...*lifecycle.Policy) error {
	ops := []string{"configure"}
	if after.MinDecryption < before.MinDecryption {
		ops = append(ops, string(lifecycle.Recover)) // the versions between decrypt again
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
func (e *Engine) policyAfter(ctx context.Context, r Repo, before, after lifecycle.Key) (*lifecycle.Policy, error) {
	loosened := after.Exportable != before.Exportable || after.AllowPlaintextBackup != before.AllowPlaintextBackup
	switch {
	case after.Policy == "" && before.Policy != "":
		return nil, e.checkDetach(ctx, r)
	case after.Policy != before.Policy || loosened:
		return e.policyIfAdmitted(ctx, r, after)
	default:
		return e.policyOf(ctx, r, after)
	}
}

// Delete destroys a key and its material at once, where the key allows it. Nothing is protected with it once it is
// gone: erasing the material takes longer. Of a key with very many versions a tick erases the rest.
func (e *Engine) Delete(ctx context.Context, r Repo, name string, pre Precondition) error {
	k, err := r.DeleteKey(ctx, name, func(k lifecycle.Key) error {
		if err := lifecycle.CheckRevision(pre.CAS, k.Revision); err != nil {
			return err
		}
		return k.CheckDelete()
	}, pre.Reason)
	e.keys.drop(name)
	e.ciphers.dropGroup(name)
	switch {
	case err == nil:
		e.log.Info("deleted key", "key", name, "versions", k.Latest, "reason", pre.Reason)
	case !errors.Is(err, lifecycle.ErrRepeated):
		return err
	}
	return r.FinishErasure(ctx, name)
}
