// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package randomops_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// typesWalk is one random walk over two keys of a kind and what is restored of them.
type typesWalk struct {
	*mounttest.Mount
	kind
	rng   *rand.Rand
	keys  map[string]*subject
	ids   int
	drawn int // from outside
	note  story
}

// places are the names that a key may be restored to.
var places = []string{"l", "r", "s"}

func newTypesWalk(t *testing.T, of kind, seed uint64, underPolicy bool) *typesWalk {
	w := &typesWalk{
		Mount: mounttest.NewForImports(t), kind: of, rng: rand.New(rand.NewPCG(seed, 1)), keys: map[string]*subject{},
	}
	w.Must(w.Write("policies/p", "owner", "o", "rotation_period", 0, "destroy_delay", "24h", "quiet_period", 0, "min_versions_kept", 0,
		"erase_private_key", true, "exportable", true, "allow_plaintext_backup", true))
	w.create("k", underPolicy)
	w.create("l", false)
	return w
}

// create makes a key, here or from outside; one that was imported may be rotated.
func (w *typesWalk) create(name string, underPolicy bool) {
	w.T.Helper()
	w.ids++
	now := w.Clock.Now()
	s := &subject{
		modelKey: newModelKey(underPolicy, now), kind: w.kind, id: w.ids, lacking: map[int]outside{}, shut: map[string]bool{}, chains: map[int]string{},
		reported: map[int]bool{}, made: map[int]time.Time{1: now}, publics: map[int]string{},
	}
	data := []any{"type", w.of, "derived", w.derived, "exportable", true, "allow_plaintext_backup", true, "policy", map[bool]string{true: "p"}[underPolicy]}
	path := "keys/" + name
	if w.imported {
		path, data = path+"/import", append(data, "allow_rotation", true)
		data = append(data, w.bring(s, 1, w.rng.IntN(3) == 0)...)
	} else {
		data = append(data, "convergent_encryption", w.convergent)
	}
	w.Must(w.Write(path, data...))
	w.keys[name] = s
}

// bring returns the fields that bring a version from outside, or its public half alone.
func (w *typesWalk) bring(s *subject, v int, publicOnly bool) []any {
	key := fromOutside(w.T, w.of, w.drawn)
	w.drawn++
	if publicOnly && key.public != "" {
		s.lacking[v] = key
		return []any{"public_key", key.public}
	}
	return []any{"ciphertext", w.Wrapped(key.material)}
}

// deed is something that is done to a key.
type deed struct {
	path string
	act  string // that custody keeps of it whether it changes the key or not
	send func() mounttest.Answer
	do   func(s *subject) bool                         // tells whether it is allowed
	to   string                                        // the name that it is done to, where that is another one
	then func(s *subject, a mounttest.Answer) *subject // what the key is afterwards
}

// onStates draws a deed that is about the states of versions and the key.
func (w *typesWalk) onStates(name string, s *subject) deed {
	now, v, n := w.Clock.Now(), 1+w.rng.IntN(s.count), w.rng.IntN(100)
	write := func(path string, do func(s *subject) bool, data ...any) deed {
		data = append([]any{"reason", mounttest.Reason}, data...)
		return deed{path: fmt.Sprint(path, data[2:]), send: func() mounttest.Answer { return w.Write("keys/"+name+"/"+path, data...) }, do: do}
	}
	switch {
	case n < 22:
		stage := w.rng.IntN(3) == 0
		return write("rotate", func(s *subject) bool { return s.rotate(stage, now) }, "stage", stage)
	case n < 70:
		op := []string{"promote", "promote", "suspend", "resume", "resume", "archive", "recover", "recover", "retire", "restore", "compromise"}[w.rng.IntN(11)]
		if op == "promote" && s.staged != 0 {
			v = s.staged
		}
		return write(fmt.Sprintf("versions/%d/%s", v, op), func(s *subject) bool { return s.version(op, v, now) })
	case n < 75:
		return write("rollback", func(s *subject) bool { return s.rollback(now) })
	case n < 86:
		op := []string{"suspend", "resume", "resume", "archive", "recover", "recover", "recover"}[w.rng.IntN(7)]
		return write(op, func(s *subject) bool { return s.whole(op, now) })
	case n < 90:
		on := w.rng.IntN(4) == 0
		return write("hold", func(s *subject) bool { s.hold = on; return true }, "hold", on)
	case n < 96:
		dec, enc := 1+w.rng.IntN(s.count+1), w.rng.IntN(s.count+2)
		return write("config", func(s *subject) bool { return s.floors(dec, enc) }, "min_decryption_version", dec, "min_encryption_version", enc)
	default:
		return write("trim", func(s *subject) bool { return s.trim(v) }, "min_available_version", v)
	}
}

// version is modelKey's, and notes what was ever reported.
func (s *subject) version(op string, v int, now time.Time) bool {
	done := s.modelKey.version(op, v, now)
	if done && op == "compromise" {
		s.reported[v] = true
	}
	return done
}

func (w *typesWalk) step() {
	if n := w.rng.IntN(100); n < 4 {
		w.note = append(w.note, "restart")
		w.Restart()
		return
	} else if n < 12 {
		w.wait()
		return
	}
	name := slices.Sorted(maps.Keys(w.keys))[w.rng.IntN(len(w.keys))]
	s := w.keys[name]
	d := w.onStates(name, s)
	if w.rng.IntN(3) == 0 {
		d = w.onMaterial(name, s)
	}
	w.try(name, d)
}

// try does a deed to a key and to what the model says of it. One of its writes may fail.
func (w *typesWalk) try(name string, d deed) {
	w.T.Helper()
	if d.to == "" {
		d.to = name
	}
	before := w.keys[d.to]
	var after *subject
	if before != nil {
		after = before.clone()
	}
	allowed := d.do(after)
	w.note = append(w.note, fmt.Sprintf("%s %s, allowed=%v", name, d.path, allowed))
	was, kept := w.identity(d.to), len(w.begun(d.to))
	if w.Storage.FailWrite(0, false); w.rng.IntN(8) == 0 {
		w.Storage.FailWrite(1+w.rng.IntN(8), w.rng.IntN(2) == 0)
	}
	got := d.send()
	failed := w.Storage.Fired()
	w.Storage.Heal()
	if !failed {
		require.Equal(w.T, allowed, got.Status < 300, "%d %s: %s", got.Status, got.Err, w.story())
		w.checkCustody(d, allowed, w.begun(d.to)[kept:])
	}
	require.NotContains(w.T, got.Err, "internal error", w.story())
	is := w.identity(d.to)
	switch {
	case is == "":
		delete(w.keys, d.to)
		return
	case allowed && is != was || allowed && !failed:
		if d.then != nil {
			after = d.then(after, got)
		}
		w.keys[d.to] = after
	}
	w.noteDates(d.to)
	w.compare(d.to)
}

// identity tells a key from others of its name, and from what it was; empty: there is none.
func (w *typesWalk) identity(name string) string {
	w.T.Helper()
	a := w.Read("keys/" + name)
	if a.Status == 404 {
		return ""
	}
	return fmt.Sprint(w.Storage.Key(name).ID, " ", w.Must(a).Data["revision"])
}

// begun are the acts of a name that custody has the beginning of.
func (w *typesWalk) begun(name string) (acts []custody.Record) {
	w.T.Helper()
	for _, record := range w.Storage.JournalOf(name) {
		if record.Kind == custody.Begin {
			acts = append(acts, record)
		}
	}
	return acts
}

// checkCustody demands that custody has what was done, and nothing of what was refused.
func (w *typesWalk) checkCustody(d deed, allowed bool, begun []custody.Record) {
	w.T.Helper()
	if !allowed {
		require.Empty(w.T, begun, "it was refused: %s", w.story())
		return
	}
	if d.act == "" {
		return
	}
	require.NotEmpty(w.T, begun, w.story())
	require.True(w.T, slices.ContainsFunc(begun, func(r custody.Record) bool { return r.Act == d.act }), "%v: %s", begun, w.story())
}

// noteDates notes when versions were made.
func (w *typesWalk) noteDates(name string) {
	s := w.keys[name]
	for v := 1; v <= s.count; v++ {
		if _, known := s.made[v]; !known {
			s.made[v] = w.Clock.Now()
		}
	}
}

// wait lets time go by, with ticks.
func (w *typesWalk) wait() {
	d := []time.Duration{time.Minute, 3 * time.Hour, 30 * time.Hour, 31 * 24 * time.Hour}[w.rng.IntN(4)]
	w.note = append(w.note, "wait "+d.String())
	w.Advance(time.Minute)
	w.Leap(d)
	w.Advance(12 * time.Minute)
	for name, s := range w.keys {
		s.tick(w.Clock.Now())
		w.noteDates(name)
		w.compare(name)
	}
}

// compare holds a key to the model: its states, what it makes and takes, and what is shown of it.
func (w *typesWalk) compare(name string) {
	w.T.Helper()
	s := w.keys[name]
	view := w.Must(w.Read("keys/" + name)).Data
	truth := fmt.Sprint(w.StatesOf(name), view["state"], view["legal_hold"], view["deletion_allowed"], view["staged_version"],
		view["min_decryption_version"], view["min_encryption_version"], view["min_available_version"])
	require.Equal(w.T, s.modelKey.String(), truth, "%s: %s", name, w.story())
	w.checkPublic(name)
	for _, op := range s.ops() {
		w.make(name, op, []int{0, 1 + w.rng.IntN(s.count)}[w.rng.IntN(2)])
	}
	w.checkProofs(name)
}

// story is what led here, newest last. It is told only where a test fails.
type story []string

func (s story) String() string { return strings.Join(s[max(0, len(s)-60):], "\n") }

func (w *typesWalk) story() story { return w.note }

func TestKeysOfAllKindsAgreeWithANaiveModel(t *testing.T) {
	mounttest.NewForImports(t) // which takes seconds once
	for i, of := range kinds {
		for j, underPolicy := range []bool{false, true} {
			if racetest.Spared(t, i+j) {
				continue
			}
			t.Run(fmt.Sprintf("%s/policy=%v", of, underPolicy), func(t *testing.T) {
				t.Parallel()
				steps := 100
				if of.slow {
					steps = 30
				}
				w := newTypesWalk(t, of, uint64(2*i+j), underPolicy)
				for range steps {
					w.step()
				}
				w.Advance(3 * time.Minute)
				mounttest.RequireNothingOpen(t, w.Mount)
				w.requireNoSecret()
			})
		}
	}
}
