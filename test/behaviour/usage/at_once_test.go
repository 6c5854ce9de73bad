// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package usage_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// usedBy counts the ciphertexts of the answers by version; all of them have to be there.
func usedBy(t *testing.T, answers []mounttest.Answer) map[int]int {
	t.Helper()
	used := map[int]int{}
	for _, got := range answers {
		require.Equal(t, 200, got.Status, got.Err)
		used[mounttest.VersionOf(got.Data["ciphertext"].(string))]++
	}
	return used
}

// Every item needs a version of its own here, so every request has to wait for a rotation that others do not use up.
func TestALimitThatRotatesIsInvisibleWhateverComesAtOnce(t *testing.T) {
	for clients := range 5 {
		m := metered(t, "max_bytes", 1000)
		used := usedBy(t, mounttest.AtOnce(m, 1<<clients, 24>>clients, "encrypt/k", "plaintext", mounttest.B64(strings.Repeat("x", 600))))
		for version, n := range used {
			require.Equal(t, 1, n, "version %d", version)
			require.EqualValues(t, 600, m.Must(m.Read(fmt.Sprintf("keys/k/versions/%d", version))).Data["bytes"])
		}
		require.Len(t, used, m.Latest("k"), "no version is made in vain")
		mounttest.RequireCustodyWhole(t, m)
	}
}

func TestALimitOfOneEncryptionIsInvisibleToBatchesAtOnce(t *testing.T) {
	m := metered(t, "max_encryptions", 1)
	items := []any{map[string]any{"plaintext": mounttest.B64("x")}, map[string]any{"plaintext": mounttest.B64("y")}}
	used := map[int]int{}
	for _, got := range mounttest.AtOnce(m, 8, 3, "encrypt/k", "batch_input", items) {
		require.Equal(t, 200, got.Status, got.Err)
		for _, row := range mounttest.Rows(t, got) {
			used[row.KeyVersion]++
		}
	}
	require.Len(t, used, 48)
	require.Equal(t, 48, m.Latest("k"))
}

func TestALimitThatBlocksIsReachedByAllAtOnce(t *testing.T) {
	m := metered(t, "max_encryptions", 5, "on_limit", "block")
	statuses := map[int]int{}
	for _, got := range mounttest.AtOnce(m, 8, 3, "encrypt/k", "plaintext", mounttest.B64("x")) {
		statuses[got.Status]++
	}
	require.Equal(t, map[int]int{200: 5, 400: 19}, statuses)
	require.Equal(t, []string{"deactivated"}, m.K.States())
}

// A revision that comes while a request waits may leave its text no room in any version.
func TestALimitThatIsLoweredUnderARequestMakesNoVersionsInVain(t *testing.T) {
	m := metered(t, "max_bytes", 1000)
	text := mounttest.B64(strings.Repeat("x", 600))
	m.Must(m.Write("encrypt/k", "plaintext", text))
	m.Storage.During("leases/k/1", func() { m.Must(m.Write("policies/p", "max_bytes", 500)) })
	got := m.Write("encrypt/k", "plaintext", text)
	require.Equal(t, 400, got.Status)
	require.Contains(t, got.Err, `plaintext: 600 bytes: one version may protect 500, by max_bytes of policy "p"`)
	require.LessOrEqual(t, m.Latest("k"), 2)
}
