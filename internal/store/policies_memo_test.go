// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"reflect"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

// sameReading reports that two policies are one reading of a record, and not two that are equal.
func sameReading(a, b policy.Policy) bool {
	return reflect.ValueOf(a.Labels).Pointer() == reflect.ValueOf(b.Labels).Pointer()
}

// TestWhatAPolicySaysIsWorkedOutOnce is about mounts on which nothing is cached: storage is asked each time, and what the
// timetables of the same bytes leave between two rotations is not searched again.
func TestWhatAPolicySaysIsWorkedOutOnce(t *testing.T) {
	w := load(t, map[string]string{"policies/pci": golden(t, "policy")})
	first, err := w.Policy(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, 1, w.disk.Reset().Gets)
	again, err := w.Policy(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, 1, w.disk.Reset().Gets, "what is stored is read")
	require.True(t, sameReading(first, again))

	w.plant(t, "policies/pci", edited(t, "policy", map[string]any{"owner": "others"}))
	other, err := w.Policy(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, "others", other.Owner)
	require.False(t, sameReading(first, other))

	w.plant(t, "policies/pci", "{")
	_, err = w.Policy(ctx, "pci")
	require.ErrorIs(t, err, store.ErrCorrupt)

	w.plant(t, "policies/pci2", golden(t, "policy"))
	namesake, err := w.Policy(ctx, "pci2")
	require.NoError(t, err)
	require.Equal(t, "pci2", namesake.Name)
}
