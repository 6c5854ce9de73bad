// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// governed makes a policy with a period of an hour and no jitter, and a key bound to it.
func governed(t *testing.T, mode string) *mount {
	t.Helper()
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s", "rotation_mode", mode))
	m.must(m.write("keys/k", "policy", "p"))
	return m
}

func (m *mount) latest(key string) int {
	m.t.Helper()
	return m.must(m.read("keys/" + key)).data["latest_version"].(int)
}

func (m *mount) rotation(key string) map[string]any {
	m.t.Helper()
	return m.must(m.read("keys/" + key + "/rotation")).data
}

func TestAKeyRotatesByItselfWhenItsPolicySaysSo(t *testing.T) {
	m := governed(t, "auto")
	old := m.encrypt("k", "hello")
	m.advance(59 * time.Minute)
	require.Equal(t, 1, m.latest("k"), "not early")
	m.advance(2 * time.Minute)
	require.Equal(t, 2, m.latest("k"))
	require.True(t, strings.HasPrefix(m.encrypt("k", "x"), "vault:v2:"))
	require.Equal(t, "hello", m.decrypt("k", old))

	r := m.rotation("k")
	require.Equal(t, "schedule", r["last_rotation_trigger"])
	require.Equal(t, "scheduled", r["status"])
	require.Equal(t, start.Add(2*time.Hour).Format(time.RFC3339), r["next_rotation_time"])
	require.Contains(t, m.log.String(), "[INFO]  rotated key: key=k version=2 trigger=schedule policy=p")
}

func TestLatenessNeverAddsUp(t *testing.T) {
	m := governed(t, "auto")
	for n := 1; n <= 48; n++ {
		m.clock.add(time.Hour + 7*time.Minute - time.Duration(n%2)*14*time.Minute) // seven minutes late, then early
		require.NoError(t, m.tickNow())
	}
	require.Equal(t, start.Add(49*time.Hour).Format(time.RFC3339), m.rotation("k")["next_rotation_time"])
}

func TestAfterAnOutageThereIsOneRotationPerKey(t *testing.T) {
	m := governed(t, "auto")
	m.clock.add(1000*time.Hour + 10*time.Minute)
	m.restart()
	m.advance(30 * time.Minute)
	require.Equal(t, 2, m.latest("k"))
	require.Equal(t, start.Add(1001*time.Hour).Format(time.RFC3339), m.rotation("k")["next_rotation_time"], "back on the schedule")
}

func TestTransitsOwnPeriodIsKeptToTheMinute(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k", "auto_rotate_period", "1h"))
	m.advance(61 * time.Minute)
	require.Equal(t, 2, m.latest("k"))
	m.advance(60 * time.Minute)
	require.Equal(t, 3, m.latest("k"))
}

func TestManualAndNotifyRaiseOverdueAndRotateNothing(t *testing.T) {
	for _, mode := range []string{"manual", "notify"} {
		m := governed(t, mode)
		m.advance(3 * time.Hour)
		require.Equal(t, 1, m.latest("k"))
		require.Equal(t, "overdue", m.must(m.read("keys/k")).data["rotation_status"])
		require.Equal(t, 1, strings.Count(m.log.String(), "key is overdue for rotation"), "said once")
		m.must(m.write("keys/k/rotate", "reason", "quarterly change 4711"))
		r := m.rotation("k")
		require.Equal(t, "scheduled", r["status"])
		require.Equal(t, "quarterly change 4711", r["last_rotation_reason"])
		require.Equal(t, "operator", r["last_rotation_trigger"])
		m.advance(2 * time.Hour)
		require.Equal(t, "overdue", m.rotation("k")["status"])
	}
}

func TestAKeyWhoseTypeThePolicyNoLongerAllowsIsOverdueAndNoFailure(t *testing.T) {
	m := governed(t, "auto")
	m.must(m.write("policies/p", "allowed_types", "chacha20-poly1305"))
	m.advance(90 * time.Minute)
	r := m.rotation("k")
	require.Equal(t, "overdue", r["status"])
	require.Equal(t, 0, r["failures"])
	require.Contains(t, r["why"], "allowed_types")
	require.Equal(t, 1, strings.Count(m.log.String(), "key is overdue for rotation"), "said once")
	require.Equal(t, 1, m.status()["overdue"])
	m.must(m.write("policies/p", "allowed_types", ""))
	m.advance(2 * time.Minute)
	require.Equal(t, 2, m.latest("k"))
	require.Equal(t, 0, m.status()["overdue"])
}

func TestAFailedRotationIsShownRetriedAndForgotten(t *testing.T) {
	m := governed(t, "auto")
	m.setStored("policies/p", "hsm", "required")
	m.advance(60 * time.Minute)
	r := m.rotation("k")
	require.Equal(t, "retrying", r["status"])
	require.Equal(t, 1, r["failures"])
	require.Contains(t, r["last_error"], "no HSM is configured")
	require.Contains(t, r["why"], "no HSM is configured")
	m.advance(10 * time.Minute)
	require.Greater(t, m.rotation("k")["failures"], 1)
	require.Less(t, m.rotation("k")["failures"], 6, "it backs off")
	require.Equal(t, 1, m.latest("k"))

	m.setStored("policies/p", "hsm", "optional")
	m.advance(20 * time.Minute)
	require.Equal(t, 2, m.latest("k"))
	require.Equal(t, 0, m.rotation("k")["failures"])
	require.Empty(t, m.rotation("k")["last_error"])
}

func TestOneFailingKeyStopsNoOther(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/good", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	m.must(m.write("policies/bad", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	for i := range 5 {
		m.must(m.write(fmt.Sprintf("keys/a%d", i), "policy", "bad"))
		m.must(m.write(fmt.Sprintf("keys/b%d", i), "policy", "good"))
	}
	m.must(m.write("policies/bad", "allowed_types", "aes128-gcm96", "min_strength_bits", 0))
	m.corrupt("keys/a0")
	m.corrupt("versions/a1/1")
	m.advance(61 * time.Minute)
	for i := range 5 {
		require.Equal(t, 2, m.latest(fmt.Sprintf("b%d", i)))
	}
	require.Equal(t, 500, m.read("keys/a0").status, "a bad stored value fails the request, not the mount")
	require.Contains(t, m.read("keys/a0").err, "keys/a0")
}

func TestATickStopsWhenItsTimeIsUp(t *testing.T) {
	m := governed(t, "auto")
	m.must(m.write("keys/k2", "policy", "p"))
	m.clock.add(time.Hour)
	m.clock.step = 15 * time.Second // every look at the clock takes so long
	report, err := m.engine.Tick(t.Context(), m.repoOf())
	require.NoError(t, err)
	require.True(t, report.Unfinished)
	require.Less(t, report.Rotated, 2)
	m.clock.step = 0
	m.advance(time.Minute)
	require.Equal(t, 2, m.latest("k"))
	require.Equal(t, 2, m.latest("k2"))
}

func TestATickThatHasNoTimeLeftAsksForNoMoreMinutes(t *testing.T) {
	const minutes = 500
	m := newMount(t)
	for n := range minutes {
		require.NoError(t, m.repoOf().AddDue(t.Context(), start.Add(-time.Duration(n)*time.Minute), "gone"))
	}
	m.clock.step = time.Second
	m.storage.Reset()
	report, err := m.engine.Tick(t.Context(), m.repoOf())
	require.NoError(t, err)
	require.True(t, report.Unfinished)
	require.Less(t, m.storage.Reset().Lists, minutes/10)
	m.clock.step = 0
	require.NoError(t, m.tickNow())
	left, err := m.repoOf().DueMinutes(t.Context())
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestAKeyListedUnderAMinuteThatATickHasJustWorkedOffIsNotMissed(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	m.must(m.write("keys/k"))
	m.clock.add(2*time.Hour + 29*time.Second + 900*time.Millisecond) // a tenth of a second before the minute ends
	m.restart()
	require.NoError(t, m.tickNow())
	m.during("journal/k/", func() { // the bound key is due, and is not listed yet
		m.clock.add(200 * time.Millisecond)
		require.NoError(t, m.tickNow())
	})
	m.must(m.write("keys/k/config", "policy", "p"))
	m.advance(time.Minute)
	require.Equal(t, 2, m.latest("k"))
}

func TestAPanicAtOneKeyStopsNoOther(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	for _, name := range []string{"a", "b", "c"} {
		m.must(m.write("keys/"+name, "policy", "p"))
	}
	m.storage.AlterGets(func(path string, value []byte) []byte {
		if path == "keys/a" {
			panic("a secret")
		}
		return value
	})
	m.advance(61 * time.Minute)
	require.Equal(t, 2, m.latest("b"))
	require.Equal(t, 2, m.latest("c"))
	require.Contains(t, m.log.String(), "panic")
	require.NotContains(t, m.log.String(), "a secret")
	m.storage.Heal()
	m.advance(15 * time.Minute)
	require.Equal(t, 2, m.latest("a"))
}

func TestAClockSetBackLosesNothing(t *testing.T) {
	m := governed(t, "auto")
	m.advance(10 * time.Minute)
	m.clock.add(-3 * time.Hour)
	require.NoError(t, m.tickNow())
	m.must(m.write("keys/k/config", "owner", "x"))
	m.advance(5 * time.Hour)
	require.Greater(t, m.latest("k"), 1)
}

func TestALostEntryOfTheDueIndexIsMended(t *testing.T) {
	m := governed(t, "auto")
	all, err := m.storage.Dump(t.Context())
	require.NoError(t, err)
	for path := range all {
		if strings.HasPrefix(path, "schedule/") {
			require.NoError(t, m.storage.Delete(t.Context(), path))
		}
	}
	m.advance(62 * time.Minute)
	require.Equal(t, 2, m.latest("k"))
}

func TestANewPeriodReachesTheKeysOfThePolicy(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o", "rotation_period", "90d", "rotation_jitter", "0s"))
	for i := range 300 {
		m.must(m.write(fmt.Sprintf("keys/k%03d", i), "policy", "p"))
	}
	m.must(m.write("policies/p", "rotation_period", "10m"))
	m.advance(13 * time.Minute)
	for _, i := range []int{0, 199, 200, 299} {
		require.Equal(t, 2, m.latest(fmt.Sprintf("k%03d", i)), "key %d", i)
	}
}

func TestALargePolicyThatIsRevisedAgainAndAgainHoldsUpNoOther(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/a", "owner", "o", "rotation_period", "90d"))
	m.must(m.write("policies/b", "owner", "o", "rotation_period", "90d"))
	m.must(m.write("keys/k-000000", "policy", "a"))
	many := racetest.Size(t, 6000) // more than one tick looks at
	copyKey(m, "k-000000", many)
	for i := range many {
		m.plant(fmt.Sprintf("bound/a/k-%06d", i), []byte("{}"))
	}
	m.restart()
	m.must(m.write("keys/small", "policy", "b"))
	m.must(m.write("policies/b", "rotation_period", "1m", "rotation_jitter", "0s"))
	for i := range 3 {
		m.must(m.write("policies/a", "description", fmt.Sprint(i)))
		m.advance(time.Minute)
	}
	require.Greater(t, m.latest("small"), 1)
}

func TestMaterialThatCannotBeMovedHoldsUpNoOther(t *testing.T) {
	const broken = 70 // more than a tick settles
	m := newMount(t)
	for i := range broken + 1 {
		name := fmt.Sprintf("k%02d", i)
		m.must(m.write("keys/" + name))
		m.must(m.write("keys/" + name + "/rotate"))
	}
	unreadable := func(but string) {
		m.storage.AlterGets(func(path string, value []byte) []byte {
			if strings.HasPrefix(path, "versions/") && !strings.HasPrefix(path, "versions/"+but+"/") {
				return []byte("{broken")
			}
			return value
		})
	}
	unreadable("")
	for i := range broken + 1 {
		m.must(m.write(fmt.Sprintf("keys/k%02d/versions/1/archive", i)))
	}
	unreadable("k70")
	for range 2 {
		m.clock.add(time.Minute)
		_ = m.tickNow()
	}
	all, err := m.storage.Dump(t.Context())
	require.NoError(t, err)
	require.Contains(t, all, "archive/k70/1")
	require.NotContains(t, all, "archive/k69/1")
}

func TestAKeyWhosePolicyIsMissingRotatesNothingOnAGuess(t *testing.T) {
	m := governed(t, "auto")
	require.NoError(t, m.storage.Delete(t.Context(), "policies/p"))
	m.restart()
	m.advance(2 * time.Hour)
	require.Equal(t, 1, m.latest("k"))
	require.Contains(t, m.rotation("k")["why"], "missing")
	require.Equal(t, 400, m.write("keys/k/rotate", "reason", "because of a test").status)
	m.encrypt("k", "still encrypts")
}

func TestAKeyWhosePolicyCouldNotBeReadRotatesOnceItCan(t *testing.T) {
	m := governed(t, "auto")
	m.clock.add(time.Hour)
	m.restart()
	m.storage.FailGets("policies/")
	_ = m.tickNow()
	m.storage.Heal()
	require.Equal(t, 1, m.latest("k"))
	m.advance(12 * time.Minute)
	require.Equal(t, 2, m.latest("k"))
}

func TestACompromisedActiveVersionOfASuspendedKeyIsReplacedWhenTheKeyIsResumed(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	old := m.encrypt("k", "x")
	m.must(m.write("keys/k/suspend"))
	m.must(m.write("keys/k/versions/1/compromise", "reason_code", "key_compromise"))
	require.Equal(t, 1, m.latest("k"), "a suspended key gets no versions")
	m.must(m.write("keys/k/resume"))
	require.Equal(t, 400, m.write("encrypt/k", "plaintext", "").status)
	m.advance(2 * time.Minute)
	require.True(t, strings.HasPrefix(m.encrypt("k", "x"), "vault:v2:"))
	require.Equal(t, "incident", m.rotation("k")["last_rotation_trigger"])
	m.must(m.write("rewrap/k", "ciphertext", old))
}

func TestAKeyThatCannotBeReplacedStillFollowsItsAgenda(t *testing.T) {
	m := governed(t, "auto")
	m.must(m.write("keys/k/rotate", "reason", "because of a test"))
	m.must(m.write("policies/p", "quiet_period", "0", "min_versions_kept", 0))
	m.must(m.write("keys/k/versions/1/archive"))
	m.must(m.write("keys/k/versions/1/retire", "reason", "because of a test"))
	m.must(m.write("policies/p", "allowed_types", "aes128-gcm96"))
	m.must(m.write("keys/k/versions/2/compromise", "reason", "because of a test"))
	for range 33 {
		m.pass(23 * time.Hour)
		m.advance(2 * time.Minute)
	}
	require.Equal(t, "destroyed", m.must(m.read("keys/k/versions/1")).data["state"])
	require.Equal(t, 400, m.write("encrypt/k", "plaintext", "").status)
}
