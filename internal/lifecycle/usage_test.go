// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/stretchr/testify/require"
)

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
		require.Equal(t, want, limits.Block(), "%+v", limits)
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
