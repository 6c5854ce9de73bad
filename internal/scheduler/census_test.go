// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/census"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

func shown(w *enginetest.World) observe.Census { return w.Observe.Board.Census.Get() }

// fullCount looks at all keys.
func fullCount(w *enginetest.World, at time.Time) observe.Census {
	c := census.New()
	c.Begin()
	for _, name := range w.Names() {
		k := w.Stored(name)
		var p *policy.Policy
		if k.Policy != "" {
			p = w.PolicyInForce(k.Policy)
		}
		c.Look(name, census.Under(&k, p, w.Clock.Now()))
	}
	c.Finish(at)
	return c.Shown()
}

// anyAct does something to a key, or tries to.
func anyAct(w *enginetest.World, r *rand.Rand) {
	ctx, name := context.Background(), fmt.Sprintf("k%02d", r.IntN(50))
	s := w.Session()
	switch n := r.IntN(10); {
	case n < 3:
		governed := []string{"", "p"}[r.IntN(2)]
		of := []keytype.Type{keytype.Default, keytype.ChaCha20Poly1305}[r.IntN(2)]
		_, _, _ = s.Keys().Create(ctx, engine.Creation{Spec: lifecycle.Key{Name: name, Type: of}, Policy: &governed})
	case n < 5:
		_, _ = s.Versions().Rotate(ctx, name, false, engine.Precondition{})
	case n < 6:
		allowed := true
		_, _, _ = s.Keys().Configure(ctx, name, lifecycle.ConfigChange{DeletionAllowed: &allowed}, engine.Precondition{})
		_ = s.Keys().Delete(ctx, name, engine.Precondition{})
	default:
		ops := []lifecycle.Op{lifecycle.Suspend, lifecycle.Resume, lifecycle.Archive, lifecycle.Recover, lifecycle.Retire, lifecycle.Restore, lifecycle.ReportCompromise}
		_, _ = s.Versions().Transition(ctx, name, engine.Operation{Op: ops[r.IntN(len(ops))], Version: r.IntN(3), Code: "key_compromise"})
	}
}

// TestTheCensusIsThatOfAFullCount is a life of random acts and ticks: rounds of several ticks, among them.
func TestTheCensusIsThatOfAFullCount(t *testing.T) {
	for seed := range uint64(racetest.Size(t, 6)) {
		r := rand.New(rand.NewPCG(seed, 0))
		w := rotating(t, func(d *policy.Document) { d.AllowedTypes = []keytype.Type{keytype.Default} })
		rounds := 0
		for range 400 {
			anyAct(w, r)
			if r.IntN(3) > 0 {
				continue
			}
			w.Clock.Add(time.Duration(1+r.IntN(40)) * time.Minute)
			before := shown(w).At
			w.Tick()
			got := shown(w)
			if got.At.IsZero() {
				continue
			}
			want := fullCount(w, got.At)
			if got.At.Equal(before) { // what drifts was looked at before
				want.Drifting = got.Drifting
			} else {
				rounds++
			}
			require.Equal(t, want, got, "seed %d", seed)
		}
		require.Greater(t, rounds, 2, "seed %d", seed)
	}
}

func TestAMountWithFewKeysHasItsCensusAfterOneTick(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	w.Tick()
	require.Equal(t, observe.Census{
		At: w.Clock.Now(), Keys: map[observe.TypeState]int{{Type: string(keytype.Default), State: "enabled"}: 1},
		Versions: map[string]int{"active": 1}, Drifting: map[string]int{},
	}, shown(w))
}

func TestALargeMountHasItsCensusAfterARoundAndKeepsItOverARestart(t *testing.T) {
	w := enginetest.New(t)
	for i := range 100 {
		w.Create(fmt.Sprintf("k%03d", i), "")
	}
	enabled := observe.TypeState{Type: string(keytype.Default), State: "enabled"}
	for range 3 {
		w.Tick()
		require.Zero(t, shown(w).At, "no round has come to its end")
		w.Clock.Add(time.Minute)
	}
	w.Tick()
	require.Equal(t, 100, shown(w).Keys[enabled])
	at := shown(w).At
	w.Restart()
	w.Create("k100", "") // before the first tick
	w.Clock.Add(time.Minute)
	w.Tick()
	require.Equal(t, 101, shown(w).Keys[enabled])
	require.Equal(t, at, shown(w).At, "that of the process before")
	for range 3 {
		w.Clock.Add(time.Minute)
		w.Tick()
	}
	require.Equal(t, 101, shown(w).Keys[enabled])
	require.True(t, shown(w).At.After(at))
}

func TestAKeyThatCannotBeLookedAtIsCountedWhenItCan(t *testing.T) {
	w := enginetest.New(t)
	w.Create("bad", "")
	w.Create("good", "")
	w.Fail("Key bad", errors.New("storage fails"))
	w.Tick()
	require.Equal(t, 1, shown(w).Versions["active"])
	w.Fail("Key bad", nil)
	w.Rotate("bad")
	w.Clock.Add(time.Minute)
	w.Tick()
	require.Equal(t, 2, shown(w).Versions["active"], "with the act on it, or with the next round")
	require.Equal(t, fullCount(w, shown(w).At), shown(w))
}

func TestACensusThatCannotBeReadOrStoredIsWithALaterTick(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	for _, call := range []string{"Census", "SaveCensus"} {
		w.Fail(call, errors.New("storage fails"))
		_, err := w.ByClock().Tick(context.Background())
		require.ErrorContains(t, err, "storage fails", call)
		require.Equal(t, 1, shown(w).Versions["active"], "what is known is on the board")
		w.Fail(call, nil)
		w.Clock.Add(time.Minute)
		if call == "SaveCensus" {
			w.Calls()
			w.Tick()
			require.Equal(t, 1, w.Calls()["SaveCensus"])
		}
	}
}

func TestWhatAnotherNodeHasWrittenIsReadAgain(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	w.Tick()
	w.Scheduler.ForgetCensus()
	w.Calls()
	w.Clock.Add(time.Minute)
	w.Tick()
	require.Equal(t, 1, w.Calls()["Census"])
	require.Equal(t, 1, shown(w).Versions["active"])
}
