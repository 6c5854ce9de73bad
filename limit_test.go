// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// atOnce sends the same request from so many clients, so often each, and returns the answers.
func (m *mount) atOnce(clients, each int, path string, kv ...any) []answer {
	var mu sync.Mutex
	var wait sync.WaitGroup
	var all []answer
	for range clients {
		wait.Go(func() {
			for range each {
				got := m.do(logical.UpdateOperation, path, dataOf(kv...))
				mu.Lock()
				all = append(all, got)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return all
}

// usedBy counts the ciphertexts of the answers by version; all of them have to be there.
func usedBy(t *testing.T, answers []answer) map[int]int {
	t.Helper()
	used := map[int]int{}
	for _, got := range answers {
		require.Equal(t, 200, got.status, got.err)
		used[versionOf(got.data["ciphertext"].(string))]++
	}
	return used
}

// Every item needs a version of its own here, so every request has to wait for a rotation that others do not use up.
func TestALimitThatRotatesIsInvisibleWhateverComesAtOnce(t *testing.T) {
	for clients := range 5 {
		m := metered(t, "max_bytes", 1000)
		used := usedBy(t, m.atOnce(1<<clients, 24>>clients, "encrypt/k", "plaintext", b64(strings.Repeat("x", 600))))
		for version, n := range used {
			require.Equal(t, 1, n, "version %d", version)
			require.EqualValues(t, 600, m.must(m.read(fmt.Sprintf("keys/k/versions/%d", version))).data["bytes"])
		}
		require.Len(t, used, m.latest("k"), "no version is made in vain")
		requireCustodyWhole(t, m)
	}
}

func TestALimitOfOneEncryptionIsInvisibleToBatchesAtOnce(t *testing.T) {
	m := metered(t, "max_encryptions", 1)
	items := []any{map[string]any{"plaintext": b64("x")}, map[string]any{"plaintext": b64("y")}}
	used := map[int]int{}
	for _, got := range m.atOnce(8, 3, "encrypt/k", "batch_input", items) {
		require.Equal(t, 200, got.status, got.err)
		for _, row := range got.data["batch_results"].([]protectedRow) {
			used[row.KeyVersion]++
		}
	}
	require.Len(t, used, 48)
	require.Equal(t, 48, m.latest("k"))
}

func TestALimitThatBlocksIsReachedByAllAtOnce(t *testing.T) {
	m := metered(t, "max_encryptions", 5, "on_limit", "block")
	statuses := map[int]int{}
	for _, got := range m.atOnce(8, 3, "encrypt/k", "plaintext", b64("x")) {
		statuses[got.status]++
	}
	require.Equal(t, map[int]int{200: 5, 400: 19}, statuses)
	require.Equal(t, []string{"deactivated"}, m.states())
}

// A revision that comes while a request waits may leave its text no room in any version.
func TestALimitThatIsLoweredUnderARequestMakesNoVersionsInVain(t *testing.T) {
	m := metered(t, "max_bytes", 1000)
	text := b64(strings.Repeat("x", 600))
	m.must(m.write("encrypt/k", "plaintext", text))
	m.during("leases/k/1", func() { m.must(m.write("policies/p", "max_bytes", 500)) })
	got := m.write("encrypt/k", "plaintext", text)
	require.Equal(t, 400, got.status)
	require.Contains(t, got.err, `plaintext: 600 bytes: one version may protect 500, by max_bytes of policy "p"`)
	require.LessOrEqual(t, m.latest("k"), 2)
}
