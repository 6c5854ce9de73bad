// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stops are the ways by which an enabled key comes to encrypt no more.
var stops = map[string]func(m *mount){
	"at a usage limit": func(m *mount) {
		m.must(m.write("policies/p", "max_encryptions", 1, "on_limit", "block"))
		m.encrypt("k", "x")
		m.refused(m.write("encrypt/k", "plaintext", b64("x")))
	},
	"lapsed": func(m *mount) {
		m.must(m.write("policies/p", "rotation_period", 0, "originator_period", "2h", "rotation_mode", "manual", "rollback_window", 0))
		m.clock.add(2 * time.Hour)
		require.NoError(m.t, m.tickNow())
	},
	"the active version is suspended": func(m *mount) { m.ops("versions/3/suspend") },
	"a compromise that is not replaced": func(m *mount) {
		m.must(m.write("policies/p", "allowed_types", "aes128-gcm96"))
		m.ops("versions/3/compromise")
	},
}

func TestAKeyThatIsEnabledAndCannotEncryptSaysSoWhereverItsStatusIsShown(t *testing.T) {
	for name, stop := range stops {
		m, _ := underPolicy(t, "rotation_period", "90d")
		stop(m)
		for _, when := range []string{"at once", "after the next ticks", "after a restart"} {
			m.refused(m.write("encrypt/k", "plaintext", b64("x")))
			require.Equal(t, "stopped", m.must(m.read("keys/k")).data["rotation_status"], "%s, %s", name, when)
			require.Equal(t, "stopped", m.rotation("k")["status"], name)
			require.Contains(t, m.rotation("k")["why"], "cannot encrypt", name)
			s := m.status()
			require.Equal(t, 1, s["stopped"], "%s, %s", name, when)
			require.Equal(t, "k", s["stopped_keys"].([]any)[0].(map[string]any)["name"])
			require.Contains(t, fmt.Sprint(m.must(m.read("policies/p/drift")).data), "stopped", name)
			if when == "at once" {
				m.advance(2 * time.Minute)
			} else {
				m.restart()
			}
		}
		m.must(m.write("policies/p", "allowed_types", "aes256-gcm96", "max_encryptions", 0, "originator_period", 0))
		if name == "the active version is suspended" {
			m.ops("versions/3/resume")
		} else {
			m.ops("rotate")
		}
		m.encrypt("k", "x")
		require.Equal(t, 0, m.status()["stopped"], name)
		require.NotContains(t, fmt.Sprint(m.must(m.read("policies/p/drift")).data), "stopped")
	}
}

func TestAKeyThatStoppedUnderAnEarlierReleaseIsListedByTheSweep(t *testing.T) {
	m, _ := underPolicy(t, "rotation_period", "90d")
	m.ops("versions/3/suspend")
	m.setStored("keys/k", "alert_status", "")
	for path := range m.dump() {
		if len(path) > 7 && path[:7] == "alerts/" {
			cut(m, path)
		}
	}
	m.restart()
	m.advance(2 * time.Minute)
	require.Equal(t, 1, m.status()["stopped"])
}

func TestALapseThatStopsAKeyIsLogged(t *testing.T) {
	m, _ := underPolicy(t)
	stops["lapsed"](m)
	m.advance(3 * time.Minute)
	require.Equal(t, 1, strings.Count(m.log.String(), "key has stopped"))
}

func TestASuspendedKeyShowsItsOwnStateAndIsNoAlert(t *testing.T) {
	m, _ := underPolicy(t, "rotation_period", "90d")
	m.ops("versions/3/suspend", "suspend")
	require.Equal(t, "none", m.must(m.read("keys/k")).data["rotation_status"])
	require.Equal(t, 0, m.status()["stopped"])
}
