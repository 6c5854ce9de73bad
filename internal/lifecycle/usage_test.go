// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/stretchr/testify/require"
)

// usedUp is the key with the note that its active version would have been used for more than the policy's limits.
func usedUp(k lifecycle.Key, p *lifecycle.Policy, at time.Time) lifecycle.Key {
	l := k.RulesFor(p).Limits
	return k.Exhausted(lifecycle.Usage(l).Plus(lifecycle.Usage{Encryptions: 1, Bytes: 1}), l, at)
}

func TestLimitsAreThoseOfTheTypeUnlessThePolicyNamesSome(t *testing.T) {
	limits := func(k lifecycle.Key, encryptions, bytes int64) lifecycle.Limits {
		return k.RulesFor(policyOf(t, func(d doc) { d.MaxEncryptions, d.MaxBytes = encryptions, bytes })).Limits
	}
	const most = 3_865_470_566
	plain, convergent, signs := newKey(t, 1), newKey(t, 1), newKey(t, 1)
	convergent.Derived, convergent.Convergent = true, true
	signs.Type = "ed25519" // as it will be
	require.Equal(t, lifecycle.Limits{Encryptions: most}, limits(plain, lifecycle.LimitByType, 0))
	require.True(t, limits(convergent, lifecycle.LimitByType, 0).None(), "its nonces are not drawn at random")
	require.True(t, limits(signs, lifecycle.LimitByType, 0).None())
	require.True(t, limits(plain, 0, 0).None(), "its author says none")
	require.Equal(t, lifecycle.Limits{Encryptions: 5, Bytes: 7}, limits(convergent, 5, 7))
	require.True(t, plain.RulesFor(nil).Limits.None(), "as Transit")
}

func TestLimitIsExceededByEitherAndHardANinthBeyond(t *testing.T) {
	l := lifecycle.Limits{Encryptions: 90, Bytes: 900}
	for used, want := range map[lifecycle.Usage]bool{
		{}: false, {Encryptions: 90, Bytes: 900}: false, {Encryptions: 91}: true, {Bytes: 901}: true, {Encryptions: 91, Bytes: 901}: true,
	} {
		require.Equal(t, want, l.Exceeded(used), used)
		require.False(t, lifecycle.Limits{}.Exceeded(used))
	}
	require.Equal(t, lifecycle.Limits{Encryptions: 100, Bytes: 1000}, l.Hard())
	require.True(t, lifecycle.Limits{}.Hard().None())
	require.EqualValues(t, 1<<32-1, lifecycle.Limits{Encryptions: 3_865_470_566}.Hard().Encryptions, "SP 800-38D allows 2^32")
	require.Equal(t, lifecycle.Usage{Encryptions: 3, Bytes: 30}, lifecycle.Usage{Encryptions: 1, Bytes: 10}.Plus(lifecycle.Usage{Encryptions: 2, Bytes: 20}))
}

func TestLimitThatIsReachedIsNotedOncePerVersion(t *testing.T) {
	p := policyOf(t)
	k := usedUp(newKey(t, 1), p, at(3, 0, 0))
	require.Equal(t, k, usedUp(k, p, at(4, 0, 0)))
	require.Equal(t, lifecycle.ByUsage, lifecycle.Plan(k, p, at(3, 0, 0)).Trigger)
	next := byPlan(t, k, p, at(3, 0, 1))
	require.Equal(t, lifecycle.Scheduled, lifecycle.Plan(next, p, at(3, 0, 1)).Status, "the successor has used nothing")
	back, _ := next.WithChecksFailed("round_trip", p, lifecycle.Order{At: at(3, 0, 2)})
	require.Equal(t, lifecycle.ByUsage, lifecycle.Plan(back, p, at(3, 0, 3)).Trigger, "the version before is still used up")
	lapsed := step(t, newKey(t, 1), lifecycle.Lapse, 1, free(start))
	require.Equal(t, lapsed, usedUp(lapsed, p, later), "no version protects")
}

func TestALimitThatIsRaisedIsNotReachedAnyMore(t *testing.T) {
	limited := func(encryptions, bytes int64, edits ...func(d doc)) *lifecycle.Policy {
		return policyOf(t, append(edits, func(d doc) { d.MaxEncryptions, d.MaxBytes, d.RotationPeriod = encryptions, bytes, span(t, "0") })...)
	}
	manual := func(d doc) { d.RotationMode = lifecycle.Manual }
	block := func(d doc) { d.OnLimit = lifecycle.OnLimitBlock }
	note := func(k lifecycle.Key, p *lifecycle.Policy, encryptions, bytes int64) lifecycle.Key {
		return k.Exhausted(lifecycle.Usage{Encryptions: encryptions, Bytes: bytes}, k.RulesFor(p).Limits, at(3, 0, 0))
	}
	now := at(4, 0, 0)
	k := note(newKey(t, 1), limited(10, 1000), 11, 600)
	for limits, want := range map[lifecycle.Limits]bool{
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
	require.Equal(t, lifecycle.Usage{Encryptions: 21, Bytes: 610}, again.Rotation.ExhaustedBy, "the new limit is noted when it is reached")
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

func TestALeaseIsA256thOfTheLimitAndBounded(t *testing.T) {
	const most, mostBytes = 65_536, 1 << 30
	for limits, want := range map[lifecycle.Limits]lifecycle.Usage{
		{}:                                  {Encryptions: most, Bytes: mostBytes},
		{Encryptions: 2560, Bytes: 512_000}: {Encryptions: 10, Bytes: 2000},
		{Encryptions: 255, Bytes: 1}:        {Encryptions: 1, Bytes: 1},
		{Encryptions: 256 * most, Bytes: 1 << 38}:     {Encryptions: most, Bytes: mostBytes},
		{Encryptions: 256*most - 1, Bytes: 1<<38 - 1}: {Encryptions: most - 1, Bytes: mostBytes - 1},
		{Encryptions: 1 << 48, Bytes: 1 << 53}:        {Encryptions: most, Bytes: mostBytes},
	} {
		require.Equal(t, want, limits.Block(0), "%+v", limits)
		require.Equal(t, lifecycle.Usage{Encryptions: max(want.Encryptions/8, 1), Bytes: max(want.Bytes/8, 1)}, limits.Block(3), "%+v", limits)
	}
}

func TestAGrantCoversWhatIsNeededAndAsMuchOfTheRestAsThereIsRoomFor(t *testing.T) {
	use := func(encryptions, bytes int64) lifecycle.Usage {
		return lifecycle.Usage{Encryptions: encryptions, Bytes: bytes}
	}
	l := lifecycle.Limits{Encryptions: 100, Bytes: 1000}
	for _, c := range []struct {
		why                       string
		granted, need, want, more lifecycle.Usage
		ok                        bool
	}{
		{"both are wanted", use(0, 0), use(1, 20), use(10, 100), use(10, 100), true},
		{"more is needed than wanted", use(0, 0), use(1, 700), use(10, 100), use(10, 700), true},
		{"the end of one", use(95, 0), use(1, 20), use(10, 100), use(5, 100), true},
		{"one is full and not needed", use(100, 0), use(0, 20), use(10, 100), use(0, 100), true},
		{"no room for one", use(100, 0), use(1, 20), use(10, 100), use(0, 0), false},
		{"no room for the other", use(0, 990), use(1, 20), use(10, 100), use(0, 0), false},
		{"beyond a limit that was lowered", use(500, 5000), use(1, 1), use(10, 100), use(0, 0), false},
	} {
		more, ok := l.Grant(c.granted, c.need, c.want)
		require.Equal(t, c.ok, ok, c.why)
		require.Equal(t, c.more, more, c.why)
	}
	more, ok := lifecycle.Limits{Bytes: 50}.Grant(use(1<<40, 0), use(1, 1), use(10, 100))
	require.True(t, ok, "what is not limited has room")
	require.Equal(t, use(10, 50), more)
}

func TestWhatIsBeyondIsOfEach(t *testing.T) {
	require.Equal(t, lifecycle.Usage{Bytes: 5}, lifecycle.Usage{Encryptions: 3, Bytes: 15}.Beyond(lifecycle.Usage{Encryptions: 4, Bytes: 10}))
}
