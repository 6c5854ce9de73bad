// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/stretchr/testify/require"
)

func TestPlacementFollowsFromTheState(t *testing.T) {
	const in, archive, erased = lifecycle.InUse, lifecycle.InArchive, lifecycle.Erased
	want := map[string]lifecycle.MaterialLocation{
		"pre_active": in, "active": in, "deactivated": in,
		"suspended": in, "suspended, active before": in, "suspended, pre_active before": in,
		"archived": archive, "archived by the floor": in,
		"compromised": in, "compromised, active before": in, "compromised, archived before": archive,
		"compromised, suspended before": in, "compromised, retired before": archive, "compromised, recovered": in,
		"retired": archive, "retired, pre_active before": in, "retired, compromised before": in, "retired, locked before": archive,
		"destroyed": erased, "trimmed": erased,
	}
	for _, h := range histories() {
		k := h.key(t)
		require.Contains(t, want, h.name)
		require.Equal(t, want[h.name], lifecycle.LocationOf(k, h.version), h.name)
		require.Equal(t, want[h.name], lifecycle.LocationOf(moved(t, k, lifecycle.KeySuspended), h.version), h.name)
		for _, s := range []lifecycle.KeyState{lifecycle.KeyArchived, lifecycle.KeyRetired} {
			require.Equal(t, max(archive, want[h.name]), lifecycle.LocationOf(moved(t, k, s), h.version), "%s, key %s", h.name, s)
		}
		require.Equal(t, erased, lifecycle.LocationOf(moved(t, k, lifecycle.KeyDestroyed), h.version), h.name)
	}
}

// TestWhatMayBeOpenedIsInUse ties the two tables together: a version that processes or is rewrapped has its material at hand.
func TestWhatMayBeOpenedIsInUse(t *testing.T) {
	all := policy.EffectiveRules{PinnedEncrypt: true, SuspendedProcessing: true, CompromisedProcessing: true}
	for _, s := range keyStates {
		for _, h := range histories() {
			k := moved(t, h.key(t), s)
			_, err := k.Permissions(all).ToProtect(h.version)
			if err == nil || k.Permissions(all).ToProcess(h.version) == nil || k.Permissions(all).ToRewrap(h.version) == nil {
				require.Equal(t, lifecycle.InUse, lifecycle.LocationOf(k, h.version), "%s, key %s", h.name, s)
			}
		}
	}
}

// TestDisplacedVersionsAreThoseOfWhichThePlacementChanges holds it against asking for every version.
func TestDisplacedVersionsAreThoseOfWhichThePlacementChanges(t *testing.T) {
	r := chance(11)
	found := 0
	for range racetest.Size(t, 300) {
		k := newKey(t, 1+r.IntN(6))
		for i := range 30 {
			next, err := anyMove(r, k, later.Add(time.Duration(i)*7*time.Hour)).do(k)
			if err != nil {
				continue
			}
			var want lifecycle.Range
			for v := 1; v <= k.Latest; v++ {
				if lifecycle.LocationOf(k, v) != lifecycle.LocationOf(next, v) {
					want = lifecycle.Range{From: max(min(want.From, v), map[bool]int{true: v}[want.From == 0]), To: v}
				}
			}
			require.Equal(t, want, lifecycle.Displaced(k, next))
			if want.To > 0 {
				found++
			}
			k = next
		}
	}
	require.Positive(t, found)
}

func TestSuspendingAKeyDisplacesNothingHoweverManyVersionsItHas(t *testing.T) {
	k := newKey(t, 3)
	k.Latest, k.Primary = math.MaxInt32, math.MaxInt32
	suspended := moved(t, k, lifecycle.KeySuspended)
	require.Zero(t, lifecycle.Displaced(k, suspended))
	require.Zero(t, lifecycle.Displaced(suspended, k))
	require.Equal(t, lifecycle.Range{From: 1, To: math.MaxInt32}, lifecycle.Displaced(k, moved(t, k, lifecycle.KeyArchived)))
}

func TestDifferencesNameEverySettingThatChanged(t *testing.T) {
	k := newKey(t, 5)
	require.Empty(t, lifecycle.Differences(k, k))
	next, _, err := k.Configure(lifecycle.ConfigChange{
		MinDecryption: ptr(2), MinEncryption: ptr(3), DeletionAllowed: ptr(true), Exportable: ptr(true),
		AllowPlaintextBackup: ptr(true), AutoRotatePeriod: ptr(time.Hour), Owner: ptr("payments"),
		Labels: map[string]string{"env": "prod"}, Uses: &[]lifecycle.AllowedUse{lifecycle.UseDecrypt, lifecycle.UseRewrap},
	})
	require.NoError(t, err)
	next.Policy = "pci"
	got := lifecycle.Differences(k, next.WithHold(true))
	require.Equal(t, map[string]string{
		"min_decryption_version": "1 -> 2", "min_encryption_version": "0 -> 3", "deletion_allowed": "false -> true",
		"exportable": "false -> true", "allow_plaintext_backup": "false -> true", "auto_rotate_period": "0s -> 1h0m0s",
		"policy": " -> pci", "owner": " -> payments", "legal_hold": "false -> true", "labels": `env: none -> "prod"`, "allowed_uses": "all -> decrypt, rewrap",
	}, got)
	require.Len(t, got, reflect.TypeFor[lifecycle.ConfigChange]().NumField()+1, "and the hold")
}
