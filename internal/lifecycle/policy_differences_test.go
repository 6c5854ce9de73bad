// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

func TestThePolicyDifferencesAreTheFieldsThatDiffer(t *testing.T) {
	before, after := policy.DefaultDocument(), policy.DefaultDocument()
	require.Empty(t, lifecycle.PolicyDifferences(before, after))
	after.Owner, after.Exportable, after.Compliance = "payments", true, []string{"a", "b"}
	after.Description, after.Source = strings.Repeat("é", 300), "policy {}"
	got := lifecycle.PolicyDifferences(before, after)
	require.Equal(t, " -> payments", got["owner"])
	require.Equal(t, "false -> true", got["exportable"])
	require.Equal(t, `[] -> ["a","b"]`, strings.Replace(got["compliance"], "null", "[]", 1))
	require.Equal(t, "0 bytes -> 9 bytes", got["source"])
	require.LessOrEqual(t, len(got["description"]), 512)
	require.Len(t, got, 5)
}

// TestThePolicyDifferencesLeaveRoomInARecord is about a revision that changes everything: custody keeps 32 details of an act,
// of which the act itself has up to four.
func TestThePolicyDifferencesLeaveRoomInARecord(t *testing.T) {
	var before policy.Document
	after := policy.DefaultDocument()
	other := map[policy.Kind]any{policy.Text: "1", policy.Span: "1h", policy.Number: 1, policy.Flag: true}
	for _, f := range policy.Fields() {
		if value, known := other[f.Kind]; known && f.Name != "rotation_jitter" {
			require.NoError(t, f.Set(&after, value), f.Name)
		}
	}
	got := lifecycle.PolicyDifferences(before, after)
	require.Len(t, got, 28)
	require.NotEmpty(t, got["more"])
}

func TestALastActIsTheNewestThatChangedTheVersion(t *testing.T) {
	k, err := lifecycle.New(spec(), start)
	require.NoError(t, err)
	k.Latest, k.ID = 4, "id"
	floor := func(k lifecycle.Key, to int) lifecycle.Key { k.MinDecryption = to; return k }
	l := lifecycle.LastActs{}.After(1, lifecycle.Event{Act: "create", Versions: []int{1}}, lifecycle.Key{}, k)
	l = l.After(3, lifecycle.Event{Act: "configure"}, k, floor(k, 3))
	l = l.After(5, lifecycle.Event{Act: "configure"}, floor(k, 3), floor(k, 2))
	k.LastActs = l
	for version, want := range map[int]int{1: 3, 2: 5, 3: 0} {
		require.Equal(t, want, lifecycle.LastActOf(k, version), "version %d", version)
	}
	for act := 7; act <= 7+2*40; act += 2 {
		k.LastActs = k.LastActs.After(act, lifecycle.Event{Act: "configure"}, k, floor(k, k.MinDecryption+1))
	}
	require.Equal(t, 7+2*8+1, k.LastActs.Since, "moves of a floor are bounded")
}
