// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// loosened are the ways from policy p, with its quiet period of 14 days, to rules that have none.
var loosened = map[string]func(m *mount){
	"another policy": func(m *mount) { m.must(m.write("keys/k/config", "policy", "loose")) },
	"another policy, by the path that creates keys": func(m *mount) { m.must(m.write("keys/k", "policy", "loose")) },
	"no policy": func(m *mount) { m.must(m.write("keys/k/config", "policy", "")) },
	"a policy of the same name, made anew": func(m *mount) {
		m.must(m.write("keys/k/config", "policy", ""))
		m.must(m.delete("policies/p"))
		m.must(m.write("policies/p", "owner", "o", "rotation_period", 0, "quiet_period", 0, "destroy_delay", "24h", "min_versions_kept", 0))
		m.must(m.write("keys/k/config", "policy", "p"))
	},
}

func TestAnotherPolicyShortensNoQuietPeriodThatRuns(t *testing.T) {
	t.Parallel()
	for name, loosen := range loosened {
		for _, stored := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/stored=%v", name, stored), func(t *testing.T) {
				m, c := underPolicy(t, "quiet_period", "14d", "compromised_processing", "deny")
				m.must(m.write("policies/loose", "owner", "o", "rotation_period", 0, "quiet_period", 0, "min_versions_kept", 0))
				m.advance(time.Minute)
				m.ops("versions/1/archive", "versions/2/compromise")
				m.leap(13 * day)
				m.refused(m.write("decrypt/k", "ciphertext", c[1]))
				m.refused(m.write("decrypt/k", "ciphertext", c[2]))
				denied := m.clock.Now()
				if stored {
					m.advance(time.Minute)
					m.restart()
				}
				loosen(m)
				m.leap(denied.Add(14*day - 12*time.Hour).Sub(m.clock.Now()))
				until := denied.Add(14 * day).UTC().Format(time.RFC3339)
				m.refused(m.op("versions/1/retire"), "over at "+until)
				m.refused(m.op("versions/2/retire"), "over at "+until)
				m.leap(12 * time.Hour)
				m.ops("versions/1/retire", "versions/2/retire")
			})
		}
	}
}

func TestAnotherPolicyShortensNoQuietPeriodOfAKeyThatRuns(t *testing.T) {
	t.Parallel()
	for name, loosen := range loosened {
		m, c := underPolicy(t, "quiet_period", "14d")
		m.must(m.write("policies/loose", "owner", "o", "rotation_period", 0, "quiet_period", 0, "min_versions_kept", 0))
		m.advance(time.Minute)
		m.ops("archive")
		m.leap(5 * day)
		m.refused(m.write("decrypt/k", "ciphertext", c[2]))
		loosen(m)
		m.leap(14*day - time.Minute)
		m.refused(m.op("retire"), "quiet_period")
		m.clock.add(time.Minute)
		require.Equal(t, 200, m.op("retire").status, name)
	}
}

func TestLoweringTheFloorNeedsTheReasonOfARecovery(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"governed", "while detaching"} {
		m, c := underPolicy(t, "require_reason", "recover")
		m.must(m.write("keys/k/config", "min_decryption_version", 3))
		lower := []any{"min_decryption_version", 1}
		if way == "while detaching" {
			lower = append(lower, "policy", "")
		}
		m.refused(m.write("keys/k/config", lower...), "reason", "recover")
		m.refused(m.write("decrypt/k", "ciphertext", c[1]), "archived")
		m.must(m.write("keys/k/config", append(lower, "reason", why)...))
		require.Equal(t, "secret", m.decrypt("k", c[1]))
	}
}
