// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/stretchr/testify/require"
)

func TestAKeyThatIsEnabledAndCannotEncryptIsStopped(t *testing.T) {
	p := newPolicy(t, "365d", "0", policy.Auto)
	for name, k := range map[string]lifecycle.Key{
		"suspended": steps(t, newKey(t, 5), 5, lifecycle.Suspend), "compromised": steps(t, newKey(t, 5), 5, lifecycle.ReportCompromise),
		"lapsed": steps(t, newKey(t, 5), 5, lifecycle.Lapse), "retired": steps(t, newKey(t, 5), 5, lifecycle.ReportCompromise, lifecycle.Retire),
	} {
		for _, governing := range []*policy.Policy{nil, p} {
			out := lifecycle.Plan(k, governing, later.Add(day))
			require.Equal(t, lifecycle.Stopped, out.Status, name)
			require.Contains(t, out.Why, "cannot encrypt")
			require.Equal(t, lifecycle.Stopped, out.Alerts()[0].Status)
			require.Equal(t, later, out.Alerts()[0].Since.Truncate(day/2), name)
			if governing != nil {
				require.Contains(t, lifecycle.Drift(k, governing, later.Add(day)), policy.Finding{Field: "rotation", Value: "stopped", Rule: out.Why})
			}
		}
		require.NotEqual(t, lifecycle.Stopped, lifecycle.Plan(moved(t, k, lifecycle.KeySuspended), p, later).Status, "a suspended key says so itself")
		require.Equal(t, lifecycle.Due, lifecycle.Plan(k, p, later.Add(400*day)).Status, "the next tick rotates it")
	}
}

func TestAKeyIsStoppedJustWhenItRefusesToEncrypt(t *testing.T) {
	r := chance(23)
	seen := 0
	for range racetest.Size(t, 200) {
		k := newKey(t, 1+r.IntN(4))
		for i := range 60 {
			at := later.Add(time.Duration(i) * 7 * time.Hour)
			next, err := anyMove(r, k, at).do(k)
			if err != nil {
				continue
			}
			k = next
			_, err = k.Permissions(ungoverned).ToProtect(0)
			stopped := lifecycle.Plan(k, nil, at).Status == lifecycle.Stopped
			require.Equal(t, err != nil && k.Status.State == lifecycle.Enabled, stopped)
			if stopped {
				seen++
			}
		}
	}
	require.Positive(t, seen)
}
