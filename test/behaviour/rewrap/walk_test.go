// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package rewrap_test

import (
	"errors"
	"fmt"
	randv2 "math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// ciphertext is one that a client holds.
type ciphertext struct {
	key, id string // the name, and which key of that name
	text    string
}

// walk does things to a world by chance. What fails while something is broken may have happened or not.
type walk struct {
	*world
	rng     *randv2.Rand
	held    []ciphertext
	deleted map[string]bool // ids of keys that somebody has tried to delete
	note    []string
}

func newWalk(t *testing.T, seed uint64) *walk {
	return &walk{world: newWorld(t), rng: randv2.New(randv2.NewPCG(seed, 0)), deleted: map[string]bool{}}
}

func (w *walk) story() string { return strings.Join(w.note[max(0, len(w.note)-80):], "\n") }

// id tells two keys of one name apart; empty: there is none.
func (w *walk) id(name string) string {
	k, err := w.stored().Keys().Key(ctx, name)
	if err != nil {
		return ""
	}
	return k.ID
}

// step does one thing.
func (w *walk) step() {
	name := string(rune('a' + w.rng.IntN(5)))
	purpose := []string{envelope.PurposeOnline, envelope.PurposeArchive}[w.rng.IntN(2)]
	version := 1 + w.rng.IntN(6)
	acts := []struct {
		weight int
		what   string
		do     func() error
	}{
		{6, "create " + name, func() error { return w.create(name) }},
		{16, "encrypt " + name, func() error { return w.hold(name) }},
		{10, "rotate " + name, func() error { return w.rotate(name) }},
		{6, fmt.Sprint("archive ", name, version), func() error { return w.do(name, lifecycle.Archive, version) }},
		{6, fmt.Sprint("recover ", name, version), func() error { return w.do(name, lifecycle.Recover, version) }},
		{2, "delete " + name, func() error { w.deleted[w.id(name)] = true; return w.delete(name) }},
		{4, "new KEK " + purpose, func() error { return w.rotateKEK(purpose, nil) }},
		{2, "old KEK " + purpose, func() error { return w.rotateKEK(purpose, w.anyKEK(purpose)) }},
		{20, "tick", func() error { return w.tick(time.Duration(1+w.rng.IntN(4)) * time.Minute) }},
		{2, "restart", func() error { w.restart(); return nil }},
		{6, "break", func() error { w.disk.FailWriteAs(1+w.rng.IntN(12), mounttest.AnyFate(w.rng)); return nil }},
		{6, "heal", func() error { w.disk.Heal(); return nil }},
		{3, "away " + purpose, func() error { w.keks[purpose].away = !w.keks[purpose].away; return nil }},
	}
	total := 0
	for _, a := range acts {
		total += a.weight
	}
	at := w.rng.IntN(total)
	for _, a := range acts {
		if at -= a.weight; at < 0 {
			w.note = append(w.note, fmt.Sprint(a.what, ": ", a.do()))
			return
		}
	}
}

func (w *walk) anyKEK(purpose string) *hsm.Software {
	all := w.keks[purpose].all
	return all[w.rng.IntN(len(all))]
}

// hold encrypts, and keeps what comes back.
func (w *walk) hold(name string) error {
	text, err := w.encrypt(name, "secret")
	if err == nil {
		w.held = append(w.held, ciphertext{name, w.id(name), text})
	}
	return err
}

// rest mends all that is broken and runs ticks until nothing is open.
func (w *walk) rest() {
	w.disk.Heal()
	require.NoError(w.t, w.disk.Land())
	for _, k := range w.keks {
		k.away, k.chance = false, nil
	}
	w.finish()
}

// recoverAll takes all out of the archive.
func (w *walk) recoverAll() {
	names, err := w.stored().Keys().KeyNames(ctx)
	require.NoError(w.t, err)
	for _, name := range names {
		k, err := w.stored().Keys().Key(ctx, name)
		require.NoError(w.t, err)
		for n := 1; n <= k.Latest; n++ {
			if lifecycle.LocationOf(k, n) == lifecycle.InArchive {
				require.NoError(w.t, w.do(name, lifecycle.Recover, n))
			}
		}
	}
}

func TestWhateverHappensEveryCiphertextOpensWithTheNewKeysAlone(t *testing.T) {
	for seed := range uint64(4 + racetest.Size(t, 36)) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			w := newWalk(t, seed)
			defer func() {
				if t.Failed() {
					t.Log(w.story())
				}
			}()
			for range 3 {
				for range 150 {
					w.step()
				}
				w.rest()
				require.Zero(t, w.references(), "a rewrap that has come to its end has left nothing")
				w.destroyOld()
				w.recoverAll()
				w.check()
			}
			require.NotEmpty(t, w.held)
		})
	}
}

// check opens every ciphertext of a key that nobody has tried to delete.
func (w *walk) check() {
	w.t.Helper()
	for _, c := range w.held {
		if w.deleted[c.id] {
			continue
		}
		require.Equal(w.t, c.id, w.id(c.key))
		got, err := w.decrypt(c.key, c.text)
		require.NoError(w.t, err, "%s %s", c.key, c.text[:12])
		require.Equal(w.t, enginetest.Text("secret"), got)
	}
}

func TestAllAtOnce(t *testing.T) {
	w := newWorld(t)
	var all sync.Map
	var busy sync.WaitGroup
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		require.NoError(t, w.create(name))
	}
	for _, name := range names {
		busy.Go(func() {
			for n := range 25 {
				text, err := w.encrypt(name, "secret")
				if err != nil {
					t.Errorf("encrypt: %v", err)
				}
				all.Store(text, name)
				if err := errors.Join(w.rotate(name), w.do(name, lifecycle.Archive, n+1)); err != nil {
					t.Errorf("%s %d: %v", name, n, err)
				}
				if n%3 == 0 {
					if err := w.do(name, lifecycle.Recover, n+1); err != nil {
						t.Errorf("%s %d: %v", name, n, err)
					}
				}
			}
		})
	}
	for range 12 {
		for purpose := range w.keks {
			require.NoError(t, w.rotateKEK(purpose, nil))
		}
		for range 4 {
			require.NoError(t, w.tick(time.Minute))
		}
	}
	busy.Wait()
	w.finish()
	require.Zero(t, w.references())
	w.destroyOld()
	walk := &walk{world: w}
	walk.recoverAll()
	n := 0
	all.Range(func(text, name any) bool {
		n++
		got, err := w.decrypt(name.(string), text.(string))
		require.NoError(t, err)
		require.Equal(t, enginetest.Text("secret"), got)
		return true
	})
	require.Equal(t, 100, n)
}
