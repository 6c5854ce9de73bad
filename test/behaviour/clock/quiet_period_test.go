// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package clock_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// loosened are the ways from policy p, with its quiet period of 14 days, to rules that have none.
var loosened = map[string]func(m *mounttest.Mount){
	"another policy": func(m *mounttest.Mount) { m.Must(m.Write("keys/k/config", "policy", "loose")) },
	"another policy, by the path that creates keys": func(m *mounttest.Mount) { m.Must(m.Write("keys/k", "policy", "loose")) },
	"no policy": func(m *mounttest.Mount) { m.Must(m.Write("keys/k/config", "policy", "")) },
	"a policy of the same name, made anew": func(m *mounttest.Mount) {
		m.Must(m.Write("keys/k/config", "policy", ""))
		m.Must(m.Delete("policies/p"))
		m.Must(m.Write("policies/p", "owner", "o", "rotation_period", 0, "quiet_period", 0, "destroy_delay", "24h", "min_versions_kept", 0))
		m.Must(m.Write("keys/k/config", "policy", "p"))
	},
}

func TestAnotherPolicyShortensNoQuietPeriodThatRuns(t *testing.T) {
	t.Parallel()
	racetest.Skip(t, "one goroutine works alone")
	for name, loosen := range loosened {
		for _, stored := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/stored=%v", name, stored), func(t *testing.T) {
				m, c := mounttest.UnderPolicy(t, "quiet_period", "14d", "compromised_processing", "deny")
				m.Must(m.Write("policies/loose", "owner", "o", "rotation_period", 0, "quiet_period", 0, "min_versions_kept", 0))
				m.Advance(time.Minute)
				m.K.Ops("versions/1/archive", "versions/2/compromise")
				m.Leap(13 * 24 * time.Hour)
				m.Refused(m.Write("decrypt/k", "ciphertext", c[1]))
				m.Refused(m.Write("decrypt/k", "ciphertext", c[2]))
				denied := m.Clock.Now()
				if stored {
					m.Advance(time.Minute)
					m.Restart()
				}
				loosen(m)
				m.Leap(denied.Add(14*24*time.Hour - 12*time.Hour).Sub(m.Clock.Now()))
				until := denied.Add(14 * 24 * time.Hour).UTC().Format(time.RFC3339)
				m.Refused(m.K.Op("versions/1/retire"), "over at "+until)
				m.Refused(m.K.Op("versions/2/retire"), "over at "+until)
				m.Leap(12 * time.Hour)
				m.K.Ops("versions/1/retire", "versions/2/retire")
			})
		}
	}
}

func TestAnotherPolicyShortensNoQuietPeriodOfAKeyThatRuns(t *testing.T) {
	t.Parallel()
	racetest.Skip(t, "one goroutine works alone")
	for name, loosen := range loosened {
		m, c := mounttest.UnderPolicy(t, "quiet_period", "14d")
		m.Must(m.Write("policies/loose", "owner", "o", "rotation_period", 0, "quiet_period", 0, "min_versions_kept", 0))
		m.Advance(time.Minute)
		m.K.Ops("archive")
		m.Leap(5 * 24 * time.Hour)
		m.Refused(m.Write("decrypt/k", "ciphertext", c[2]))
		loosen(m)
		m.Leap(14*24*time.Hour - time.Minute)
		m.Refused(m.K.Op("retire"), "quiet_period")
		m.Clock.Add(time.Minute)
		require.Equal(t, 200, m.K.Op("retire").Status, name)
	}
}

func TestLoweringTheFloorNeedsTheReasonOfARecovery(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"governed", "while detaching"} {
		m, c := mounttest.UnderPolicy(t, "require_reason", "recover")
		m.Must(m.Write("keys/k/config", "min_decryption_version", 3))
		lower := []any{"min_decryption_version", 1}
		if way == "while detaching" {
			lower = append(lower, "policy", "")
		}
		m.Refused(m.Write("keys/k/config", lower...), "reason", "recover")
		m.Refused(m.Write("decrypt/k", "ciphertext", c[1]), "archived")
		m.Must(m.Write("keys/k/config", append(lower, "reason", mounttest.Reason)...))
		require.Equal(t, "secret", m.Decrypt("k", c[1]))
	}
}
