// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package usage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

func TestAPlanShowsTheKeysThatHaveReachedACandidatesLimit(t *testing.T) {
	m := metered(t, "max_encryptions", 100, "rotation_period", "30d", "rotation_jitter", 0, "originator_period", 0)
	spentBy(m, 50)
	m.Must(m.Write("keys/other", "policy", "p"))
	now := m.Clock.Now().Format(time.RFC3339)
	for name, c := range map[string]struct {
		candidate []any
		status    string
		event     any
	}{
		"reached":         {[]any{"max_encryptions", 50}, "due", nil},
		"not reached":     {[]any{"max_encryptions", 51}, "scheduled", nil},
		"bytes":           {[]any{"max_encryptions", 0, "max_bytes", 6 * 50}, "due", nil},
		"no limit":        {[]any{"max_encryptions", 0}, "scheduled", nil},
		"by an operator":  {[]any{"max_encryptions", 7, "rotation_mode", "manual"}, "overdue", nil},
		"reached, blocks": {[]any{"max_encryptions", 50, "on_limit", "block"}, "stopped", map[string]any{"act": "lapse", "version": 1, "time": now, "irreversible": false}},
	} {
		plan, keys := mounttest.PlanPolicy(m, c.candidate...)
		require.Equal(t, mounttest.FromTo("scheduled", c.status), keys["k"]["rotation_status"], name)
		require.Equal(t, mounttest.FromTo(nil, c.event), keys["k"]["next_event"], name)
		due := 0
		if c.status != "scheduled" || c.event != nil {
			due = 1
		}
		require.Equal(t, due, plan["summary"].(map[string]any)["due_now"], "%s: the other key has encrypted nothing", name)
	}
	m.Must(m.Write("policies/p", "max_encryptions", 50))
	require.Equal(t, map[int]int{2: 1}, spentBy(m, 1), "as the plan said")
}

func TestAPlanCountsWhatIsLeftOfALeaseAsUsedOnlyWhereItIsDropped(t *testing.T) {
	m := metered(t, "max_encryptions", 2560)
	spentBy(m, 12) // leases of 1, 1, 1, 1, 2, 5 and 10
	_, keys := mounttest.PlanPolicy(m, "description", "the same limits")
	require.Equal(t, mounttest.FromTo("scheduled", "scheduled"), keys["k"]["rotation_status"])
	_, keys = mounttest.PlanPolicy(m, "max_encryptions", 21)
	require.Equal(t, mounttest.FromTo("scheduled", "due"), keys["k"]["rotation_status"])
	spentBy(m, 2540) // of the last lease eight are left
	_, keys = mounttest.PlanPolicy(m, "description", "the same limits")
	require.Equal(t, mounttest.FromTo("scheduled", "scheduled"), keys["k"]["rotation_status"])
	spentBy(m, 8)
	_, keys = mounttest.PlanPolicy(m, "description", "the same limits")
	require.Equal(t, mounttest.FromTo("due", "due"), keys["k"]["rotation_status"])
	require.Equal(t, map[int]int{2: 1}, spentBy(m, 1))
}

func TestDriftNamesAReachedLimitThatAnOperatorHasToRotateFor(t *testing.T) {
	m := metered(t, "max_encryptions", 10, "rotation_mode", "manual")
	spentBy(m, 9)
	require.Empty(t, m.Must(m.Read("policies/p/drift")).Data["keys"])
	spentBy(m, 1)
	found := m.Must(m.Read("policies/p/drift")).Data["keys"].([]map[string]any)
	require.Len(t, found, 1)
	require.Equal(t, []map[string]any{{
		"field": "rotation", "value": "overdue", "rule": "due, and rotation_mode manual leaves the rotation to an operator",
	}}, found[0]["findings"])
	m.Must(m.Write("policies/p", "rotation_mode", "auto"))
	require.Empty(t, m.Must(m.Read("policies/p/drift")).Data["keys"], "the next encryption rotates it")
}

// What is leased is one entry of each key, read only where a policy limits what is encrypted.
func TestAReportCostsOneReadMoreOfEachKeyThatIsLimited(t *testing.T) {
	const keys = 3
	cost := func(m *mounttest.Mount, candidate ...any) (plan, drift storagetest.Counts) {
		m.Storage.Reset()
		m.Must(m.Write("policies/p/plan", candidate...))
		plan = m.Storage.Reset()
		m.Must(m.Read("policies/p/drift"))
		return plan, m.Storage.Reset()
	}
	limited, free := mounttest.New(t), mounttest.New(t)
	limited.Must(limited.Write("policies/p", "owner", "o"))
	free.Must(free.Write("policies/p", "owner", "o", "max_encryptions", 0))
	for n := range keys {
		for _, m := range []*mounttest.Mount{limited, free} {
			m.Must(m.Write(fmt.Sprint("keys/k", n), "policy", "p"))
		}
	}
	plan, drift := cost(free)
	require.Equal(t, storagetest.Counts{Lists: 1, Gets: 1 + keys}, plan)
	require.Equal(t, plan, drift)
	plan, drift = cost(limited, "max_encryptions", 0)
	require.Equal(t, storagetest.Counts{Lists: 1, Gets: 1 + 2*keys}, plan)
	require.Equal(t, plan, drift)
	plan, _ = cost(free, "max_bytes", 5)
	require.Equal(t, storagetest.Counts{Lists: 1, Gets: 1 + 2*keys}, plan)
}
