// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

const (
	policiesPrefix  = "policies/"
	revisionsPrefix = "revisions/"
	reindexIntents  = "intents/reschedule/"
)

func revisionPath(name string, n int) string {
	return revisionsPrefix + name + "/" + strconv.Itoa(n)
}

// reindexRecord is intents/reschedule/<policy>: the keys bound to the policy have to be put on the due index
// again, because the policy has a new revision. After names the last key done.
type reindexRecord struct {
	Schema   int    `json:"schema"`
	Revision int    `json:"revision"`
	After    string `json:"after"`
}

// Policy returns the policy's revision in force. The error is [refusal.ErrNotFound] where there is none, and
// [refusal.ErrUnreadable] where it says nothing to this release.
func (r Policies) Policy(ctx context.Context, name string) (policy.Policy, error) {
	d, err := r.policyAt(ctx, name, policiesPrefix+name)
	return d.policy, err
}

// Revisions returns how many revisions the policy has had: the number of the last one, which is in force.
func (r Policies) Revisions(ctx context.Context, name string) (int, error) {
	now, err := r.current(ctx, name)
	return now.policy.Revision, err
}

// storedPolicy is a policy as it is stored.
type storedPolicy struct {
	decodedPolicy
	exists bool
	damage error // why what is in force cannot be read; nil: it can
}

// current returns the policy in force, or what stands for it where it cannot be read. The error is [refusal.ErrNotFound]
// where there is none.
func (r Policies) current(ctx context.Context, name string) (storedPolicy, error) {
	d, err := r.policyAt(ctx, name, policiesPrefix+name)
	if !errors.Is(err, refusal.ErrUnreadable) {
		return storedPolicy{decodedPolicy: d, exists: err == nil}, err
	}
	damage := err
	numbers, err := r.list(ctx, revisionsPrefix+name+"/")
	last := 1
	for _, number := range numbers {
		n, _ := strconv.Atoi(number) // 0, where it is none
		last = max(last, n)
	}
	return storedPolicy{decodedPolicy: decodedPolicy{policy: policy.Unreadable(name, last)}, exists: true, damage: damage}, err
}

// head returns the custody record that the policy in force names.
func (r Policies) head(ctx context.Context, name string) (custody.Head, error) {
	now, err := r.current(ctx, name)
	if err == nil && now.damage != nil {
		err = ChainBrokenError{now.damage, custody.PolicyChain(name)}
	}
	return now.head, err
}

// PolicyRevision returns the n-th revision of the policy.
func (r Policies) PolicyRevision(ctx context.Context, name string, n int) (policy.Policy, error) {
	last, err := r.Revisions(ctx, name)
	if err != nil {
		return policy.Policy{}, err
	}
	if n > last {
		return policy.Policy{}, refusal.NoPolicy(name)
	}
	d, err := r.policyAt(ctx, name, revisionPath(name, n))
	return d.policy, err
}

func (r Policies) policyAt(ctx context.Context, name, path string) (decodedPolicy, error) {
	entry, err := r.get(ctx, path)
	switch {
	case err != nil:
		return decodedPolicy{}, storageError("get", path, err)
	case entry == nil:
		return decodedPolicy{}, refusal.NoPolicy(name)
	}
	d, err := r.s.decodePolicy(name, path, entry.Value)
	return d, unreadable(name, err)
}

// policiesDecoded bounds the readings of policies in memory, of up to 64 KiB each.
const policiesDecoded = 256

// policyID names a reading: the bytes, and where they are stored.
type policyID struct {
	path   string
	digest [sha256.Size]byte
}

// decodedPolicy is what the bytes of a record say. It is immutable.
type decodedPolicy struct {
	policy policy.Policy
	head   custody.Head // of the act that wrote it
	rest   unknown
}

// decodePolicy works out what the bytes of a policy say. That never changes, so it is remembered, also where nothing that is
// stored may be: finding what the timetables leave between two rotations takes far longer than reading them.
func (s *Store) decodePolicy(name, path string, data []byte) (d decodedPolicy, err error) {
	id := policyID{path, sha256.Sum256(data)}
	if known, ok := s.decoded.Get(id); ok {
		return known, nil
	}
	var rec policyRecord
	if d.rest, err = decode(path, data, &rec); err != nil {
		return decodedPolicy{}, err
	}
	for _, f := range policy.Fields() {
		delete(d.rest, f.Name) // also where the record leaves it out when it is written again
	}
	if d.policy, err = rec.policy(name); err != nil {
		return decodedPolicy{}, fmt.Errorf("%s: %w", path, err)
	}
	d.head = rec.head()
	s.decoded.Add(id, d)
	return d, nil
}

// unreadable tells what is wrong with the record of a policy from storage that fails.
func unreadable(policy string, err error) error {
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewerSchema) {
		return refusal.UnreadablePolicy(policy, err)
	}
	return err
}

// PolicyNames returns the names of all policies in alphabetical order.
func (r Policies) PolicyNames(ctx context.Context) ([]string, error) {
	return r.list(ctx, policiesPrefix)
}

// PutPolicy commits what revise makes of the policy, between the two custody records of the event; current is nil for a new
// one, and [policy.Unreadable] for one that cannot be read. Content that is the same as that in force is not written. The
// commit point is the Put of policies/<name>. The error is [refusal.ErrRepeated], beside the policy as it is, for a request
// that was carried out already.
func (r Policies) PutPolicy(
	ctx context.Context, name string, revise func(current *policy.Policy) (policy.Policy, lifecycle.Event, error),
) (policy.Policy, error) {
	unlock, err := r.lock(ctx, &r.s.policies, name)
	if err != nil {
		return policy.Policy{}, err
	}
	defer unlock()
	var now storedPolicy
	var next policy.Policy
	var event lifecycle.Event
	write, err := r.decided(ctx, func() (write bool, err error) {
		if now, err = r.current(ctx, name); err != nil && !errors.Is(err, refusal.ErrNotFound) {
			return false, err
		}
		var current *policy.Policy
		if now.exists {
			current = &now.policy
		}
		next, event, err = revise(current)
		return current == nil || !next.Same(*current), err
	})
	switch {
	case now.exists && (write || err != nil) && r.repeated(ctx, name, now):
		return now.policy, refusal.ErrRepeated
	case err != nil || !write:
		return next, err
	}
	next.Author = r.caller.Actor.EntityID
	return next, r.record(ctx, name, now, event, func(ctx context.Context, begun custody.Head) error {
		return r.putRevision(ctx, next, journaled{begun.Count, begun.Hash}, now.rest)
	})
}

// repeated reports whether the request has written the policy already.
func (r Policies) repeated(ctx context.Context, name string, now storedPolicy) bool {
	return now.damage == nil && Journals(r).repeated(ctx, custody.PolicyChain(name), now.head, now.exists)
}

// putRevision writes a revision and puts it in force.
func (r Policies) putRevision(ctx context.Context, p policy.Policy, by journaled, rest unknown) error {
	rec := recordOfPolicy(p, by)
	if err := r.put(ctx, revisionPath(p.Name, p.Revision), rec, nil); err != nil {
		return err
	}
	intent := reindexRecord{Schema: schema, Revision: p.Revision}
	if err := r.put(ctx, reindexIntents+p.Name, intent, nil); err != nil {
		return err
	}
	return r.put(ctx, policiesPrefix+p.Name, rec, rest)
}

// record does an act on a policy between its custody records. What is stored of a policy that cannot be read names no custody
// record, so its chain goes on behind all that there is.
func (r Policies) record(
	ctx context.Context, name string, now storedPolicy, event lifecycle.Event, do func(ctx context.Context, begun custody.Head) error,
) error {
	name = custody.PolicyChain(name)
	var at chain
	var err error
	if now.damage == nil {
		at, err = Journals(r).chainHead(ctx, name, now.head, now.exists)
	} else {
		event = event.With(custodyBreak, now.damage.Error())
		at, err = Journals(r).headPastBreak(ctx, name, custody.Head{})
	}
	if err != nil {
		return err
	}
	_, err = Journals(r).recorded(ctx, act{chain: name, event: event}, at, do)
	return err
}

// DeletePolicy deletes a policy with its revisions, if allow returns no error, and nor does used for each use of it that is
// found: nothing begins to use the policy meanwhile. The error is [refusal.ErrNotFound] where there is no policy.
func (r Policies) DeletePolicy(
	ctx context.Context, name string, event lifecycle.Event,
	allow func(policy.Policy, lifecycle.Event) (lifecycle.Event, error), used func(policy.Use) error,
) error {
	unlock, err := r.lock(ctx, &r.s.policies, name)
	if err != nil {
		return err
	}
	defer unlock()
	var now storedPolicy
	var allowed lifecycle.Event
	if _, err := r.decided(ctx, func() (write bool, err error) {
		if now, err = r.current(ctx, name); err != nil {
			return false, err
		}
		if err := r.checkUnused(ctx, name, used); err != nil {
			return false, err
		}
		allowed, err = allow(now.policy, event)
		return true, err
	}); err != nil {
		return err
	}
	event = allowed
	event.Policy, event.PolicyRevision = name, now.policy.Revision
	err = r.record(ctx, name, now, event, func(ctx context.Context, _ custody.Head) error {
		return r.delete(ctx, policiesPrefix+name)
	})
	if err != nil {
		return err
	}
	// From here on the policy is gone. A revision left behind is overwritten when the name is used again.
	ctx, cancel := outlive(ctx)
	defer cancel()
	limit := allOfIt
	_, err = r.deleteFolder(ctx, revisionsPrefix+name+"/", &limit)
	r.dropped("revisions of a deleted policy are left", err)
	r.dropped("intent of a deleted policy is left", r.delete(ctx, reindexIntents+name))
	return nil
}

// checkUnused tells used of every use of the policy.
func (r Policies) checkUnused(ctx context.Context, name string, used func(policy.Use) error) error {
	g, err := Settings(r).Governance(ctx)
	if err != nil {
		return err
	}
	if g.DefaultPolicy == name {
		if err := used(policy.Use{Default: true}); err != nil {
			return err
		}
	}
	return r.eachBound(ctx, name, used)
}

// eachBound looks for the keys that are bound to the policy, and removes entries of the index that no longer hold.
func (r Policies) eachBound(ctx context.Context, policyName string, used func(policy.Use) error) error {
	names, err := r.BoundKeys(ctx, policyName)
	if err != nil {
		return err
	}
	for _, name := range names {
		k, err := Keys(r).Key(ctx, name)
		switch {
		case err == nil && k.Policy == policyName:
			err = used(policy.Use{Key: name, Bound: len(names)})
		case err == nil || errors.Is(err, refusal.ErrNotFound):
			err = r.delete(ctx, boundPath(policyName, name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// BoundPolicies returns the names of policies that keys may be bound to.
func (r Policies) BoundPolicies(ctx context.Context) ([]string, error) {
	names, err := r.list(ctx, boundPrefix)
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, "/")
	}
	return names, err
}

// BoundKeys returns the names of keys that may be bound to the policy, in alphabetical order; each key's own record
// says whether it is.
func (r Policies) BoundKeys(ctx context.Context, policy string) ([]string, error) {
	return r.list(ctx, boundPath(policy, ""))
}

// PendingReindexes returns the policies whose bound keys have to be put on the due index again.
func (r Policies) PendingReindexes(ctx context.Context) ([]string, error) {
	return r.list(ctx, reindexIntents)
}

// ReindexCursor returns the key after which the reschedule of the policy goes on, and the revision it is for. It
// waits for a write of the policy that is under way: the intent is there before the revision is.
func (r Policies) ReindexCursor(ctx context.Context, policy string) (after string, revision int, err error) {
	unlock, err := r.s.policies.shared(ctx, policy)
	if err != nil {
		return "", 0, err
	}
	defer unlock()
	return r.reindexCursor(ctx, policy)
}

func (r Policies) reindexCursor(ctx context.Context, policy string) (after string, revision int, err error) {
	var rec reindexRecord
	if _, _, err = read(ctx, r.conn, reindexIntents+policy, &rec); err != nil {
		return "", 0, err
	}
	p, err := r.Policy(ctx, policy)
	switch {
	case errors.Is(err, refusal.ErrNotFound), errors.Is(err, refusal.ErrUnreadable):
		return rec.After, rec.Revision, nil
	case err != nil:
		return "", 0, err
	case rec.Revision != p.Revision:
		return "", p.Revision, nil
	}
	return rec.After, rec.Revision, nil
}

// SaveReindexCursor notes that the keys up to after are done, all of them where done is set. A newer revision of the
// policy, written meanwhile, starts from the beginning again.
func (r Policies) SaveReindexCursor(ctx context.Context, policy string, revision int, after string, done bool) error {
	unlock, err := r.lock(ctx, &r.s.policies, policy)
	if err != nil {
		return err
	}
	defer unlock()
	_, current, err := r.reindexCursor(ctx, policy)
	if err != nil || current != revision {
		return err
	}
	if done {
		return r.delete(ctx, reindexIntents+policy)
	}
	rec := reindexRecord{Schema: schema, Revision: revision, After: after}
	return r.put(ctx, reindexIntents+policy, rec, nil)
}
