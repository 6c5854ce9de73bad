// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package rewrap_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// held are ciphertexts of a world, by name of the key.
type held map[string][]string

// prepared is a world of two keys with three versions each, the first of a in the archive, and a ciphertext of every version.
func prepared(t *testing.T) (*world, held) {
	t.Helper()
	w, h := newWorld(t), held{}
	for _, name := range []string{"a", "b"} {
		require.NoError(t, w.create(name))
		for n := range 3 {
			if n > 0 {
				require.NoError(t, w.rotate(name))
			}
			text, err := w.encrypt(name, name)
			require.NoError(t, err)
			h[name] = append(h[name], text)
		}
	}
	require.NoError(t, w.do("a", lifecycle.Archive, 1))
	require.NoError(t, w.tick(time.Minute))
	return w, h
}

// checkHeld holds that every ciphertext opens, with nothing in memory.
func checkHeld(t *testing.T, w *world, h held) {
	t.Helper()
	w.restart()
	for name, texts := range h {
		for i, text := range texts {
			if name == "a" && i == 0 {
				continue // it is archived
			}
			got, err := w.decrypt(name, text)
			require.NoError(t, err, "%s %d", name, i+1)
			require.Equal(t, enginetest.Text(name), got)
		}
	}
}

// checkDone holds that the old keys are not needed any more: without them every ciphertext opens, that of the archive too.
func checkDone(t *testing.T, w *world, h held) {
	t.Helper()
	require.Zero(t, w.references())
	w.destroyOld()
	checkHeld(t, w, h)
	require.NoError(t, w.do("a", lifecycle.Recover, 1))
	got, err := w.decrypt("a", h["a"][0])
	require.NoError(t, err)
	require.Equal(t, enginetest.Text("a"), got)
}

// change makes new keys the active ones. A try that fails is made again.
func change(w *world) {
	for purpose := range w.keks {
		if w.rotateKEK(purpose, nil) != nil {
			w.disk.Heal()
			w.t.Logf("%s: the change is tried again", purpose)
			require.NoError(w.t, w.rotateKEK(purpose, nil))
		}
	}
}

func TestARewrapSurvivesTheFailureOfEachOfItsWrites(t *testing.T) {
	for f, fate := range storagetest.Fates() {
		t.Run(string(fate), func(t *testing.T) {
			t.Parallel()
			for at := 1; ; at++ {
				if racetest.Spared(t, at+f) {
					continue
				}
				w, h := prepared(t)
				w.disk.FailWriteAs(at, fate)
				change(w)
				for range 8 {
					_ = w.tick(2 * time.Minute) // what it could not do, it does later
				}
				fired := w.disk.Fired()
				w.disk.Heal()
				if at%2 == 0 {
					w.restart()
				}
				checkHeld(t, w, h)
				w.finish()
				checkDone(t, w, h)
				if !fired {
					require.Greater(t, at, 15, "two changes, six versions, the progress of two purposes in three passes")
					return
				}
			}
		})
	}
}

func TestARewrapSurvivesAWrapperThatIsAwayAtEachOfItsCalls(t *testing.T) {
	for _, purpose := range []string{envelope.PurposeOnline, envelope.PurposeArchive} {
		for at := 1; ; at++ {
			w, h := prepared(t)
			w.keks[purpose].wraps, w.keks[purpose].unwraps, w.keks[purpose].failAt = 0, 0, at
			change(w)
			require.NoError(t, w.tick(time.Minute))
			for _, status := range w.open() {
				require.Zero(t, status.Failed, "that the wrapper is away is no failure of a version")
			}
			calls := w.keks[purpose].wraps + w.keks[purpose].unwraps
			w.finish()
			w.keks[purpose].failAt = 0
			checkDone(t, w, h)
			if calls < at {
				require.Equal(t, map[string]int{envelope.PurposeOnline: 10, envelope.PurposeArchive: 2}[purpose], calls, "two a version")
				break
			}
		}
	}
}

func TestARewrapWithTheWrapperAwayForDaysGoesOnWhereItWas(t *testing.T) {
	w, h := prepared(t)
	change(w)
	for _, k := range w.keks {
		k.away = true
	}
	for range 50 {
		require.NoError(t, w.tick(time.Hour))
	}
	for _, status := range w.open() {
		require.NotEmpty(t, status.Stopped)
		require.Equal(t, fmt.Sprint(0, 0), fmt.Sprint(status.Done, status.Failed))
	}
	for _, k := range w.keks {
		k.away, k.wraps, k.unwraps = false, 0, 0
	}
	w.finish()
	require.Equal(t, []int{5, 5}, []int{w.keks[envelope.PurposeOnline].wraps, w.keks[envelope.PurposeOnline].unwraps})
	require.Equal(t, []int{1, 1}, []int{w.keks[envelope.PurposeArchive].wraps, w.keks[envelope.PurposeArchive].unwraps})
	checkDone(t, w, h)
}

// sealed reports whether there is material of the second version of key b: in use, and in the archive.
func sealed(t *testing.T, w *world) (inUse, archived bool) {
	t.Helper()
	for at, there := range map[lifecycle.MaterialLocation]*bool{lifecycle.InUse: &inUse, lifecycle.InArchive: &archived} {
		v, err := w.stored().Sealed().SealedVersion(ctx, at, "b", 2)
		if !errors.Is(err, refusal.ErrNotFound) {
			require.NoError(t, err)
		}
		*there = len(v.Sealed) > 0
	}
	return inUse, archived
}

func TestWhatChangesBetweenItsReadingAndItsReplacementIsAsTheChangeLeftIt(t *testing.T) {
	for name, x := range map[string]struct {
		do              func(w *world) error
		inUse, archived bool
	}{
		"archived": {do: func(w *world) error { return w.do("b", lifecycle.Archive, 2) }, archived: true},
		"there and back": {do: func(w *world) error {
			return errors.Join(w.do("b", lifecycle.Archive, 2), w.do("b", lifecycle.Recover, 2))
		}, inUse: true},
		"deleted":            {do: func(w *world) error { return w.delete("b") }},
		"made anew":          {do: func(w *world) error { return errors.Join(w.delete("b"), w.create("b"), w.rotate("b")) }, inUse: true},
		"wrapped by another": {do: func(w *world) error { return w.rotateKEK(envelope.PurposeOnline, nil) }, inUse: true},
	} {
		w, h := prepared(t)
		id := func() string {
			k, err := w.stored().Keys().Key(ctx, "b")
			require.True(t, err == nil || errors.Is(err, refusal.ErrNotFound))
			return k.ID
		}
		before := id()
		require.NoError(t, w.rotateKEK(envelope.PurposeOnline, nil))
		w.keks[envelope.PurposeOnline].atUnwrap(4, func() { require.NoError(t, x.do(w), name) }) // a has two, b 2 is the second of b
		require.NoError(t, w.tick(time.Minute))
		inUse, archived := sealed(t, w)
		require.Equal(t, []bool{x.inUse, x.archived}, []bool{inUse, archived}, name)
		w.finish()
		require.Zero(t, w.references(), name)
		w.destroyOld()
		if archived {
			require.NoError(t, w.do("b", lifecycle.Recover, 2))
		}
		if id() == before {
			got, err := w.decrypt("b", h["b"][1])
			require.NoError(t, err, name)
			require.Equal(t, enginetest.Text("b"), got)
		}
	}
}
