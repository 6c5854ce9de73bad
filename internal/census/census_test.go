// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package census_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/census"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// mount is what is stored, and the census of it.
type mount struct {
	*census.Census
	r     *rand.Rand
	keys  map[string]*census.Facts
	left  []string // names that the round has to pass
	saved census.Snapshot
	now   time.Time
}

func newMount(seed uint64) *mount {
	m := &mount{Census: census.New(), r: rand.New(rand.NewPCG(seed, 0)), keys: map[string]*census.Facts{}, now: start}
	m.Load(census.Snapshot{})
	return m
}

// facts are those of any key.
func (m *mount) facts() *census.Facts {
	f := &census.Facts{
		Kind: observe.TypeState{Type: fmt.Sprint("t", m.r.IntN(3)), State: fmt.Sprint("s", m.r.IntN(2))},
		Versions: map[lifecycle.State]int{
			lifecycle.Active: m.r.IntN(2), lifecycle.Deactivated: m.r.IntN(5),
		},
		Policy: fmt.Sprint("p", m.r.IntN(2)), Drift: census.Complies + census.Drift(m.r.IntN(2)),
	}
	if m.r.IntN(3) == 0 {
		f.Destruction = start.Add(time.Duration(m.r.IntN(1000)) * time.Hour)
	}
	return f
}

func (m *mount) name() string { return fmt.Sprintf("k%02d", m.r.IntN(30)) }

// commit makes, changes or deletes a key, or leaves open whether it did.
func (m *mount) commit(known bool) {
	name := m.name()
	was, is := m.keys[name], m.facts()
	if was != nil && m.r.IntN(3) == 0 {
		is = nil
	}
	if known {
		m.put(name, is)
		m.Committed(name, was, is)
		return
	}
	if m.r.IntN(2) == 0 {
		m.put(name, is)
	}
	m.Doubt(name, was)
}

func (m *mount) put(name string, f *census.Facts) {
	if f == nil {
		delete(m.keys, name)
		return
	}
	m.keys[name] = f
}

// sweep passes some names, and begins a round where none is under way. It may fail to look at one.
func (m *mount) sweep(fails bool) {
	if len(m.left) == 0 {
		m.left = slices.Sorted(maps.Keys(m.keys))
		m.Begin()
	}
	for range min(4, len(m.left)) {
		name := m.left[0]
		m.left = m.left[1:]
		if f := m.keys[name]; f != nil && (!fails || m.r.IntN(4) > 0) {
			m.Look(name, f)
		} else {
			m.Pass(name)
		}
	}
	if len(m.left) == 0 {
		m.Finish(m.now)
	}
}

// whole lets the round that is under way end, and another one.
func (m *mount) whole() {
	for len(m.left) > 0 {
		m.sweep(false)
	}
	m.sweep(false)
	for len(m.left) > 0 {
		m.sweep(false)
	}
}

// save stores the census, if it is due.
func (m *mount) save() {
	if s, ok := m.ToSave(m.now); ok {
		m.saved = s
		m.Saved(s)
	}
}

// restart is another process, which begins to commit before it has read what is stored.
func (m *mount) restart(commits int) {
	m.Census, m.left = census.New(), nil
	for range commits {
		m.commit(true)
	}
	m.Load(m.saved)
}

// count counts all keys.
func (m *mount) count(at time.Time) observe.Census {
	want := observe.Census{At: at, Keys: map[observe.TypeState]int{}, Versions: map[string]int{}, Drifting: map[string]int{}}
	for _, f := range m.keys {
		want.Keys[f.Kind]++
		for state, n := range f.Versions {
			if n > 0 {
				want.Versions[state.String()] += n
			}
		}
		if f.Drift == census.Drifts {
			want.Drifting[f.Policy]++
		}
		if !f.Destruction.IsZero() && (want.NextDestruction.IsZero() || f.Destruction.Before(want.NextDestruction)) {
			want.NextDestruction = f.Destruction
		}
	}
	return want
}

func (m *mount) requireRight(t *testing.T, why string) {
	t.Helper()
	got := m.Shown()
	require.False(t, got.At.IsZero(), why)
	require.Equal(t, m.count(got.At), got, why)
}

func TestAfterOneRoundTheCensusIsThatOfAFullCountWhateverIsCommitted(t *testing.T) {
	for seed := range uint64(300) {
		m := newMount(seed)
		for range m.r.IntN(30) {
			m.commit(true)
		}
		for step := range 200 {
			m.now = m.now.Add(time.Minute)
			if m.r.IntN(3) > 0 {
				m.commit(true)
			} else {
				m.sweep(false)
			}
			if !m.Shown().At.IsZero() {
				m.requireRight(t, fmt.Sprintf("seed %d, step %d", seed, step))
			}
		}
	}
}

func TestWhatARoundCouldNotLookAtAndWhatIsInDoubtIsRightAfterTheNextRound(t *testing.T) {
	for seed := range uint64(300) {
		m := newMount(seed)
		for range 200 {
			m.now = m.now.Add(time.Minute)
			if m.r.IntN(3) > 0 {
				m.commit(m.r.IntN(4) > 0)
			} else {
				m.sweep(true)
			}
		}
		m.whole()
		m.requireRight(t, fmt.Sprint("seed ", seed))
		for range 50 {
			m.commit(true)
			m.requireRight(t, fmt.Sprint("seed ", seed))
		}
	}
}

func TestAKeyThatARoundCouldNotLookAtIsCountedWithTheNextCommitOnIt(t *testing.T) {
	m := newMount(1)
	f := &census.Facts{Kind: observe.TypeState{Type: "t", State: "s"}, Drift: census.Complies}
	m.put("k", f)
	m.Begin()
	m.Pass("k")
	m.Finish(m.now)
	require.Empty(t, m.Shown().Keys)
	m.Committed("k", f, f)
	m.requireRight(t, "it is counted once")
	m.put("k", nil)
	m.Committed("k", f, nil)
	m.requireRight(t, "and no more")
}

func TestWhatIsKnownOfAKeyAgainIsCountedAgainWithoutARound(t *testing.T) {
	m := newMount(1)
	for range 20 {
		m.commit(true)
	}
	m.whole()
	for range 20 {
		m.commit(false)
	}
	for _, name := range slices.Sorted(maps.Keys(m.keys)) { // each is changed once more
		was, is := m.keys[name], m.facts()
		m.put(name, is)
		m.Committed(name, was, is)
	}
	for i := range 30 { // and what was deleted is made and deleted
		if name := fmt.Sprintf("k%02d", i); m.keys[name] == nil {
			f := m.facts()
			m.Committed(name, nil, f)
			m.Committed(name, f, nil)
		}
	}
	m.requireRight(t, "no round")
}

func TestAnotherProcessBeginsWithWhatIsStoredAndIsRightAfterARoundOfItsOwn(t *testing.T) {
	for seed := range uint64(100) {
		m := newMount(seed)
		for range 20 {
			m.commit(true)
		}
		m.whole()
		m.save()
		require.Equal(t, m.saved.At, m.Shown().At)
		before := m.Shown()
		m.restart(0)
		require.Equal(t, before, m.Shown(), "what was stored")
		m.restart(5)
		got, want := m.Shown(), m.count(m.saved.At)
		want.Drifting = before.Drifting // as the earlier process found it
		require.Equal(t, want, got, "what was stored, and what was committed since")
		m.whole()
		m.requireRight(t, fmt.Sprint("seed ", seed))
	}
}

func TestACensusIsStoredOnceAnHour(t *testing.T) {
	m := newMount(1)
	_, due := m.ToSave(m.now)
	require.False(t, due, "no round has come to its end")
	m.whole()
	saves := 0
	for range 6 * 60 {
		before := m.saved.Saved
		m.save()
		if m.saved.Saved != before {
			saves++
		}
		if saves == 3 {
			m.restart(0)
		}
		m.now = m.now.Add(time.Minute)
	}
	require.Equal(t, 6, saves)
	m.now = m.now.Add(-100 * time.Hour)
	_, due = m.ToSave(m.now)
	require.True(t, due, "it was stored by a clock that was ahead")
}

func TestNothingIsKnownOnceAnotherNodeHasWritten(t *testing.T) {
	m := newMount(1)
	m.commit(true)
	m.whole()
	m.save()
	m.Forget()
	require.Zero(t, m.Shown().At)
	require.False(t, m.Loaded())
	m.Load(m.saved)
	m.requireRight(t, "what was stored")
}

func TestOfManyDestructionsTheFirstIsKnownOrTheEarliestThatItCanBe(t *testing.T) {
	m := newMount(1)
	var facts []*census.Facts
	for i := range 200 {
		f := &census.Facts{Destruction: start.Add(time.Duration(i) * time.Hour)}
		facts = append(facts, f)
		m.put(fmt.Sprintf("d%03d", i), f)
		m.Committed(fmt.Sprintf("d%03d", i), nil, f)
	}
	m.whole()
	for i, f := range facts {
		name := fmt.Sprintf("d%03d", i)
		require.False(t, m.Shown().NextDestruction.After(f.Destruction), "never later than it is")
		require.NotZero(t, m.Shown().NextDestruction, "and not none, as long as one is planned")
		if i < 64 {
			require.Equal(t, f.Destruction, m.Shown().NextDestruction)
		}
		m.put(name, nil)
		m.Committed(name, f, nil)
	}
	m.whole()
	require.Zero(t, m.Shown().NextDestruction)
}

func TestThePoliciesOfWhichMostKeysDriftAreNamed(t *testing.T) {
	m := newMount(1)
	for i := range 60 {
		for n := range 1 + i/10 {
			name, f := fmt.Sprintf("k-%d-%d", i, n), &census.Facts{Policy: fmt.Sprintf("p%02d", i), Drift: census.Drifts}
			m.put(name, f)
			m.Committed(name, nil, f)
		}
	}
	m.whole()
	got := m.Shown().Drifting
	require.Len(t, got, observe.MaxPolicies+1)
	require.Equal(t, 10, got[observe.Other])
	require.Equal(t, 6, got["p59"])
}
