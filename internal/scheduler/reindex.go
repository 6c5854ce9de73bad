// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// reindexing is a policy that was changed, and how far its keys have been put on the due index again.
type reindexing struct {
	policy   string
	revision int
	left     []string // keys to look at
	after    string   // the last one looked at
}

// reindexPolicies puts the keys of changed policies on the due index again, some of each policy in turn: a large one does not
// hold up the others. Half of the tick's time is left to what is due.
func (t *tick) reindexPolicies(ctx context.Context) error {
	open, err := t.reindexings(ctx)
	for more := true; more; {
		more = false
		for i := range open {
			more = t.reindexSome(ctx, &open[i]) || more
		}
	}
	for _, o := range open {
		err = errors.Join(err, t.store.Reindexes.SaveReindexCursor(ctx, o.policy, o.revision, o.after, len(o.left) == 0))
	}
	return err
}

// reindexings reads how far each of them is. One that cannot be read is left as it is.
func (t *tick) reindexings(ctx context.Context) ([]reindexing, error) {
	policies, err := t.store.Reindexes.PendingReindexes(ctx)
	var open []reindexing
	for _, policy := range policies {
		o, readErr := t.reindexing(ctx, policy)
		if err = errors.Join(err, readErr); readErr == nil {
			open = append(open, o)
		}
	}
	return open, err
}

func (t *tick) reindexing(ctx context.Context, policy string) (reindexing, error) {
	after, revision, err := t.store.Reindexes.ReindexCursor(ctx, policy)
	if err != nil {
		return reindexing{}, err
	}
	t.Plane.ForgetPolicy(policy) // what is cached may be older than the revision the intent is for
	names, err := t.store.Bindings.BoundKeys(ctx, policy)
	return reindexing{policy, revision, namesAfter(names, after), after}, err
}

// reindexSome looks at the next keys of a policy and reports whether it is to be asked again in this tick.
func (t *tick) reindexSome(ctx context.Context, o *reindexing) (more bool) {
	for range min(len(o.left), reindexTurn) {
		if t.Reindexed >= tickReindexes || t.spent(ctx) || t.Now().Sub(t.started) > tickTime/2 {
			return false
		}
		name := o.left[0]
		if err := t.alone(ctx, name, func(ctx context.Context) error { return t.reindexKey(ctx, name) }); err != nil {
			t.Log.Error("key could not be scheduled again", "key", name, "policy", o.policy, "error", err)
		}
		t.Reindexed++
		o.left, o.after = o.left[1:], name
	}
	return len(o.left) > 0
}

// reindexKey brings a key's due time in line with the plan.
func (t *tick) reindexKey(ctx context.Context, name string) error {
	_, err := t.acts.Update(ctx, name, func(k lifecycle.Key, at time.Time) (lifecycle.Commit, error) {
		policy, err := t.data.PolicyOf(ctx, &k)
		if err != nil {
			return lifecycle.Commit{}, err
		}
		c, err := t.acts.Complete(ctx, lifecycle.Commit{Key: k}, policy, at)
		if sameMinute(c.Key.Due, k.Due) {
			c.Key.Due = k.Due
		}
		return c, err
	})
	if errors.Is(err, refusal.ErrNotFound) {
		return nil
	}
	return err
}

// namesAfter returns the names, which are sorted, that come after one of them or after where it would be.
func namesAfter(names []string, name string) []string {
	start, found := slices.BinarySearch(names, name)
	if found {
		start++
	}
	return names[start:]
}
