// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
)

// repeating draws the same material again and again while it is on, and random bytes for all else.
type repeating struct{ on atomic.Bool }

func (r *repeating) Read(p []byte) (int, error) {
	const material = 64 // a key of 32 bytes and Transit's HMAC key
	if r.on.Load() && len(p) == material {
		for i := range p {
			p[i] = byte(i)
		}
		return len(p), nil
	}
	return rand.Read(p)
}

var postFaults = []fault{
	{check: "round_trip", begin: func(m *mount) { m.storage.AlterGets(spoiled("versions/k/2")) }},
	{check: "old_version_decrypts", begin: func(m *mount) { m.storage.AlterGets(spoiled("versions/k/1")) }},
	{check: "fingerprint_unique"}, // the mount is made with it
}

// checkless is governed without checks before a promotion, so that only those after it find something.
func checkless(t *testing.T, f fault) (m *mount, end func()) {
	t.Helper()
	m = newMount(t)
	random := &repeating{}
	random.on.Store(f.check == "fingerprint_unique")
	m.random = random
	m.restart()
	m.must(m.write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	m.setStored("policies/p", "pre_checks", []string{})
	m.must(m.write("keys/k", "policy", "p"))
	m.encrypt("k", "in memory from now on")
	if f.begin != nil {
		f.begin(m)
	}
	return m, func() { random.on.Store(false); m.storage.Heal() }
}

func TestAPostCheckThatFailsRollsBackAndAnOperatorLearnsIt(t *testing.T) {
	for _, f := range postFaults {
		for _, staged := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s staged=%v", f.check, staged), func(t *testing.T) {
				t.Parallel()
				m, end := checkless(t, f)
				act := "rotate"
				if staged {
					m.must(m.op("rotate", "stage", true))
					act = "versions/2/promote"
				}
				m.refused(m.op(act), "post-check "+f.check+" failed", "version 2 was rolled back, version 1 is active")
				require.Equal(t, []string{"active", "deactivated"}, m.states())
				require.True(t, strings.HasPrefix(m.encrypt("k", "x"), "vault:v1:"))
				require.False(t, m.unchecked())
				require.Contains(t, m.log.String(), "[ERROR] a promoted version failed a check and was rolled back: key=k version=2 active=1")
				last := lastAct(m)
				require.Equal(t, "rollback", last["act"])
				require.Contains(t, last["reason"], "post-check "+f.check+" failed")
				details, _ := last["details"].(map[string]any)
				require.Len(t, details["policy_hash"], 64)
				delete(details, "policy_hash")
				require.Equal(t, map[string]any{"transition": "T3", "check": f.check, "failed_version": "2", "superseded": "2"}, details)
				require.Equal(t, 1, m.rotation("k")["failures"])
				require.Equal(t, start.Add(time.Hour).Format(time.RFC3339), m.rotation("k")["next_rotation_time"], "the schedule does not start anew")
				end()
				m.advance(time.Hour)
				require.Equal(t, []string{"deactivated", "deactivated", "active"}, m.states())
				requireCustodyWhole(t, m)
			})
		}
	}
}

// lastAct is what custody keeps of the newest act.
func lastAct(m *mount) map[string]any {
	m.t.Helper()
	var newest string
	for path := range m.dump() {
		if strings.HasPrefix(path, "journal/k/") {
			newest = max(newest, path)
		}
	}
	var seq int
	_, err := fmt.Sscanf(newest, "journal/k/%d", &seq)
	require.NoError(m.t, err)
	record := map[string]any{}
	require.NoError(m.t, json.Unmarshal(m.dump()[fmt.Sprintf("journal/k/%010d", seq-1)], &record))
	return record
}

func TestAPostCheckThatGoesOnFailingBacksOffStallsAndRecovers(t *testing.T) {
	for _, f := range []fault{
		{check: "round_trip", begin: func(m *mount) {
			m.storage.AlterGets(func(path string, value []byte) []byte {
				if path == "versions/k/1" {
					return value
				}
				return spoiled("versions/k/")(path, value)
			})
		}},
		{check: "fingerprint_unique"},
	} {
		t.Run(f.check, func(t *testing.T) {
			t.Parallel()
			m, end := checkless(t, f)
			m.advance(59 * time.Minute)
			var attempts []int
			for minute := range 35 {
				before := m.latest("k")
				m.advance(time.Minute)
				if m.latest("k") != before {
					attempts = append(attempts, minute)
				}
				require.Equal(t, "active", m.states()[0], "the old version is in force")
				require.Equal(t, 1, strings.Count(m.shorthand(), "A"))
				require.True(t, strings.HasPrefix(m.encrypt("k", "x"), "vault:v1:"))
			}
			require.Equal(t, []int{0, 1, 3, 7, 15, 31}, attempts)
			require.Equal(t, "stalled", m.rotation("k")["status"])
			require.Equal(t, []any{map[string]any{"name": "k", "since": start.Add(time.Hour).Truncate(time.Minute).Format(time.RFC3339)}}, m.status()["stalled_keys"])
			end()
			m.advance(32 * time.Minute)
			require.Equal(t, "OOOOOOOA", m.shorthand()[:8])
			require.Equal(t, "scheduled", m.rotation("k")["status"])
			require.Equal(t, 0, m.status()["stalled"])
			requireNothingOpen(t, m)
		})
	}
}

func TestAKeyWithNoVersionToGoBackToStaysAndSaysSo(t *testing.T) {
	t.Parallel()
	m := governed(t, "auto")
	m.storage.AlterGets(spoiled("versions/k/2"))
	m.ops("versions/1/compromise")
	require.Equal(t, []string{"compromised", "active"}, m.states())
	require.Contains(t, m.log.String(), "a promoted version failed a check and there is none to go back to")
	require.False(t, m.unchecked(), "it is not found out anew every minute")
}

func TestTheChecksOfBrokenKeysStopNoOther(t *testing.T) {
	t.Parallel()
	m := governed(t, "auto")
	m.setStored("policies/p", "pre_checks", []string{})
	for i := range 5 {
		m.must(m.write(fmt.Sprintf("keys/bad%d", i), "policy", "p"))
		m.must(m.write(fmt.Sprintf("keys/good%d", i), "policy", "p"))
	}
	m.storage.AlterGets(func(path string, value []byte) []byte {
		if strings.HasSuffix(path, "/1") {
			return value
		}
		return spoiled("versions/bad")(path, value)
	})
	m.advance(61 * time.Minute)
	for i := range 5 {
		require.Equal(t, 2, m.must(m.read(fmt.Sprintf("keys/good%d", i))).data["primary_version"])
		require.Equal(t, 1, m.must(m.read(fmt.Sprintf("keys/bad%d", i))).data["primary_version"])
	}
	require.Equal(t, 5, m.status()["failed"])
	require.Equal(t, 0, m.status()["stalled"])
}

func TestAPromotionThatWasCutShortBeforeItsChecksIsCheckedByATick(t *testing.T) {
	t.Parallel()
	m := governed(t, "auto")
	m.storage.FailWrite(8, false) // begin, version, due index, record, old entry, end, due index; then the record again
	m.ops("rotate")
	require.True(t, m.storage.Fired())
	m.storage.Heal()
	require.True(t, m.unchecked())
	require.Equal(t, 1, m.status()["due"])
	m.restart()
	m.advance(time.Minute)
	require.False(t, m.unchecked())
	require.Equal(t, start.Add(time.Hour).Format(time.RFC3339), m.rotation("k")["next_rotation_time"])
	checkSchedule(t, m.dump())
}

func TestARequestThatIsGivenUpDuringItsChecksRollsNothingBack(t *testing.T) {
	t.Parallel()
	m := governed(t, "auto")
	ctx, giveUp := context.WithCancel(t.Context())
	reads := 0
	m.storage.AlterGets(func(path string, value []byte) []byte {
		if path == "versions/k/2" {
			if reads++; reads == 2 { // the first is that before the commit
				giveUp()
			}
		}
		return value
	})
	_, err := m.engine.Rotate(ctx, m.repoOf(), "k", false, engine.Precondition{Reason: why})
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	require.NoError(t, err, "the rotation itself is done")
	require.Equal(t, []string{"deactivated", "active"}, m.states())
	require.True(t, m.unchecked())
	m.advance(time.Minute)
	require.False(t, m.unchecked())
	require.Equal(t, []string{"deactivated", "active"}, m.states())
}

func TestChecksThatAreAskedForLaterAreForLaterPromotions(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o", "rotation_period", 0, "post_checks", []any{}))
	m.must(m.write("keys/k", "policy", "p"))
	m.must(m.write("keys/k/rotate", "reason", "because of a test"))
	require.False(t, m.unchecked())
	m.setStored("versions/k/2", "fingerprint", "of another")
	m.must(m.write("policies/p", "post_checks", []any{"round_trip"}))
	m.advance(3 * time.Minute)
	require.Equal(t, 2, m.must(m.read("keys/k")).data["primary_version"])
}
