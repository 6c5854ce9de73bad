// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryOperationChecksTheRevisionAndItsFields(t *testing.T) {
	for path, way := range map[string][]string{
		"versions/2/suspend": nil, "versions/2/resume": {"versions/2/suspend"}, "versions/2/archive": nil, "versions/2/recover": {"versions/2/archive"},
		"versions/2/retire": {"versions/2/archive"}, "versions/2/restore": {"versions/2/archive", "versions/2/retire"}, "versions/2/compromise": nil,
		"rollback": nil, "suspend": nil, "resume": {"suspend"}, "archive": nil, "recover": {"archive"}, "retire": {"archive"},
		"restore": {"archive", "retire"}, "hold": nil, "soft-delete": nil, "soft-delete-restore": {"suspend"}, "rotate": nil,
	} {
		m, _ := keyOf3(t)
		m.ops(way...)
		revision := m.read("keys/k").data["revision"].(int)
		conflict := m.op(path, "cas", revision-1)
		require.Equal(t, http.StatusConflict, conflict.status, path)
		require.Contains(t, conflict.err, strconv.Itoa(revision))
		m.refused(m.op(path, "cas", -1), "cas")
		if path != "rotate" { // Transit's own path takes any field
			m.refused(m.op(path, "raeson", "x"), "raeson", "no such field")
		}
		require.Equal(t, revision, m.read("keys/k").data["revision"])
		require.Equal(t, revision+1, m.must(m.op(path, "cas", revision)).data["revision"], path)
	}
	m, _ := keyOf3(t)
	m.refused(m.op("versions/9/suspend"), "version", "1 to 3")
	m.refused(m.op("versions/0/suspend"), "version", "at least 1")
	m.refused(m.op("versions/99999999999/suspend"), "version")
	m.refused(m.write("keys/none/suspend"), "not found")
	m.refused(m.write("keys/none/versions/1/suspend"), "not found")
	m.refused(m.op("versions/2/recover", "time_limit", -1), "")
}

func TestOnlyWhatIsRetiredShowsADestroyTime(t *testing.T) {
	m := governed(t, "auto")
	m.must(m.write("keys/k/rotate", "reason", "because of a test"))
	m.must(m.write("policies/p", "min_versions_kept", 1, "quiet_period", "24h", "require_reason", ""))
	times := func() []any {
		version := m.must(m.read("keys/k/versions/1")).data
		return []any{m.must(m.read("keys/k")).data["destroy_time"], version["destroy_time"], version["archive_time"]}
	}
	m.must(m.write("keys/k/versions/1/archive"))
	require.Equal(t, []any{"", "", ""}, times(), "an archived version waits for its quiet period, which is no date of destruction")
	m.must(m.write("keys/k/versions/1/recover", "time_limit", "1h"))
	require.Equal(t, []any{"", "", start.Add(time.Hour).Format(time.RFC3339)}, times())
	m.must(m.write("keys/k/archive"))
	require.Equal(t, "", times()[0], "an archived key waits for its quiet period too")
	m.clock.add(25 * time.Hour)
	m.must(m.write("keys/k/retire"))
	require.Equal(t, start.Add(25*time.Hour+30*24*time.Hour).Format(time.RFC3339), times()[0])
}

func TestANumberWithAZeroInFrontIsNoVersion(t *testing.T) {
	m, _ := keyOf3(t)
	for range 7 {
		m.ops("rotate")
	}
	before := m.states()
	for _, number := range []string{"010", "08", "007", "0", "00", "99999999999999999999"} {
		m.refused(m.op("versions/"+number+"/suspend"), "version")
		if number != "0" { // there is none
			m.refused(m.read("keys/k/versions/"+number), "version")
		}
	}
	m.refused(m.op("versions/010/suspend"), `"010"`, "without leading zeros")
	require.Equal(t, before, m.states())
	m.ops("versions/10/suspend")
	require.Equal(t, "suspended", m.state(10))
}
