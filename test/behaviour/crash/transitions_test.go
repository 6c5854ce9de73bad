// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package crash_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// transition is an act on the states of key k whose every storage write is made to fail once. Its key has versions 1
// and 2 deactivated and 3 active, and the policy p.
type transition struct {
	name     string
	settings []any // of the policy
	prepare  []string
	wait     time.Duration // that the clock is believed to have run on then
	run      func(m *mounttest.Mount) mounttest.Answer
	clock    bool   // what fails is a tick; the next ones see to the rest
	states   string // of the versions afterwards, by their first letters; "" where it is not about versions
	key      string // state of the key afterwards; "": enabled
}

func by(path string, kv ...any) func(m *mounttest.Mount) mounttest.Answer {
	return func(m *mounttest.Mount) mounttest.Answer { return m.K.Op(path, kv...) }
}

// ticked is the minute in which a write may fail.
func ticked(m *mounttest.Mount) mounttest.Answer {
	_ = m.Tick()
	return mounttest.Answer{Status: 204}
}

var archived2, retired2 = []string{"versions/2/archive"}, []string{"versions/2/archive", "versions/2/retire"}

// Letters: Pre-active, Active, deactivated = Old, Suspended, aRchived = R, Compromised, reTired = T, Destroyed.
var transitions = []transition{
	{name: "promote", prepare: []string{"rotate?stage"}, run: by("versions/4/promote"), states: "OOOA"},
	{name: "suspend", run: by("versions/2/suspend"), states: "OSA"},
	{name: "suspend the active", run: by("versions/3/suspend"), states: "OOS"},
	{name: "resume", prepare: []string{"versions/2/suspend"}, run: by("versions/2/resume"), states: "OOA"},
	{name: "archive", run: by("versions/2/archive"), states: "ORA"},
	{name: "recover", prepare: archived2, run: by("versions/2/recover"), states: "OOA"},
	{name: "recover a compromised one", prepare: []string{"versions/2/archive", "versions/2/compromise"}, run: by("versions/2/recover"), states: "OCA"},
	{name: "recover for a time", prepare: archived2, run: by("versions/2/recover", "time_limit", "1h"), states: "OOA"},
	{name: "retire", prepare: archived2, run: by("versions/2/retire"), states: "OTA"},
	{name: "abandon", prepare: []string{"rotate?stage"}, run: by("versions/4/retire"), states: "OOAT"},
	{name: "restore", prepare: retired2, run: by("versions/2/restore"), states: "ORA"},
	{name: "restore a staged one", prepare: []string{"rotate?stage", "versions/4/retire"}, run: by("versions/4/restore"), states: "OOAP"},
	{name: "compromise", run: by("versions/2/compromise"), states: "OCA"},
	{name: "compromise an archived one", prepare: archived2, run: by("versions/2/compromise"), states: "OCA"},
	{name: "compromise a retired one", prepare: retired2, run: by("versions/2/compromise"), states: "OCA"},
	{name: "compromise the active", run: by("versions/3/compromise"), states: "OOCA"},
	{name: "compromise the active, one being staged", prepare: []string{"rotate?stage"}, run: by("versions/3/compromise"), states: "OOCA"},
	{name: "retire a compromised one", prepare: []string{"versions/2/compromise"}, run: by("versions/2/retire"), states: "OTA"},
	{name: "stage", run: by("rotate", "stage", true), states: "OOAP"},
	{name: "rollback", run: by("rollback"), states: "OAO"},
	{name: "rotate after a rollback", prepare: []string{"rollback"}, run: by("rotate"), states: "OOOA"},
	{name: "hold", run: by("hold"), states: "OOA"},
	{name: "lift the hold", prepare: []string{"hold"}, run: by("hold", "hold", false), states: "OOA"},
	{name: "suspend the key", run: by("suspend"), states: "SSS", key: "suspended"},
	{name: "resume the key", prepare: []string{"suspend"}, run: by("resume"), states: "OOA"},
	{name: "archive the key", run: by("archive"), states: "RRR", key: "archived"},
	{name: "recover the key", prepare: []string{"versions/1/archive", "archive"}, run: by("recover"), states: "ROA"},
	{name: "retire the key", prepare: []string{"archive"}, run: by("retire"), states: "TTT", key: "retired"},
	{name: "restore the key", prepare: []string{"archive", "retire"}, run: by("restore"), states: "RRR", key: "archived"},
	{name: "trim", prepare: []string{"versions/1/archive", "free"}, run: by("trim", "min_available_version", 3), states: "DDA"},

	{name: "a tick promotes", clock: true, settings: []any{"rotation_period", "4h", "staging_time", "1h"}, prepare: []string{"rotate?stage"}, wait: time.Hour, run: ticked, states: "OOOA"},
	{name: "a tick archives", clock: true, settings: []any{"archive_after", "24h"}, wait: 24 * time.Hour, run: ticked, states: "RRA"},
	{name: "a tick retires", clock: true, settings: []any{"retire_after", "2h"}, prepare: archived2, wait: 2 * time.Hour, run: ticked, states: "OTA"},
	{name: "a tick destroys", clock: true, prepare: retired2, wait: 24 * time.Hour, run: ticked, states: "ODA"},
	{name: "a tick destroys the key", clock: true, prepare: []string{"versions/2/archive", "archive", "retire"}, wait: 24 * time.Hour, run: ticked, states: "DDD", key: "destroyed"},
	{name: "a tick archives again", clock: true, prepare: []string{"versions/2/archive", "versions/2/recover?1h"}, wait: time.Hour, run: ticked, states: "ORA"},
	{name: "a tick lapses", clock: true, settings: []any{"rotation_mode", "manual", "originator_period", "2h"}, wait: 2 * time.Hour, run: ticked, states: "OOO"},
	{name: "a tick rotates and archives", clock: true, settings: []any{"rotation_period", "24h", "rotation_jitter", 0, "archive_after", "24h"}, wait: 24 * time.Hour, run: ticked, states: "RROA"},
}

func (x transition) start(t *testing.T) (*mounttest.Mount, map[int]string) {
	t.Helper()
	m, held := mounttest.UnderPolicy(t, x.settings...)
	require.NoError(t, m.Tick())
	for _, step := range x.prepare {
		switch step {
		case "rotate?stage":
			m.Must(m.K.Op("rotate", "stage", true))
		case "versions/2/recover?1h":
			m.Must(m.K.Op("versions/2/recover", "time_limit", "1h"))
		case "free":
			m.Must(m.Write("keys/k/config", "policy", "", "min_decryption_version", 3, "min_encryption_version", 3))
		default:
			m.K.Ops(step)
		}
	}
	if x.wait > 0 {
		m.Pass(x.wait)
	}
	return m, held
}

// where is all that an operator sees of the key's state.
func where(m *mounttest.Mount) string {
	m.T.Helper()
	view := m.Must(m.Read("keys/k")).Data
	return fmt.Sprint(m.K.Letters(), view["state"], view["legal_hold"], view["min_available_version"], m.Storage.Key("k").Overrides[2].Locked)
}

func TestEveryTransitionSurvivesTheFailureOfEachOfItsWrites(t *testing.T) {
	for i, x := range transitions {
		for f, fate := range storagetest.Fates() {
			if racetest.Spared(t, i+f) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", x.name, fate), func(t *testing.T) {
				t.Parallel()
				for at := 1; x.crash(t, at, fate); at++ {
				}
			})
		}
	}
}

// crash makes the at-th write fail and returns whether there was one.
func (x transition) crash(t *testing.T, at int, fate storagetest.Fate) bool {
	t.Helper()
	m, held := x.start(t)
	before, destroyed := where(m), strings.Count(m.K.Letters(), "D")
	m.Storage.FailWriteAs(at, fate)
	got := x.run(m)
	fired := m.Storage.Fired()
	m.Storage.Heal()
	settleBeforeItLands(m, fate)
	if !fired {
		require.Less(t, got.Status, 300, got.Err)
		require.Greater(t, at, 3, "at least the record and its custody are written")
		x.requireDone(t, m)
		m.Advance(2 * time.Minute)
	}
	x.requireSound(t, m, held) // as it is now, also before a tick
	if at%2 == 0 {
		m.Restart()
	}
	m.Advance(3 * time.Minute)
	x.requireSound(t, m, held)
	requireSettled(t, m)
	if x.clock {
		m.Must(m.Write("config/clock", "acknowledge", true)) // where a tick could not even store its time, the next one sees a leap
		m.Advance(12 * time.Minute)                          // a tick that failed puts the key off for some minutes
	} else if where(m) == before && fired {
		m.Must(x.run(m))
	}
	m.Advance(2 * time.Minute)
	x.requireDone(t, m)
	x.requireSound(t, m, held)
	requireSettled(t, m)
	require.GreaterOrEqual(t, strings.Count(m.K.Letters(), "D"), destroyed)
	return fired
}

func (x transition) requireDone(t *testing.T, m *mounttest.Mount) {
	t.Helper()
	require.Equal(t, x.states, m.K.Kept())
	key := x.key
	if key == "" {
		key = "enabled"
	}
	require.Equal(t, key, m.Read("keys/k").Data["state"])
	require.Equal(t, x.name == "hold", m.Read("keys/k").Data["legal_hold"])
}

// requireSound holds at any time: one version is active, and every ciphertext opens or is refused by a state.
func (x transition) requireSound(t *testing.T, m *mounttest.Mount, held map[int]string) {
	t.Helper()
	states := m.K.States()
	active := strings.Count(m.K.Letters(), "A")
	require.LessOrEqual(t, active, 1)
	stopped := m.Read("keys/k").Data["state"] != "enabled" || strings.Contains(x.name, "lapses") || strings.Contains(m.K.Letters()[2:3], "S")
	a := m.Write("encrypt/k", "plaintext", mounttest.B64("secret"))
	if active == 0 {
		require.True(t, stopped, "an enabled key has an active version: %s", m.K.Letters())
		require.Equal(t, 400, a.Status, a.Err)
	} else {
		ciphertext := m.Must(a).Data["ciphertext"].(string)
		require.Equal(t, "active", states[a.Data["key_version"].(int)-1])
		require.Equal(t, "secret", m.Decrypt("k", ciphertext))
	}
	for v, ciphertext := range held {
		state := states[v-1]
		a := m.Write("decrypt/k", "ciphertext", ciphertext)
		if a.Status == 400 {
			require.Contains(t, a.Err, state)
			require.NotContains(t, []string{"active", "deactivated"}, state)
			continue
		}
		require.Equal(t, mounttest.B64("secret"), m.Must(a).Data["plaintext"], "version %d", v)
		require.Contains(t, []string{"active", "deactivated", "compromised"}, state)
	}
}

// requireSettled holds a few ticks after a failure: nothing is open, material is where its state wants it, and the
// custody record is whole.
func requireSettled(t *testing.T, m *mounttest.Mount) {
	t.Helper()
	mounttest.RequireNothingOpen(t, m)
	mounttest.RequireIndexed(t, m.Storage.All())
	view := m.Must(m.Read("keys/k")).Data
	floor := view["min_decryption_version"].(int)
	for i, state := range m.K.States() {
		v := i + 1
		inUse, inArchive := m.Storage.Sealed(fmt.Sprintf("versions/k/%d", v)) != nil, m.Storage.Sealed(fmt.Sprintf("archive/k/%d", v)) != nil
		switch {
		case state == "destroyed":
			require.False(t, inUse || inArchive, "version %d is destroyed and its material is there", v)
		case view["state"] == "archived" || view["state"] == "retired" || state == "archived" && v >= floor || state == "compromised" && m.Storage.Key("k").Overrides[v].Stored:
			require.True(t, inArchive && !inUse, "version %d is %s: %v %v", v, state, inUse, inArchive)
		case state == "retired" || state == "archived":
			require.NotEqual(t, inUse, inArchive, "version %d is %s", v, state)
		default:
			require.True(t, inUse && !inArchive, "version %d is %s: %v %v", v, state, inUse, inArchive)
		}
	}
}

func TestEveryTransitionIsCrashed(t *testing.T) {
	crashed := map[string]bool{"import": true, "csr": true, "drill": true} // of imports and drills there are other tests; a CSR writes nothing
	for _, x := range transitions {
		crashed[strings.Fields(x.name)[0]] = true
	}
	operation, routed := regexp.MustCompile(`^keys/.*/([a-z]+)$`), 0
	for _, path := range mounttest.New(t).Framework().Paths {
		name := operation.FindStringSubmatch(strings.TrimSuffix(path.Pattern, "$"))
		if name == nil || path.Operations[logical.UpdateOperation] == nil || name[1] == "config" {
			continue // OpenBao's names, of two words, are those of operations that are there
		}
		require.Contains(t, crashed, name[1])
		routed++
	}
	require.GreaterOrEqual(t, routed, 18)
}
