// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package sealed_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/atomicfile/faulty"
	"github.com/keylife/vault-plugin-keylife/client/internal/sealed"
)

const edk = "vault:v3:1yazmAc2BWxczpAO0yoTQE20sJlCWjLrqXW3Ickf7XP3Lyb6cGBI5enVcakbsmQbEA4GN6Trt6U2y//Q"

var (
	sealingKey = bytes.Repeat([]byte{9}, 32)
	written    = time.Unix(1_800_000_000, 0)
	engine     = sealed.Binding{Address: "https://vault:8200", Namespace: "team", Mount: "keylife"}
)

func sealer(key []byte) func() ([]byte, error) {
	return func() ([]byte, error) { return key, nil }
}

func newFile(t *testing.T) *sealed.File {
	t.Helper()
	return &sealed.File{Path: filepath.Join(t.TempDir(), "cache"), Sealer: sealer(sealingKey), Binding: engine, For: time.Hour}
}

func someKeys() []sealed.DataKey {
	return []sealed.DataKey{
		{Name: "orders", EDK: edk, Key: bytes.Repeat([]byte{1}, 32), Protect: 1_799_999_900, Process: 1_799_999_950, Messages: 17, Bytes: 4096, Made: 1_799_990_000},
		{Name: "payments", EDK: edk, Key: bytes.Repeat([]byte{2}, 32), Process: 1_799_999_000, Made: 1_799_990_000},
	}
}

func saved(t *testing.T) *sealed.File {
	t.Helper()
	f := newFile(t)
	require.NoError(t, f.Save(written, someKeys()))
	return f
}

func TestWhatWasSavedIsLoaded(t *testing.T) {
	f := saved(t)
	for _, later := range []time.Duration{0, time.Minute, time.Hour} {
		keys, err := f.Load(written.Add(later))
		require.NoError(t, err)
		require.Equal(t, someKeys(), keys)
	}
	require.NoError(t, f.Save(written, nil))
	keys, err := f.Load(written)
	require.NoError(t, err)
	require.Empty(t, keys)
}

func TestTheFileIsForItsOwnerAndTellsNothing(t *testing.T) {
	f := saved(t)
	info, err := os.Stat(f.Path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
	content, err := os.ReadFile(f.Path)
	require.NoError(t, err)
	for _, secret := range []string{"orders", edk, string(someKeys()[0].Key)} {
		require.NotContains(t, string(content), secret)
	}
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", someKeys()[0], someKeys(), &someKeys()[0], someKeys()), "orders")
}

func TestNoFileIsNone(t *testing.T) {
	_, err := newFile(t).Load(written)
	require.ErrorIs(t, err, sealed.ErrNone)
	require.NotErrorIs(t, err, sealed.ErrRefused)
	require.NoError(t, newFile(t).Remove())
}

func TestWhatIsNotBelievedIsDeleted(t *testing.T) {
	flip := func(at int) func(f *sealed.File) {
		return func(f *sealed.File) {
			content, _ := os.ReadFile(f.Path)
			content[(at+len(content))%len(content)] ^= 1
			_ = os.WriteFile(f.Path, content, 0o600)
		}
	}
	cut := func(left int) func(f *sealed.File) {
		return func(f *sealed.File) { _ = os.Truncate(f.Path, int64(left)) }
	}
	for name, c := range map[string]struct {
		change func(f *sealed.File)
		at     time.Time
		why    string
	}{
		"before it was written":   {at: written.Add(-time.Second), why: "2027-01-15T08:00:00Z, which is not yet"},
		"too old":                 {at: written.Add(time.Hour + time.Second), why: "longer than 1h0m0s ago"},
		"another sealing key":     {change: func(f *sealed.File) { f.Sealer = sealer(bytes.Repeat([]byte{8}, 32)) }},
		"another address":         {change: func(f *sealed.File) { f.Binding.Address = "https://vault:8201" }},
		"another namespace":       {change: func(f *sealed.File) { f.Binding.Namespace = "" }},
		"another mount":           {change: func(f *sealed.File) { f.Binding.Mount = "transit" }},
		"mount for namespace":     {change: func(f *sealed.File) { f.Binding.Namespace, f.Binding.Mount = "keylife", "team" }},
		"empty":                   {change: cut(0)},
		"magic only":              {change: cut(4)},
		"cut in the nonce":        {change: cut(10)},
		"cut in the tag":          {change: cut(20)},
		"cut inside":              {change: cut(200)},
		"magic flipped":           {change: flip(0)},
		"nonce flipped":           {change: flip(4)},
		"content flipped":         {change: flip(50)},
		"tag flipped":             {change: flip(-1)},
		"readable by the group":   {change: func(f *sealed.File) { _ = os.Chmod(f.Path, 0o640) }, why: "mode is 0640"},
		"readable by all":         {change: func(f *sealed.File) { _ = os.Chmod(f.Path, 0o604) }, why: "mode is 0604"},
		"larger than it could be": {change: func(f *sealed.File) { _ = os.Truncate(f.Path, 65<<20) }, why: "the most is"},
	} {
		t.Run(name, func(t *testing.T) {
			f := saved(t)
			if c.change != nil {
				c.change(f)
			}
			at := c.at
			if at.IsZero() {
				at = written
			}
			keys, err := f.Load(at)
			require.ErrorIs(t, err, sealed.ErrRefused)
			require.ErrorContains(t, err, c.why)
			require.Nil(t, keys)
			_, err = f.Load(at)
			require.ErrorIs(t, err, sealed.ErrNone)
		})
	}
}

func TestTroubleIsNoRefusalAndTheFileStays(t *testing.T) {
	for name, c := range map[string]struct {
		sealer func() ([]byte, error)
		why    string
	}{
		"no sealing key":    {func() ([]byte, error) { return nil, errors.New("credential: not there") }, "credential: not there"},
		"short sealing key": {sealer(make([]byte, 16)), "gave 16 bytes, want 32"},
	} {
		t.Run(name, func(t *testing.T) {
			f := saved(t)
			f.Sealer = c.sealer
			_, err := f.Load(written)
			require.ErrorContains(t, err, c.why)
			require.NotErrorIs(t, err, sealed.ErrRefused)
			require.ErrorContains(t, f.Save(written, nil), c.why)
			f.Sealer = sealer(sealingKey)
			_, err = f.Load(written)
			require.NoError(t, err)
		})
	}
	folder := newFile(t)
	require.NoError(t, os.Mkdir(folder.Path, 0o700))
	_, err := folder.Load(written)
	require.ErrorContains(t, err, "not a regular file")
	require.NotErrorIs(t, err, sealed.ErrRefused)
	require.DirExists(t, folder.Path)
}

func TestAKeyOfAnotherLengthIsNotSaved(t *testing.T) {
	keys := someKeys()
	keys[1].Key = keys[1].Key[:31]
	f := saved(t)
	require.ErrorContains(t, f.Save(written, keys), `data key of "payments": 31 bytes, want 32`)
	keys, err := f.Load(written)
	require.NoError(t, err)
	require.Equal(t, someKeys(), keys)
}

// The JSON is in one piece of memory, so that it can be wiped.
func TestTheContentIsNeverMovedWhileItIsWritten(t *testing.T) {
	most := sealed.DataKey{
		Name: "o\x00\"", EDK: edk, Key: bytes.Repeat([]byte{255}, 32),
		Protect: math.MinInt64, Process: math.MinInt64, Messages: math.MinInt64, Bytes: math.MinInt64, Made: math.MinInt64,
	}
	for n := range 50 {
		keys := make([]sealed.DataKey, n)
		texts := 0
		for i := range keys {
			keys[i] = most
			texts += len(`"o\u0000\""`) + len(edk) + 2
		}
		content, err := sealed.Encode(written, keys)
		require.NoError(t, err)
		require.Equal(t, 64+texts+256*n, cap(content))
	}
}

// A crash at any step, before the step had its effect or after, leaves the file before or the new one.
func TestACrashAtAnyStepLeavesTheOldFileOrTheNew(t *testing.T) {
	next := someKeys()[:1]
	seen := map[int]int{}
	for _, applied := range []bool{false, true} {
		for at := 1; ; at++ {
			f := saved(t)
			crashing := faulty.New(at, applied)
			f.FS = crashing
			saveErr := f.Save(written.Add(time.Minute), next)
			f.FS = nil
			keys, err := f.Load(written.Add(time.Minute))
			require.NoError(t, err, "crash at call %d", at)
			seen[len(keys)]++
			if !crashing.Crashed() {
				require.NoError(t, saveErr)
				require.Equal(t, next, keys)
				left, err := faulty.Leftovers(filepath.Dir(f.Path))
				require.NoError(t, err)
				require.Empty(t, left)
				break
			}
		}
	}
	require.Positive(t, seen[1])
	require.Positive(t, seen[2])
}
