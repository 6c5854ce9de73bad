// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mount_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/ui/mount"
)

// chainOf are the records of a chain as an export has them.
func chainOf(key string, length int) (records []string) {
	prev := strings.Repeat("0", 64)
	for seq := 1; seq <= length; seq++ {
		text := fmt.Sprintf(`{"key":%q,"seq":%d,"prev":%q,"time":"2026-01-01T00:00:%02dZ","kind":"begin","reason":%q}`, key, seq, prev, seq, "<&>é")
		sum := sha256.Sum256([]byte(text))
		prev = hex.EncodeToString(sum[:])
		records = append(records, text)
	}
	return records
}

func exportOf(t *testing.T, records []string, next string) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"data": map[string]any{"records": records, "next_after": next}})
	require.NoError(t, err)
	return string(text)
}

func chains(t *testing.T, first, second []string) mount.Chains {
	t.Helper()
	m, _ := vaultWith(t, map[string]string{
		"GET /v1/team/keylife/custody/export?limit=1000":         exportOf(t, first, "n"),
		"GET /v1/team/keylife/custody/export?after=n&limit=1000": exportOf(t, second, ""),
	})
	part := m.Chains(t.Context(), 5)
	require.Nil(t, part.Missing)
	return part.Value
}

func TestWholeChainsHaveNoProblemAlsoWhereAPageEndsInOne(t *testing.T) {
	a, b := chainOf("a", 4), chainOf("policy:p", 2)
	got := chains(t, a[:3], append(a[3:], b...))
	require.Zero(t, got.Broken)
	require.Equal(t, 6, got.Records)
	require.Equal(t, []string{"a", "policy:p"}, []string{got.Chains[0].Name, got.Chains[1].Name})
	require.Equal(t, []int{4, 2}, []int{got.Chains[0].Records, got.Chains[1].Records})
}

func TestWhatIsWrongWithAChainIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(records []string) []string
		want   []string
	}{
		"altered":            {func(r []string) []string { r[1] = strings.Replace(r[1], "begin", "begun", 1); return r }, []string{"record 3 does not name the hash of the one before"}},
		"missing":            {func(r []string) []string { return append(r[:1:1], r[2:]...) }, []string{"record 3 is behind record 1"}},
		"missing at its end": {func(r []string) []string { return r[:2] }, nil}, // a checkpoint shows that
		"without beginning":  {func(r []string) []string { return r[1:] }, []string{"record 2 is behind record 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := chains(t, c.damage(chainOf("a", 3)), chainOf("b", 1))
			require.Equal(t, c.want, got.Chains[0].Problems)
			require.Empty(t, got.Chains[1].Problems)
			require.Equal(t, len(c.want), got.Broken)
		})
	}
}

func TestARecordThatIsNoJSONIsAProblem(t *testing.T) {
	require.Equal(t, 1, chains(t, []string{"{"}, nil).Broken)
}

func TestAChainThatWentOnBehindABreakSaysSo(t *testing.T) {
	record := fmt.Sprintf(`{"key":"a","seq":1,"prev":%q,"details":{"custody_break":"record 7 is lost"}}`, strings.Repeat("0", 64))
	require.Equal(t, []string{"record 1: record 7 is lost"}, chains(t, []string{record}, nil).Chains[0].Breaks)
}
