// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/stretchr/testify/require"
)

// full is a key whose record is as large as it may become: as many overrides of the longest kind as may differ, and reports of
// versions that are no neighbours for the rest.
func full() lifecycle.Key {
	k := goldenKey()
	k.Policy = ""
	k.Latest, k.Primary, k.Staged = 4_000_003, 4_000_003, 0 // of which the newest are dated in the record
	k.Overrides = map[int]lifecycle.StateOverride{}
	for i := range lifecycle.Crowd {
		at := start.Add(time.Duration(i)*time.Hour + 123_456_789)
		report := lifecycle.Compromise{Code: "cessation_of_operation", Occurred: start.Add(1), Reported: start.Add(1)}
		override := lifecycle.StateOverride{State: lifecycle.Compromised, At: start.Add(1), RetireNotBefore: start.Add(1), Locked: true, Stored: true, Compromise: report}
		if i < lifecycle.Alone {
			override.State, override.Before, override.At, override.DestroyAt, override.Lapsed = lifecycle.Retired, lifecycle.Compromised, at, at, true
			override.RetireNotBefore = time.Time{}
			override.Compromise.Occurred, override.Compromise.Reported = at, at
		}
		k.Overrides[k.Latest-2*(i+1)] = override
	}
	return k
}

func TestTheLargestRecordFitsIntoTheSmallestEntryAndIsReadBack(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	w := newWorld()
	k := full()
	require.NoError(t, w.CreateKey(ctx, creation(k, goldenVersion())))
	require.Less(t, len(w.entries(t)["keys/orders"]), 512<<10, "as on Consul")
	got, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	require.Equal(t, k.Overrides, got.Overrides)
}

func TestMarksOfVersionsThatAreAlikeAreStoredOnceWhereThereAreMany(t *testing.T) {
	w := newWorld()
	k := goldenKey()
	k.Policy = ""
	k.Latest, k.Overrides = 4*256+3, map[int]lifecycle.StateOverride{}
	for v := 1; v <= k.Latest; v++ {
		k.Overrides[v] = lifecycle.StateOverride{State: lifecycle.Compromised, At: start, Compromise: lifecycle.Compromise{Code: "unspecified", Reported: start}}
	}
	delete(k.Overrides, 5)
	require.NoError(t, w.CreateKey(ctx, creation(k, goldenVersion())))
	require.Contains(t, w.entries(t)["keys/orders"], `"1-4,6-1027":{"s":"compromised"`)
	got, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	require.Equal(t, k.Overrides, got.Overrides)
}

func TestMarksOfVersionsThatCannotBeAreCorrupt(t *testing.T) {
	for _, text := range []string{"", "0", "-1", "4", "2-1", "1-4", "1-", "-", "1,", ",1", "1-2-3", "a", "1,a", "99999999999999999999"} {
		damaged := strings.Replace(golden(t, "key"), `"2": {`, fmt.Sprintf("%q: {", text), 1)
		_, err := load(t, map[string]string{"keys/orders": damaged}).Key(ctx, "orders")
		require.Error(t, err, text)
	}
	huge := strings.Replace(strings.Replace(golden(t, "key"), `"2": {`, `"2-2147483000": {`, 1), `"latest": 3`, `"latest": 2147483139`, 1)
	_, err := load(t, map[string]string{"keys/orders": huge}).Key(ctx, "orders")
	require.Error(t, err, "nobody makes a list of that")
}
