// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/stretchr/testify/require"
)

func TestDriftNamesEveryRuleThatAKeyDoesNotMeet(t *testing.T) {
	p := policyOf(t, func(d doc) {
		d.RotationPeriod, d.RotationJitter, d.OriginatorPeriod = span(t, "10d"), jitter(t, "0"), span(t, "20d")
		d.AllowedTypes = []keytype.Type{keytype.ChaCha20Poly1305}
		d.MinStrengthBits, d.DenyAfter = 256, map[keytype.Type]string{keytype.AES128GCM96: "2026-01-01"}
	})
	k := newKey(t, 1)
	k.Type, k.Exportable, k.AllowPlaintextBackup = keytype.AES128GCM96, true, true
	require.Equal(t, []policy.Finding{
		{Field: "type", Value: "aes128-gcm96", Rule: "does not allow this type in allowed_types"},
		{Field: "type", Value: "aes128-gcm96", Rule: "demands min_strength_bits 256 and the type has 128"},
		{Field: "type", Value: "aes128-gcm96", Rule: "denies new versions of this type after 2026-01-01"},
		{Field: "exportable", Value: "true", Rule: "does not allow exportable keys"},
		{Field: "allow_plaintext_backup", Value: "true", Rule: "does not allow backups in the clear"},
		{Field: "rotation", Value: "overdue", Rule: `due, but type: "aes128-gcm96": policy "pci" (revision 1) does not allow this type in allowed_types`},
		{Field: "primary_version", Value: "1", Rule: "should have stopped to encrypt at 2026-03-21T12:00:00Z, by originator_period"},
	}, lifecycle.Drift(k, p, at(21, 12, 0)))
}

func TestDriftNamesWhatTheClockShouldHaveDone(t *testing.T) {
	p := policyOf(t, func(d doc) {
		d.RotationPeriod, d.ArchiveAfter, d.RollbackWindow, d.MinVersionsKept = span(t, "0"), span(t, "2d"), span(t, "1h"), 1
	})
	k := newKey(t, 3).WithOldest(p, map[int]time.Time{2: start})
	require.Empty(t, lifecycle.Drift(k, p, start.Add(48*time.Hour+59*time.Minute)), "a tick is about to")
	require.Equal(t, []policy.Finding{
		{Field: "version", Value: "1", Rule: "was due to archive at 2026-03-03T12:00:00Z"},
	}, lifecycle.Drift(k, p, start.Add(49*time.Hour)))

	full := newKey(t, 2100)
	full.Overrides = map[int]lifecycle.StateOverride{}
	for v := range 2048 {
		full.Overrides[v+1] = lifecycle.StateOverride{State: lifecycle.Archived, At: start.Add(time.Duration(v))}
	}
	full = full.WithOldest(p, map[int]time.Time{2050: start})
	require.Equal(t, 2049, full.Oldest.Version)
	require.Empty(t, lifecycle.Drift(full, p, start.Add(47*time.Hour)))
	require.Equal(t, []policy.Finding{
		{Field: "version", Value: "2049", Rule: "is not archived: too many versions are in states of their own; destroy old ones"},
	}, lifecycle.Drift(full, p, start.Add(49*time.Hour)))
}

func TestDriftOfKeysThatComplyAndOfThoseOnTheWay(t *testing.T) {
	p := tenDays(t)
	k := newKey(t, 1)
	require.Empty(t, lifecycle.Drift(k, p, start))
	require.Empty(t, lifecycle.Drift(k, p, at(11, 12, 0)), "the next tick rotates it")
	failed := k.Failed("token removed", p, at(11, 12, 0))
	require.Equal(t, []policy.Finding{{Field: "rotation", Value: "retrying", Rule: "due, and the last of 1 attempts failed: token removed"}}, lifecycle.Drift(failed, p, at(11, 12, 0)))
	require.Empty(t, lifecycle.Drift(moved(t, k, lifecycle.KeyArchived), p, later), "a key that is out of use rotates no more")
	require.Empty(t, lifecycle.Drift(k, nil, later), "no policy, no rule")
	k.Policy = "gone"
	require.Equal(t, []policy.Finding{{Field: "policy", Value: "gone", Rule: "the policy that governs the key is missing or cannot be read"}}, lifecycle.Drift(k, nil, start))
}

func TestRetirementWaitsForTheQuietPeriodOfAnEarlierRevision(t *testing.T) {
	first := policyOf(t, func(d doc) { d.QuietPeriod, d.RetireAfter = span(t, "30d"), span(t, "1d") })
	k := step(t, newKey(t, 5), lifecycle.Archive, 2, lifecycle.Order{At: later, Rules: newKey(t, 1).RulesFor(first)})
	looser := policyOf(t, func(d doc) { d.QuietPeriod, d.RetireAfter = span(t, "2d"), span(t, "1d") })
	looser.Created = later.Add(10 * day)
	second := looser.Revised(first)

	order := lifecycle.Order{At: later.Add(30*day - 1), Rules: k.RulesFor(&second)}
	refused(t, k, lifecycle.Retire, 2, order, "quiet_period is 2d: without a denied use it is over at 2026-07-09T12:00:00Z")
	order.LastDenied = later.Add(5 * day) // under the first revision
	order.At = later.Add(35*day - 1)
	refused(t, k, lifecycle.Retire, 2, order, "it is over at 2026-07-14T12:00:00Z")
	order.At = later.Add(35 * day)
	step(t, k, lifecycle.Retire, 2, order)
}

func TestBackoffIsThatOfThePolicy(t *testing.T) {
	p := policyOf(t, func(d doc) { d.RotationRetryBase, d.RotationRetryMax = span(t, "10s"), span(t, "30d") })
	k := newKey(t, 1)
	for n := range 30 {
		k = k.Failed("token removed", p, start)
		require.Equal(t, start.Add(min(10*time.Second<<n, 30*day)), k.Rotation.RetryAt, n)
	}
	require.Equal(t, start.Add(time.Hour), k.Failed("token removed", nil, start).Rotation.RetryAt, "without a policy")
}

func TestTermsCostNoMemory(t *testing.T) {
	racetest.Skip(t, "the race detector allocates on its own")
	k := newKey(t, 3)
	p, err := policy.New("pci", 1, document(t), start)
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		for _, policy := range []*policy.Policy{&p, nil} {
			if rules := k.RulesFor(policy); rules.QuietUntil(start, time.Time{}).Before(start) {
				t.Error("before it began")
			}
		}
	}))
}

func TestVersionsThatNoHSMWrapsAreNamedInRuns(t *testing.T) {
	require.Empty(t, lifecycle.WrappedByNoHSM(nil))
	require.Equal(t, []policy.Finding{
		{Field: "version", Value: "1-3,5,8-9", Rule: "is wrapped by no HSM, as hsm=required demands"},
	}, lifecycle.WrappedByNoHSM([]int{1, 2, 3, 5, 8, 9}))
	var odd []int
	for n := range 40 {
		odd = append(odd, 2*n+1)
	}
	require.Equal(t, "1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,...", lifecycle.WrappedByNoHSM(odd)[0].Value)
}
