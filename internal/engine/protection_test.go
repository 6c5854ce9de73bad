// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

const rule = "is wrapped by no HSM, as hsm=required demands"

// required is a world with a key of three versions under policy p, of which version 1 is archived and software wraps all,
// where the policy now wants an HSM.
func required(t testing.TB) *enginetest.World {
	t.Helper()
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) { d.HSM = policy.Optional })
	w.Create("k", "p")
	w.Rotate("k")
	w.Rotate("k")
	_, err := w.Session().Versions().Transition(t.Context(), "k", engine.Operation{Op: lifecycle.Archive, Version: 1})
	require.NoError(t, err)
	w.Tick()
	return w
}

func requireHSM(w *enginetest.World) {
	w.Policy("p", func(d *policy.Document) { d.HSM = policy.Required })
	w.Tick()
	w.Calls()
}

// unwrapped returns the versions that drift names of key k, and how much was read for that.
func unwrapped(t testing.TB, w *enginetest.World) (versions string, reads int) {
	t.Helper()
	w.Calls()
	drift, err := w.Session().Policies().Drift(t.Context(), "p", engine.Page{Limit: 10})
	require.NoError(t, err)
	for _, key := range drift.Drifting {
		for _, f := range key.Findings {
			if f.Rule == rule {
				versions += f.Value
			}
		}
	}
	return versions, w.Calls()["SealedVersion"]
}

func TestDriftNamesTheVersionsThatNoHSMWraps(t *testing.T) {
	w := required(t)
	got, reads := unwrapped(t, w)
	require.Empty(t, got, "the policy does not ask")
	require.Zero(t, reads)
	requireHSM(w)
	got, reads = unwrapped(t, w)
	require.Equal(t, "1-3", got)
	require.Zero(t, reads, "nothing else wraps them")

	w.RotateKEK(1, true)
	got, _ = unwrapped(t, w)
	require.Equal(t, "1-3", got, "nothing is wrapped anew yet")
	w.Rotate("k")
	got, reads = unwrapped(t, w)
	require.Equal(t, "1-3", got, "the newest is")
	require.Positive(t, reads)
	w.Tick()
	got, _ = unwrapped(t, w)
	require.Empty(t, got)
	for range 10 {
		w.Clock.Add(time.Minute)
		w.Tick()
	}
	require.Empty(t, w.Rewraps())
	got, reads = unwrapped(t, w)
	require.Empty(t, got)
	require.Zero(t, reads, "once all is wrapped anew, nothing is read")
}

func TestWhatAnHSMWrappedIsNotNamedBecauseSoftwareWrapsNow(t *testing.T) {
	w := required(t)
	w.RotateKEK(1, true)
	for range 10 {
		w.Clock.Add(time.Minute)
		w.Tick()
	}
	requireHSM(w)
	w.RotateKEK(0, false)
	got, _ := unwrapped(t, w)
	require.Empty(t, got)
	w.Tick()
	got, _ = unwrapped(t, w)
	require.Equal(t, "1-3", got)
}

func TestAPlanSaysWhichVersionsAnHSMWouldHaveToWrap(t *testing.T) {
	w := required(t)
	plan, err := w.Session().Policies().Plan(t.Context(), "p", func(d policy.Document) (policy.Document, error) {
		d.HSM = policy.Required
		return d, nil
	}, engine.Page{Limit: 10})
	require.NoError(t, err)
	becomes, stays, ends := plan.Keys[0].Compliance()
	require.Equal(t, []policy.Finding{{Field: "version", Value: "1-3", Rule: rule}}, becomes)
	require.Empty(t, stays)
	require.Empty(t, ends)
}

func TestAVersionThatCannotBeReadIsNotSaidToBeSafe(t *testing.T) {
	w := required(t)
	requireHSM(w)
	w.RotateKEK(1, true)
	w.Tick()
	w.Fail("SealedVersion", errors.New("storage fails"))
	got, _ := unwrapped(t, w)
	require.Equal(t, "1-3", got)
}
