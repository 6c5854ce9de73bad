// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/stretchr/testify/require"
)

// usedUp is the key with the note that its active version would have been used for more than the policy's limits.
func usedUp(k lifecycle.Key, p *policy.Policy, at time.Time) lifecycle.Key {
	l := k.RulesFor(p).Limits
	return k.Exhausted(policy.Usage(l).Plus(policy.Usage{Encryptions: 1, Bytes: 1}), l, at)
}

func TestLimitsAreThoseOfTheTypeUnlessThePolicyNamesSome(t *testing.T) {
	limits := func(k lifecycle.Key, encryptions, bytes int64) policy.Limits {
		return k.RulesFor(policyOf(t, func(d doc) { d.MaxEncryptions, d.MaxBytes = encryptions, bytes })).Limits
	}
	const most = 3_865_470_566
	plain, convergent, signs := newKey(t, 1), newKey(t, 1), newKey(t, 1)
	convergent.Derived, convergent.Convergent = true, true
	signs.Type = "ed25519" // as it will be
	require.Equal(t, policy.Limits{Encryptions: most}, limits(plain, policy.LimitByType, 0))
	require.True(t, limits(convergent, policy.LimitByType, 0).None(), "its nonces are not drawn at random")
	require.True(t, limits(signs, policy.LimitByType, 0).None())
	require.True(t, limits(plain, 0, 0).None(), "its author says none")
	require.Equal(t, policy.Limits{Encryptions: 5, Bytes: 7}, limits(convergent, 5, 7))
	require.True(t, plain.RulesFor(nil).Limits.None(), "as Transit")
}

func TestLimitThatIsReachedIsNotedOncePerVersion(t *testing.T) {
	p := policyOf(t)
	k := usedUp(newKey(t, 1), p, at(3, 0, 0))
	require.Equal(t, k, usedUp(k, p, at(4, 0, 0)))
	require.Equal(t, lifecycle.ByUsage, lifecycle.Plan(k, p, at(3, 0, 0)).Trigger)
	next := byPlan(t, k, p, at(3, 0, 1))
	require.Equal(t, lifecycle.Scheduled, lifecycle.Plan(next, p, at(3, 0, 1)).Status, "the successor has used nothing")
	back, _ := next.PostChecks(p).Failed("round_trip", lifecycle.Order{At: at(3, 0, 2)})
	require.Equal(t, lifecycle.ByUsage, lifecycle.Plan(back, p, at(3, 0, 3)).Trigger, "the version before is still used up")
	lapsed := step(t, newKey(t, 1), lifecycle.Lapse, 1, free(start))
	require.Equal(t, lapsed, usedUp(lapsed, p, later), "no version protects")
}

func TestALimitThatIsRaisedIsNotReachedAnyMore(t *testing.T) {
	limited := func(encryptions, bytes int64, edits ...func(d doc)) *policy.Policy {
		return policyOf(t, append(edits, func(d doc) { d.MaxEncryptions, d.MaxBytes, d.RotationPeriod = encryptions, bytes, span(t, "0") })...)
	}
	manual := func(d doc) { d.RotationMode = policy.Manual }
	block := func(d doc) { d.OnLimit = policy.OnLimitBlock }
	note := func(k lifecycle.Key, p *policy.Policy, encryptions, bytes int64) lifecycle.Key {
		return k.Exhausted(policy.Usage{Encryptions: encryptions, Bytes: bytes}, k.RulesFor(p).Limits, at(3, 0, 0))
	}
	now := at(4, 0, 0)
	k := note(newKey(t, 1), limited(10, 1000), 11, 600)
	for limits, want := range map[policy.Limits]bool{
		{Encryptions: 10, Bytes: 1000}: true, {Encryptions: 10}: true, {Encryptions: 5}: true, {Bytes: 599}: true, {Encryptions: 99, Bytes: 599}: true,
		{Encryptions: 11, Bytes: 1000}: false, {Encryptions: 1_000_000}: false, {Bytes: 600}: false, {}: false,
	} {
		require.Equal(t, want, lifecycle.Plan(k, limited(limits.Encryptions, limits.Bytes), now).ToRotate(), "%+v", limits)
		overdue := lifecycle.Plan(k, limited(limits.Encryptions, limits.Bytes, manual), now).Status == lifecycle.Overdue
		require.Equal(t, want, overdue, "%+v", limits)
		require.Equal(t, want, len(lifecycle.AllPendingTransitions(k, limited(limits.Encryptions, limits.Bytes, block))) > 0, "%+v", limits)
	}

	raised := limited(20, 1000)
	require.Equal(t, k, note(k, raised, 20, 600), "what is not above the limit exhausts nothing")
	again := note(k, raised, 21, 610)
	require.Equal(t, policy.Usage{Encryptions: 21, Bytes: 610}, again.Rotation.ExhaustedBy, "the new limit is noted when it is reached")
	require.True(t, lifecycle.Plan(again, raised, now).ToRotate())
	require.True(t, lifecycle.Plan(again, limited(10, 1000), now).ToRotate(), "and stands when the limit is lowered again")
}

func TestAStagedVersionDoesNotHurryForALimitThatWasRaised(t *testing.T) {
	p := policyOf(t, func(d doc) { d.StagingTime, d.MaxEncryptions = span(t, "2d"), 10 })
	k, err := usedUp(newKey(t, 1), p, at(3, 0, 0)).Stage(lifecycle.ByOperator, "", time.Time{}, at(3, 0, 0))
	require.NoError(t, err)
	require.Equal(t, at(3, 0, 0), lifecycle.AllPendingTransitions(k, p)[0].At)
	raised := policyOf(t, func(d doc) { d.StagingTime, d.MaxEncryptions = span(t, "2d"), 11 })
	require.Equal(t, at(5, 0, 0), lifecycle.AllPendingTransitions(k, raised)[0].At)
}
