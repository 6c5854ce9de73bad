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

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
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

// Policy returns the policy's revision in force. The error is [lifecycle.ErrNotFound] where there is none, and
// [lifecycle.ErrUnreadable] where it says nothing to this release.
func (r Policies) Policy(ctx context.Context, name string) (lifecycle.Policy, error) {
	p, _, err := r.policyAt(ctx, name, policiesPrefix+name)
	return p, err
}

// Revisions returns how many revisions the policy has had: the number of the last one, which is in force.
func (r Policies) Revisions(ctx context.Context, name string) (int, error) {
	p, _, err := r.inForce(ctx, name)
	return p.Revision, err
}

// inForce returns the revision in force, or what stands for it where it cannot be read.
func (r Policies) inForce(ctx context.Context, name string) (lifecycle.Policy, unknown, error) {
	p, rest, err := r.policyAt(ctx, name, policiesPrefix+name)
	if !errors.Is(err, lifecycle.ErrUnreadable) {
		return p, rest, err
	}
	numbers, err := r.list(ctx, revisionsPrefix+name+"/")
	last := 1
	for _, number := range numbers {
		n, _ := strconv.Atoi(number) // 0, where it is none
		last = max(last, n)
	}
	return lifecycle.Unreadable(name, last), nil, err
}

// PolicyRevision returns the n-th revision of the policy.
func (r Policies) PolicyRevision(ctx context.Context, name string, n int) (lifecycle.Policy, error) {
	last, err := r.Revisions(ctx, name)
	if err != nil {
		return lifecycle.Policy{}, err
	}
	if n > last {
		return lifecycle.Policy{}, lifecycle.NoPolicy(name)
	}
	p, _, err := r.policyAt(ctx, name, revisionPath(name, n))
	return p, err
}

func (r Policies) policyAt(ctx context.Context, name, path string) (lifecycle.Policy, unknown, error) {
	entry, err := r.storage.Get(ctx, path)
	switch {
	case err != nil:
		return lifecycle.Policy{}, nil, storageError("get", path, err)
	case entry == nil:
		return lifecycle.Policy{}, nil, lifecycle.NoPolicy(name)
	}
	d, err := r.s.decodePolicy(name, path, entry.Value)
	return d.policy, d.rest, unreadable(name, err)
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
	policy lifecycle.Policy
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
	s.decoded.Add(id, d)
	return d, nil
}

// unreadable tells what is wrong with the record of a policy from storage that fails.
func unreadable(policy string, err error) error {
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewerSchema) {
		return lifecycle.UnreadablePolicy(policy, err)
	}
	return err
}

// PolicyNames returns the names of all policies in alphabetical order.
func (r Policies) PolicyNames(ctx context.Context) ([]string, error) {
	return r.list(ctx, policiesPrefix)
}

// PutPolicy commits what revise makes of the policy; current is nil for a new one, and [lifecycle.Unreadable] for one that
// cannot be read. Content that is the same as that in force is not written. The commit point is the Put of policies/<name>.
func (r Policies) PutPolicy(
	ctx context.Context, name string, revise func(current *lifecycle.Policy) (lifecycle.Policy, error),
) (lifecycle.Policy, error) {
	unlock, err := r.lock(ctx, &r.s.policies, name)
	if err != nil {
		return lifecycle.Policy{}, err
	}
	defer unlock()
	var current *lifecycle.Policy
	p, rest, err := r.inForce(ctx, name)
	switch {
	case err == nil:
		current = &p
	case !errors.Is(err, lifecycle.ErrNotFound):
		return lifecycle.Policy{}, err
	}
	next, err := revise(current)
	if err != nil || (current != nil && next.Same(*current)) {
		return next, err
	}
	if err := r.put(ctx, revisionPath(name, next.Revision), recordOfPolicy(next), nil); err != nil {
		return lifecycle.Policy{}, err
	}
	intent := reindexRecord{Schema: schema, Revision: next.Revision}
	if err := r.put(ctx, reindexIntents+name, intent, nil); err != nil {
		return lifecycle.Policy{}, err
	}
	return next, r.put(ctx, policiesPrefix+name, recordOfPolicy(next), rest)
}

// DeletePolicy deletes a policy with its revisions, if allow returns no error, and nor does used for each use of it that is
// found: nothing begins to use the policy meanwhile. The error is [lifecycle.ErrNotFound] where there is no policy.
func (r Policies) DeletePolicy(
	ctx context.Context, name string, allow func(lifecycle.Policy) error, used func(lifecycle.PolicyUse) error,
) error {
	unlock, err := r.lock(ctx, &r.s.policies, name)
	if err != nil {
		return err
	}
	defer unlock()
	p, _, err := r.inForce(ctx, name)
	if err != nil {
		return err
	}
	if err := allow(p); err != nil {
		return err
	}
	g, err := Settings(r).Governance(ctx)
	if err != nil {
		return err
	}
	if g.DefaultPolicy == name {
		if err := used(lifecycle.PolicyUse{Default: true}); err != nil {
			return err
		}
	}
	if err := r.eachBound(ctx, name, used); err != nil {
		return err
	}
	if err := r.delete(ctx, policiesPrefix+name); err != nil {
		return err
	}
	// From here on the policy is gone. A revision left behind is overwritten when the name is used again.
	limit := allOfIt
	_, err = r.deleteFolder(ctx, revisionsPrefix+name+"/", &limit)
	r.dropped("revisions of a deleted policy are left", err)
	r.dropped("intent of a deleted policy is left", r.delete(ctx, reindexIntents+name))
	return nil
}

// eachBound looks for the keys that are bound to the policy, and removes entries of the index that no longer hold.
func (r Policies) eachBound(ctx context.Context, policy string, used func(lifecycle.PolicyUse) error) error {
	names, err := r.BoundKeys(ctx, policy)
	if err != nil {
		return err
	}
	for _, name := range names {
		k, err := Keys(r).Key(ctx, name)
		switch {
		case err == nil && k.Policy == policy:
			err = used(lifecycle.PolicyUse{Key: name, Bound: len(names)})
		case err == nil || errors.Is(err, lifecycle.ErrNotFound):
			err = r.delete(ctx, boundPath(policy, name))
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
	case errors.Is(err, lifecycle.ErrNotFound), errors.Is(err, lifecycle.ErrUnreadable):
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
