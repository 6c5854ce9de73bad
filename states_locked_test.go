// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// This file is about reports of compromise of versions that were out of use before.

// outOfUse leads from keyOf3 to version 2 out of use, and reported.
var outOfUse = map[string][]string{
	"suspended": {"versions/2/suspend", "versions/2/compromise"},
	"archived":  {"versions/2/archive", "versions/2/compromise"},
	"retired":   {"versions/2/archive", "versions/2/retire", "versions/2/compromise"},
}

func TestAReportOpensNothingThatWasOutOfUse(t *testing.T) {
	for was, way := range outOfUse {
		m, c := keyOf3(t)
		m.ops(way...)
		require.Equal(t, "compromised", m.state(2), was)
		for _, use := range []string{"decrypt/k", "rewrap/k"} {
			m.refused(m.write(use, "ciphertext", c[2]), "version 2 is compromised")
		}
		require.Equal(t, true, m.must(m.read("keys/k/versions/2")).data["locked"])
		require.Equal(t, false, reportOf(m)["rewraps"])
		if was != "suspended" {
			require.NotNil(t, m.sealed("archive/k/2"), "its material stays where it was")
		}

		m.ops("versions/2/recover")
		require.Equal(t, "compromised", m.state(2), "for ever")
		require.Equal(t, "secret", m.decrypt("k", m.must(m.write("rewrap/k", "ciphertext", c[2])).data["ciphertext"].(string)))
		require.Equal(t, "secret", m.decrypt("k", c[2]), "as where no policy denies it")
		require.Equal(t, false, m.must(m.read("keys/k/versions/2")).data["locked"])
		require.Equal(t, true, reportOf(m)["rewraps"])
		m.refused(m.op("versions/2/recover"), "version 2 is compromised and not locked")
	}
}

// reportOf is the only line of the compromise report.
func reportOf(m *mount) map[string]any {
	m.t.Helper()
	return m.must(m.read("keys/k/compromise-report")).data["versions"].([]map[string]any)[0]
}

func TestWhatAReportLockedStaysSoWhenItIsRetiredAndRestored(t *testing.T) {
	m, c := keyOf3(t)
	m.ops("versions/2/archive", "versions/2/compromise", "versions/2/retire", "versions/2/restore")
	m.refused(m.write("rewrap/k", "ciphertext", c[2]), "version 2 is compromised")
	m.refused(m.op("versions/2/recover", "time_limit", "1h"), "time_limit", "version 2")
	m.ops("versions/2/recover")
	m.must(m.write("rewrap/k", "ciphertext", c[2]))
}

func TestAReportUnderAnArchivedKeyIsOpenedByWhoRecoversTheKey(t *testing.T) {
	m, c := keyOf3(t)
	m.ops("versions/1/archive", "archive", "versions/1/compromise", "versions/2/compromise")
	m.refused(m.write("rewrap/k", "ciphertext", c[2]), "archived")
	m.ops("recover")
	m.must(m.write("rewrap/k", "ciphertext", c[2]))
	m.refused(m.write("rewrap/k", "ciphertext", c[1]), "version 1 is compromised")
}

func TestRecoverOfAKeyThatIsEnabledNamesEachStateOnce(t *testing.T) {
	m, _ := keyOf3(t)
	require.Equal(t, `key "k" is enabled: recover needs archived; possible now: suspend, archive`, m.op("recover").err)
	m.ops("archive")
	require.Equal(t, `key "k" is archived: suspend needs enabled; possible now: recover, retire`, m.op("suspend").err)
}
