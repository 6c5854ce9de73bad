// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

func TestRevisionsOfAPolicyAreKept(t *testing.T) {
	w := newWorld()
	for _, text := range []string{"first", "second", "third"} {
		w.putPolicy(t, "pci", text)
	}
	for n, text := range []string{"first", "second", "third"} {
		p, err := w.PolicyRevision(ctx, "pci", n+1)
		require.NoError(t, err)
		require.Equal(t, text, p.Description)
		require.Equal(t, n+1, p.Revision)
	}
	p, err := w.Policy(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, "third", p.Description)
}

func TestContentThatIsInForceIsNotWrittenAgain(t *testing.T) {
	w := newWorld()
	first := w.putPolicy(t, "pci", "same")
	w.disk.Reset()
	again := w.putPolicy(t, "pci", "same")
	require.Zero(t, w.disk.Reset().Writes())
	require.Equal(t, first.Hash, again.Hash)
	p, err := w.Policy(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, 1, p.Revision)
}

func TestErrorOfARevisionComesBackAndWritesNothing(t *testing.T) {
	w := emptyWorld()
	refusal := errors.New("not now")
	_, err := w.PutPolicy(ctx, "pci", func(*policy.Policy) (policy.Policy, error) { return policy.Policy{}, refusal })
	require.ErrorIs(t, err, refusal)
	require.Empty(t, w.entries(t))
}

func TestRevisionThatNeverCameIntoForceIsNotShown(t *testing.T) {
	w := newWorld()
	w.putPolicy(t, "pci", "first")
	w.disk.FailWrite(3, false) // revision, intent, policy
	require.Error(t, revisePCI(w, ""))
	w.disk.Heal()

	p, err := w.Policy(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, 1, p.Revision)
	_, err = w.PolicyRevision(ctx, "pci", 2)
	require.ErrorIs(t, err, refusal.ErrNotFound, "another content may get the number yet")
}

func TestRevisionsOfADeletedPolicyAreNotThoseOfTheNext(t *testing.T) {
	w := newWorld()
	w.putPolicy(t, "pci", "first")
	w.putPolicy(t, "pci", "second")
	w.disk.FailWrite(4, false) // custody, policy, custody, then the revisions, which may fail
	require.NoError(t, w.DeletePolicy(ctx, "pci", anyPolicy, unused("pci")))
	w.disk.Heal()
	_, err := w.PolicyRevision(ctx, "pci", 2)
	require.ErrorIs(t, err, refusal.ErrNotFound, "the policy is deleted")

	w.putPolicy(t, "pci", "new")
	_, err = w.PolicyRevision(ctx, "pci", 2)
	require.ErrorIs(t, err, refusal.ErrNotFound, "the new policy has one revision")
}

func TestKeyIsNotBoundToAMissingPolicy(t *testing.T) {
	w := newWorld()
	k := newKey(t, "new", "gone")
	err := w.CreateKey(ctx, creation(k, version(k, "first")))
	require.ErrorIs(t, err, refusal.ErrNotFound)
	require.EqualError(t, err, refusal.NoPolicy("gone").Error())
	_, err = w.Key(ctx, "new")
	require.ErrorIs(t, err, refusal.ErrNotFound)

	w.create(t, "orders", "")
	before, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	require.ErrorIs(t, update(func(k *lifecycle.Key) { k.Policy = "gone" })(w, ""), refusal.ErrNotFound)
	after, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestPolicyInUseIsNotDeleted(t *testing.T) {
	w := newWorld()
	withKey(1, true)(t, w)
	before := w.entries(t)
	err := w.DeletePolicy(ctx, "pci", anyPolicy, unused("pci"))
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.ErrorContains(t, err, `policy "pci" is bound to key "orders"`)
	require.Equal(t, before, w.entries(t))

	require.NoError(t, update(func(k *lifecycle.Key) { k.Policy = "" })(w, ""))
	require.NoError(t, w.DeletePolicy(ctx, "pci", anyPolicy, unused("pci")))
	require.Empty(t, w.of(t, "pci"))
	checkWhole(t, w)
}

func TestPolicyOfAKeyThatCannotBeReadIsNotDeleted(t *testing.T) {
	w := newWorld()
	withKey(1, true)(t, w)
	w.plant(t, "keys/orders", "damaged")
	require.ErrorContains(t, w.DeletePolicy(ctx, "pci", anyPolicy, unused("pci")), "keys/orders")
	_, err := w.Policy(ctx, "pci")
	require.NoError(t, err)
}

func TestDeletionOfAPolicyThatIsNotAllowedChangesNothing(t *testing.T) {
	w := newWorld()
	want := w.putPolicy(t, "pci", "")
	before := w.entries(t)
	refusal := errors.New("not now")
	err := w.DeletePolicy(ctx, "pci", func(p policy.Policy) error {
		require.Equal(t, want, p)
		return refusal
	}, unused("pci"))
	require.ErrorIs(t, err, refusal)
	require.Equal(t, before, w.entries(t))
}

func TestRescheduleGoesOnWhereItStopped(t *testing.T) {
	w := newWorld()
	w.putPolicy(t, "pci", "first")
	names, err := w.PendingReindexes(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"pci"}, names)
	after, revision, err := w.ReindexCursor(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, "", after)
	require.Equal(t, 1, revision)

	require.NoError(t, w.SaveReindexCursor(ctx, "pci", 1, "orders", false))
	after, _, err = w.ReindexCursor(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, "orders", after)

	require.NoError(t, w.SaveReindexCursor(ctx, "pci", 1, "orders2", true))
	names, err = w.PendingReindexes(ctx)
	require.NoError(t, err)
	require.Empty(t, names)
}

func TestNewerRevisionReschedulesFromTheBeginning(t *testing.T) {
	w := newWorld()
	w.putPolicy(t, "pci", "first")
	require.NoError(t, w.SaveReindexCursor(ctx, "pci", 1, "orders", false))
	w.putPolicy(t, "pci", "second")
	for _, done := range []bool{false, true} { // by one that began with the first
		require.NoError(t, w.SaveReindexCursor(ctx, "pci", 1, "orders", done))
		after, revision, err := w.ReindexCursor(ctx, "pci")
		require.NoError(t, err)
		require.Equal(t, "", after)
		require.Equal(t, 2, revision)
	}
}

func TestRevisionInForceIsAlwaysToBeRescheduled(t *testing.T) {
	for at := 1; at <= 4; at++ { // custody, revision, intent, policy
		for _, applied := range []bool{false, true} {
			w := newWorld()
			w.putPolicy(t, "pci", "first")
			require.NoError(t, w.SaveReindexCursor(ctx, "pci", 1, "", true))
			w.disk.FailWrite(at, applied)
			inForce := at == 4 && applied
			require.Equal(t, inForce, revisePCI(w, "") == nil)
			w.disk.Heal()

			p, err := w.Policy(ctx, "pci")
			require.NoError(t, err)
			require.Equal(t, inForce, p.Revision == 2)
			if p.Revision == 2 {
				_, revision, err := w.ReindexCursor(ctx, "pci")
				require.NoError(t, err)
				require.Equal(t, 2, revision)
			}
		}
	}
}

// TestRescheduleByAnotherRevisionOfTheSameNumberDoesNotCount is about a tick that finds the intent of a write that was
// lost, and ends after the write was done again under the same number.
func TestRescheduleByAnotherRevisionOfTheSameNumberDoesNotCount(t *testing.T) {
	w := newWorld()
	w.putPolicy(t, "pci", "first")
	w.disk.FailWrite(3, false) // revision, intent, policy
	require.Error(t, revisePCI(w, ""))
	w.disk.Heal()

	_, revision, err := w.ReindexCursor(ctx, "pci") // and goes by what is in force, the first
	require.NoError(t, err)
	require.NoError(t, revisePCI(w, ""))
	require.NoError(t, w.SaveReindexCursor(ctx, "pci", revision, "", true))
	names, err := w.PendingReindexes(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"pci"}, names, "the keys were rescheduled by the first revision only")
}

func TestBoundKeysAreThoseOfThePolicy(t *testing.T) {
	w := newWorld()
	w.putPolicy(t, "pci", "")
	w.putPolicy(t, "pci2", "")
	for name, policy := range map[string]string{"a": "pci", "b": "pci2", "c": "", "d": "pci"} {
		w.create(t, name, policy)
	}
	names, err := w.BoundKeys(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "d"}, names)
	_, err = w.UpdateKey(ctx, "a", configure(func(k *lifecycle.Key) { k.Policy, k.Due = "pci2", start.Add(time.Minute) }))
	require.NoError(t, err)
	names, err = w.BoundKeys(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, []string{"d"}, names)
}

func TestAPolicyWithoutABlackoutIsStoredAsTheFirstReleaseStoredIt(t *testing.T) {
	w := newWorld()
	w.putPolicy(t, "pci", "")
	require.NotContains(t, w.entries(t)["policies/pci"], "rotation_blackout")
}
