// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// The policy of these tests: short periods that lie far enough apart to tell the steps from each other.
const (
	lifePeriod  = 10 * time.Hour
	lifeArchive = 3 * time.Hour // after deactivation
	lifeRetire  = 3 * time.Hour // after archiving
	lifeQuiet   = time.Hour
	lifeDelay   = 24 * time.Hour
	lifeReason  = "acceptance test"
)

// life is a key whose version 1 is followed to its end, on a server with a clock that the test moves.
type life struct {
	*harness.Server
	first, second string   // ciphertexts of versions 1 and 2
	blobs         [][]byte // version 1 as it was stored, sealed
	material      secret   // and in the clear
	whole         secret   // material of a key that is retired as a whole
}

func startLife(t *testing.T) *life {
	t.Helper()
	s := harness.Start(t, harness.Options{Clock: true, LogLevel: "debug", Mounts: map[string]string{"keylife": harness.PluginName}})
	s.Must(t, http.MethodPost, "keylife/policies/p", map[string]any{
		"owner": "acceptance", "rotation_period": lifePeriod.String(), "rotation_jitter": "0s", "rollback_window": "1h",
		"archive_after": lifeArchive.String(), "retire_after": lifeRetire.String(), "quiet_period": lifeQuiet.String(),
		"destroy_delay": lifeDelay.String(), "min_versions_kept": 1,
	})
	for _, name := range []string{"k", "lent", "whole"} {
		s.Must(t, http.MethodPost, "keylife/keys/"+name, object("policy", "p"))
	}
	return &life{Server: s, first: sealAt(t, s, "keylife", "k", f0(), 1, "")}
}

// do is an operation on version 1 of a key; it must succeed.
func (l *life) do(t *testing.T, key, op string, namesAndValues ...any) {
	t.Helper()
	l.Must(t, http.MethodPost, "keylife/keys/"+key+"/versions/1/"+op, object(append(namesAndValues, "reason", lifeReason)...))
}

func (l *life) refuses(t *testing.T, op string, namesAndValues ...any) string {
	t.Helper()
	answer := l.Do(t, http.MethodPost, "keylife/keys/k/versions/1/"+op, object(namesAndValues...))
	require.Equal(t, http.StatusBadRequest, answer.Status, "%s: %v", op, answer.Body)
	return fmt.Sprint(answer.Body["errors"])
}

func (l *life) version(t *testing.T, key string) map[string]any {
	t.Helper()
	return l.Must(t, http.MethodGet, "keylife/keys/"+key+"/versions/1", nil)
}

// reaches has a tick bring version 1 of a key into a state.
func (l *life) reaches(t *testing.T, key, state string) {
	t.Helper()
	l.Tick(t, "keylife")
	harness.Eventually(t, twoTicks, func() error { // a tick that Vault had begun may have come before the clock was moved
		if v := l.version(t, key); v["state"] != state {
			return fmt.Errorf("version 1 of %s is %v, wanted %s", key, v["state"], state)
		}
		return nil
	})
}

// tickAfter moves the clock and waits until there has been a tick.
func (l *life) tickAfter(t *testing.T, ahead time.Duration) {
	t.Helper()
	count := func() int { return strings.Count(l.Log(t), ".keylife: tick: ") }
	before := count()
	l.Advance(t, ahead)
	l.Tick(t, "keylife")
	harness.Eventually(t, twoTicks, func() error {
		if count() == before {
			return fmt.Errorf("no tick after %d", before)
		}
		return nil
	})
}

// opens tells whether the ciphertext of version 1 opens, and demands that the other one always does.
func (l *life) opens(t *testing.T, want bool) {
	t.Helper()
	if l.second != "" {
		require.Equal(t, hello, openAt(t, l.Server, "keylife", "k", f0(), l.second, ""))
	}
	for _, path := range []string{"decrypt", "rewrap"} {
		answer := l.Do(t, http.MethodPost, "keylife/"+path+"/k", object("ciphertext", l.first))
		if want {
			require.Equal(t, http.StatusOK, answer.Status, "%s: %v", path, answer.Body)
		} else {
			require.Equal(t, http.StatusBadRequest, answer.Status, "%s: %v", path, answer.Body)
		}
	}
}

// A key from its creation to the destruction of its first version, by the clock wherever the clock does it.
func TestAVersionLivesAndDiesByItsPolicy(t *testing.T) {
	t.Parallel()
	l := startLife(t)
	l.supersede(t)
	l.archiveByTheClock(t)
	l.recoverAndArchiveAgain(t)
	l.Seal(t)
	l.Unseal(t)
	l.retireByTheClock(t)
	l.restoreAndRetireAgain(t)
	l.destroyInTime(t)
	l.leavesNothing(t)
	l.isAllInTheHistory(t)
}

func (l *life) supersede(t *testing.T) {
	t.Helper()
	require.Equal(t, "active", l.version(t, "k")["state"])
	l.material = openStored(t, l.Server, "keylife", "k", 1, inUse)
	l.whole = openStored(t, l.Server, "keylife", "whole", 1, inUse)
	l.doKey(t, "archive", "enabled", "archived")
	l.Advance(t, lifePeriod+5*time.Minute)
	l.reaches(t, "k", "deactivated")
	l.second = sealAt(t, l.Server, "keylife", "k", f0(), 2, "")
	l.opens(t, true)
	pinned := l.Do(t, http.MethodPost, "keylife/encrypt/k", object("plaintext", hello, "key_version", 1))
	require.Equal(t, http.StatusBadRequest, pinned.Status, "%v", pinned.Body)
	// From here on it is the life of one version: version 2 stays the active one.
	l.Must(t, http.MethodPost, "keylife/policies/p", object("rotation_period", "90d"))
	l.ReloadPlugin(t)
	l.doKey(t, "retire", "archived", "retired")
}

// doKey is an operation on the key that goes as a whole.
func (l *life) doKey(t *testing.T, op, from, to string) {
	t.Helper()
	require.Equal(t, from, l.Must(t, http.MethodGet, "keylife/keys/whole", nil)["state"])
	require.Equal(t, to, l.Must(t, http.MethodPost, "keylife/keys/whole/"+op, object("reason", lifeReason))["state"])
}

// keep remembers version 1 as it is stored, to look for it later.
func (l *life) keep(t *testing.T, at place) {
	t.Helper()
	require.Equal(t, l.material.Key, openStored(t, l.Server, "keylife", "k", 1, at).Key)
	l.blobs = append(l.blobs, storedVersion(t, l.Server, "keylife", "k", 1, at).Sealed)
}

func (l *life) archiveByTheClock(t *testing.T) {
	t.Helper()
	l.keep(t, inUse)
	l.Advance(t, lifeArchive+10*time.Minute)
	l.reaches(t, "k", "archived")
	l.keep(t, inArchive)
	require.Empty(t, storedVersion(t, l.Server, "keylife", "k", 1, inUse).Sealed, "the material has moved")
	l.opens(t, false)
	l.opens(t, false)
	v := l.version(t, "k")
	require.Equal(t, 4, number(v["denied_uses"]), "%v", v)
	require.WithinDuration(t, l.Now(), moment(t, v["last_denied_time"]), 10*time.Minute)
	require.Contains(t, l.refuses(t, "retire", "reason", lifeReason), "quiet_period")
}

// recoverAndArchiveAgain also lends version 1 of the other key out for an hour.
func (l *life) recoverAndArchiveAgain(t *testing.T) {
	t.Helper()
	require.Contains(t, l.refuses(t, "recover"), "reason")
	l.do(t, "k", "recover")
	l.opens(t, true)
	l.keep(t, inUse)
	require.Empty(t, l.StoredKeys(t, "keylife", "archive/k/"))
	l.do(t, "k", "archive")
	l.keep(t, inArchive)
	l.opens(t, false)
	l.do(t, "lent", "recover", "time_limit", "1h")
	lent := l.version(t, "lent")
	require.Equal(t, "deactivated", lent["state"])
	require.WithinDuration(t, l.Now().Add(time.Hour), moment(t, lent["archive_time"]), 10*time.Minute)
}

func (l *life) retireByTheClock(t *testing.T) {
	t.Helper()
	l.Advance(t, lifeRetire+10*time.Minute)
	l.reaches(t, "k", "retired")
	l.reaches(t, "lent", "archived")
	v := l.version(t, "k")
	require.WithinDuration(t, l.Now().Add(lifeDelay), moment(t, v["destroy_time"]), 10*time.Minute)
	l.opens(t, false)
}

func (l *life) restoreAndRetireAgain(t *testing.T) {
	t.Helper()
	require.Contains(t, l.refuses(t, "restore"), "reason")
	l.do(t, "k", "restore")
	v := l.version(t, "k")
	require.Equal(t, "archived", v["state"])
	require.Equal(t, "", v["destroy_time"])
	l.keep(t, inArchive)
	l.Advance(t, lifeQuiet+5*time.Minute)
	l.do(t, "k", "retire")
	require.Equal(t, "retired", l.version(t, "k")["state"])
}

// destroyInTime moves the clock to just before the time, and then past it. More than a day has passed by then since the
// tick before: the clock is acknowledged.
func (l *life) destroyInTime(t *testing.T) {
	t.Helper()
	due := moment(t, l.version(t, "k")["destroy_time"])
	l.Advance(t, due.Sub(l.Now())-6*time.Minute)
	l.Must(t, http.MethodPost, "keylife/config/clock", object("acknowledge", true))
	l.tickAfter(t, time.Minute)
	v := l.version(t, "k")
	require.Equal(t, "retired", v["state"], "destroyed before its time: %v", v)
	l.keep(t, inArchive)
	require.Equal(t, "destroyed", l.Must(t, http.MethodGet, "keylife/keys/whole", nil)["state"], "its time has come")
	l.Advance(t, 6*time.Minute)
	l.reaches(t, "k", "destroyed")
	l.opens(t, false)
	requireLogged(t, l.Server, "[INFO]", "changed state", "key=k", "version=1", "operation=destroy", "to=destroyed")
}

// leavesNothing looks into every storage entry of the mount.
func (l *life) leavesNothing(t *testing.T) {
	t.Helper()
	require.NotEmpty(t, l.version(t, "k")["fingerprint"], "the tombstone")
	require.Contains(t, l.refuses(t, "restore", "reason", lifeReason), "destroyed")
	entries := l.AllStored(t, "keylife")
	require.Greater(t, len(entries), 20)
	traces := append([][]byte{l.material.Key, l.material.HMACKey, l.whole.Key, l.whole.HMACKey}, l.blobs...)
	for _, trace := range traces {
		require.GreaterOrEqual(t, len(trace), 32)
		requireNoTrace(t, entries, trace)
	}
	other := storedVersion(t, l.Server, "keylife", "k", 2, inUse).Sealed
	require.NotEmpty(t, findTraces(entries, other), "the search finds what is there")
}

func (l *life) isAllInTheHistory(t *testing.T) {
	t.Helper()
	var acts []string
	records, _ := l.Must(t, http.MethodGet, "keylife/keys/k/history", nil)["records"].([]any)
	for _, r := range records {
		record, _ := r.(map[string]any)
		if record["kind"] != "begin" {
			continue
		}
		act := fmt.Sprint(record["act"])
		if actor, _ := record["actor"].(map[string]any); actor["system"] == true {
			act += " by the clock"
		}
		acts = append(acts, act)
	}
	require.Equal(t, []string{
		"create", "rotate by the clock", "archive by the clock", "recover", "archive", "retire by the clock", "restore", "retire", "destroy by the clock",
	}, acts)
	report := l.Must(t, http.MethodPost, "keylife/custody/verify", "{}")
	require.Equal(t, true, report["valid"], "%v", report)
}

// A clock that jumps by more than a day is not believed: what cannot be undone waits for an operator, rotation does not.
func TestAClockThatJumpsFreezesWhatCannotBeUndone(t *testing.T) {
	t.Parallel()
	l := startLife(t)
	l.Must(t, http.MethodPost, "keylife/config/clock", object("acknowledge", true))
	l.Must(t, http.MethodPost, "keylife/keys/k/rotate", object("reason", lifeReason))
	l.second = sealAt(t, l.Server, "keylife", "k", f0(), 2, "")

	l.tickAfter(t, 30*time.Hour)
	require.Equal(t, true, l.Must(t, http.MethodGet, "keylife/config/clock", nil)["frozen"])
	require.Equal(t, 3, latest(t, l.Server, "k"), "rotation goes on")
	require.Equal(t, "deactivated", l.version(t, "k")["state"])
	l.opens(t, true)
	requireLogged(t, l.Server, "[ERROR]", "clock guard", "nothing is archived")

	view := l.Must(t, http.MethodPost, "keylife/config/clock", object("acknowledge", true))
	require.Equal(t, false, view["frozen"], "%v", view)
	l.Advance(t, 15*time.Minute)
	l.reaches(t, "k", "archived")
	l.opens(t, false)

	l.Advance(t, -time.Hour)
	view = l.Must(t, http.MethodGet, "keylife/config/clock", nil)
	require.Equal(t, true, view["frozen"], "a clock that is behind: %v", view)
}
