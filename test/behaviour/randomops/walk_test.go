// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package randomops_test does operations at random and compares every answer with a naive model that shares no code with
// the engine.
package randomops_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// names are those of the keys: b is under a policy, and s and t sign, t under the policy.
var names = []string{"a", "b", "c", "s", "t"}

func governed(name string) bool { return name == "b" || name == "t" }

func signs(name string) bool { return name == "s" || name == "t" }

// walk is one random walk over the keys.
type walk struct {
	*mounttest.Mount
	rng    *rand.Rand
	keys   map[string]modelKey
	held   map[string]map[int]string // a ciphertext of each version
	erased map[string]int            // versions up to it have lost their private half
	note   []string                  // what was done, for the one who has to find out
}

func newWalk(t *testing.T, seed uint64) *walk {
	w := &walk{Mount: mounttest.New(t), rng: rand.New(rand.NewPCG(seed, 0)), keys: map[string]modelKey{}, held: map[string]map[int]string{}, erased: map[string]int{}}
	w.Must(w.Write("policies/p", "owner", "o", "rotation_period", 0, "destroy_delay", "24h", "quiet_period", 0, "min_versions_kept", 0, "erase_private_key", true))
	for _, name := range names {
		w.create(name)
	}
	return w
}

func (w *walk) create(name string) {
	of := map[bool]string{true: "ecdsa-p256", false: "aes256-gcm96"}[signs(name)]
	w.Must(w.Write("keys/"+name, "type", of, "policy", map[bool]string{true: "p"}[governed(name)]))
	w.keys[name], w.held[name] = newModelKey(governed(name), w.Clock.Now()), map[int]string{}
	w.erased[name] = 0
}

// truth reads what the model says from the API.
func (w *walk) truth(name string) string {
	view := w.Must(w.Read("keys/" + name)).Data
	return fmt.Sprint(w.StatesOf(name), view["state"], view["legal_hold"], view["deletion_allowed"], view["staged_version"],
		view["min_decryption_version"], view["min_encryption_version"], view["min_available_version"])
}

// act draws an operation: the request, and what it does to a model.
func (w *walk) act(name string, k modelKey) (path string, data []any, do func(k *modelKey) bool) {
	now, v, n := w.Clock.Now(), 1+w.rng.IntN(k.count), w.rng.IntN(100)
	data = []any{"reason", mounttest.Reason}
	switch {
	case n < 14:
		stage := w.rng.IntN(3) == 0
		return "rotate", append(data, "stage", stage), func(k *modelKey) bool { return k.rotate(stage, now) }
	case n < 70:
		op := []string{"promote", "suspend", "resume", "archive", "archive", "recover", "retire", "restore", "compromise"}[w.rng.IntN(9)]
		if op == "promote" && k.staged != 0 {
			v = k.staged
		}
		return fmt.Sprintf("versions/%d/%s", v, op), data, func(k *modelKey) bool { return k.version(op, v, now) }
	case n < 74:
		return "rollback", data, func(k *modelKey) bool { return k.rollback(now) }
	case n < 84:
		op := []string{"suspend", "resume", "resume", "archive", "recover", "recover", "retire", "restore", "restore"}[w.rng.IntN(9)]
		return op, data, func(k *modelKey) bool { return k.whole(op, now) }
	case n < 88:
		on := w.rng.IntN(3) == 0
		return "hold", append(data, "hold", on), func(k *modelKey) bool { k.hold = on; return true }
	case n < 96:
		dec, enc := 1+w.rng.IntN(k.count+1), w.rng.IntN(k.count+2)
		return "config", append(data, "min_decryption_version", dec, "min_encryption_version", enc), func(k *modelKey) bool { return k.floors(dec, enc) }
	case n < 99:
		return "trim", append(data, "min_available_version", v), func(k *modelKey) bool { return k.trim(v) }
	default:
		return "config", append(data, "deletion_allowed", true), func(k *modelKey) bool { k.deletable = true; return true }
	}
}

func (w *walk) step() {
	if n := w.rng.IntN(100); n < 4 {
		w.note = append(w.note, "restart")
		w.Restart()
		return
	} else if n < 12 {
		w.wait()
		return
	}
	name := names[w.rng.IntN(len(names))]
	before := w.keys[name]
	path, data, do := w.act(name, before)
	after := before.clone()
	allowed := do(&after)
	if !allowed {
		after = before.clone()
	}
	w.note = append(w.note, fmt.Sprintf("%s %s %v, allowed=%v", name, path, data[2:], allowed))
	if w.Storage.FailWrite(0, false); w.rng.IntN(8) == 0 {
		w.Storage.FailWrite(1+w.rng.IntN(8), w.rng.IntN(2) == 0)
	}
	revision := w.Read("keys/" + name).Data["revision"]
	got := w.Write("keys/"+name+"/"+path, data...)
	failed := w.Storage.Fired()
	w.Storage.Heal()
	if failed && w.Read("keys/" + name).Data["revision"] == revision {
		after = before // the model adopts what came of it
	} else if !failed {
		require.Equal(w.T, map[bool]int{true: 200, false: 400}[allowed], got.Status, "%s: %s", got.Err, w.story())
	}
	w.keys[name] = after
	w.compare(name)
}

// wait lets time go by, with ticks, of which one may fail.
func (w *walk) wait() {
	d := []time.Duration{time.Minute, 3 * time.Hour, 30 * time.Hour, 31 * 24 * time.Hour}[w.rng.IntN(4)]
	w.note = append(w.note, "wait "+d.String())
	w.Clock.Add(min(d, 23*time.Hour))
	if w.rng.IntN(2) == 0 {
		w.Storage.FailWriteAs(1+w.rng.IntN(6), mounttest.AnyFate(w.rng))
	}
	_ = w.Tick()
	w.Storage.Heal()
	w.Advance(time.Minute) // for the clock guard, whose record may have been what failed
	w.Leap(d)
	w.Advance(12 * time.Minute)
	for _, name := range names {
		k := w.keys[name]
		k.tick(w.Clock.Now())
		w.keys[name] = k
		w.compare(name)
		if !k.hold && k.deletable && !k.governed && k.state != "enabled" {
			w.note = append(w.note, "delete and create "+name)
			w.Must(w.Delete("keys/" + name))
			w.create(name)
		}
	}
}

// compare holds the states, and what a client may do, against the model.
func (w *walk) compare(name string) {
	w.T.Helper()
	k := w.keys[name]
	require.Equal(w.T, k.String(), w.truth(name), w.story())
	if signs(name) {
		w.comparePublic(name, k)
		return
	}
	pinned := 1 + w.rng.IntN(k.count)
	for _, v := range []int{0, pinned} {
		a := w.Write("encrypt/"+name, "plaintext", mounttest.B64("secret"), "key_version", v)
		require.Equal(w.T, map[bool]int{true: 200, false: 400}[k.protects(v)], a.Status, "encrypt with %d: %s: %s", v, a.Err, w.story())
		if a.Status == 200 {
			w.held[name][a.Data["key_version"].(int)] = a.Data["ciphertext"].(string)
		}
	}
	for v, ciphertext := range w.held[name] {
		a := w.Write("decrypt/"+name, "ciphertext", ciphertext)
		require.Equal(w.T, map[bool]int{true: 200, false: 400}[k.processes(v)], a.Status, "decrypt of %d: %s: %s", v, a.Err, w.story())
		if a.Status == 200 {
			require.Equal(w.T, mounttest.B64("secret"), a.Data["plaintext"])
		}
		a = w.Write("rewrap/"+name, "ciphertext", ciphertext)
		require.Equal(w.T, map[bool]int{true: 200, false: 400}[k.rewraps(v) && k.protects(0)], a.Status, "rewrap of %d: %s: %s", v, a.Err, w.story())
	}
}

// comparePublic holds what verifiers are shown against the model.
func (w *walk) comparePublic(name string, k modelKey) {
	w.T.Helper()
	want, got := []int{}, []int{}
	for v := k.count; v >= k.minDec; v-- {
		if state := k.shows(v); state == "pre_active" || state == "active" || state == "deactivated" {
			want = append(want, v)
		}
	}
	for _, key := range w.Must(w.Read("keys/" + name + "/jwks")).Data["keys"].([]any) {
		got = append(got, key.(engine.PublishedKey).Version)
	}
	require.Equal(w.T, want, got, w.story())
	for v := 1; v <= k.count; v++ {
		view := w.Must(w.Read(fmt.Sprintf("keys/%s/versions/%d", name, v))).Data
		require.NotEmpty(w.T, view["public_key"], "version %d: %s", v, w.story())
		erased := view["private_key_erased"].(bool)
		require.False(w.T, w.erased[name] >= v && !erased, "the private half of version %d is back: %s", v, w.story())
		require.False(w.T, erased && (!k.governed || k.shows(v) == "active" || v == k.staged), "version %d may sign and cannot: %s", v, w.story())
		if erased {
			w.erased[name] = max(w.erased[name], v)
		}
	}
}

// story is what led here, newest last.
func (w *walk) story() string { return strings.Join(w.note[max(0, len(w.note)-60):], "\n") }

func TestRandomOperationsAgreeWithANaiveModel(t *testing.T) {
	for seed := range uint64(1 + racetest.Size(t, 19)) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			w := newWalk(t, seed)
			for range 150 {
				w.step()
			}
			w.Advance(3 * time.Minute)
			mounttest.RequireNothingOpen(t, w.Mount)
		})
	}
}
