// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

var start = time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)

func after(seconds float64) time.Time {
	return start.Add(time.Duration(seconds * float64(time.Second)))
}

// rotated is what is seen of three ticks that rotate for 20 seconds of each minute, 50 keys a second, and of encryptions that take
// slow milliseconds meanwhile and 2 otherwise.
func rotated(slow time.Duration) measured {
	m := measured{due: after(10)}
	n := 0.0
	for at := 0.0; at < 240; at += 0.25 {
		ticking := at >= 20 && at < 200 && int(at-20)%60 < 20
		if ticking {
			n += 12.5
		}
		m.looks = append(m.looks, look{after(at + 0.25), n})
		for i := range 20 {
			latency := 2 * time.Millisecond
			if ticking {
				latency = slow
			}
			m.requests = append(m.requests, request{after(at + float64(i)/80), latency, i%2 == 1})
		}
	}
	return m
}

func TestTimesOfRotationsAreFound(t *testing.T) {
	during := spells(rotated(0).looks)
	require.Len(t, during, 3)
	for i, d := range during {
		require.Equal(t, spell{after(float64(20 + 60*i)), after(float64(40 + 60*i))}, d)
	}
	require.Empty(t, spells(rotated(0).looks[:70]))
}

// A moment without a rotation, such as a slow one, does not end a tick.
func TestAMomentIsNoPause(t *testing.T) {
	looks := []look{{after(0), 0}, {after(1), 5}, {after(3), 5}, {after(4), 6}, {after(10), 6}, {after(11), 7}}
	require.Equal(t, []spell{{after(0), after(4)}, {after(10), after(11)}}, spells(looks))
}

func TestWhatIsSlowWhileATickRotatesIsFound(t *testing.T) {
	s, err := rotated(10*time.Millisecond).section(3000, 80)
	require.NoError(t, err)
	rows := map[string]result.Row{}
	for _, row := range s.Rows {
		rows[row.What] = row
	}
	for _, of := range []string{"other keys", "keys that rotate"} {
		p99 := rows["p99 of encrypt, "+of]
		require.InDelta(t, 10, p99.Value, 1e-9)
		require.InDelta(t, 5, p99.Beside[0].Ratio, 1e-9)
		require.False(t, p99.Beside[0].Target.Met(p99.Beside[0].Ratio))
		require.Nil(t, rows["p50 of encrypt, "+of].Beside[0].Target)
	}
	require.InDelta(t, 50, rows["rotations, while a tick rotates"].Value, 0.1)
	require.InDelta(t, 3, rows["ticks that rotated"].Value, 0)
	require.InDelta(t, 150, rows["from when the keys were due to the last rotation"].Value, 0.1)

	s, err = rotated(5*time.Millisecond).section(3000, 80)
	require.NoError(t, err)
	require.True(t, s.Rows[1].Beside[0].Target.Met(s.Rows[1].Beside[0].Ratio))
}

func TestTooFewEncryptionsTellNothing(t *testing.T) {
	m := rotated(0)
	m.requests = m.requests[:1000]
	_, err := m.section(3000, 80)
	require.ErrorIs(t, err, errShort)
}

func TestAMinuteIsACronExpression(t *testing.T) {
	require.Equal(t, "4 3 2 1 *", at(start))
	require.Equal(t, "59 23 31 12 *", at(time.Date(2026, 12, 31, 23, 59, 0, 0, time.UTC)))
	require.Equal(t, "5 0 9 10 *", at(time.Date(2026, 10, 9, 2, 5, 0, 0, time.FixedZone("", 7200))))
}
