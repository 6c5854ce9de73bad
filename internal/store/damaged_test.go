// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

// edited is a golden record with some fields set anew.
func edited(t testing.TB, name string, fields map[string]any) string {
	t.Helper()
	record := map[string]any{}
	require.NoError(t, json.Unmarshal([]byte(golden(t, name)), &record))
	maps.Copy(record, fields)
	data, err := json.Marshal(record)
	require.NoError(t, err)
	return string(data)
}

func TestKeyWithValuesNoKeyCanHaveIsRefused(t *testing.T) {
	for name, fields := range map[string]map[string]any{
		"no id":                        {"id": ""},
		"unknown type":                 {"type": "s3cr3t"},
		"no version":                   {"latest": 0},
		"fewer than no versions":       {"latest": -1},
		"primary below the first":      {"primary": -1},
		"primary above the latest":     {"primary": 4},
		"more dates than versions":     {"latest": 2},
		"fewer dates than versions":    {"recent": []int64{1}},                   // the dates would be those of other versions
		"dates of half a page":         {"latest": 300, "primary": 300},          // as above
		"failures below zero":          {"rotation_failures": -1},                // lifecycle.Key.Failed panics on the next one
		"period below zero":            {"auto_rotate_period": -1, "policy": ""}, // lifecycle.Plan rotates at every tick
		"decryption floor below zero":  {"min_decryption": -1},
		"decryption floor over latest": {"min_decryption": 4},
		"encryption floor over latest": {"min_encryption": 4},
		"trimmed over latest":          {"min_available": 4}, // no version is left, though there is a primary
		"destroyed over latest":        {"destroyed_below": 5},
		"staged over latest":           {"staged": 4},
		"unknown state":                {"state": "s3cr3t"},
		"no state":                     {"state": ""},
		"unknown state before":         {"state_before": "s3cr3t"}, // taken for none, recovering the key would lift its suspension
		"mark of no version":           marks("0", "archived", ""),
		"mark over latest":             marks("4", "archived", ""),
		"mark of an unknown state":     marks("1", "s3cr3t", ""), // taken for none, the version would be in use again
		"mark of no state":             marks("1", "none", ""),
		"mark without a state":         marks("1", "", ""),
		"mark of an active version":    marks("1", "active", ""), // the pointers of the key say which it is
		"mark of a staged version":     marks("1", "pre_active", ""),
		"mark of an unknown past":      marks("1", "retired", "s3cr3t"),
	} {
		t.Run(name, func(t *testing.T) {
			before := map[string]string{"keys/orders": edited(t, "key", fields)}
			w := load(t, before)
			_, err := w.Key(ctx, "orders")
			require.ErrorIs(t, err, store.ErrCorrupt)
			require.ErrorContains(t, err, "keys/orders")
			require.NotContains(t, err.Error(), "s3cr3t")

			_, err = w.UpdateKey(ctx, "orders", rotate("x"))
			require.ErrorIs(t, err, store.ErrCorrupt)
			require.Equal(t, before, w.entries(t), "nothing is written")
		})
	}
}

// overrides is the field with one override.
func marks(version, state, before string) map[string]any {
	return map[string]any{"marks": map[string]any{version: map[string]any{"s": state, "t": start, "b": before}}}
}

func TestKeyWhoseLastVersionLapsedIsRead(t *testing.T) {
	w := load(t, map[string]string{"keys/orders": edited(t, "key", map[string]any{"primary": 0, "staged": 0, "destroyed_below": 4})})
	k, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	require.Zero(t, k.Primary)
}

func TestPolicyWithValuesNoPolicyCanHaveIsRefused(t *testing.T) {
	for name, fields := range map[string]map[string]any{
		"period": {"rotation_period": "s3cr3t"},
		"delay":  {"destroy_delay": "s3cr3t"},
		"jitter": {"rotation_jitter": "s3cr3t"},
	} {
		t.Run(name, func(t *testing.T) {
			w := load(t, map[string]string{"policies/pci": edited(t, "policy", fields), "revisions/pci/4": edited(t, "policy", fields)})
			_, err := w.Policy(ctx, "pci")
			require.ErrorIs(t, err, store.ErrCorrupt)
			require.ErrorContains(t, err, "policies/pci")
			require.NotContains(t, err.Error(), "s3cr3t")
		})
	}
}

func TestKeyringWithValuesNoKeyringCanHaveIsRefused(t *testing.T) {
	for name, fields := range map[string]map[string]any{
		"no instance": {"instance": ""},
		"short id":    {"id": "AAEC"},
		"no key":      {"key": ""},
		"short key":   {"key": "czNjcjN0"},
		"long key":    {"key": make([]byte, 33)},
	} {
		t.Run(name, func(t *testing.T) {
			before := map[string]string{"config/kek": edited(t, "kek", fields)}
			w := load(t, before)
			_, found, err := w.Keyring(ctx)
			require.ErrorIs(t, err, store.ErrCorrupt)
			require.ErrorContains(t, err, "config/kek")
			require.NotContains(t, err.Error(), "czNjcjN0")
			require.False(t, found)
			_, err = w.CreateKeyring(ctx, goldenKeyring())
			require.ErrorIs(t, err, store.ErrCorrupt)
			require.Equal(t, before, w.entries(t), "a damaged keyring is not replaced")
		})
	}
}

func TestVersionUnderAnotherNumberIsNotServed(t *testing.T) {
	w := load(t, map[string]string{"versions/orders/3": golden(t, "version")})
	v, err := w.Version(ctx, "orders", 3)
	require.ErrorContains(t, err, "versions/orders/3")
	require.Zero(t, v)
}

func TestDatesPageThatIsNotTheKeysIsRefused(t *testing.T) {
	for name, record := range map[string]string{
		"of another key": edited(t, "dates", map[string]any{"key_id": "other"}),
		"too short":      edited(t, "dates", map[string]any{"created": []int64{1, 2}}),
		"missing":        "",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if record != "" {
				w.plant(t, "dates/orders/0", record)
			}
			dates, err := w.Dates(ctx, lifecycle.Key{ID: "6f72646572", Name: "orders", Latest: 256}, 1)
			require.ErrorIs(t, err, store.ErrCorrupt)
			require.ErrorContains(t, err, "dates/orders/0")
			require.Nil(t, dates)
		})
	}
}

func TestDamagedRecordCannotAskForMuchMemory(t *testing.T) {
	w := newWorld()
	k := lifecycle.Key{ID: "6f72646572", Name: "orders", Latest: 1 << 22} // and no page of dates
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := w.Dates(ctx, k, 1)
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, store.ErrCorrupt)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20), "the map of dates is made before a page is read")
}

// inUTC makes times comparable: which zone a record was written in is no part of the time.
func inUTC(k lifecycle.Key) lifecycle.Key {
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch at, ok := v.Interface().(time.Time); {
		case ok:
			v.Set(reflect.ValueOf(at.UTC()))
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		}
	}
	walk(reflect.ValueOf(&k).Elem())
	for v, m := range k.Overrides {
		walk(reflect.ValueOf(&m).Elem())
		k.Overrides[v] = m
	}
	return k
}

func FuzzDecodeKey(f *testing.F) {
	f.Add([]byte(golden(f, "key")))
	f.Add([]byte(later(golden(f, "key"))))
	for _, name := range []string{"version", "dates", "policy", "kek"} {
		f.Add([]byte(golden(f, name)))
	}
	for _, record := range []string{"", "{}", "null", "[", `{"schema":1}`, `{"schema":2}`, `{"schema":1,"id":"a","type":"aes256-gcm96","latest":1,"primary":1,"recent":[0]}`} {
		f.Add([]byte(record))
	}
	f.Add([]byte(edited(f, "key", map[string]any{"created": "9999-12-31T23:59:59-23:59", "due": "0000-01-01T00:00:00+23:59"})))
	f.Fuzz(func(t *testing.T, record []byte) {
		w := newWorld()
		require.NoError(t, w.disk.Put(ctx, &logical.StorageEntry{Key: "keys/orders", Value: record}))
		first, err := w.Key(ctx, "orders")
		if err != nil {
			require.Zero(t, first)
			require.ErrorContains(t, err, "keys/orders")
			return
		}
		if len(first.Recent) >= store.PageSize {
			return // would be paged out
		}
		_, err = w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
			k.Revision++
			return lifecycle.Commit{Key: k}, nil // which custody does not keep
		})
		require.NoError(t, err, "what can be read can be written")
		second, err := w.Key(ctx, "orders")
		require.NoError(t, err, "what was written can be read")
		first.Revision++
		require.Equal(t, inUTC(first), inUTC(second))
	})
}
