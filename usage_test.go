// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// metered is a mount with a key under a policy with the fields given.
func metered(t *testing.T, kv ...any) *mount {
	t.Helper()
	m := newMount(t)
	m.must(m.write("policies/p", append([]any{"owner", "o"}, kv...)...))
	m.must(m.write("keys/k", "policy", "p"))
	return m
}

// versionOf is the version that protected a ciphertext.
func versionOf(ciphertext string) (version int) {
	_, _ = fmt.Sscanf(ciphertext, "vault:v%d:", &version)
	return version
}

// spentBy encrypts n times, all of which have to succeed, and counts by version.
func (m *mount) spentBy(n int) map[int]int {
	m.t.Helper()
	done := map[int]int{}
	for range n {
		done[versionOf(m.encrypt("k", "secret"))]++
	}
	return done
}

// counted is what a version is said to have encrypted.
func (m *mount) counted(version int) int64 {
	m.t.Helper()
	return m.must(m.read(fmt.Sprintf("keys/k/versions/%d", version))).data["encryptions"].(int64)
}

func TestAUsageLimitIsKeptToTheLastEncryption(t *testing.T) {
	m := metered(t, "max_encryptions", 10)
	require.Equal(t, map[int]int{1: 10, 2: 10, 3: 5}, m.spentBy(25))
	facts := m.must(m.read("keys/k/rotation")).data
	require.Equal(t, "usage", facts["last_rotation_trigger"])
	require.Equal(t, "version 2 reached its usage limit", facts["last_rotation_reason"])
	require.EqualValues(t, 5, facts["encryptions"])
	require.EqualValues(t, 10, facts["max_encryptions"])
	require.EqualValues(t, 10, m.counted(1))
	last := lastAct(m)
	require.Equal(t, true, last["actor"].(map[string]any)["system"], "nobody asked for it: %v", last)
	requireCustodyWhole(t, m)
}

func TestBytesAreLimitedToo(t *testing.T) {
	m := metered(t, "max_bytes", 64, "max_encryptions", 0)
	require.Equal(t, map[int]int{1: 10, 2: 10, 3: 1}, m.spentBy(21), "six bytes each")
	require.EqualValues(t, 60, m.must(m.read("keys/k/versions/1")).data["bytes"])
	got := m.write("encrypt/k", "plaintext", b64(strings.Repeat("x", 100)))
	require.Equal(t, 400, got.status, "more than any version may")
	require.Contains(t, got.err, `plaintext: 100 bytes: one version may protect 64, by max_bytes of policy "p"`)
	for size := range 10 {
		require.EqualValues(t, size, plaintextSizeOf(m, size))
	}
}

// plaintextSizeOf encrypts a text of the size with a key of its own and returns what was counted.
func plaintextSizeOf(m *mount, size int) int64 {
	name := fmt.Sprintf("sized-%d", size)
	m.must(m.write("policies/wide", "owner", "o"))
	m.must(m.write("keys/"+name, "policy", "wide"))
	m.must(m.write("encrypt/"+name, "plaintext", b64(strings.Repeat("x", size))))
	return m.must(m.read("keys/" + name + "/rotation")).data["bytes"].(int64)
}

func TestABatchGoesOnWithTheSuccessor(t *testing.T) {
	m := metered(t, "max_encryptions", 3)
	items := make([]any, 8)
	for i := range items {
		items[i] = map[string]any{"plaintext": b64("x")}
	}
	got := m.must(m.write("encrypt/k", "batch_input", items))
	done := map[int]int{}
	for _, row := range got.data["batch_results"].([]protectedRow) {
		done[row.KeyVersion]++
	}
	require.Equal(t, map[int]int{1: 3, 2: 3, 3: 2}, done)
}

func TestRewrapsAndDataKeysCountAsEncryptions(t *testing.T) {
	m := metered(t)
	sealed := m.encrypt("k", "x")
	m.must(m.write("rewrap/k", "ciphertext", sealed))
	m.must(m.write("datakey/plaintext/k"))
	m.must(m.write("datakey/wrapped/k"))
	m.decrypt("k", sealed)
	require.EqualValues(t, 4, m.counted(1))
}

func TestAPolicyThatBlocksLeavesTheKeyWithoutAnActiveVersion(t *testing.T) {
	m := metered(t, "max_encryptions", 5, "on_limit", "block")
	require.Equal(t, map[int]int{1: 5}, m.spentBy(5))
	got := m.write("encrypt/k", "plaintext", b64("x"))
	require.Equal(t, 400, got.status)
	require.Contains(t, got.err, "it has no active version; rotate it")
	require.Equal(t, "deactivated", m.must(m.read("keys/k/versions/1")).data["state"])
	require.Equal(t, "T4", lastAct(m)["details"].(map[string]any)["transition"])
	m.must(m.write("keys/k/rotate", "reason", "the limit was reached"))
	require.Equal(t, map[int]int{2: 5}, m.spentBy(5))
}

func TestAnOperatorWhoHasToRotateHasANinthOfTheLimitLeft(t *testing.T) {
	m := metered(t, "max_encryptions", 90, "rotation_mode", "manual")
	require.Equal(t, map[int]int{1: 100}, m.spentBy(100))
	facts := m.must(m.read("keys/k/rotation")).data
	require.Equal(t, "overdue", facts["status"])
	require.Len(t, m.status()["overdue_keys"], 1, "%v", m.status())
	got := m.write("encrypt/k", "plaintext", b64("x"))
	require.Equal(t, 400, got.status)
	require.Contains(t, got.err, "key_version 1 of key \"k\" reached its usage limit (max_encryptions 90, max_bytes 0; 0: none) and has no successor yet: rotate the key")
	m.must(m.write("keys/k/rotate", "reason", "the limit was reached"))
	require.Equal(t, map[int]int{2: 10}, m.spentBy(10))
}

func TestAnOlderVersionThatIsNamedHasLimitsOfItsOwn(t *testing.T) {
	m := metered(t, "max_encryptions", 9, "allow_pinned_encrypt", true)
	m.must(m.write("keys/k/rotate", "reason", "tests of old versions"))
	for range 10 {
		m.must(m.write("encrypt/k", "plaintext", b64("x"), "key_version", 1))
	}
	require.Equal(t, 400, m.write("encrypt/k", "plaintext", b64("x"), "key_version", 1).status)
	require.Equal(t, map[int]int{2: 9}, m.spentBy(9), "which is no reason to rotate")
}

func TestAStagedVersionTakesOverWhenTheLimitIsReached(t *testing.T) {
	m := metered(t, "max_encryptions", 4, "staging_time", "1d")
	require.Equal(t, map[int]int{1: 4, 2: 2}, m.spentBy(6), "also where it has to be made first")
	m.must(m.write("keys/k/rotate", "stage", true, "reason", "tests of staging"))
	require.Equal(t, map[int]int{2: 2, 3: 1}, m.spentBy(3))
	require.Equal(t, 3, m.must(m.read("keys/k")).data["latest_version"])
}

func TestARotationThatFailsAtTheLimitFailsNoRequest(t *testing.T) {
	m := metered(t, "max_encryptions", 90)
	m.spentBy(90)
	m.must(m.write("policies/p", "hsm", "required"))
	require.Equal(t, map[int]int{1: 10}, m.spentBy(10))
	require.Equal(t, "retrying", m.must(m.read("keys/k/rotation")).data["status"])
	require.Equal(t, 400, m.write("encrypt/k", "plaintext", b64("x")).status)
	m.must(m.write("policies/p", "hsm", "optional"))
	m.advance(2 * time.Minute)
	require.Equal(t, map[int]int{2: 3}, m.spentBy(3))
}

func TestWhatCannotBeCountedIsNotEncrypted(t *testing.T) {
	m := metered(t)
	m.encrypt("k", "x")
	m.restart()
	m.storage.FailWrites()
	require.Equal(t, 500, m.write("encrypt/k", "plaintext", b64("x")).status)
	require.Equal(t, 500, m.write("encrypt/k", "batch_input", []any{map[string]any{"plaintext": b64("x")}}).status)
	m.storage.Heal()
	m.encrypt("k", "x")
}

func TestAKeyOfTheSameNameStartsAnew(t *testing.T) {
	m := metered(t, "max_encryptions", 50)
	m.spentBy(20)
	m.must(m.write("keys/k/config", "policy", "", "deletion_allowed", true))
	m.must(m.delete("keys/k"))
	m.must(m.write("keys/k", "policy", "p"))
	require.EqualValues(t, 0, m.counted(1))
	require.Equal(t, map[int]int{1: 50, 2: 1}, m.spentBy(51))
}

// What a request costs: one lease is one write, everything in between is free.
func TestCountingCostsOneWriteALease(t *testing.T) {
	m := metered(t, "max_encryptions", 256*100) // a lease is 100 encryptions, after those of 1, 3, 6, 12, 25 and 50
	m.spentBy(97)
	m.storage.Reset()
	const n = 5000
	paid := 0
	for range n {
		m.encrypt("k", "x")
		if cost := m.storage.Reset(); cost != (storagetest.Counts{}) {
			require.Equal(t, storagetest.Counts{Gets: 2, Puts: 1}, cost)
			paid++
		}
	}
	require.Equal(t, n/100, paid)
}

func TestTheDefaultLimitIsLeasedInBlocksOf1024To65536(t *testing.T) {
	m := metered(t)
	require.EqualValues(t, 3_865_470_566, m.must(m.read("keys/k/rotation")).data["max_encryptions"])
	m.encrypt("k", "x")
	m.storage.Reset()
	for range 1000 {
		m.encrypt("k", "x")
	}
	require.Zero(t, m.storage.Reset().Total())
	m.must(m.write("keys/c", "policy", "p", "derived", true, "convergent_encryption", true))
	require.EqualValues(t, 0, m.must(m.read("keys/c/rotation")).data["max_encryptions"], "its nonces are not random")
}

func TestCountingAllocatesNothing(t *testing.T) {
	racetest.Skip(t, "the race detector allocates on its own")
	m := metered(t)
	m.must(m.write("keys/free"))
	allocations := func(key string) float64 {
		items := []engine.Item{{Text: b64("x")}}
		return testing.AllocsPerRun(1000, func() {
			_, err := m.engine.Encrypt(t.Context(), m.repoOf(), key, items)
			require.NoError(t, err)
		})
	}
	require.InDelta(t, allocations("free"), allocations("k"), 0.1)
}

func TestAKeyWithoutAPolicyIsNotCounted(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	m.spentBy(10)
	require.EqualValues(t, 0, m.counted(1))
	all, err := m.storage.Dump(t.Context())
	require.NoError(t, err)
	require.NotContains(t, all, "leases/k/1")
}

// However the process dies, and whatever becomes of its writes, storage never knows of fewer encryptions than there
// were, nor of more than the leases that were lost add.
func TestCrashesCountTooManyEncryptionsNeverTooFew(t *testing.T) {
	const limit, lease = 2560, 10
	for seed := range uint64(1 + racetest.Size(t, 19)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			chance := rand.New(rand.NewPCG(seed, 7))
			m := metered(t, "max_encryptions", limit)
			done, lost := map[int]int64{}, int64(0)
			for range 600 {
				switch chance.IntN(40) {
				case 0:
					m.restart()
					lost++
				case 1:
					m.storage.FailWriteAs(1+chance.IntN(12), anyFate(chance))
				case 2:
					m.clock.add(time.Minute)
					_ = m.tickNow() // the next one goes on
				}
				for range chance.IntN(40) {
					if got := m.write("encrypt/k", "plaintext", b64("x")); got.status == 200 {
						done[versionOf(got.data["ciphertext"].(string))]++
					}
				}
				if m.storage.Fired() {
					m.storage.Heal()
					lost++
				}
			}
			m.storage.Heal()
			m.restart()
			m.advance(2 * time.Minute)
			for version, n := range done {
				counted := m.counted(version)
				require.GreaterOrEqual(t, counted, n, "version %d", version)
				require.LessOrEqual(t, counted-n, (lost+1)*lease, "version %d", version)
				require.LessOrEqual(t, n, int64(limit+limit/9))
			}
			require.Greater(t, len(done), 2, "the limit was reached several times")
			requireCustodyWhole(t, m)
		})
	}
}

func TestManyClientsShareALimit(t *testing.T) {
	const limit, clients, each = 180, 8, 200
	m := metered(t, "max_encryptions", limit)
	var mu sync.Mutex
	var wait sync.WaitGroup
	done, failed := map[int]int{}, []string{}
	for range clients {
		wait.Go(func() {
			for range each {
				got := m.do(logical.UpdateOperation, "encrypt/k", dataOf("plaintext", b64("x")))
				mu.Lock()
				if got.status == 200 {
					done[versionOf(got.data["ciphertext"].(string))]++
				} else {
					failed = append(failed, got.err)
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	require.Empty(t, failed)
	total := 0
	for version, n := range done {
		require.LessOrEqual(t, n, limit+limit/9, "version %d", version)
		total += n
	}
	require.Equal(t, clients*each, total)
	require.GreaterOrEqual(t, len(done), clients*each/(limit+limit/9))
	require.LessOrEqual(t, len(done), clients*each/limit+1)
}
