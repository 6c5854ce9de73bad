// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package states_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// This file is about reports of compromise of versions that were out of use before.

// outOfUse leads from KeyOf3 to version 2 out of use, and reported.
var outOfUse = map[string][]string{
	"suspended": {"versions/2/suspend", "versions/2/compromise"},
	"archived":  {"versions/2/archive", "versions/2/compromise"},
	"retired":   {"versions/2/archive", "versions/2/retire", "versions/2/compromise"},
}

func TestAReportOpensNothingThatWasOutOfUse(t *testing.T) {
	for was, way := range outOfUse {
		m, c := mounttest.KeyOf3(t)
		m.K.Ops(way...)
		require.Equal(t, "compromised", m.K.State(2), was)
		for _, use := range []string{"decrypt/k", "rewrap/k"} {
			m.Refused(m.Write(use, "ciphertext", c[2]), "version 2 is compromised")
		}
		require.Equal(t, true, m.Must(m.Read("keys/k/versions/2")).Data["locked"])
		require.Equal(t, false, reportOf(m)["rewraps"])
		if was != "suspended" {
			require.NotNil(t, m.Storage.Sealed("archive/k/2"), "its material stays where it was")
		}

		m.K.Ops("versions/2/recover")
		require.Equal(t, "compromised", m.K.State(2), "for ever")
		require.Equal(t, "secret", m.Decrypt("k", m.Must(m.Write("rewrap/k", "ciphertext", c[2])).Data["ciphertext"].(string)))
		require.Equal(t, "secret", m.Decrypt("k", c[2]), "as where no policy denies it")
		require.Equal(t, false, m.Must(m.Read("keys/k/versions/2")).Data["locked"])
		require.Equal(t, true, reportOf(m)["rewraps"])
		m.Refused(m.K.Op("versions/2/recover"), "version 2 is compromised and not locked")
	}
}

// reportOf is the only line of the compromise report.
func reportOf(m *mounttest.Mount) map[string]any {
	m.T.Helper()
	return m.Must(m.Read("keys/k/compromise-report")).Data["versions"].([]map[string]any)[0]
}

func TestWhatAReportLockedStaysSoWhenItIsRetiredAndRestored(t *testing.T) {
	m, c := mounttest.KeyOf3(t)
	m.K.Ops("versions/2/archive", "versions/2/compromise", "versions/2/retire", "versions/2/restore")
	m.Refused(m.Write("rewrap/k", "ciphertext", c[2]), "version 2 is compromised")
	m.Refused(m.K.Op("versions/2/recover", "time_limit", "1h"), "time_limit", "version 2")
	m.K.Ops("versions/2/recover")
	m.Must(m.Write("rewrap/k", "ciphertext", c[2]))
}

func TestAReportUnderAnArchivedKeyIsOpenedByWhoRecoversTheKey(t *testing.T) {
	m, c := mounttest.KeyOf3(t)
	m.K.Ops("versions/1/archive", "archive", "versions/1/compromise", "versions/2/compromise")
	m.Refused(m.Write("rewrap/k", "ciphertext", c[2]), "archived")
	m.K.Ops("recover")
	m.Must(m.Write("rewrap/k", "ciphertext", c[2]))
	m.Refused(m.Write("rewrap/k", "ciphertext", c[1]), "version 1 is compromised")
}

func TestRecoverOfAKeyThatIsEnabledNamesEachStateOnce(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	require.Equal(t, `key "k" is enabled: recover needs archived; possible now: suspend, archive`, m.K.Op("recover").Err)
	m.K.Ops("archive")
	require.Equal(t, `key "k" is archived: suspend needs enabled; possible now: recover, retire`, m.K.Op("suspend").Err)
}
