// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package rotation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// stops are the ways by which an enabled key comes to encrypt no more.
var stops = map[string]func(m *mounttest.Mount){
	"at a usage limit": func(m *mounttest.Mount) {
		m.Must(m.Write("policies/p", "max_encryptions", 1, "on_limit", "block"))
		m.Encrypt("k", "x")
		m.Refused(m.Write("encrypt/k", "plaintext", mounttest.B64("x")))
	},
	"lapsed": func(m *mounttest.Mount) {
		m.Must(m.Write("policies/p", "rotation_period", 0, "originator_period", "2h", "rotation_mode", "manual", "rollback_window", 0))
		m.Clock.Add(2 * time.Hour)
		require.NoError(m.T, m.Tick())
	},
	"the active version is suspended": func(m *mounttest.Mount) { m.K.Ops("versions/3/suspend") },
	"a compromise that is not replaced": func(m *mounttest.Mount) {
		m.Must(m.Write("policies/p", "allowed_types", "aes128-gcm96"))
		m.K.Ops("versions/3/compromise")
	},
}

func TestAKeyThatIsEnabledAndCannotEncryptSaysSoWhereverItsStatusIsShown(t *testing.T) {
	for name, stop := range stops {
		m, _ := mounttest.UnderPolicy(t, "rotation_period", "90d")
		stop(m)
		for _, when := range []string{"at once", "after the next ticks", "after a restart"} {
			m.Refused(m.Write("encrypt/k", "plaintext", mounttest.B64("x")))
			require.Equal(t, "stopped", m.Must(m.Read("keys/k")).Data["rotation_status"], "%s, %s", name, when)
			require.Equal(t, "stopped", m.Rotation("k")["status"], name)
			require.Contains(t, m.Rotation("k")["why"], "cannot encrypt", name)
			s := m.Status()
			require.Equal(t, 1, s["stopped"], "%s, %s", name, when)
			require.Equal(t, "k", s["stopped_keys"].([]any)[0].(map[string]any)["name"])
			require.Contains(t, fmt.Sprint(m.Must(m.Read("policies/p/drift")).Data), "stopped", name)
			if when == "at once" {
				m.Advance(2 * time.Minute)
			} else {
				m.Restart()
			}
		}
		m.Must(m.Write("policies/p", "allowed_types", "aes256-gcm96", "max_encryptions", 0, "originator_period", 0))
		if name == "the active version is suspended" {
			m.K.Ops("versions/3/resume")
		} else {
			m.K.Ops("rotate")
		}
		m.Encrypt("k", "x")
		require.Equal(t, 0, m.Status()["stopped"], name)
		require.NotContains(t, fmt.Sprint(m.Must(m.Read("policies/p/drift")).Data), "stopped")
	}
}

func TestAKeyThatStoppedUnderAnEarlierReleaseIsListedByTheSweep(t *testing.T) {
	m, _ := mounttest.UnderPolicy(t, "rotation_period", "90d")
	m.K.Ops("versions/3/suspend")
	m.SetStored("keys/k", "alert_status", "")
	for path := range m.Storage.All() {
		if len(path) > 7 && path[:7] == "alerts/" {
			m.Storage.CutJournal(path)
		}
	}
	m.Restart()
	m.Advance(2 * time.Minute)
	require.Equal(t, 1, m.Status()["stopped"])
}

func TestALapseThatStopsAKeyIsLogged(t *testing.T) {
	m, _ := mounttest.UnderPolicy(t)
	stops["lapsed"](m)
	m.Advance(3 * time.Minute)
	require.Equal(t, 1, strings.Count(m.Log.String(), "key has stopped"))
}

func TestASuspendedKeyShowsItsOwnStateAndIsNoAlert(t *testing.T) {
	m, _ := mounttest.UnderPolicy(t, "rotation_period", "90d")
	m.K.Ops("versions/3/suspend", "suspend")
	require.Equal(t, "none", m.Must(m.Read("keys/k")).Data["rotation_status"])
	require.Equal(t, 0, m.Status()["stopped"])
}
