// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// For an external plugin each storage call and each call of the system view goes back into Vault over gRPC: their
// number is what a request costs.

func TestAKeyInUseEncryptsAndDecryptsWithoutAskingVault(t *testing.T) {
	m := newMount(t)
	for _, key := range []struct{ name, context string }{{"plain", ""}, {"derived", b64("user-1")}} {
		m.must(m.write("keys/"+key.name, "derived", key.context != ""))
		request := func() {
			sealed := m.must(m.write("encrypt/"+key.name, "plaintext", b64("x"), "context", key.context)).data["ciphertext"]
			m.must(m.write("decrypt/"+key.name, "ciphertext", sealed, "context", key.context))
			m.must(m.write("rewrap/"+key.name, "ciphertext", sealed, "context", key.context))
			m.must(m.write("datakey/plaintext/"+key.name, "context", key.context))
		}
		request()
		m.storage.Reset()
		m.system.reset()
		for range 3 {
			request()
		}
		require.Zero(t, m.storage.Reset().Total(), "storage calls with a warm %s key", key.name)
		require.Zero(t, m.system.reset(), "system view calls with a warm %s key", key.name)
	}
}

func TestAColdKeyCostsItsRecordItsVersionAndOnceTheTwoKEKs(t *testing.T) {
	m := newMount(t)
	sealed := func() string { m.must(m.write("keys/k")); return m.encrypt("k", "x") }()
	m.restart()
	m.storage.Reset()
	m.decrypt("k", sealed)
	require.Equal(t, storagetest.Counts{Gets: 4}, m.storage.Reset())
}

func TestAMountWithoutCacheReadsStorageEveryTime(t *testing.T) {
	m := newMount(t)
	m.system.CachingDisabledVal = true
	m.restart()
	m.must(m.write("keys/k"))
	sealed := m.encrypt("k", "x")
	m.storage.Reset()
	m.decrypt("k", sealed)
	require.Equal(t, storagetest.Counts{Gets: 4}, m.storage.Reset())
	m.decrypt("k", sealed)
	require.Equal(t, storagetest.Counts{Gets: 4}, m.storage.Reset())
}

func TestARotationCostsTheSameAtTenAndAtTenThousandVersions(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	m.must(m.write("keys/k", "policy", "p"))
	rotateTo(m, 10)
	few, fewBytes := rotationCost(m)

	rotateTo(m, 300+racetest.Size(t, racetest.Size(t, 9_700))) // more than a page of creation times under the race detector, too
	m.must(m.read("keys/k"))                                   // the pages of creation times are in memory, as on a running server
	many, manyBytes := rotationCost(m)

	require.Equal(t, few, many)
	require.Equal(t, storagetest.Counts{Gets: 7, Puts: 7, Deletes: 2}, many,
		"record, clock guard, the version read back; custody, version, due index, record, custody; old due index entry; "+
			"then the checks: record, new and old version; due index, record; old due index entry")
	require.Less(t, manyBytes, 8<<10, "the key record at 10,000 versions; at 10 it has %d bytes", fewBytes)
}

func TestARotationWithoutAPolicyCostsNothingForChecks(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k", "auto_rotate_period", "24h"))
	counts, _ := rotationCost(m)
	require.Equal(t, storagetest.Counts{Gets: 2, Puts: 5, Deletes: 1}, counts, "record; custody, version, due index, record, custody; old due index entry")
}

func TestARotationWithoutPostChecksIsOneCommit(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o", "rotation_period", "24h"))
	m.setStored("policies/p", "pre_checks", []string{}, "post_checks", []string{})
	m.must(m.write("keys/k", "policy", "p"))
	counts, _ := rotationCost(m)
	require.Equal(t, storagetest.Counts{Gets: 2, Puts: 5, Deletes: 1}, counts)
}

// rotationCost returns the storage calls of one rotation and the size of the key record after it.
func rotationCost(m *mount) (storagetest.Counts, int) {
	m.clock.add(time.Minute)
	m.storage.Reset()
	m.must(m.write("keys/k/rotate", "reason", "because of a test"))
	counts := m.storage.Reset()
	all, err := m.storage.Dump(context.Background())
	require.NoError(m.t, err)
	return counts, len(all["keys/k"])
}

// rotateTo rotates up to version n. The floor follows, as every answer lists all versions above it.
func rotateTo(m *mount, n int) {
	m.t.Helper()
	for {
		latest := m.must(m.write("keys/k/rotate", "reason", "because of a test")).data["latest_version"].(int)
		if latest%200 == 0 {
			m.must(m.write("keys/k/config", "min_decryption_version", latest))
		}
		if latest >= n {
			m.must(m.write("keys/k/config", "min_decryption_version", 1, "reason", why))
			return
		}
	}
}

func TestATickWithAHundredThousandKeysAndNoneDueIsASmallConstant(t *testing.T) {
	cost := func(keys int) storagetest.Counts {
		m := newMount(t)
		m.must(m.write("policies/p", "owner", "o", "rotation_period", "90d"))
		m.must(m.write("keys/k-000000", "policy", "p"))
		copyKey(m, "k-000000", keys)
		m.restart()
		require.NoError(t, m.tickNow()) // the first one after a start reads the whole index
		m.clock.add(time.Minute)
		m.storage.Reset()
		require.NoError(t, m.tickNow())
		return m.storage.Reset()
	}
	few, many := cost(100), cost(racetest.Size(t, 100_000))
	require.Equal(t, few, many)
	require.Equal(t, storagetest.Counts{Lists: 6, Gets: 65}, many, "intents of three kinds, three minutes; the clock guard; 32 keys checked")
}

// copyKey stores n keys like the one that is there, due at their own minutes.
func copyKey(m *mount, name string, n int) {
	m.t.Helper()
	ctx := context.Background()
	all, err := m.storage.Dump(ctx)
	require.NoError(m.t, err)
	var minute string
	for path := range all {
		if _, err := fmt.Sscanf(path, "schedule/%13s/", &minute); err == nil {
			break
		}
	}
	for i := range n {
		other := fmt.Sprintf("k-%06d", i)
		require.NoError(m.t, m.storage.Put(ctx, &logical.StorageEntry{Key: "keys/" + other, Value: all["keys/"+name]}))
		require.NoError(m.t, m.storage.Put(ctx, &logical.StorageEntry{Key: "schedule/" + minute + "/" + other, Value: []byte("{}")}))
	}
}
