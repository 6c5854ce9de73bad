// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	catalogue "github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/stretchr/testify/require"
)

// fill sets every field to a value that no other field has.
func fill(v reflect.Value, n *int) {
	*n++
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(start.Add(time.Duration(*n) * time.Minute)))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), n)
			}
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case v.Kind() == reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case v.Kind() == reflect.Map:
		name, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(name, n)
		fill(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(name, value)
	case v.CanInt():
		v.SetInt(int64(*n))
	case v.CanUint():
		v.SetUint(uint64(*n % 256))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.String:
		v.SetString(fmt.Sprintf("text %d", *n))
	default:
		panic("internal error: fill does not know " + v.Type().String())
	}
}

// filled returns a T whose fields are all set. What has to follow a rule is set by valid.
func filled[T any](t *testing.T, valid func(*T)) T {
	t.Helper()
	var v T
	n := 0
	fill(reflect.ValueOf(&v).Elem(), &n)
	valid(&v)
	requireNoZero(t, reflect.ValueOf(v), reflect.TypeFor[T]().Name())
	return v
}

func requireNoZero(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	require.False(t, v.IsZero(), "%s is not set, so that the test would not see it get lost", path)
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
		return
	}
	for i := range v.NumField() {
		if field := v.Type().Field(i); field.IsExported() {
			requireNoZero(t, v.Field(i), path+"."+field.Name)
		}
	}
}

func fullPolicy(t *testing.T) policy.Policy {
	return filled(t, func(p *policy.Policy) {
		var err error
		p.Name, p.RotationMode = "pci", policy.Notify
		p.AllowedTypes = []keytype.Type{keytype.AES256GCM96, keytype.AES128GCM96}
		for i, span := range spansOf(&p.Document) {
			*span, err = schedule.ParseSpan(fmt.Sprintf("%dd12h", i+1))
			require.NoError(t, err)
		}
		p.RotationJitter, err = schedule.ParseJitter("2.50%")
		require.NoError(t, err)
		p.Approvals = map[catalogue.Gate]string{"retire": "2 of key-approvers", "promote": "not creator"}
		p.RotationBlackout = []string{"12-24", "2027-12-15/2028-01-05"}
		p.RotationSchedule, p.RotationWindow, p.RotationZone = "0 3 1 * *", "30 1 * * SAT", "Europe/Berlin"
		p.HSM, p.OnLimit, p.CompromisedProcessing, p.SuspendedProcessing = policy.Required, policy.OnLimitBlock, policy.Deny, policy.Allow
		*p, err = policy.Stored(*p)
		require.NoError(t, err)
	})
}

// spansOf finds the spans of a document, whatever they are called.
func spansOf(doc *policy.Document) []*schedule.Span {
	var spans []*schedule.Span
	v := reflect.ValueOf(doc).Elem()
	for i := range v.NumField() {
		if span, ok := v.Field(i).Addr().Interface().(*schedule.Span); ok {
			spans = append(spans, span)
		}
	}
	return spans
}

func fullMark(t *testing.T) lifecycle.StateOverride {
	m := filled(t, func(m *lifecycle.StateOverride) { m.State, m.Before = lifecycle.Retired, lifecycle.Archived })
	m.RetireNotBefore, m.ArchiveAt = time.Time{}, time.Time{} // which a retired version does not have
	return m
}

func TestEachStateOfAVersionKeepsItsDate(t *testing.T) {
	for name, override := range map[string]lifecycle.StateOverride{
		"retired":     {State: lifecycle.Retired, DestroyAt: start},
		"archived":    {State: lifecycle.Archived, RetireNotBefore: start},
		"compromised": {State: lifecycle.Compromised, RetireNotBefore: start},
		"deactivated": {State: lifecycle.Deactivated, ArchiveAt: start},
		"suspended":   {State: lifecycle.Suspended, ArchiveAt: start},
	} {
		w := newWorld()
		k := newKey(t, "orders", "")
		k.Latest, k.Primary, k.Recent, k.Overrides = 2, 2, []time.Time{start, start}, map[int]lifecycle.StateOverride{1: override}
		require.NoError(t, w.CreateKey(ctx, creation(k, version(k, "first"))))
		got, err := w.Key(ctx, "orders")
		require.NoError(t, err)
		require.Equal(t, override, got.Overrides[1], name)
		require.Equal(t, start, got.Overrides[1].Until(), name)
	}
}

func fullKey(t *testing.T) lifecycle.Key {
	full := filled(t, func(k *lifecycle.Key) {
		k.Name, k.Policy, k.Type, k.Protection = "orders", "pci", keytype.AES128GCM96, lifecycle.Resident
		k.EarlierTypes = []lifecycle.TypeUntil{{Until: 1, Type: keytype.HMAC, Size: 64}, {Until: 4, Type: keytype.ChaCha20Poly1305}}
		k.Uses = []lifecycle.AllowedUse{lifecycle.UseDecrypt, lifecycle.UseRewrap}
		k.Latest, k.Primary, k.MinEncryption, k.MinDecryption, k.MinAvailable = 5, 4, 3, 2, 1
		k.Staged, k.DestroyedBelow, k.PrivateFrom, k.Status.State, k.Status.Before = 5, 2, 4, lifecycle.KeySuspended, lifecycle.KeySuspended
		k.Overrides = map[int]lifecycle.StateOverride{2: fullMark(t), 3: {State: lifecycle.Suspended, At: start}}
		k.Recent = nil
		for n := range k.Latest {
			k.Recent = append(k.Recent, start.Add(time.Duration(n)*time.Hour))
		}
		k.Rotation.FailedAt = start.Add(123456789 * time.Nanosecond)
	})
	full.Status.DestroyAt = time.Time{} // which a suspended key does not have
	return full
}

func TestEveryFieldOfAKeyIsStored(t *testing.T) {
	w := newWorld()
	w.putPolicy(t, "pci", "")
	want := fullKey(t)
	require.NoError(t, w.CreateKey(ctx, creation(want, version(want, "first"))))

	got, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	want.CreatedBy = "e1"                                                                                          // who asked
	want.LastActs = lifecycle.LastActs{Since: 1, Versions: []lifecycle.VersionAct{{Version: want.Latest, Act: 1}}} // the store's own
	require.Equal(t, want, got)
}

func TestUpdateReturnsTheKeyAsItIsStored(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	at := start.Add(1500 * time.Millisecond) // list of dates is kept in whole seconds
	k, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		return rotated(k, "first", at)
	})
	require.NoError(t, err)
	stored, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	require.Equal(t, stored, k)
}

func TestKeyWithNothingSetIsStored(t *testing.T) {
	w := newWorld()
	want := newKey(t, "orders", "")
	want.Due = time.Time{}
	require.NoError(t, w.CreateKey(ctx, creation(want, version(want, "first"))))
	got, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	want.LastActs, want.CreatedBy = got.LastActs, "e1"
	require.Equal(t, want, got)
}

func TestEveryFieldOfAVersionIsStored(t *testing.T) {
	w := newWorld()
	want := filled(t, func(v *lifecycle.Version) { v.Number = 1 })
	require.NoError(t, w.PutObject(ctx, lifecycle.Object{ID: want.Object}))
	require.NoError(t, w.CreateKey(ctx, creation(newKey(t, "orders", ""), want)))
	got, err := w.Version(ctx, "orders", 1)
	require.NoError(t, err)
	want.CreatedBy = "e1" // who asked
	require.Equal(t, want, got)
}

func TestEveryFieldOfAPolicyIsStored(t *testing.T) {
	w := newWorld()
	want := fullPolicy(t)
	put, err := w.PutPolicy(ctx, "pci", func(current *policy.Policy) (policy.Policy, error) {
		require.Nil(t, current)
		return want, nil
	})
	require.NoError(t, err)
	want.Author = "e1" // who asked
	require.Equal(t, want, put)

	got, err := w.Policy(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = w.PolicyRevision(ctx, "pci", want.Revision)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestEveryFieldOfTheKeyringIsStored(t *testing.T) {
	w := emptyWorld()
	want := filledKEKs(t)
	created, err := w.CreateKeyring(ctx, want)
	require.NoError(t, err)
	require.Equal(t, want, created)

	got, found, err := w.Keyring(ctx)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, want, got)
}

func filledKEKs(t *testing.T) keyring.KEKs {
	return filled(t, func(r *keyring.KEKs) {
		r.Use.Key, r.Archive.Key = make([]byte, 32), make([]byte, 32)
		for i := range 32 {
			r.Use.Key[i], r.Archive.Key[i] = byte(0xa0+i), byte(0xc0+i)
		}
	})
}
