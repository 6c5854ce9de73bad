// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package rotation_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// For an external plugin each storage call and each call of the system view goes back into Vault over gRPC: their
// number is what a request costs.

func TestAKeyInUseEncryptsAndDecryptsWithoutAskingVault(t *testing.T) {
	m := mounttest.New(t)
	for _, key := range []struct{ name, context string }{{"plain", ""}, {"derived", mounttest.B64("user-1")}} {
		m.Must(m.Write("keys/"+key.name, "derived", key.context != ""))
		request := func() {
			sealed := m.Must(m.Write("encrypt/"+key.name, "plaintext", mounttest.B64("x"), "context", key.context)).Data["ciphertext"]
			m.Must(m.Write("decrypt/"+key.name, "ciphertext", sealed, "context", key.context))
			m.Must(m.Write("rewrap/"+key.name, "ciphertext", sealed, "context", key.context))
			m.Must(m.Write("datakey/plaintext/"+key.name, "context", key.context))
			m.Must(m.Write("datakeys/plaintext/"+key.name, "context", key.context, "count", 100))
		}
		request()
		m.Storage.Reset()
		m.System.Reset()
		for range 3 {
			request()
		}
		require.Zero(t, m.Storage.Reset().Total(), "storage calls with a warm %s key", key.name)
		require.Zero(t, m.System.Reset(), "system view calls with a warm %s key", key.name)
	}
}

func TestAColdKeyCostsItsRecordItsVersionAndOnceTheTwoKEKsAndTheHSM(t *testing.T) {
	m := mounttest.New(t)
	sealed := func() string { m.Must(m.Write("keys/k")); return m.Encrypt("k", "x") }()
	m.Restart()
	m.Storage.Reset()
	m.Decrypt("k", sealed)
	require.Equal(t, storagetest.Counts{Gets: 5}, m.Storage.Reset())
}

func TestAMountWithoutCacheReadsStorageEveryTime(t *testing.T) {
	m := mounttest.New(t)
	m.System.CachingDisabledVal = true
	m.Restart()
	m.Must(m.Write("keys/k"))
	sealed := m.Encrypt("k", "x")
	m.Storage.Reset()
	m.Decrypt("k", sealed)
	require.Equal(t, storagetest.Counts{Gets: 5}, m.Storage.Reset())
	m.Decrypt("k", sealed)
	require.Equal(t, storagetest.Counts{Gets: 5}, m.Storage.Reset())
}

func TestARotationCostsTheSameAtTenAndAtTenThousandVersions(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	m.Must(m.Write("keys/k", "policy", "p"))
	m.K.RotateTo(10)
	few, fewBytes := rotationCost(m)
	fewMemory := raisedMemory(m)

	m.K.RotateTo(300 + racetest.Size(t, racetest.Size(t, 9_700))) // more than a page of creation times under the race detector, too
	m.Must(m.Read("keys/k"))                                      // the pages of creation times are in memory, as on a running server
	many, manyBytes := rotationCost(m)

	require.Equal(t, few, many)
	require.Equal(t, storagetest.Counts{Gets: 7, Puts: 7, Deletes: 2}, many,
		"record, clock guard, the version read back; custody, version, due index, record, custody; old due index entry; "+
			"then the checks: record, new and old version; due index, record; old due index entry")
	require.Less(t, manyBytes, 8<<10, "the key record at 10,000 versions; at 10 it has %d bytes", fewBytes)
	if !racetest.Watched(t) {
		require.LessOrEqual(t, raisedMemory(m)/fewMemory, 1.7, "what a rotation allocates: the record names the newest acts on up to 512 versions")
	}
}

func TestARotationWithoutAPolicyCostsNothingForChecks(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "auto_rotate_period", "24h"))
	counts, _ := rotationCost(m)
	require.Equal(t, storagetest.Counts{Gets: 2, Puts: 5, Deletes: 1}, counts, "record; custody, version, due index, record, custody; old due index entry")
}

func TestARotationWithoutPostChecksIsOneCommit(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "24h", "rotation_jitter", "0"))
	m.SetStored("policies/p", "pre_checks", []string{}, "post_checks", []string{})
	m.Must(m.Write("keys/k", "policy", "p"))
	counts, _ := rotationCost(m)
	require.Equal(t, storagetest.Counts{Gets: 2, Puts: 5, Deletes: 1}, counts)
}

// raisedMemory is what a rotation allocates, in bytes, where the floor is at the latest version: the answer has no more to list. It is the
// least of several, as the map that is the storage grows in some.
func raisedMemory(m *mounttest.Mount) float64 {
	m.Must(m.Write("keys/k/config", "min_decryption_version", m.Latest("k"), "reason", mounttest.Reason))
	const rotations = 5
	least := math.Inf(1)
	for range rotations {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m.K.Ops("rotate")
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.TotalAlloc-before.TotalAlloc))
	}
	return least
}

// rotationCost returns the storage calls of one rotation and the size of the key record after it.
func rotationCost(m *mounttest.Mount) (storagetest.Counts, int) {
	m.Clock.Add(time.Minute)
	m.Storage.Reset()
	m.Must(m.Write("keys/k/rotate", "reason", "because of a test"))
	counts := m.Storage.Reset()
	all := m.Storage.All()
	return counts, len(all["keys/k"])
}

func TestATickWithAHundredThousandKeysAndNoneDueIsASmallConstant(t *testing.T) {
	cost := func(keys int) storagetest.Counts {
		m := mounttest.New(t)
		m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "90d"))
		m.Must(m.Write("keys/k-000000", "policy", "p"))
		ciphertext := m.Encrypt("k-000000", "text")
		copyKey(m, "k-000000", keys)
		m.Restart()
		m.Storage.Reset()
		m.Decrypt("k-000000", ciphertext)
		require.Equal(t, storagetest.Counts{Gets: 6}, m.Storage.Reset(), "the first decrypt of a process: key, policy, version, what wraps it")
		require.NoError(t, m.Tick()) // the first one after a start reads the whole index
		m.Clock.Add(time.Minute)
		m.Storage.Reset()
		require.NoError(t, m.Tick())
		return m.Storage.Reset()
	}
	few, many := cost(100), cost(racetest.Size(t, 100_000))
	require.Equal(t, few, many)
	require.Equal(t, storagetest.Counts{Lists: 15, Gets: 65 + 8*5}, many, "intents of five kinds, three minutes, five statuses of alerts, requests, reviews; the clock guard; "+
		"32 keys checked, and counted by that; 8 keys scrubbed, which have neither custody nor material here")
}

// copyKey stores n keys like the one that is there, due at their own minutes.
func copyKey(m *mounttest.Mount, name string, n int) {
	m.T.Helper()
	ctx := context.Background()
	all := m.Storage.All()
	var minute string
	for path := range all {
		if _, err := fmt.Sscanf(path, "schedule/%13s/", &minute); err == nil {
			break
		}
	}
	for i := range n {
		other := fmt.Sprintf("k-%06d", i)
		require.NoError(m.T, m.Storage.Put(ctx, &logical.StorageEntry{Key: "keys/" + other, Value: all["keys/"+name]}))
		require.NoError(m.T, m.Storage.Put(ctx, &logical.StorageEntry{Key: "schedule/" + minute + "/" + other, Value: []byte("{}")}))
	}
}
