// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

func TestAPlanShowsTheKeysThatHaveReachedACandidatesLimit(t *testing.T) {
	m := metered(t, "max_encryptions", 100, "rotation_period", "30d", "rotation_jitter", 0, "originator_period", 0)
	m.spentBy(50)
	m.must(m.write("keys/other", "policy", "p"))
	now := m.clock.Now().Format(time.RFC3339)
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
		"reached, blocks": {[]any{"max_encryptions", 50, "on_limit", "block"}, "stopped", map[string]any{"act": "lapse", "version": 1, "time": now}},
	} {
		plan, keys := m.planned(c.candidate...)
		require.Equal(t, fromTo("scheduled", c.status), keys["k"]["rotation_status"], name)
		require.Equal(t, fromTo(nil, c.event), keys["k"]["next_event"], name)
		due := count(c.status != "scheduled" || c.event != nil)
		require.Equal(t, due, plan["summary"].(map[string]any)["due_now"], "%s: the other key has encrypted nothing", name)
	}
	m.must(m.write("policies/p", "max_encryptions", 50))
	require.Equal(t, map[int]int{2: 1}, m.spentBy(1), "as the plan said")
}

func TestAPlanCountsWhatIsLeftOfALeaseAsUsedOnlyWhereItIsDropped(t *testing.T) {
	m := metered(t, "max_encryptions", 2560)
	m.spentBy(12) // leases of 1, 1, 1, 1, 2, 5 and 10
	_, keys := m.planned("description", "the same limits")
	require.Equal(t, fromTo("scheduled", "scheduled"), keys["k"]["rotation_status"])
	_, keys = m.planned("max_encryptions", 21)
	require.Equal(t, fromTo("scheduled", "due"), keys["k"]["rotation_status"])
	m.spentBy(2540) // of the last lease eight are left
	_, keys = m.planned("description", "the same limits")
	require.Equal(t, fromTo("scheduled", "scheduled"), keys["k"]["rotation_status"])
	m.spentBy(8)
	_, keys = m.planned("description", "the same limits")
	require.Equal(t, fromTo("due", "due"), keys["k"]["rotation_status"])
	require.Equal(t, map[int]int{2: 1}, m.spentBy(1))
}

func TestDriftNamesAReachedLimitThatAnOperatorHasToRotateFor(t *testing.T) {
	m := metered(t, "max_encryptions", 10, "rotation_mode", "manual")
	m.spentBy(9)
	require.Empty(t, m.must(m.read("policies/p/drift")).data["keys"])
	m.spentBy(1)
	found := m.must(m.read("policies/p/drift")).data["keys"].([]map[string]any)
	require.Len(t, found, 1)
	require.Equal(t, []map[string]any{{
		"field": "rotation", "value": "overdue", "rule": "due, and rotation_mode manual leaves the rotation to an operator",
	}}, found[0]["findings"])
	m.must(m.write("policies/p", "rotation_mode", "auto"))
	require.Empty(t, m.must(m.read("policies/p/drift")).data["keys"], "the next encryption rotates it")
}

// What is leased is one entry of each key, read only where a policy limits what is encrypted.
func TestAReportCostsOneReadMoreOfEachKeyThatIsLimited(t *testing.T) {
	const keys = 3
	cost := func(m *mount, candidate ...any) (plan, drift storagetest.Counts) {
		m.storage.Reset()
		m.must(m.write("policies/p/plan", candidate...))
		plan = m.storage.Reset()
		m.must(m.read("policies/p/drift"))
		return plan, m.storage.Reset()
	}
	limited, free := newMount(t), newMount(t)
	limited.must(limited.write("policies/p", "owner", "o"))
	free.must(free.write("policies/p", "owner", "o", "max_encryptions", 0))
	for n := range keys {
		for _, m := range []*mount{limited, free} {
			m.must(m.write(fmt.Sprint("keys/k", n), "policy", "p"))
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
