// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mounttest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	randv2 "math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// Fault is something that makes one check after a promotion fail.
type Fault struct {
	Check string
	Begin func(m *Mount) // nil: the mount is made with it
}

// PostFaults returns one of each check, for [Checkless].
func PostFaults() []Fault {
	return []Fault{
		{Check: "round_trip", Begin: func(m *Mount) { m.Storage.AlterGets(Spoiled("versions/k/2")) }},
		{Check: "old_version_decrypts", Begin: func(m *Mount) { m.Storage.AlterGets(Spoiled("versions/k/1")) }},
		{Check: "fingerprint_unique"},
	}
}

// Checkless is [Governed] without checks before a promotion, so that only those after it find the fault, until its end.
func Checkless(t testing.TB, f Fault) (m *Mount, end func()) {
	t.Helper()
	m = New(t)
	random := &repeating{}
	random.on.Store(f.Check == "fingerprint_unique")
	m.Options.Rand = random
	m.Restart()
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	m.SetStored("policies/p", "pre_checks", []string{})
	m.Must(m.Write("keys/k", "policy", "p"))
	m.Encrypt("k", "in memory from now on")
	if f.Begin != nil {
		f.Begin(m)
	}
	return m, func() { random.on.Store(false); m.Storage.Heal() }
}

// repeating draws the same material again and again while it is on, and random bytes for all else.
type repeating struct{ on atomic.Bool }

func (r *repeating) Read(p []byte) (int, error) {
	const material = 64 // a key of 32 bytes and Transit's HMAC key
	if r.on.Load() && len(p) == material {
		for i := range p {
			p[i] = byte(i)
		}
		return len(p), nil
	}
	return rand.Read(p)
}

// Spoiled alters the sealed material in what is read of the versions with the prefix, for storagetest's AlterGets.
func Spoiled(prefix string) func(path string, value []byte) []byte {
	return func(path string, value []byte) []byte {
		if !strings.HasPrefix(path, prefix) {
			return value
		}
		record := map[string]any{}
		if json.Unmarshal(value, &record) != nil {
			return value
		}
		record["sealed"] = []byte("spoiled")
		value, _ = json.Marshal(record)
		return value
	}
}

// DeafTo is the storage, taking no write below a prefix.
func (s *Storage) DeafTo(prefix string) logical.Storage { return deaf{s, prefix} }

type deaf struct {
	logical.Storage
	prefix string
}

func (d deaf) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if strings.HasPrefix(entry.Key, d.prefix) {
		return storagetest.ErrInjected
	}
	return d.Storage.Put(ctx, entry)
}

// AnyFate draws what becomes of a write that fails.
func AnyFate(chance *randv2.Rand) storagetest.Fate {
	fates := storagetest.Fates()
	return fates[chance.IntN(len(fates))]
}
