// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package rotation_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func TestAPostCheckThatFailsRollsBackAndAnOperatorLearnsIt(t *testing.T) {
	for _, f := range mounttest.PostFaults() {
		for _, staged := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s staged=%v", f.Check, staged), func(t *testing.T) {
				t.Parallel()
				m, end := mounttest.Checkless(t, f)
				act := "rotate"
				if staged {
					m.Must(m.K.Op("rotate", "stage", true))
					act = "versions/2/promote"
				}
				m.Refused(m.K.Op(act), "post-check "+f.Check+" failed", "version 2 was rolled back, version 1 is active")
				require.Equal(t, []string{"active", "deactivated"}, m.K.States())
				require.True(t, strings.HasPrefix(m.Encrypt("k", "x"), "vault:v1:"))
				require.False(t, m.Storage.Unchecked())
				require.Contains(t, m.Log.String(), "[ERROR] a promoted version failed a check and was rolled back: key=k version=2 active=1")
				last := m.Storage.LastAct()
				require.Equal(t, "rollback", last["act"])
				require.Contains(t, last["reason"], "post-check "+f.Check+" failed")
				details, _ := last["details"].(map[string]any)
				require.Len(t, details["policy_hash"], 64)
				delete(details, "policy_hash")
				require.Equal(t, map[string]any{"transition": "T3", "check": f.Check, "failed_version": "2", "superseded": "2"}, details)
				require.Equal(t, 1, m.Rotation("k")["failures"])
				require.Equal(t, mounttest.Start.Add(time.Hour).Format(time.RFC3339), m.Rotation("k")["next_rotation_time"], "the schedule does not start anew")
				end()
				m.Advance(time.Hour)
				require.Equal(t, []string{"deactivated", "deactivated", "active"}, m.K.States())
				mounttest.RequireCustodyWhole(t, m)
			})
		}
	}
}

func TestAPostCheckThatGoesOnFailingBacksOffStallsAndRecovers(t *testing.T) {
	for _, f := range []mounttest.Fault{
		{Check: "round_trip", Begin: func(m *mounttest.Mount) {
			m.Storage.AlterGets(func(path string, value []byte) []byte {
				if path == "versions/k/1" {
					return value
				}
				return mounttest.Spoiled("versions/k/")(path, value)
			})
		}},
		{Check: "fingerprint_unique"},
	} {
		t.Run(f.Check, func(t *testing.T) {
			t.Parallel()
			m, end := mounttest.Checkless(t, f)
			m.Advance(59 * time.Minute)
			var attempts []int
			for minute := range 35 {
				before := m.Latest("k")
				m.Advance(time.Minute)
				if m.Latest("k") != before {
					attempts = append(attempts, minute)
				}
				require.Equal(t, "active", m.K.States()[0], "the old version is in force")
				require.Equal(t, 1, strings.Count(m.K.Letters(), "A"))
				require.True(t, strings.HasPrefix(m.Encrypt("k", "x"), "vault:v1:"))
			}
			require.Equal(t, []int{0, 1, 3, 7, 15, 31}, attempts)
			require.Equal(t, "stalled", m.Rotation("k")["status"])
			require.Equal(t, []any{map[string]any{"name": "k", "since": mounttest.Start.Add(time.Hour).Truncate(time.Minute).Format(time.RFC3339)}}, m.Status()["stalled_keys"])
			end()
			m.Advance(32 * time.Minute)
			require.Equal(t, "OOOOOOOA", m.K.Letters()[:8])
			require.Equal(t, "scheduled", m.Rotation("k")["status"])
			require.Equal(t, 0, m.Status()["stalled"])
			mounttest.RequireNothingOpen(t, m)
		})
	}
}

func TestAKeyWithNoVersionToGoBackToStaysAndSaysSo(t *testing.T) {
	t.Parallel()
	m := mounttest.Governed(t, "auto")
	m.Storage.AlterGets(mounttest.Spoiled("versions/k/2"))
	m.K.Ops("versions/1/compromise")
	require.Equal(t, []string{"compromised", "active"}, m.K.States())
	require.Contains(t, m.Log.String(), "a promoted version failed a check and there is none to go back to")
	require.False(t, m.Storage.Unchecked(), "it is not found out anew every minute")
}

func TestTheChecksOfBrokenKeysStopNoOther(t *testing.T) {
	t.Parallel()
	m := mounttest.Governed(t, "auto")
	m.SetStored("policies/p", "pre_checks", []string{})
	for i := range 5 {
		m.Must(m.Write(fmt.Sprintf("keys/bad%d", i), "policy", "p"))
		m.Must(m.Write(fmt.Sprintf("keys/good%d", i), "policy", "p"))
	}
	m.Storage.AlterGets(func(path string, value []byte) []byte {
		if strings.HasSuffix(path, "/1") {
			return value
		}
		return mounttest.Spoiled("versions/bad")(path, value)
	})
	m.Advance(61 * time.Minute)
	for i := range 5 {
		require.Equal(t, 2, m.Must(m.Read(fmt.Sprintf("keys/good%d", i))).Data["primary_version"])
		require.Equal(t, 1, m.Must(m.Read(fmt.Sprintf("keys/bad%d", i))).Data["primary_version"])
	}
	require.Equal(t, 5, m.Status()["failed"])
	require.Equal(t, 0, m.Status()["stalled"])
}

func TestAPromotionThatWasCutShortBeforeItsChecksIsCheckedByATick(t *testing.T) {
	t.Parallel()
	m := mounttest.Governed(t, "auto")
	m.Storage.FailWrite(8, false) // begin, version, due index, record, old entry, end, due index; then the record again
	m.K.Ops("rotate")
	require.True(t, m.Storage.Fired())
	m.Storage.Heal()
	require.True(t, m.Storage.Unchecked())
	require.Equal(t, 1, m.Status()["due"])
	m.Restart()
	m.Advance(time.Minute)
	require.False(t, m.Storage.Unchecked())
	require.Equal(t, mounttest.Start.Add(time.Hour).Format(time.RFC3339), m.Rotation("k")["next_rotation_time"])
	mounttest.RequireIndexed(t, m.Storage.All())
}

func TestARequestThatIsGivenUpDuringItsChecksRollsNothingBack(t *testing.T) {
	t.Parallel()
	m := mounttest.Governed(t, "auto")
	ctx, giveUp := context.WithCancel(t.Context())
	reads := 0
	m.Storage.AlterGets(func(path string, value []byte) []byte {
		if path == "versions/k/2" {
			if reads++; reads == 2 { // the first is that before the commit
				giveUp()
			}
		}
		return value
	})
	got := m.DoWith(ctx, logical.UpdateOperation, "keys/k/rotate", mounttest.Data("reason", mounttest.Reason))
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	require.Less(t, got.Status, 300, "the rotation itself is done: %s", got.Err)
	require.Equal(t, []string{"deactivated", "active"}, m.K.States())
	require.True(t, m.Storage.Unchecked())
	m.Advance(time.Minute)
	require.False(t, m.Storage.Unchecked())
	require.Equal(t, []string{"deactivated", "active"}, m.K.States())
}

func TestChecksThatAreAskedForLaterAreForLaterPromotions(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", 0, "post_checks", []any{}))
	m.Must(m.Write("keys/k", "policy", "p"))
	m.Must(m.Write("keys/k/rotate", "reason", "because of a test"))
	require.False(t, m.Storage.Unchecked())
	m.SetStored("versions/k/2", "fingerprint", "of another")
	m.Must(m.Write("policies/p", "post_checks", []any{"round_trip"}))
	m.Advance(3 * time.Minute)
	require.Equal(t, 2, m.Must(m.Read("keys/k")).Data["primary_version"])
}
