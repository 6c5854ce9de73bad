// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package states_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func TestEveryOperationChecksTheRevisionAndItsFields(t *testing.T) {
	for path, way := range map[string][]string{
		"versions/2/suspend": nil, "versions/2/resume": {"versions/2/suspend"}, "versions/2/archive": nil, "versions/2/recover": {"versions/2/archive"},
		"versions/2/retire": {"versions/2/archive"}, "versions/2/restore": {"versions/2/archive", "versions/2/retire"}, "versions/2/compromise": nil,
		"rollback": nil, "suspend": nil, "resume": {"suspend"}, "archive": nil, "recover": {"archive"}, "retire": {"archive"},
		"restore": {"archive", "retire"}, "hold": nil, "soft-delete": nil, "soft-delete-restore": {"suspend"}, "rotate": nil,
	} {
		m, _ := mounttest.KeyOf3(t)
		m.K.Ops(way...)
		revision := m.Read("keys/k").Data["revision"].(int)
		conflict := m.K.Op(path, "cas", revision-1)
		require.Equal(t, http.StatusConflict, conflict.Status, path)
		require.Contains(t, conflict.Err, strconv.Itoa(revision))
		m.Refused(m.K.Op(path, "cas", -1), "cas")
		if path != "rotate" { // Transit's own path takes any field
			m.Refused(m.K.Op(path, "raeson", "x"), "raeson", "no such field")
		}
		require.Equal(t, revision, m.Read("keys/k").Data["revision"])
		require.Equal(t, revision+1, m.Must(m.K.Op(path, "cas", revision)).Data["revision"], path)
	}
	m, _ := mounttest.KeyOf3(t)
	m.Refused(m.K.Op("versions/9/suspend"), "version", "1 to 3")
	m.Refused(m.K.Op("versions/0/suspend"), "version", "at least 1")
	m.Refused(m.K.Op("versions/99999999999/suspend"), "version")
	m.Refused(m.Write("keys/none/suspend"), "not found")
	m.Refused(m.Write("keys/none/versions/1/suspend"), "not found")
	m.Refused(m.K.Op("versions/2/recover", "time_limit", -1), "")
}

func TestOnlyWhatIsRetiredShowsADestroyTime(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	m.Must(m.Write("keys/k/rotate", "reason", "because of a test"))
	m.Must(m.Write("policies/p", "min_versions_kept", 1, "quiet_period", "24h", "require_reason", ""))
	times := func() []any {
		version := m.Must(m.Read("keys/k/versions/1")).Data
		return []any{m.Must(m.Read("keys/k")).Data["destroy_time"], version["destroy_time"], version["archive_time"]}
	}
	m.Must(m.Write("keys/k/versions/1/archive"))
	require.Equal(t, []any{"", "", ""}, times(), "an archived version waits for its quiet period, which is no date of destruction")
	m.Must(m.Write("keys/k/versions/1/recover", "time_limit", "1h"))
	require.Equal(t, []any{"", "", mounttest.Start.Add(time.Hour).Format(time.RFC3339)}, times())
	m.Must(m.Write("keys/k/archive"))
	require.Equal(t, "", times()[0], "an archived key waits for its quiet period too")
	m.Clock.Add(25 * time.Hour)
	m.Must(m.Write("keys/k/retire"))
	require.Equal(t, mounttest.Start.Add(25*time.Hour+30*24*time.Hour).Format(time.RFC3339), times()[0])
}

func TestANumberWithAZeroInFrontIsNoVersion(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	for range 7 {
		m.K.Ops("rotate")
	}
	before := m.K.States()
	for _, number := range []string{"010", "08", "007", "0", "00", "99999999999999999999"} {
		m.Refused(m.K.Op("versions/"+number+"/suspend"), "version")
		if number != "0" { // there is none
			m.Refused(m.Read("keys/k/versions/"+number), "version")
		}
	}
	m.Refused(m.K.Op("versions/010/suspend"), `"010"`, "without leading zeros")
	require.Equal(t, before, m.K.States())
	m.K.Ops("versions/10/suspend")
	require.Equal(t, "suspended", m.K.State(10))
}
