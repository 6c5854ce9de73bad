// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// limitedTo writes a policy of which a version encrypts so often.
func limitedTo(w *enginetest.World, name string, most int64, onLimit policy.OnLimit) {
	w.Policy(name, func(d *policy.Document) {
		d.MaxEncryptions, d.OnLimit, d.PreChecks, d.PostChecks = most, onLimit, nil, nil
	})
}

// ratio is that of a policy; below zero: it is not there.
func ratio(w *enginetest.World, name string) observe.UsageRatio {
	for _, r := range w.Plane.UsageRatios() {
		if r.Policy == name {
			return r
		}
	}
	return observe.UsageRatio{Ratio: -1}
}

func TestTheHighestUsageOfThePolicyIsKnownWithoutAStorageCall(t *testing.T) {
	w := enginetest.New(t)
	limitedTo(w, "p", 10, policy.OnLimitBlock)
	limitedTo(w, "free", 0, policy.OnLimitBlock)
	for name, governing := range map[string]string{"a": "p", "b": "p", "free": "free", "none": ""} {
		w.Create(name, governing)
	}
	for name, n := range map[string]int{"a": 2, "b": 7, "free": 5, "none": 5} {
		for range n {
			require.NoError(t, w.Encrypt(name, "x").Err)
		}
	}
	w.Calls()
	require.Equal(t, []observe.UsageRatio{{Policy: "p", OnLimit: "block", Ratio: 0.7}}, w.Plane.UsageRatios())
	require.Empty(t, w.Calls())

	w.Rotate("b")
	require.InDelta(t, 0.2, ratio(w, "p").Ratio, 0, "what a version that is not active any more has used does not count")
	require.NoError(t, w.Encrypt("b", "x").Err)
	require.InDelta(t, 0.2, ratio(w, "p").Ratio, 0)

	w.Restart()
	require.Empty(t, w.Plane.UsageRatios(), "nobody was charged yet")
	require.NoError(t, w.Encrypt("a", "x").Err)
	require.InDelta(t, 0.3, ratio(w, "p").Ratio, 0, "what was leased before is known at the first lease")
	limitedTo(w, "p", 3, policy.OnLimitBlock)
	require.Error(t, w.Encrypt("a", "x").Err)
	require.Zero(t, w.Stored("a").Primary, "it lapses")
	require.Empty(t, w.Plane.UsageRatios(), "which it says elsewhere")
}

func TestThePoliciesThatAreUsedMostAreNamed(t *testing.T) {
	w := enginetest.New(t)
	for i := range observe.MaxPolicies + 3 {
		name, onLimit := fmt.Sprintf("p%02d", i), policy.OnLimitRotate
		if i == 1 {
			onLimit = policy.OnLimitBlock
		}
		limitedTo(w, name, int64(1000-i), onLimit)
		w.Create(name, name)
		require.NoError(t, w.Encrypt(name, "x").Err)
	}
	got := w.Plane.UsageRatios()
	require.Len(t, got, observe.MaxPolicies+2)
	require.Equal(t, "p52", got[0].Policy)
	require.Equal(t, []observe.UsageRatio{
		{Policy: observe.Other, OnLimit: "rotate", Ratio: 1.0 / 998}, {Policy: observe.Other, OnLimit: "block", Ratio: 1.0 / 999},
	}, got[observe.MaxPolicies:])
}

func TestMetersOfOlderVersionsAndOfDeletedKeysAreForgotten(t *testing.T) {
	w := enginetest.New(t)
	limitedTo(w, "p", 100, policy.OnLimitBlock)
	w.Create("k", "p")
	w.Create("other", "p")
	require.NoError(t, w.Encrypt("other", "x").Err)
	for range 20 {
		require.NoError(t, w.Encrypt("k", "x").Err)
		w.Rotate("k")
		require.LessOrEqual(t, dataplane.Meters(w.Plane), 1+2, "of the other key, and of the active version and the one before it")
	}
	require.NoError(t, w.Encrypt("k", "x").Err)
	free, allowed := "", true
	_, _, err := w.Session().Keys().Configure(t.Context(), "k", lifecycle.ConfigChange{Policy: &free, DeletionAllowed: &allowed}, engine.Precondition{})
	require.NoError(t, err)
	require.NoError(t, w.Session().Keys().Delete(t.Context(), "k", engine.Precondition{}))
	require.Equal(t, 1, dataplane.Meters(w.Plane))
}
