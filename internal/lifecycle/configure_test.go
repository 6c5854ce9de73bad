// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

func TestConfigureAppliesEveryField(t *testing.T) {
	before := newKey(t, 5)
	changes := map[string]lifecycle.ConfigChange{
		"MinDecryption":        {MinDecryption: ptr(2)},
		"MinEncryption":        {MinEncryption: ptr(2)},
		"DeletionAllowed":      {DeletionAllowed: ptr(true)},
		"Exportable":           {Exportable: ptr(true)},
		"AllowPlaintextBackup": {AllowPlaintextBackup: ptr(true)},
		"AutoRotatePeriod":     {AutoRotatePeriod: ptr(time.Hour)},
		"Policy":               {Policy: ptr("pci")},
		"Owner":                {Owner: ptr("payments")},
		"Uses":                 {Uses: &[]lifecycle.AllowedUse{lifecycle.UseDecrypt, lifecycle.UseRewrap}},
		"Labels":               {Labels: map[string]string{"env": "prod"}},
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[lifecycle.ConfigChange]()) {
		change, ok := changes[field.Name]
		require.True(t, ok, "no test for the new field %s", field.Name)
		after, warnings, err := before.Configure(change)
		require.NoError(t, err)
		require.Empty(t, warnings)

		asked := reflect.Indirect(reflect.ValueOf(change).FieldByName(field.Name)).Interface()
		require.Equal(t, asked, reflect.ValueOf(after).FieldByName(field.Name).Interface(), field.Name)
		require.Equal(t, before.Revision+1, after.Revision, field.Name)
		require.Equal(t, newKey(t, 5), before, "the snapshot before stays as it was")

		again, _, err := after.Configure(change)
		require.NoError(t, err)
		require.Equal(t, after, again, "%s: what changes nothing keeps the revision", field.Name)
	}
}

func TestConfigureWithoutAChangeReturnsTheKeyAsItWas(t *testing.T) {
	k := newKey(t, 3)
	got, warnings, err := k.Configure(lifecycle.ConfigChange{})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, k, got)

	got, _, err = k.Configure(lifecycle.ConfigChange{Labels: map[string]string{}})
	require.NoError(t, err)
	require.Equal(t, k, got, "no labels are no labels")
}

func TestDecryptionFloorOfZeroMeansOneAndWarns(t *testing.T) {
	k := newKey(t, 3)
	k.MinDecryption = 2
	got, warnings, err := k.Configure(lifecycle.ConfigChange{MinDecryption: ptr(0)})
	require.NoError(t, err)
	require.Equal(t, 1, got.MinDecryption)
	require.Equal(t, []string{"min_decryption_version: 0: key versions start at 1; using 1"}, warnings)

	again, warnings, err := got.Configure(lifecycle.ConfigChange{MinDecryption: ptr(0)})
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Equal(t, got, again)
}

func TestFloorsMoveWithinTheVersionsOfTheKey(t *testing.T) {
	k := newKey(t, 5)
	k.MinDecryption, k.MinEncryption = 2, 3
	for name, c := range map[string]lifecycle.ConfigChange{
		"both to the latest":        {MinDecryption: ptr(5), MinEncryption: ptr(5)},
		"decryption to encryption":  {MinDecryption: ptr(3)},
		"encryption to decryption":  {MinEncryption: ptr(2)},
		"no encryption floor":       {MinEncryption: ptr(0)},
		"decryption down to 1":      {MinDecryption: ptr(1)},
		"both, one past the other":  {MinDecryption: ptr(4), MinEncryption: ptr(4)},
		"decryption, no encryption": {MinDecryption: ptr(5), MinEncryption: ptr(0)},
	} {
		_, _, err := k.Configure(c)
		require.NoError(t, err, name)
	}
}

func TestConfigureRefusesWhatBreaksARuleAndLeavesTheKey(t *testing.T) {
	k := newKey(t, 5)
	k.MinDecryption, k.MinEncryption, k.MinAvailable = 3, 4, 2
	for _, row := range []struct {
		text   string
		change lifecycle.ConfigChange
	}{
		{"min_decryption_version: -1: must not be negative", lifecycle.ConfigChange{MinDecryption: ptr(-1)}},
		{"min_encryption_version: -1: must not be negative", lifecycle.ConfigChange{MinEncryption: ptr(-1)}},
		{"min_decryption_version: 6: must be at most the latest key version, which is 5", lifecycle.ConfigChange{MinDecryption: ptr(6)}},
		{"min_encryption_version: 6: must be at most the latest key version, which is 5", lifecycle.ConfigChange{MinEncryption: ptr(6)}},
		{"min_encryption_version: 4: must be 0 or at least min_decryption_version, which is 5", lifecycle.ConfigChange{MinDecryption: ptr(5)}},
		{"min_encryption_version: 2: must be 0 or at least min_decryption_version, which is 3", lifecycle.ConfigChange{MinEncryption: ptr(2)}},
		{"min_decryption_version: 1: must be at least the minimum available version, which is 2", lifecycle.ConfigChange{MinDecryption: ptr(1)}},
		{"min_decryption_version: 1: must be at least the minimum available version, which is 2", lifecycle.ConfigChange{MinDecryption: ptr(0)}},
		{"min_encryption_version: 0: must be at least the minimum available version, which is 2", lifecycle.ConfigChange{MinEncryption: ptr(0)}},
		{"auto_rotate_period: 59m59s: ", lifecycle.ConfigChange{AutoRotatePeriod: ptr(time.Hour - time.Second)}},
		{"auto_rotate_period: -1ns: ", lifecycle.ConfigChange{AutoRotatePeriod: ptr(-time.Nanosecond)}},
		{`auto_rotate_period: 1h0m0s: policy "pci" sets the rotation`, lifecycle.ConfigChange{AutoRotatePeriod: ptr(time.Hour), Policy: ptr("pci")}},
	} {
		row.change.Owner = ptr("somebody else")
		got, warnings, err := k.Configure(row.change)
		require.ErrorIs(t, err, refusal.ErrInvalid, row.text)
		require.ErrorContains(t, err, row.text)
		require.Empty(t, warnings)
		require.Equal(t, k, got, "%s: an error leaves the key as it was", row.text)
	}
}

func TestTrimmedKeyCanStillBeConfigured(t *testing.T) {
	k := newKey(t, 5)
	k.MinDecryption, k.MinEncryption, k.MinAvailable = 3, 4, 3
	got, _, err := k.Configure(lifecycle.ConfigChange{DeletionAllowed: ptr(true)})
	require.NoError(t, err)
	require.True(t, got.DeletionAllowed)
}

func TestFlagsGoOneWayOnly(t *testing.T) {
	k := newKey(t, 1)
	k.Exportable, k.AllowPlaintextBackup = true, true
	got, warnings, err := k.Configure(lifecycle.ConfigChange{Exportable: ptr(false), AllowPlaintextBackup: ptr(false)})
	require.NoError(t, err)
	require.Equal(t, k, got)
	require.Equal(t, []string{
		"exportable: false: once set it cannot be unset; ignored",
		"allow_plaintext_backup: false: once set it cannot be unset; ignored",
	}, warnings)

	_, warnings, err = newKey(t, 1).Configure(lifecycle.ConfigChange{Exportable: ptr(false)})
	require.NoError(t, err)
	require.Empty(t, warnings, "there is nothing to warn of where it was never set")
}

func TestPolicyTakesOverFromAutoRotate(t *testing.T) {
	k, _, err := newKey(t, 1).Configure(lifecycle.ConfigChange{AutoRotatePeriod: ptr(time.Hour)})
	require.NoError(t, err)
	_, _, err = k.Configure(lifecycle.ConfigChange{Policy: ptr("pci")})
	require.ErrorContains(t, err, "auto_rotate_period must be 0")
	got, _, err := k.Configure(lifecycle.ConfigChange{Policy: ptr("pci"), AutoRotatePeriod: ptr(time.Duration(0))})
	require.NoError(t, err)
	require.Equal(t, "pci", got.Policy)
}

func TestLabelsAreBounded(t *testing.T) {
	many := func(n int) map[string]string {
		labels := map[string]string{}
		for i := range n {
			labels[fmt.Sprint(i)] = ""
		}
		return labels
	}
	for _, row := range []struct {
		labels map[string]string
		text   string // empty: allowed
	}{
		{many(64), ""},
		{many(65), "labels: 65: at most 64 labels"},
		{map[string]string{strings.Repeat("n", 64): strings.Repeat("v", 256)}, ""},
		{map[string]string{strings.Repeat("n", 65): ""}, "a label's name has 1 to 64 bytes"},
		{map[string]string{"": "x"}, "a label's name has 1 to 64 bytes"},
		{map[string]string{"x": strings.Repeat("v", 257)}, "a label's value has at most 256 bytes"},
	} {
		k := newKey(t, 1)
		got, _, err := k.Configure(lifecycle.ConfigChange{Labels: row.labels})
		if row.text == "" {
			require.NoError(t, err)
			require.Equal(t, row.labels, got.Labels)
			continue
		}
		require.ErrorIs(t, err, refusal.ErrInvalid)
		require.ErrorContains(t, err, row.text)
		require.Less(t, len(err.Error()), 256, "a long value is not quoted in full")
		require.Equal(t, k, got)
	}
}

func TestLabelsAreReplacedAndNotShared(t *testing.T) {
	first, _, err := newKey(t, 1).Configure(lifecycle.ConfigChange{Labels: map[string]string{"a": "1", "b": "2"}})
	require.NoError(t, err)
	asked := map[string]string{"c": "3"}
	second, _, err := first.Configure(lifecycle.ConfigChange{Labels: asked})
	require.NoError(t, err)
	asked["c"] = "edited"
	require.Equal(t, map[string]string{"c": "3"}, second.Labels)
	require.Equal(t, map[string]string{"a": "1", "b": "2"}, first.Labels)

	third, _, err := second.Configure(lifecycle.ConfigChange{Labels: map[string]string{"c": "4"}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"c": "4"}, third.Labels)
	require.Equal(t, second.Revision+1, third.Revision)
}
