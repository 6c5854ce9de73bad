// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

func TestNewKeyStartsWithOneActiveVersion(t *testing.T) {
	asked := spec()
	asked.Derived, asked.Convergent, asked.Exportable = true, true, true
	asked.Uses = []lifecycle.AllowedUse{lifecycle.UseDecrypt}
	asked.Policy, asked.Owner, asked.Labels = "pci", "payments", map[string]string{"env": "prod"}
	k, err := lifecycle.New(asked, start)
	require.NoError(t, err)

	want := asked
	want.Latest, want.Primary, want.MinDecryption, want.Revision = 1, 1, 1, 1
	want.Created, want.Recent = start, []time.Time{start}
	want.Rotation = lifecycle.Rotation{Base: start, Last: start, Promoted: start, Trigger: lifecycle.ByCreation}
	require.Equal(t, want, k)
}

func TestNewKeyTakesNoProgressFromItsSpec(t *testing.T) {
	asked := spec()
	asked.Latest, asked.Primary, asked.Revision = 9, 8, 7
	asked.MinDecryption, asked.MinEncryption, asked.MinAvailable = 6, 5, 4
	asked.Recent = []time.Time{start, start}
	asked.Rotation.Failures = 3
	asked.EarlierTypes = []lifecycle.TypeUntil{{Until: 1, Type: "aes128-gcm96"}}
	asked.Staged, asked.DestroyedBelow, asked.PrivateFrom, asked.Hold, asked.Due, asked.Created = 3, 2, 2, true, start, start.Add(day)
	asked.Overrides = map[int]lifecycle.StateOverride{1: {State: lifecycle.Destroyed}}
	asked.Status = lifecycle.KeyStatus{State: lifecycle.KeyRetired, At: start, DestroyAt: start}
	asked.Predecessors = []lifecycle.Predecessor{{Version: 1, Since: start}}
	asked.Oldest = lifecycle.Oldest{Version: 1, Deactivated: start}
	asked.Alerts = lifecycle.Alerts{{Status: lifecycle.Stalled, Since: start}}
	asked.LastActs, asked.LastDrill = lifecycle.LastActs{Since: 1}, start
	asked.Certificates, asked.CreatedBy = lifecycle.Certificates{{Version: 1, Digest: "0a"}}, "somebody"
	requireNoProgressForgotten(t, asked)
	got, err := lifecycle.New(asked, start)
	require.NoError(t, err)
	want, err := lifecycle.New(spec(), start)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// requireNoProgressForgotten holds that the spec has every field that is no part of a spec.
func requireNoProgressForgotten(t *testing.T, asked lifecycle.Key) {
	t.Helper()
	taken := []string{
		"ID", "Name", "Type", "Size", "Derived", "Convergent", "Protection", "Exportable", "AllowPlaintextBackup", "DeletionAllowed",
		"Policy", "Owner", "Labels", "AutoRotatePeriod", "Origin", "Uses", "Imported", "AllowRotation", "PublicOnly",
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[lifecycle.Key]()) {
		set := !reflect.ValueOf(asked).FieldByName(field.Name).IsZero()
		require.True(t, set || slices.Contains(taken, field.Name), "no test for the new field %s", field.Name)
	}
}

func TestNewRefusesASpecThatBreaksARule(t *testing.T) {
	for field, edit := range map[string]func(*lifecycle.Key){
		"convergent_encryption: true: ":                 func(k *lifecycle.Key) { k.Convergent = true },
		"derived: true: ":                               func(k *lifecycle.Key) { k.Derived, k.Type = true, "rsa-2048" },
		"convergent_encryption: true: key type ed25519": func(k *lifecycle.Key) { k.Derived, k.Convergent, k.Type = true, true, "ed25519" },
		"key_size: 32: ":                                func(k *lifecycle.Key) { k.Size = 32 },
		"key_size: 31: ":                                func(k *lifecycle.Key) { k.Type, k.Size = "hmac", 31 },
		"key_size: 513: ":                               func(k *lifecycle.Key) { k.Type, k.Size = "hmac", 513 },
		"auto_rotate_period: 59m59s: ":                  func(k *lifecycle.Key) { k.AutoRotatePeriod = time.Hour - time.Second },
		"auto_rotate_period: -1h0m0s: ":                 func(k *lifecycle.Key) { k.AutoRotatePeriod = -time.Hour },
		"auto_rotate_period: 1h0m0s: policy \"pci\"": func(k *lifecycle.Key) {
			k.AutoRotatePeriod, k.Policy = time.Hour, "pci"
		},
		`labels: "": `: func(k *lifecycle.Key) { k.Labels = map[string]string{"": "x"} },
	} {
		asked := spec()
		edit(&asked)
		k, err := lifecycle.New(asked, start)
		require.ErrorIs(t, err, refusal.ErrInvalid, field)
		require.ErrorContains(t, err, field)
		require.Zero(t, k)
	}
}

func TestNewKeyDoesNotShareItsLabelsWithTheCaller(t *testing.T) {
	asked := spec()
	asked.Labels = map[string]string{"env": "prod"}
	k, err := lifecycle.New(asked, start)
	require.NoError(t, err)
	asked.Labels["env"] = "edited"
	require.Equal(t, "prod", k.Labels["env"])
}

func TestRotationMakesTheNextVersionPrimary(t *testing.T) {
	before := newKey(t, 1)
	at := start.Add(day)
	after := rotated(t, before, lifecycle.ByOperator, "yearly audit", 0, at)

	require.Equal(t, 2, after.Latest)
	require.Equal(t, 2, after.Primary)
	require.Equal(t, before.Revision+1, after.Revision)
	require.Equal(t, []time.Time{start, at}, after.Recent)
	require.Empty(t, after.Overrides, "however often a key is rotated, its record stays small")
	require.Equal(t, []lifecycle.Predecessor{{Version: 1, Since: start}}, after.Predecessors)
	require.Equal(t, lifecycle.Rotation{
		Base: at, Last: at, Promoted: at, Trigger: lifecycle.ByOperator, Reason: "yearly audit", PriorBase: start, ChecksPending: true,
	}, after.Rotation)
	require.Equal(t, newKey(t, 1), before, "the snapshot before stays as it was")
}

func TestRotationForgetsEarlierFailures(t *testing.T) {
	k := newKey(t, 1).Failed("token removed", nil, start.Add(day))
	for _, trigger := range []lifecycle.Trigger{lifecycle.ByOperator, lifecycle.BySchedule} {
		r := rotated(t, k, trigger, "", time.Hour, start.Add(2*day)).Rotation
		require.Zero(t, r.Failures)
		require.Empty(t, r.LastError)
		require.True(t, r.FailedAt.IsZero() && r.RetryAt.IsZero())
	}
}

func TestLateScheduledRotationsStayOnTheGrid(t *testing.T) {
	const period = 90 * time.Minute
	r := chance(2)
	k := newKey(t, 1)
	for range 1000 {
		late := time.Duration(r.Int64N(int64(3 * period)))
		at := k.Rotation.Base.Add(period + late)
		k = rotated(t, k, lifecycle.BySchedule, "", period, at)

		require.Zero(t, k.Rotation.Base.Sub(start)%period, "the schedule drifted")
		require.False(t, k.Rotation.Base.After(at))
		require.True(t, k.Rotation.Base.Add(period).After(at), "a rotation is due again at once")
		require.Equal(t, at, k.Rotation.Last)
	}
}

func TestOperatorsRotationStartsThePeriodAnew(t *testing.T) {
	k := newKey(t, 1)
	at := start.Add(40 * time.Minute)
	require.Equal(t, at, rotated(t, k, lifecycle.ByOperator, "", time.Hour, at).Rotation.Base)
}

func TestScheduledRotationWithoutAPeriodCountsFromItself(t *testing.T) {
	at := start.Add(40 * time.Minute)
	require.Equal(t, at, rotated(t, newKey(t, 1), lifecycle.BySchedule, "", 0, at).Rotation.Base)
}

func TestRotationsOfOneSnapshotDoNotOverwriteEachOther(t *testing.T) {
	k := newKey(t, 3)
	k.Recent = append(make([]time.Time, 0, 64), k.Recent...) // spare room to be overwritten
	left := rotated(t, k, lifecycle.ByOperator, "", 0, start.Add(100*day))
	right := rotated(t, k, lifecycle.ByOperator, "", 0, start.Add(200*day))
	again := rotated(t, left, lifecycle.ByOperator, "", 0, start.Add(300*day))

	require.Equal(t, start.Add(100*day), left.Recent[3])
	require.Equal(t, start.Add(200*day), right.Recent[3])
	require.Len(t, again.Recent, 5)
	require.Zero(t, k.Recent[:4][3], "the room behind the old snapshot was written to")
}

func TestFailureBacksOffUpToAnHour(t *testing.T) {
	k := newKey(t, 1)
	waits := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60}
	for i, minutes := range waits {
		at := start.Add(time.Duration(i) * day)
		before := k
		k = k.Failed("token removed", nil, at)
		require.Equal(t, i+1, k.Rotation.Failures)
		require.Equal(t, at, k.Rotation.FailedAt)
		require.Equal(t, "token removed", k.Rotation.LastError)
		require.Equal(t, at.Add(minutes*time.Minute), k.Rotation.RetryAt, "after failure %d", i+1)
		require.Equal(t, before.Revision, k.Revision, "no operator changed the key")
		require.Equal(t, before.Rotation.Base, k.Rotation.Base)
	}
	for range 100 {
		k = k.Failed("token removed", nil, start)
	}
	require.Equal(t, start.Add(time.Hour), k.Rotation.RetryAt)
}

func TestDeletionNeedsTheFlagAndNoPolicy(t *testing.T) {
	k := newKey(t, 1)
	require.ErrorIs(t, k.CheckDelete(), refusal.ErrRefused)
	require.ErrorContains(t, k.CheckDelete(), "set deletion_allowed on keys/orders/config first")

	k.DeletionAllowed = true
	require.NoError(t, k.CheckDelete())

	k.Policy = "pci"
	require.ErrorIs(t, k.CheckDelete(), refusal.ErrRefused)
	require.ErrorContains(t, k.CheckDelete(), `key "orders" is governed by policy "pci"`)
	k = moved(t, k, lifecycle.KeyDestroyed)
	require.EqualError(t, k.CheckDelete(),
		`key "orders" is destroyed; to give its name again, detach it from policy "pci" on keys/orders/config and delete it then`)
}
