// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// module is a hardware security module's settings, and whether it is known to be away.
type module struct {
	dataplane.Retention
	away error
	lost bool
	err  error // of reading the settings
}

func (m *module) retention() (dataplane.Retention, error) { return m.Retention, m.err }

// modular is a [module] as a request has it.
type modular struct{ *module }

func (m modular) Retention(context.Context) (dataplane.Retention, error) { return m.retention() }
func (m modular) Away() error                                            { return m.away }
func (m modular) Suspect() bool                                          { return m.lost }

// timed is a world with key k, whose material a module wrapped, and a ciphertext.
type timed struct {
	*enginetest.World
	module
	text string
}

func newTimed(t *testing.T, r dataplane.Retention) *timed {
	t.Helper()
	w := &timed{World: enginetest.New(t), module: module{Retention: r}}
	w.Token.SetHardware(true)
	w.Create("k", "")
	w.text = w.Encrypt("k", "x").Text
	w.Restart()
	return w
}

func (w *timed) data() *dataplane.Session {
	s := w.Data()
	s.Retention = modular{&w.module}
	return s
}

// use decrypts once, and returns what that cost.
func (w *timed) use() (unwraps int, err error) {
	w.T.Helper()
	_, before := w.Token.Calls()
	got, err := w.data().Decrypt(w.T.Context(), "k", []dataplane.Item{{Text: w.text}})
	_, after := w.Token.Calls()
	if err == nil {
		err = got[0].Err
	}
	if err == nil {
		require.Equal(w.T, enginetest.Text("x"), got[0].Text)
	}
	return after - before, err
}

func (w *timed) costs(want int, why string) {
	w.T.Helper()
	got, err := w.use()
	require.NoError(w.T, err, why)
	require.Equal(w.T, want, got, why)
}

func TestMaterialThatAModuleWrappedIsUsedFromMemoryForItsTime(t *testing.T) {
	w := newTimed(t, dataplane.Retention{TTL: 5 * time.Minute})
	w.costs(1, "cold")
	w.Clock.Add(5*time.Minute - 1)
	w.costs(0, "in time")
	w.Clock.Add(1)
	w.costs(1, "past its time")
	w.costs(0, "loaded anew")
	w.TTL = time.Second
	w.Clock.Add(2 * time.Second)
	w.costs(1, "a change of the settings holds at once")
	w.Clock.Add(-time.Hour)
	w.costs(1, "a clock that went back makes it old")
	w.err = errors.New("storage is away")
	_, err := w.use()
	require.ErrorIs(t, err, w.err)
}

func TestMaterialThatSoftwareWrappedStaysInMemory(t *testing.T) {
	w := newTimed(t, dataplane.Retention{})
	w.Token.SetHardware(false)
	w.Restart()
	w.costs(1, "cold")
	w.Clock.Add(1000 * time.Hour)
	w.err, w.away = errors.New("is not asked"), errAway
	w.costs(0, "warm")
	require.NoError(t, w.data().DropExpired(t.Context()))
	w.costs(0, "warm")
}

func TestWithoutATimeMaterialIsUnwrappedForEachOperation(t *testing.T) {
	w := newTimed(t, dataplane.Retention{TTL: time.Hour})
	w.costs(1, "cold")
	w.TTL = 0
	for range 3 {
		w.costs(1, "each")
	}
	w.TTL = time.Hour
	w.costs(1, "what was in memory is gone")
	w.TTL = 0
	w.Restart()
	for range 3 {
		w.costs(1, "each")
	}
	w.TTL = time.Hour
	w.costs(1, "nothing was kept")
	w.costs(0, "now it is")
}

func TestManyCallersAtAnExpiryCauseOneUnwrap(t *testing.T) {
	for ttl, want := range map[time.Duration]int{time.Minute: 1, 0: 64} {
		w := newTimed(t, dataplane.Retention{TTL: ttl})
		w.costs(1, "cold")
		w.Clock.Add(time.Hour)
		synctest.Test(t, func(t *testing.T) {
			w.Token.Before(func() { time.Sleep(time.Second) })
			_, before := w.Token.Calls()
			var all sync.WaitGroup
			for range 64 {
				all.Go(func() {
					got, err := w.data().Decrypt(t.Context(), "k", []dataplane.Item{{Text: w.text}})
					assert.NoError(t, err)
					assert.Equal(t, enginetest.Text("x"), got[0].Text)
				})
			}
			all.Wait()
			_, after := w.Token.Calls()
			require.Equal(t, want, after-before)
		})
	}
}

func TestAModuleThatIsAwayFailsClosed(t *testing.T) {
	for _, known := range []bool{false, true} {
		w := newTimed(t, dataplane.Retention{TTL: time.Minute})
		w.costs(1, "cold")
		w.leave(known)
		w.costs(0, "in time")
		w.Clock.Add(time.Minute)
		_, err := w.use()
		require.ErrorIs(t, err, envelope.ErrUnavailable)
		since, served := w.Plane.Outage()
		require.Zero(t, since)
		require.Zero(t, served)
		w.comeBack()
		w.costs(1, "it is back")
	}
}

// leave takes the module away; known says whether that is known without a call.
func (w *timed) leave(known bool) {
	w.Token.Away(errAway)
	w.lost = true
	if known {
		w.away = errAway
	}
}

func (w *timed) comeBack() {
	w.Token.Away(nil)
	w.away, w.lost = nil, false
}

func TestMaterialInMemoryIsServedWhileTheModuleIsAway(t *testing.T) {
	for _, known := range []bool{false, true} {
		w := newTimed(t, dataplane.Retention{TTL: time.Minute, MaxAge: time.Hour})
		w.costs(1, "cold")
		w.leave(known)
		w.Clock.Add(2 * time.Minute)
		begin := w.Clock.Now()
		w.Calls()
		for range 3 {
			unwraps, err := w.use()
			require.NoError(t, err)
			require.Equal(t, !known, unwraps > 0, "a module that is known to be away is not asked")
		}
		if known {
			require.Empty(t, w.Calls(), "nor is storage")
		}
		require.NoError(t, w.data().DropExpired(t.Context()))
		w.Clock.Add(57 * time.Minute)
		_, err := w.use()
		require.NoError(t, err)
		since, served := w.Plane.Outage()
		require.Equal(t, begin, since)
		require.EqualValues(t, 4, served)
		require.True(t, w.Logged("past cache_ttl, until"))

		w.Clock.Add(2 * time.Minute)
		_, err = w.use()
		require.ErrorIs(t, err, envelope.ErrUnavailable, "degraded_max_age is over")
		w.comeBack()
		w.costs(1, "it is back")
		w.costs(0, "and as before")
		since, served = w.Plane.Outage()
		require.Zero(t, since)
		require.EqualValues(t, 4, served)
		require.True(t, w.Logged("no longer used past"))
	}
}

func TestOnlyAnAbsentModuleIsGoneOnWithout(t *testing.T) {
	w := newTimed(t, dataplane.Retention{TTL: time.Minute, MaxAge: time.Hour})
	w.costs(1, "cold")
	w.Token.Away(errors.New("key encryption key is missing"))
	w.Clock.Add(2 * time.Minute)
	_, err := w.use()
	require.ErrorContains(t, err, "missing")
}

func TestMaterialPastItsTimeIsDropped(t *testing.T) {
	w := newTimed(t, dataplane.Retention{TTL: time.Minute, MaxAge: time.Hour})
	for _, c := range []struct {
		age     time.Duration
		lost    bool
		dropped bool
	}{
		{59 * time.Second, false, false}, {time.Minute, false, true}, {time.Minute, true, false}, {time.Hour, true, true},
	} {
		w.comeBack()
		w.Restart()
		w.costs(1, "cold")
		w.lost = c.lost
		w.Clock.Add(c.age)
		require.NoError(t, w.data().DropExpired(t.Context()))
		w.TTL = dataplane.Forever // what was not dropped is used
		got, err := w.use()
		require.NoError(t, err)
		require.Equal(t, c.dropped, got == 1, "%v", c)
		w.TTL = time.Minute
	}
}

func TestAnOutageEndsWithATickOnceTheModuleIsBack(t *testing.T) {
	w := newTimed(t, dataplane.Retention{TTL: time.Minute, MaxAge: time.Hour})
	w.costs(1, "cold")
	w.leave(true)
	w.Clock.Add(2 * time.Minute)
	w.costs(0, "served")
	require.NoError(t, w.data().DropExpired(t.Context()))
	since, _ := w.Plane.Outage()
	require.NotZero(t, since)
	w.comeBack()
	require.NoError(t, w.data().DropExpired(t.Context()))
	since, _ = w.Plane.Outage()
	require.Zero(t, since)
}

func TestAWarmUseOfWhatAModuleWrappedCostsNoMore(t *testing.T) {
	racetest.Skip(t, "the race detector allocates, too")
	w := newTimed(t, dataplane.Retention{TTL: time.Hour})
	w.costs(1, "cold")
	s, ctx := w.data(), t.Context()
	w.Encrypt("k", "x")
	w.Calls()
	_, before := w.Token.Calls()
	plain, sealed := []dataplane.Item{{Text: enginetest.Text("x")}}, []dataplane.Item{{Text: w.text}}
	allocs := func(do func() error) float64 {
		return testing.AllocsPerRun(200, func() {
			if do() != nil {
				t.Error("failed")
			}
		})
	}
	encrypt := allocs(func() error { _, err := s.Encrypt(ctx, "k", plain); return err })
	decrypt := allocs(func() error { _, err := s.Decrypt(ctx, "k", sealed); return err })
	_, after := w.Token.Calls()
	require.Equal(t, before, after)
	require.Empty(t, w.Calls())
	require.LessOrEqual(t, encrypt, 3.0)
	require.LessOrEqual(t, decrypt, 3.0)
}
