// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package rotation_test is about rotation by the tick: when, at what cost, with which checks before and after, what a key
// that fails holds up, and where an operator sees it.
package rotation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

func TestAKeyRotatesByItselfWhenItsPolicySaysSo(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	old := m.Encrypt("k", "hello")
	m.Advance(59 * time.Minute)
	require.Equal(t, 1, m.Latest("k"), "not early")
	m.Advance(2 * time.Minute)
	require.Equal(t, 2, m.Latest("k"))
	require.True(t, strings.HasPrefix(m.Encrypt("k", "x"), "vault:v2:"))
	require.Equal(t, "hello", m.Decrypt("k", old))

	r := m.Rotation("k")
	require.Equal(t, "schedule", r["last_rotation_trigger"])
	require.Equal(t, "scheduled", r["status"])
	require.Equal(t, mounttest.Start.Add(2*time.Hour).Format(time.RFC3339), r["next_rotation_time"])
	require.Contains(t, m.Log.String(), "[INFO]  rotated key: key=k version=2 trigger=schedule policy=p")
}

func TestLatenessNeverAddsUp(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	for n := 1; n <= 48; n++ {
		m.Clock.Add(time.Hour + 7*time.Minute - time.Duration(n%2)*14*time.Minute) // seven minutes late, then early
		require.NoError(t, m.Tick())
	}
	require.Equal(t, mounttest.Start.Add(49*time.Hour).Format(time.RFC3339), m.Rotation("k")["next_rotation_time"])
}

func TestAfterAnOutageThereIsOneRotationPerKey(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	m.Clock.Add(1000*time.Hour + 10*time.Minute)
	m.Restart()
	m.Advance(30 * time.Minute)
	require.Equal(t, 2, m.Latest("k"))
	require.Equal(t, mounttest.Start.Add(1001*time.Hour).Format(time.RFC3339), m.Rotation("k")["next_rotation_time"], "back on the schedule")
}

func TestTransitsOwnPeriodIsKeptToTheMinute(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "auto_rotate_period", "1h"))
	m.Advance(61 * time.Minute)
	require.Equal(t, 2, m.Latest("k"))
	m.Advance(60 * time.Minute)
	require.Equal(t, 3, m.Latest("k"))
}

func TestManualAndNotifyRaiseOverdueAndRotateNothing(t *testing.T) {
	for _, mode := range []string{"manual", "notify"} {
		m := mounttest.Governed(t, mode)
		m.Advance(3 * time.Hour)
		require.Equal(t, 1, m.Latest("k"))
		require.Equal(t, "overdue", m.Must(m.Read("keys/k")).Data["rotation_status"])
		require.Equal(t, 1, strings.Count(m.Log.String(), "key is overdue for rotation"), "said once")
		m.Must(m.Write("keys/k/rotate", "reason", "quarterly change 4711"))
		r := m.Rotation("k")
		require.Equal(t, "scheduled", r["status"])
		require.Equal(t, "quarterly change 4711", r["last_rotation_reason"])
		require.Equal(t, "operator", r["last_rotation_trigger"])
		m.Advance(2 * time.Hour)
		require.Equal(t, "overdue", m.Rotation("k")["status"])
	}
}

func TestAKeyWhoseTypeThePolicyNoLongerAllowsIsOverdueAndNoFailure(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	m.Must(m.Write("policies/p", "allowed_types", "chacha20-poly1305"))
	m.Advance(90 * time.Minute)
	r := m.Rotation("k")
	require.Equal(t, "overdue", r["status"])
	require.Equal(t, 0, r["failures"])
	require.Contains(t, r["why"], "allowed_types")
	require.Equal(t, 1, strings.Count(m.Log.String(), "key is overdue for rotation"), "said once")
	require.Equal(t, 1, m.Status()["overdue"])
	m.Must(m.Write("policies/p", "allowed_types", ""))
	m.Advance(2 * time.Minute)
	require.Equal(t, 2, m.Latest("k"))
	require.Equal(t, 0, m.Status()["overdue"])
}

func TestAFailedRotationIsShownRetriedAndForgotten(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	m.SetStored("policies/p", "hsm", "required")
	m.Advance(60 * time.Minute)
	r := m.Rotation("k")
	require.Equal(t, "retrying", r["status"])
	require.Equal(t, 1, r["failures"])
	require.Contains(t, r["last_error"], "no HSM is configured")
	require.Contains(t, r["why"], "no HSM is configured")
	m.Advance(10 * time.Minute)
	require.Greater(t, m.Rotation("k")["failures"], 1)
	require.Less(t, m.Rotation("k")["failures"], 6, "it backs off")
	require.Equal(t, 1, m.Latest("k"))

	m.SetStored("policies/p", "hsm", "optional")
	m.Advance(20 * time.Minute)
	require.Equal(t, 2, m.Latest("k"))
	require.Equal(t, 0, m.Rotation("k")["failures"])
	require.Empty(t, m.Rotation("k")["last_error"])
}

func TestOneFailingKeyStopsNoOther(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/good", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	m.Must(m.Write("policies/bad", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	for i := range 5 {
		m.Must(m.Write(fmt.Sprintf("keys/a%d", i), "policy", "bad"))
		m.Must(m.Write(fmt.Sprintf("keys/b%d", i), "policy", "good"))
	}
	m.Must(m.Write("policies/bad", "allowed_types", "aes128-gcm96", "min_strength_bits", 0))
	m.Corrupt("keys/a0")
	m.Corrupt("versions/a1/1")
	m.Advance(61 * time.Minute)
	for i := range 5 {
		require.Equal(t, 2, m.Latest(fmt.Sprintf("b%d", i)))
	}
	require.Equal(t, 500, m.Read("keys/a0").Status, "a bad stored value fails the request, not the mount")
	require.Contains(t, m.Read("keys/a0").Err, "keys/a0")
}

func TestATickStopsWhenItsTimeIsUp(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	m.Must(m.Write("keys/k2", "policy", "p"))
	m.Clock.Add(time.Hour)
	m.Clock.Step = 15 * time.Second // every look at the clock takes so long
	require.NoError(t, m.Tick())
	m.Clock.Step = 0
	require.Less(t, m.Latest("k")+m.Latest("k2"), 4, "one of them waits")
	m.Advance(time.Minute)
	require.Equal(t, 2, m.Latest("k"))
	require.Equal(t, 2, m.Latest("k2"))
}

func TestATickThatHasNoTimeLeftAsksForNoMoreMinutes(t *testing.T) {
	const minutes = 500
	m := mounttest.New(t)
	for n := range minutes {
		require.NoError(t, m.Storage.Store().DueIndex().AddDue(t.Context(), mounttest.Start.Add(-time.Duration(n)*time.Minute), "gone"))
	}
	m.Clock.Step = time.Second
	m.Storage.Reset()
	require.NoError(t, m.Tick())
	require.Less(t, m.Storage.Reset().Lists, minutes/10)
	m.Clock.Step = 0
	left, err := m.Storage.Store().DueIndex().DueMinutes(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, left, "it is unfinished")
	require.NoError(t, m.Tick())
	left, err = m.Storage.Store().DueIndex().DueMinutes(t.Context())
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestAKeyListedUnderAMinuteThatATickHasJustWorkedOffIsNotMissed(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	m.Must(m.Write("keys/k"))
	m.Clock.Add(2*time.Hour + 29*time.Second + 900*time.Millisecond) // a tenth of a second before the minute ends
	m.Restart()
	require.NoError(t, m.Tick())
	m.Storage.During("journal/k/", func() { // the bound key is due, and is not listed yet
		m.Clock.Add(200 * time.Millisecond)
		require.NoError(t, m.Tick())
	})
	m.Must(m.Write("keys/k/config", "policy", "p"))
	m.Advance(time.Minute)
	require.Equal(t, 2, m.Latest("k"))
}

func TestAPanicAtOneKeyStopsNoOther(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	for _, name := range []string{"a", "b", "c"} {
		m.Must(m.Write("keys/"+name, "policy", "p"))
	}
	m.Storage.AlterGets(func(path string, value []byte) []byte {
		if path == "keys/a" {
			panic("a secret")
		}
		return value
	})
	m.Advance(61 * time.Minute)
	require.Equal(t, 2, m.Latest("b"))
	require.Equal(t, 2, m.Latest("c"))
	require.Contains(t, m.Log.String(), "panic")
	require.NotContains(t, m.Log.String(), "a secret")
	m.Storage.Heal()
	m.Advance(15 * time.Minute)
	require.Equal(t, 2, m.Latest("a"))
}

func TestAClockSetBackLosesNothing(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	m.Advance(10 * time.Minute)
	m.Clock.Add(-3 * time.Hour)
	require.NoError(t, m.Tick())
	m.Must(m.Write("keys/k/config", "owner", "x"))
	m.Advance(5 * time.Hour)
	require.Greater(t, m.Latest("k"), 1)
}

func TestALostEntryOfTheDueIndexIsMended(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	all := m.Storage.All()
	for path := range all {
		if strings.HasPrefix(path, "schedule/") {
			require.NoError(t, m.Storage.Delete(t.Context(), path))
		}
	}
	m.Advance(62 * time.Minute)
	require.Equal(t, 2, m.Latest("k"))
}

func TestANewPeriodReachesTheKeysOfThePolicy(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "90d", "rotation_jitter", "0s"))
	for i := range 300 {
		m.Must(m.Write(fmt.Sprintf("keys/k%03d", i), "policy", "p"))
	}
	m.Must(m.Write("policies/p", "rotation_period", "10m"))
	m.Advance(13 * time.Minute)
	for _, i := range []int{0, 199, 200, 299} {
		require.Equal(t, 2, m.Latest(fmt.Sprintf("k%03d", i)), "key %d", i)
	}
}

func TestALargePolicyThatIsRevisedAgainAndAgainHoldsUpNoOther(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/a", "owner", "o", "rotation_period", "90d"))
	m.Must(m.Write("policies/b", "owner", "o", "rotation_period", "90d"))
	m.Must(m.Write("keys/k-000000", "policy", "a"))
	many := racetest.Size(t, 6000) // more than one tick looks at
	copyKey(m, "k-000000", many)
	for i := range many {
		m.Storage.Plant(fmt.Sprintf("bound/a/k-%06d", i), []byte("{}"))
	}
	m.Restart()
	m.Must(m.Write("keys/small", "policy", "b"))
	m.Must(m.Write("policies/b", "rotation_period", "1m", "rotation_jitter", "0s"))
	for i := range 3 {
		m.Must(m.Write("policies/a", "description", fmt.Sprint(i)))
		m.Advance(time.Minute)
	}
	require.Greater(t, m.Latest("small"), 1)
}

func TestMaterialThatCannotBeMovedHoldsUpNoOther(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	const broken = 70 // more than a tick settles
	m := mounttest.New(t)
	for i := range broken + 1 {
		name := fmt.Sprintf("k%02d", i)
		m.Must(m.Write("keys/" + name))
		m.Must(m.Write("keys/" + name + "/rotate"))
	}
	unreadable := func(but string) {
		m.Storage.AlterGets(func(path string, value []byte) []byte {
			if strings.HasPrefix(path, "versions/") && !strings.HasPrefix(path, "versions/"+but+"/") {
				return []byte("{broken")
			}
			return value
		})
	}
	unreadable("")
	for i := range broken + 1 {
		m.Must(m.Write(fmt.Sprintf("keys/k%02d/versions/1/archive", i)))
	}
	unreadable("k70")
	for range 2 {
		m.Clock.Add(time.Minute)
		_ = m.Tick()
	}
	all := m.Storage.All()
	require.Contains(t, all, "archive/k70/1")
	require.NotContains(t, all, "archive/k69/1")
}

func TestAKeyWhosePolicyIsMissingRotatesNothingOnAGuess(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	require.NoError(t, m.Storage.Delete(t.Context(), "policies/p"))
	m.Restart()
	m.Advance(2 * time.Hour)
	require.Equal(t, 1, m.Latest("k"))
	require.Contains(t, m.Rotation("k")["why"], "missing")
	require.Equal(t, 400, m.Write("keys/k/rotate", "reason", "because of a test").Status)
	m.Encrypt("k", "still encrypts")
}

func TestAKeyWhosePolicyCouldNotBeReadRotatesOnceItCan(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	m.Clock.Add(time.Hour)
	m.Restart()
	m.Storage.FailGets("policies/")
	_ = m.Tick()
	m.Storage.Heal()
	require.Equal(t, 1, m.Latest("k"))
	m.Advance(12 * time.Minute)
	require.Equal(t, 2, m.Latest("k"))
}

func TestACompromisedActiveVersionOfASuspendedKeyIsReplacedWhenTheKeyIsResumed(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	old := m.Encrypt("k", "x")
	m.Must(m.Write("keys/k/suspend"))
	m.Must(m.Write("keys/k/versions/1/compromise", "reason_code", "key_compromise"))
	require.Equal(t, 1, m.Latest("k"), "a suspended key gets no versions")
	m.Must(m.Write("keys/k/resume"))
	require.Equal(t, 400, m.Write("encrypt/k", "plaintext", "").Status)
	m.Advance(2 * time.Minute)
	require.True(t, strings.HasPrefix(m.Encrypt("k", "x"), "vault:v2:"))
	require.Equal(t, "incident", m.Rotation("k")["last_rotation_trigger"])
	m.Must(m.Write("rewrap/k", "ciphertext", old))
}

func TestAKeyThatCannotBeReplacedStillFollowsItsAgenda(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	m.Must(m.Write("keys/k/rotate", "reason", "because of a test"))
	m.Must(m.Write("policies/p", "quiet_period", "0", "min_versions_kept", 0))
	m.Must(m.Write("keys/k/versions/1/archive"))
	m.Must(m.Write("keys/k/versions/1/retire", "reason", "because of a test"))
	m.Must(m.Write("policies/p", "allowed_types", "aes128-gcm96"))
	m.Must(m.Write("keys/k/versions/2/compromise", "reason", "because of a test"))
	for range 33 {
		m.Pass(23 * time.Hour)
		m.Advance(2 * time.Minute)
	}
	require.Equal(t, "destroyed", m.Must(m.Read("keys/k/versions/1")).Data["state"])
	require.Equal(t, 400, m.Write("encrypt/k", "plaintext", "").Status)
}
