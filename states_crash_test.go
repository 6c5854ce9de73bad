// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
	run      func(m *mount) answer
	clock    bool   // what fails is a tick; the next ones see to the rest
	states   string // of the versions afterwards, by their first letters; "" where it is not about versions
	key      string // state of the key afterwards; "": enabled
}

func by(path string, kv ...any) func(m *mount) answer {
	return func(m *mount) answer { return m.op(path, kv...) }
}

// ticked is the minute in which a write may fail.
func ticked(m *mount) answer {
	_ = m.tickNow()
	return answer{status: 204}
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

func (x transition) start(t *testing.T) (*mount, map[int]string) {
	t.Helper()
	m, held := underPolicy(t, x.settings...)
	require.NoError(t, m.tickNow())
	for _, step := range x.prepare {
		switch step {
		case "rotate?stage":
			m.must(m.op("rotate", "stage", true))
		case "versions/2/recover?1h":
			m.must(m.op("versions/2/recover", "time_limit", "1h"))
		case "free":
			m.must(m.write("keys/k/config", "policy", "", "min_decryption_version", 3, "min_encryption_version", 3))
		default:
			m.ops(step)
		}
	}
	if x.wait > 0 {
		m.pass(x.wait)
	}
	return m, held
}

// shorthand returns the states of all versions by their letters.
func (m *mount) shorthand() string {
	m.t.Helper()
	letters := map[string]string{
		"pre_active": "P", "active": "A", "deactivated": "O", "suspended": "S", "archived": "R", "compromised": "C", "retired": "T", "destroyed": "D",
	}
	var out strings.Builder
	for _, state := range m.states() {
		out.WriteString(letters[state])
	}
	return out.String()
}

// kept is shorthand without the versions whose numbers were given up, as an act that was cut short had stored them.
func (m *mount) kept() string {
	m.t.Helper()
	all := []byte(m.shorthand())
	for _, record := range slices.Backward(m.journal()) {
		var from, to int
		if n, _ := fmt.Sscanf(record.Details["abandoned_versions"], "%d to %d", &from, &to); n == 2 {
			require.Equal(m.t, strings.Repeat("T", to-from+1), string(all[from-1:to]))
			all = slices.Delete(all, from-1, to)
		}
	}
	return string(all)
}

// where is all that an operator sees of the key's state.
func (m *mount) where() string {
	m.t.Helper()
	view := m.must(m.read("keys/k")).data
	return fmt.Sprint(m.shorthand(), view["state"], view["legal_hold"], view["min_available_version"], m.repoKey("k").Overrides[2].Locked)
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
	before, destroyed := m.where(), strings.Count(m.shorthand(), "D")
	m.storage.FailWriteAs(at, fate)
	got := x.run(m)
	fired := m.storage.Fired()
	m.storage.Heal()
	readBeforeItLands(m, fate)
	if !fired {
		require.Less(t, got.status, 300, got.err)
		require.Greater(t, at, 3, "at least the record and its custody are written")
		x.requireDone(t, m)
		m.advance(2 * time.Minute)
	}
	x.requireSound(t, m, held) // as it is now, also before a tick
	if at%2 == 0 {
		m.restart()
	}
	m.advance(3 * time.Minute)
	x.requireSound(t, m, held)
	requireSettled(t, m)
	if x.clock {
		m.must(m.write("config/clock", "acknowledge", true)) // where a tick could not even store its time, the next one sees a leap
		m.advance(12 * time.Minute)                          // a tick that failed puts the key off for some minutes
	} else if m.where() == before && fired {
		m.must(x.run(m))
	}
	m.advance(2 * time.Minute)
	x.requireDone(t, m)
	x.requireSound(t, m, held)
	requireSettled(t, m)
	require.GreaterOrEqual(t, strings.Count(m.shorthand(), "D"), destroyed)
	return fired
}

func (x transition) requireDone(t *testing.T, m *mount) {
	t.Helper()
	require.Equal(t, x.states, m.kept())
	key := x.key
	if key == "" {
		key = "enabled"
	}
	require.Equal(t, key, m.read("keys/k").data["state"])
	require.Equal(t, x.name == "hold", m.read("keys/k").data["legal_hold"])
}

// requireSound holds at any time: one version is active, and every ciphertext opens or is refused by a state.
func (x transition) requireSound(t *testing.T, m *mount, held map[int]string) {
	t.Helper()
	states := m.states()
	active := strings.Count(m.shorthand(), "A")
	require.LessOrEqual(t, active, 1)
	stopped := m.read("keys/k").data["state"] != "enabled" || strings.Contains(x.name, "lapses") || strings.Contains(m.shorthand()[2:3], "S")
	a := m.write("encrypt/k", "plaintext", b64("secret"))
	if active == 0 {
		require.True(t, stopped, "an enabled key has an active version: %s", m.shorthand())
		require.Equal(t, 400, a.status, a.err)
	} else {
		ciphertext := m.must(a).data["ciphertext"].(string)
		require.Equal(t, "active", states[a.data["key_version"].(int)-1])
		require.Equal(t, "secret", m.decrypt("k", ciphertext))
	}
	for v, ciphertext := range held {
		state := states[v-1]
		a := m.write("decrypt/k", "ciphertext", ciphertext)
		if a.status == 400 {
			require.Contains(t, a.err, state)
			require.NotContains(t, []string{"active", "deactivated"}, state)
			continue
		}
		require.Equal(t, b64("secret"), m.must(a).data["plaintext"], "version %d", v)
		require.Contains(t, []string{"active", "deactivated", "compromised"}, state)
	}
}

// requireSettled holds a few ticks after a failure: nothing is open, material is where its state wants it, and the
// custody record is whole.
func requireSettled(t *testing.T, m *mount) {
	t.Helper()
	requireNothingOpen(t, m)
	checkSchedule(t, m.dump())
	view := m.must(m.read("keys/k")).data
	floor := view["min_decryption_version"].(int)
	for i, state := range m.states() {
		v := i + 1
		inUse, inArchive := m.sealed(fmt.Sprintf("versions/k/%d", v)) != nil, m.sealed(fmt.Sprintf("archive/k/%d", v)) != nil
		switch {
		case state == "destroyed":
			require.False(t, inUse || inArchive, "version %d is destroyed and its material is there", v)
		case view["state"] == "archived" || view["state"] == "retired" || state == "archived" && v >= floor || state == "compromised" && m.repoKey("k").Overrides[v].Stored:
			require.True(t, inArchive && !inUse, "version %d is %s: %v %v", v, state, inUse, inArchive)
		case state == "retired" || state == "archived":
			require.NotEqual(t, inUse, inArchive, "version %d is %s", v, state)
		default:
			require.True(t, inUse && !inArchive, "version %d is %s: %v %v", v, state, inUse, inArchive)
		}
	}
}

func requireNothingOpen(t *testing.T, m *mount) {
	t.Helper()
	for path := range m.dump() {
		require.NotRegexp(t, "^intents/", path)
	}
	requireTrueCustody(t, m)
	requireCustodyWhole(t, m)
}

func requireCustodyWhole(t *testing.T, m *mount) {
	t.Helper()
	verified := m.must(m.write("custody/verify")).data
	require.Equal(t, true, verified["valid"], "%v", verified["problems"])
	require.Empty(t, verified["unfinished"])
}

func TestEveryTransitionIsCrashed(t *testing.T) {
	crashed := map[string]bool{}
	for _, x := range transitions {
		crashed[strings.Fields(x.name)[0]] = true
	}
	for _, op := range slices.Concat(versionOps, keyOps) {
		if !strings.HasPrefix(op.path, "soft-") {
			require.Contains(t, crashed, op.path)
		}
	}
}
