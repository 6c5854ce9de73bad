// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

func TestPolicyAdmitsTheTypesItAllows(t *testing.T) {
	p := policyOf(t, func(d doc) {
		d.AllowedTypes = []keytype.Type{keytype.AES256GCM96, keytype.ChaCha20Poly1305}
	})
	require.NoError(t, p.AdmitsVersion(keytype.AES256GCM96, start))
	require.NoError(t, p.AdmitsVersion(keytype.ChaCha20Poly1305, start))
	err := p.AdmitsVersion(keytype.AES128GCM96, start)
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.EqualError(t, err, `type: "aes128-gcm96": policy "pci" (revision 1) does not allow this type in allowed_types`)
}

func TestPolicyWithoutAListAdmitsWhatIsStrongEnough(t *testing.T) {
	p := policyOf(t, func(d doc) { d.MinStrengthBits = 129 })
	require.NoError(t, p.AdmitsVersion(keytype.AES256GCM96, start))
	err := p.AdmitsVersion(keytype.AES128GCM96, start)
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.EqualError(t, err, `type: "aes128-gcm96": policy "pci" (revision 1) demands min_strength_bits 129 and the type has 128`)
	p.MinStrengthBits = 128
	require.NoError(t, p.AdmitsVersion(keytype.AES128GCM96, start))
}

func TestTypeIsDeniedAfterItsDayOrAtItsTime(t *testing.T) {
	for date, denied := range map[string]string{
		"2026-03-11": "2026-03-12T00:00:00Z", "2026-03-11T18:30:00+01:00": "2026-03-11T17:30:00Z",
	} {
		p := policyOf(t, func(d doc) { d.DenyAfter = map[keytype.Type]string{keytype.AES128GCM96: date} })
		require.NoError(t, p.AdmitsVersion(keytype.AES128GCM96, utc(t, denied).Add(-1)))
		err := p.AdmitsVersion(keytype.AES128GCM96, utc(t, denied))
		require.ErrorIs(t, err, refusal.ErrRefused)
		require.EqualError(t, err, `type: "aes128-gcm96": policy "pci" (revision 1) denies new versions of this type after `+date)
		require.NoError(t, p.AdmitsVersion(keytype.AES256GCM96, start.AddDate(10, 0, 0)))
	}
}

func TestPolicyIsNotBoundToAKeyThatIsLooser(t *testing.T) {
	strict := policyOf(t, func(d doc) { d.MinStrengthBits = 256 })
	loose := policyOf(t, func(d doc) { d.Exportable, d.AllowPlaintextBackup = true, true })
	for text, edit := range map[string]func(*policy.Attributes){
		`exportable: "true": policy "pci" (revision 1) does not allow exportable keys`:                       func(k *policy.Attributes) { k.Exportable = true },
		`allow_plaintext_backup: "true": policy "pci" (revision 1) does not allow backups in the clear`:      func(k *policy.Attributes) { k.AllowPlaintextBackup = true },
		`type: "aes128-gcm96": policy "pci" (revision 1) demands min_strength_bits 256 and the type has 128`: func(k *policy.Attributes) { k.Type = keytype.AES128GCM96 },
	} {
		k := attributes()
		edit(&k)
		err := strict.Admits(k, start)
		require.ErrorIs(t, err, refusal.ErrRefused)
		require.EqualError(t, err, text)
		require.NoError(t, loose.Admits(k, start))
	}
	require.NoError(t, strict.Admits(attributes(), start))
	k := attributes()
	k.Exportable = true
	require.NoError(t, strict.AdmitsVersion(k.Type, start), "a key that was bound before goes on being rotated")
}

func TestQuietPeriodOfAnEarlierRevisionGoesOn(t *testing.T) {
	quiet := func(revision int, text string, created time.Time, before *policy.Policy) *policy.Policy {
		d := policy.DefaultDocument()
		d.Owner, d.QuietPeriod = "payments", span(t, text)
		p, err := policy.New("pci", revision, d, created)
		require.NoError(t, err)
		p = p.Revised(before)
		return &p
	}
	until := func(p *policy.Policy, began time.Time) time.Time {
		return rulesFor(p).QuietUntil(start, began)
	}
	first := quiet(1, "30d", start, nil)
	require.Zero(t, first.LongerQuiet)
	require.Equal(t, start.Add(30*day), until(first, start))

	second := quiet(2, "2d", start.Add(10*day), first)
	require.Equal(t, policy.LongerQuietPeriod{Before: start.Add(10 * day), Quiet: 30 * day}, second.LongerQuiet)
	require.Equal(t, start.Add(39*day), until(second, start.Add(9*day)), "it ran already")
	require.Equal(t, start.Add(40*day), until(second, start.Add(20*day)), "a denial later does not end it sooner")
	require.Equal(t, start.Add(52*day), until(second, start.Add(50*day)), "all of that is over")

	require.Equal(t, start.Add(17*day), rulesFor(second).QuietUntil(start.Add(15*day), time.Time{}), "nothing ran yet when it was archived")

	third := quiet(3, "5d", start.Add(20*day), second)
	require.Equal(t, policy.LongerQuietPeriod{Before: start.Add(20 * day), Quiet: 30 * day}, third.LongerQuiet, "that of the first may still run")
	late := quiet(3, "1d", start.Add(40*day), second)
	require.Equal(t, policy.LongerQuietPeriod{Before: start.Add(40 * day), Quiet: 2 * day}, late.LongerQuiet, "that of the first is over")
	require.Zero(t, quiet(3, "30d", start.Add(20*day), second).LongerQuiet, "as long as the longest that runs")
	require.Zero(t, quiet(2, "31d", start, first).LongerQuiet, "a longer one needs no memory")

	for began := start; began.Before(start.Add(60 * day)); began = began.Add(day) {
		require.False(t, until(second, began.Add(day)).Before(until(second, began)))
	}
}
