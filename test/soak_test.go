// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
	"github.com/keylife/vault-plugin-keylife/test/soak"
)

// The short form of make soak: what of a leak shows in a minute is goroutines and file descriptors. It is one of many tests at once
// here, so the load is light.
func TestAProcessStaysAsItIsUnderMixedLoad(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{LogLevel: "warn", Mounts: map[string]string{"keylife": harness.PluginName}})
	c := soak.Standard(75 * time.Second)
	c.Keys, c.Rate = 60, 10
	r, err := soak.Run(t.Context(), s, c)
	require.NoError(t, err)
	require.NoError(t, r.Verdict())
	found, err := r.Judge()
	require.NoError(t, err)
	for _, f := range found {
		t.Log(f)
	}
	require.Positive(t, r.Samples[len(r.Samples)-1].Rotations)
	require.Greater(t, len(r.Requests), 20, "%v", r.Requests)
	for _, state := range []string{"executed", "denied", "withdrawn", "pending"} {
		require.Positive(t, r.Consent[state], "%v", r.Consent)
	}
	t.Log(r.Requests)
}
