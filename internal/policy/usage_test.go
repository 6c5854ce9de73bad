// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy_test

import (
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/stretchr/testify/require"
)

func TestLimitIsExceededByEitherAndHardANinthBeyond(t *testing.T) {
	l := policy.Limits{Encryptions: 90, Bytes: 900}
	for used, want := range map[policy.Usage]bool{
		{}: false, {Encryptions: 90, Bytes: 900}: false, {Encryptions: 91}: true, {Bytes: 901}: true, {Encryptions: 91, Bytes: 901}: true,
	} {
		require.Equal(t, want, l.Exceeded(used), used)
		require.False(t, policy.Limits{}.Exceeded(used))
	}
	require.Equal(t, policy.Limits{Encryptions: 100, Bytes: 1000}, l.Hard())
	require.True(t, policy.Limits{}.Hard().None())
	require.EqualValues(t, 1<<32-1, policy.Limits{Encryptions: 3_865_470_566}.Hard().Encryptions, "SP 800-38D allows 2^32")
	require.Equal(t, policy.Usage{Encryptions: 3, Bytes: 30}, policy.Usage{Encryptions: 1, Bytes: 10}.Plus(policy.Usage{Encryptions: 2, Bytes: 20}))
}

func TestALeaseIsA256thOfTheLimitAndBounded(t *testing.T) {
	const most, mostBytes = 65_536, 1 << 30
	for limits, want := range map[policy.Limits]policy.Usage{
		{}:                                  {Encryptions: most, Bytes: mostBytes},
		{Encryptions: 2560, Bytes: 512_000}: {Encryptions: 10, Bytes: 2000},
		{Encryptions: 255, Bytes: 1}:        {Encryptions: 1, Bytes: 1},
		{Encryptions: 256 * most, Bytes: 1 << 38}:     {Encryptions: most, Bytes: mostBytes},
		{Encryptions: 256*most - 1, Bytes: 1<<38 - 1}: {Encryptions: most - 1, Bytes: mostBytes - 1},
		{Encryptions: 1 << 48, Bytes: 1 << 53}:        {Encryptions: most, Bytes: mostBytes},
	} {
		require.Equal(t, want, limits.Block(0), "%+v", limits)
		require.Equal(t, policy.Usage{Encryptions: max(want.Encryptions/8, 1), Bytes: max(want.Bytes/8, 1)}, limits.Block(3), "%+v", limits)
	}
}

func TestAGrantCoversWhatIsNeededAndAsMuchOfTheRestAsThereIsRoomFor(t *testing.T) {
	use := func(encryptions, bytes int64) policy.Usage {
		return policy.Usage{Encryptions: encryptions, Bytes: bytes}
	}
	l := policy.Limits{Encryptions: 100, Bytes: 1000}
	for _, c := range []struct {
		why                       string
		granted, need, want, more policy.Usage
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
	more, ok := policy.Limits{Bytes: 50}.Grant(use(1<<40, 0), use(1, 1), use(10, 100))
	require.True(t, ok, "what is not limited has room")
	require.Equal(t, use(10, 50), more)
}

func TestWhatIsBeyondIsOfEach(t *testing.T) {
	require.Equal(t, policy.Usage{Bytes: 5}, policy.Usage{Encryptions: 3, Bytes: 15}.Beyond(policy.Usage{Encryptions: 4, Bytes: 10}))
}
