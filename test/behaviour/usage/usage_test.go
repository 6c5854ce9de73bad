// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package usage_test is about limits of use: what is counted, what a limit does, and what a crash makes of the count.
package usage_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// metered is a mount with a key under a policy with the fields given.
func metered(t *testing.T, kv ...any) *mounttest.Mount {
	t.Helper()
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", append([]any{"owner", "o"}, kv...)...))
	m.Must(m.Write("keys/k", "policy", "p"))
	return m
}

// spentBy encrypts n times, all of which have to succeed, and counts by version.
func spentBy(m *mounttest.Mount, n int) map[int]int {
	m.T.Helper()
	done := map[int]int{}
	for range n {
		done[mounttest.VersionOf(m.Encrypt("k", "secret"))]++
	}
	return done
}

// counted is what a version is said to have encrypted.
func counted(m *mounttest.Mount, version int) int64 {
	m.T.Helper()
	return m.Must(m.Read(fmt.Sprintf("keys/k/versions/%d", version))).Data["encryptions"].(int64)
}

func TestAUsageLimitIsKeptToTheLastEncryption(t *testing.T) {
	m := metered(t, "max_encryptions", 10)
	require.Equal(t, map[int]int{1: 10, 2: 10, 3: 5}, spentBy(m, 25))
	facts := m.Must(m.Read("keys/k/rotation")).Data
	require.Equal(t, "usage", facts["last_rotation_trigger"])
	require.Equal(t, "version 2 reached its usage limit", facts["last_rotation_reason"])
	require.EqualValues(t, 5, facts["encryptions"])
	require.EqualValues(t, 10, facts["max_encryptions"])
	require.EqualValues(t, 10, counted(m, 1))
	last := m.Storage.LastAct()
	require.Equal(t, true, last["actor"].(map[string]any)["system"], "nobody asked for it: %v", last)
	mounttest.RequireCustodyWhole(t, m)
}

func TestBytesAreLimitedToo(t *testing.T) {
	m := metered(t, "max_bytes", 64, "max_encryptions", 0)
	require.Equal(t, map[int]int{1: 10, 2: 10, 3: 1}, spentBy(m, 21), "six bytes each")
	require.EqualValues(t, 60, m.Must(m.Read("keys/k/versions/1")).Data["bytes"])
	got := m.Write("encrypt/k", "plaintext", mounttest.B64(strings.Repeat("x", 100)))
	require.Equal(t, 400, got.Status, "more than any version may")
	require.Contains(t, got.Err, `plaintext: 100 bytes: one version may protect 64, by max_bytes of policy "p"`)
	for size := range 10 {
		require.EqualValues(t, size, plaintextSizeOf(m, size))
	}
}

// TestWhatIsTooLongIsNamedByItsField: a text to encrypt is a plaintext, one to sign or authenticate is an input.
func TestWhatIsTooLongIsNamedByItsField(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "tests", "max_bytes", 64, "max_encryptions", 0))
	m.Must(m.Write("keys/k", "type", "ed25519", "policy", "p"))
	m.Must(m.Write("keys/c", "type", "aes128-cmac", "policy", "p"))
	text := mounttest.B64(strings.Repeat("x", 100))
	const want = `input: 100 bytes: one version may protect 64, by max_bytes of policy "p"`
	for _, path := range []string{"sign/k", "hmac/k", "cmac/c"} {
		got := m.Write(path, "input", text)
		require.Equal(t, 400, got.Status, path)
		require.Contains(t, got.Err, want, path)
	}
}

// plaintextSizeOf encrypts a text of the size with a key of its own and returns what was counted.
func plaintextSizeOf(m *mounttest.Mount, size int) int64 {
	name := fmt.Sprintf("sized-%d", size)
	m.Must(m.Write("policies/wide", "owner", "o"))
	m.Must(m.Write("keys/"+name, "policy", "wide"))
	m.Must(m.Write("encrypt/"+name, "plaintext", mounttest.B64(strings.Repeat("x", size))))
	return m.Must(m.Read("keys/" + name + "/rotation")).Data["bytes"].(int64)
}

func TestABatchGoesOnWithTheSuccessor(t *testing.T) {
	m := metered(t, "max_encryptions", 3)
	items := make([]any, 8)
	for i := range items {
		items[i] = map[string]any{"plaintext": mounttest.B64("x")}
	}
	got := m.Must(m.Write("encrypt/k", "batch_input", items))
	done := map[int]int{}
	for _, row := range mounttest.Rows(t, got) {
		done[row.KeyVersion]++
	}
	require.Equal(t, map[int]int{1: 3, 2: 3, 3: 2}, done)
}

func TestRewrapsAndDataKeysCountAsEncryptions(t *testing.T) {
	m := metered(t)
	sealed := m.Encrypt("k", "x")
	m.Must(m.Write("rewrap/k", "ciphertext", sealed))
	m.Must(m.Write("datakey/plaintext/k"))
	m.Must(m.Write("datakey/wrapped/k"))
	m.Must(m.Write("datakeys/wrapped/k", "count", 5))
	m.Decrypt("k", sealed)
	require.EqualValues(t, 9, counted(m, 1))
}

func TestAPolicyThatBlocksLeavesTheKeyWithoutAnActiveVersion(t *testing.T) {
	m := metered(t, "max_encryptions", 5, "on_limit", "block")
	require.Equal(t, map[int]int{1: 5}, spentBy(m, 5))
	got := m.Write("encrypt/k", "plaintext", mounttest.B64("x"))
	require.Equal(t, 400, got.Status)
	require.Contains(t, got.Err, "it has no active version; rotate it")
	require.Equal(t, "deactivated", m.Must(m.Read("keys/k/versions/1")).Data["state"])
	require.Equal(t, "T4", m.Storage.LastAct()["details"].(map[string]any)["transition"])
	m.Must(m.Write("keys/k/rotate", "reason", "the limit was reached"))
	require.Equal(t, map[int]int{2: 5}, spentBy(m, 5))
}

func TestAnOperatorWhoHasToRotateHasANinthOfTheLimitLeft(t *testing.T) {
	m := metered(t, "max_encryptions", 90, "rotation_mode", "manual")
	require.Equal(t, map[int]int{1: 100}, spentBy(m, 100))
	facts := m.Must(m.Read("keys/k/rotation")).Data
	require.Equal(t, "overdue", facts["status"])
	require.Len(t, m.Status()["overdue_keys"], 1, "%v", m.Status())
	got := m.Write("encrypt/k", "plaintext", mounttest.B64("x"))
	require.Equal(t, 400, got.Status)
	require.Contains(t, got.Err, "key_version 1 of key \"k\" reached its usage limit (max_encryptions 90, max_bytes 0; 0: none) and has no successor yet: rotate the key")
	m.Must(m.Write("keys/k/rotate", "reason", "the limit was reached"))
	require.Equal(t, map[int]int{2: 10}, spentBy(m, 10))
}

func TestAnOlderVersionThatIsNamedHasLimitsOfItsOwn(t *testing.T) {
	m := metered(t, "max_encryptions", 9, "allow_pinned_encrypt", true)
	m.Must(m.Write("keys/k/rotate", "reason", "tests of old versions"))
	for range 10 {
		m.Must(m.Write("encrypt/k", "plaintext", mounttest.B64("x"), "key_version", 1))
	}
	require.Equal(t, 400, m.Write("encrypt/k", "plaintext", mounttest.B64("x"), "key_version", 1).Status)
	require.Equal(t, map[int]int{2: 9}, spentBy(m, 9), "which is no reason to rotate")
}

func TestAStagedVersionTakesOverWhenTheLimitIsReached(t *testing.T) {
	m := metered(t, "max_encryptions", 4, "staging_time", "1d")
	require.Equal(t, map[int]int{1: 4, 2: 2}, spentBy(m, 6), "also where it has to be made first")
	m.Must(m.Write("keys/k/rotate", "stage", true, "reason", "tests of staging"))
	require.Equal(t, map[int]int{2: 2, 3: 1}, spentBy(m, 3))
	require.Equal(t, 3, m.Must(m.Read("keys/k")).Data["latest_version"])
}

func TestARotationThatFailsAtTheLimitFailsNoRequest(t *testing.T) {
	m := metered(t, "max_encryptions", 90)
	spentBy(m, 90)
	m.Must(m.Write("policies/p", "hsm", "required"))
	require.Equal(t, map[int]int{1: 10}, spentBy(m, 10))
	require.Equal(t, "retrying", m.Must(m.Read("keys/k/rotation")).Data["status"])
	require.Equal(t, 400, m.Write("encrypt/k", "plaintext", mounttest.B64("x")).Status)
	m.Must(m.Write("policies/p", "hsm", "optional"))
	m.Advance(2 * time.Minute)
	require.Equal(t, map[int]int{2: 3}, spentBy(m, 3))
}

func TestWhatCannotBeCountedIsNotEncrypted(t *testing.T) {
	m := metered(t)
	m.Encrypt("k", "x")
	m.Restart()
	m.Storage.FailWrites()
	require.Equal(t, 500, m.Write("encrypt/k", "plaintext", mounttest.B64("x")).Status)
	require.Equal(t, 500, m.Write("encrypt/k", "batch_input", []any{map[string]any{"plaintext": mounttest.B64("x")}}).Status)
	m.Storage.Heal()
	m.Encrypt("k", "x")
}

func TestAKeyOfTheSameNameStartsAnew(t *testing.T) {
	m := metered(t, "max_encryptions", 50)
	spentBy(m, 20)
	m.Must(m.Write("keys/k/config", "policy", "", "deletion_allowed", true))
	m.Must(m.Delete("keys/k"))
	m.Must(m.Write("keys/k", "policy", "p"))
	require.EqualValues(t, 0, counted(m, 1))
	require.Equal(t, map[int]int{1: 50, 2: 1}, spentBy(m, 51))
}

// What a request costs: one lease is one write, everything in between is free.
func TestCountingCostsOneWriteALease(t *testing.T) {
	m := metered(t, "max_encryptions", 256*100) // a lease is 100 encryptions, after those of 1, 3, 6, 12, 25 and 50
	spentBy(m, 97)
	m.Storage.Reset()
	const n = 5000
	paid := 0
	for range n {
		m.Encrypt("k", "x")
		if cost := m.Storage.Reset(); cost != (storagetest.Counts{}) {
			require.Equal(t, storagetest.Counts{Gets: 2, Puts: 1}, cost)
			paid++
		}
	}
	require.Equal(t, n/100, paid)
}

func TestTheDefaultLimitIsLeasedInBlocksOf1024To65536(t *testing.T) {
	m := metered(t)
	require.EqualValues(t, 3_865_470_566, m.Must(m.Read("keys/k/rotation")).Data["max_encryptions"])
	m.Encrypt("k", "x")
	m.Storage.Reset()
	for range 1000 {
		m.Encrypt("k", "x")
	}
	require.Zero(t, m.Storage.Reset().Total())
	m.Must(m.Write("keys/c", "policy", "p", "derived", true, "convergent_encryption", true))
	require.EqualValues(t, 0, m.Must(m.Read("keys/c/rotation")).Data["max_encryptions"], "its nonces are not random")
}

func TestCountingAllocatesNothing(t *testing.T) {
	racetest.Skip(t, "the race detector allocates on its own")
	m := metered(t)
	m.Must(m.Write("keys/free"))
	allocations := func(key string) float64 {
		req := &logical.Request{
			ID: "the same", Operation: logical.UpdateOperation, Path: "encrypt/" + key, Data: mounttest.Data("plaintext", mounttest.B64("x")), Storage: m.Storage,
		}
		return testing.AllocsPerRun(1000, func() {
			_, err := m.HandleRequest(t.Context(), req)
			require.NoError(t, err)
		})
	}
	require.InDelta(t, allocations("free"), allocations("k"), 0.1)
}

func TestAKeyWithoutAPolicyIsNotCounted(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	spentBy(m, 10)
	require.EqualValues(t, 0, counted(m, 1))
	require.NotContains(t, m.Storage.All(), "leases/k/1")
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
					m.Restart()
					lost++
				case 1:
					m.Storage.FailWriteAs(1+chance.IntN(12), mounttest.AnyFate(chance))
				case 2:
					m.Clock.Add(time.Minute)
					_ = m.Tick() // the next one goes on
				}
				for range chance.IntN(40) {
					if got := m.Write("encrypt/k", "plaintext", mounttest.B64("x")); got.Status == 200 {
						done[mounttest.VersionOf(got.Data["ciphertext"].(string))]++
					}
				}
				if m.Storage.Fired() {
					m.Storage.Heal()
					lost++
				}
			}
			m.Storage.Heal()
			m.Restart()
			m.Advance(2 * time.Minute)
			for version, n := range done {
				counted := counted(m, version)
				require.GreaterOrEqual(t, counted, n, "version %d", version)
				require.LessOrEqual(t, counted-n, (lost+1)*lease, "version %d", version)
				require.LessOrEqual(t, n, int64(limit+limit/9))
			}
			require.Greater(t, len(done), 2, "the limit was reached several times")
			mounttest.RequireCustodyWhole(t, m)
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
				got := m.Do(logical.UpdateOperation, "encrypt/k", mounttest.Data("plaintext", mounttest.B64("x")))
				mu.Lock()
				if got.Status == 200 {
					done[mounttest.VersionOf(got.Data["ciphertext"].(string))]++
				} else {
					failed = append(failed, got.Err)
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
