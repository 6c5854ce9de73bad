// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/transitformat"
)

// Restoring asks for a key of a backup.
type Restoring struct {
	Backup    string
	Name      string                  // empty: that of the backup
	CheckName func(name string) error // for that of the backup
	Policy    *string                 // nil: that of the backup, else the mount's
	Force     bool                    // a key of the name is deleted
	Reason    string
}

// Restore makes a key of a backup, of Transit's or of ours. Everything is read, checked and sealed before anything is written.
func (s Transfers) Restore(ctx context.Context, in Restoring) error {
	random, err := s.data.Materials().RandomFor(ctx, dataplane.RandomForMaterial)
	if err != nil {
		return err
	}
	b, err := transitformat.Read(in.Backup, random)
	if err != nil {
		return err
	}
	defer b.Wipe()
	if in.Name == "" {
		in.Name = b.Key.Name
		if err := in.CheckName(in.Name); err != nil {
			return err
		}
	}
	replaced, taken, err := s.taken(ctx, in)
	if errors.Is(err, refusal.ErrRepeated) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := s.restored(ctx, in, b, replaced)
	if err != nil {
		return err
	}
	if taken {
		if err := s.replace(ctx, in, replaced); err != nil {
			return err
		}
	}
	return s.commitRestored(ctx, in, c)
}

// taken returns the key of the name, that the restored one may take the place of, if one is there. The error is [refusal.ErrRepeated]
// where it is this request that has restored it.
func (s Transfers) taken(ctx context.Context, in Restoring) (k lifecycle.Key, found bool, err error) {
	if found, err = s.Exists(ctx, in.Name); err != nil || !found {
		return k, false, err
	}
	k, err = s.store.Keys.UpdateKey(ctx, in.Name, func(k lifecycle.Key) (lifecycle.Commit, error) {
		if !in.Force {
			return lifecycle.Commit{}, refusal.AsFault(refusal.Existsf("key %q already exists", in.Name))
		}
		return lifecycle.Commit{Key: k}, lifecycle.CheckReplace(k)
	})
	if errors.Is(err, refusal.ErrNotFound) {
		return lifecycle.Key{}, false, nil
	}
	return k, true, err
}

// replace deletes the key that is there, as it was when the act was decided: what people consented to is its end and no other's.
func (s Transfers) replace(ctx context.Context, in Restoring, decided lifecycle.Key) error {
	_, err := s.store.Keys.DeleteKey(ctx, in.Name, func(k lifecycle.Key) error {
		if k.ID != decided.ID || k.Revision != decided.Revision {
			return refusal.Refusedf("key %q was changed, or made anew, meanwhile; nothing was restored", in.Name)
		}
		return lifecycle.CheckReplace(k)
	}, in.Reason)
	s.Plane.ForgetKey(in.Name)
	if errors.Is(err, refusal.ErrNotFound) || errors.Is(err, refusal.ErrRepeated) {
		return nil
	}
	return err
}

// restored decides the act: the key, under the policy that it gets, and its versions, sealed. Replaced is the key that it takes the
// place of, if there is one.
func (s Transfers) restored(ctx context.Context, in Restoring, b transitformat.Backup, replaced lifecycle.Key) (c lifecycle.Commit, err error) {
	at := s.Now()
	spec, policy, err := s.restoredUnder(ctx, in, b.Key, at)
	if err != nil {
		return c, err
	}
	if err := policy.CheckReason(acts.RestoreBackup, in.Reason); err != nil {
		return c, err
	}
	g := ofKey(acts.GateImport, &spec, policy, Precondition{Reason: in.Reason})
	if g.subject.KeyID, g.revision, err = s.replacedBy(ctx, in, policy, replaced); err != nil {
		return c, err
	}
	consented, err := s.permitRestore(ctx, spec, in, g)
	if err != nil {
		return c, s.gate().filed(ctx, err)
	}
	if spec.ID, err = s.newID(); err != nil {
		return c, err
	}
	dates := make([]time.Time, spec.Latest)
	for n, v := range b.Versions {
		dates[n-1] = v.Created
		if len(v.Chain) > 0 {
			c.Chains = append(c.Chains, lifecycle.NewCertificateChain(v.Chain))
		}
	}
	if c.Key, err = lifecycle.Restored(spec, dates, at); err != nil {
		return c, err
	}
	c.Key.Rotation.Reason = in.Reason
	if c.Restored, err = s.sealRestored(ctx, c.Key, b, policy); err != nil {
		return c, err
	}
	c.Relocate = lifecycle.DisplacedAtFirst(c.Key)
	c.Event = restoredEvent(in, b.Key.Name, c).ConsentedAs(consented)
	return s.Acts().Complete(ctx, c, policy, at)
}

// replacedBy returns the id and the revision of the key whose place is taken. Where the act was cut short after that key was deleted, and
// before the restored one was there, custody tells them: the command that comes again goes on with the consent to it.
func (s Transfers) replacedBy(ctx context.Context, in Restoring, p *policy.Policy, replaced lifecycle.Key) (keyID string, revision int, err error) {
	if _, ruled := p.Approval(acts.GateImport); replaced.ID != "" || !in.Force || !ruled {
		return replaced.ID, replaced.Revision, nil
	}
	return s.store.Keys.Deleted(ctx, in.Name)
}

// restoredElsewhere reports whether a request about a key that is not there is about another one than was deleted last, for a restored
// one to take its place.
func (s Approvals) restoredElsewhere(ctx context.Context, c consent.Content) (bool, error) {
	if c.Subject.KeyID == "" || c.Operation != acts.GateImport {
		return c.Subject.KeyID != "", nil
	}
	id, revision, err := s.store.Keys.Deleted(ctx, c.Subject.Name)
	return id != c.Subject.KeyID || revision != c.Revision, err
}

func restoredEvent(in Restoring, was string, c lifecycle.Commit) lifecycle.Event {
	numbers := make([]int, len(c.Restored))
	for i, v := range c.Restored {
		numbers[i] = v.Number
	}
	event := lifecycle.Event{
		Act: string(acts.RestoreBackup), From: lifecycle.NoState.String(), To: lifecycle.Active.String(), Reason: in.Reason,
	}.About(numbers)
	if was != in.Name {
		event = event.With("backup_of", was)
	}
	return event
}

// restoredUnder returns the key as it is to be, and the policy that is to govern it. What lets its material leave is not restored
// where the policy does not allow it.
func (s Transfers) restoredUnder(ctx context.Context, in Restoring, spec lifecycle.Key, at time.Time) (lifecycle.Key, *policy.Policy, error) {
	asked := in.Policy
	if asked == nil && spec.Policy != "" {
		asked = &spec.Policy
	}
	g, err := s.store.Settings.Governance(ctx)
	if err != nil {
		return spec, nil, err
	}
	name, err := g.PolicyFor(asked)
	if err != nil {
		return spec, nil, err
	}
	spec.Name, spec.Policy = in.Name, name
	p, err := s.demanded(ctx, &spec)
	if errors.Is(err, refusal.ErrNotFound) {
		err = refusal.Refusedf("policy: %q: %v; write the policy, or name another one, or none, in policy", name, err)
	}
	if p == nil || err != nil {
		return spec, nil, err
	}
	spec.AutoRotatePeriod = 0
	spec.Exportable = spec.Exportable && p.Exportable
	spec.AllowPlaintextBackup = spec.AllowPlaintextBackup && p.AllowPlaintextBackup
	return spec, p, p.Admits(spec.Attributes(), at)
}

// sealRestored seals the versions, the oldest first. Of one that was destroyed a stub is left.
func (s Transfers) sealRestored(ctx context.Context, k lifecycle.Key, b transitformat.Backup, p *policy.Policy) ([]lifecycle.Version, error) {
	if err := s.requireWrapper(ctx, &k, k.Latest, p); err != nil {
		return nil, err
	}
	var all []lifecycle.Version
	for n := max(k.MinAvailable, 1); n <= k.Latest; n++ {
		v := &lifecycle.Version{KeyID: k.ID, Number: n, Public: b.Versions[n].Material.Public()}
		if !k.IsDestroyed(n) {
			var err error
			if v, err = s.sealVersion(ctx, &k, n, b.Versions[n].Material); err != nil {
				return nil, err
			}
			v.PublicOnly = !lifecycle.KeepsPrivate(k, n)
		}
		v.Created = k.Recent[n-1]
		all = append(all, *v)
	}
	return all, nil
}

func (s Transfers) commitRestored(ctx context.Context, in Restoring, c lifecycle.Commit) error {
	defer s.Plane.KeyChanged(in.Name)
	err := s.store.Keys.CreateKey(ctx, c)
	if errors.Is(err, refusal.ErrExists) {
		return refusal.AsFault(refusal.Existsf("key %q already exists", in.Name))
	}
	if err != nil {
		return err
	}
	s.Plane.ForgetDenied(in.Name)
	s.Log.Info("restored key", "key", in.Name, "type", string(c.Key.Type), "versions", len(c.Restored), "policy", c.Key.Policy, "reason", in.Reason)
	if c.Relocate != (lifecycle.Range{}) {
		s.Acts().relocateNow(ctx, in.Name)
	}
	return nil
}
