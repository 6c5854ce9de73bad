// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWritingAPolicyAgainMakesNoRevision(t *testing.T) {
	m := newMount(t)
	written := dataOf("owner", "o", "rotation_period", "90d", "rotation_jitter", "1h")
	first := m.must(m.do("update", "policies/p", written)).data
	m.restart()
	m.storage.Reset()
	require.Equal(t, first, m.must(m.do("update", "policies/p", written)).data)
	require.Zero(t, m.storage.Reset().Writes())
	require.Equal(t, first, m.must(m.read("policies/p")).data)
}

func TestRevisionsOfAPolicyCanBeRead(t *testing.T) {
	m := newMount(t)
	one := m.must(m.write("policies/p", "owner", "o", "rotation_period", 3600)).data
	two := m.must(m.write("policies/p", "rotation_period", "2h")).data
	require.Equal(t, 3600, one["rotation_period"], "a number stays a number")
	require.Equal(t, "o", two["owner"], "what is not given stays")
	require.NotEqual(t, one["hash"], two["hash"])
	require.Equal(t, one, m.must(m.read("policies/p/revisions/1")).data)
	require.Equal(t, two, m.must(m.read("policies/p/revisions/2")).data)
	require.Equal(t, two, m.must(m.read("policies/p")).data)
	for _, path := range []string{"policies/p/revisions/0", "policies/p/revisions/3", "policies/none/revisions/1"} {
		require.Equal(t, 404, m.read(path).status, path)
	}
}

func TestRevisionsOfAPolicyAreListedByNumber(t *testing.T) {
	m := newMount(t)
	for n := range 12 {
		m.must(m.write("policies/p", "owner", "o", "min_versions_kept", n))
	}
	all := m.must(m.list("policies/p/revisions")).data["keys"]
	require.Equal(t, []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"}, all)
	require.Equal(t, []string{"9", "10", "11"}, m.must(m.list("policies/p/revisions/", "after", "8", "limit", 3)).data["keys"])
	require.Equal(t, 404, m.list("policies/p/revisions", "after", 12).status)
	require.Equal(t, 404, m.list("policies/none/revisions").status)
	for _, field := range []string{"after", "limit"} {
		refused := m.list("policies/p/revisions", field, -1)
		require.Equal(t, 400, refused.status)
		require.Contains(t, refused.err, field+": -1")
	}
}

func TestRevisionsOfADeletedPolicyAreNotThoseOfTheNextOneOfItsName(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	m.must(m.write("policies/p", "owner", "someone else"))
	m.must(m.delete("policies/p"))
	require.Equal(t, 404, m.read("policies/p/revisions/2").status)
	m.must(m.write("policies/p", "owner", "o"))
	require.Equal(t, []string{"1"}, m.must(m.list("policies/p/revisions")).data["keys"])
	require.Equal(t, 404, m.read("policies/p/revisions/2").status)
}

func TestAPolicyIsNotDeletedWhileAKeyIsBound(t *testing.T) {
	m := governed(t, "auto")
	refused := m.delete("policies/p")
	require.Equal(t, 400, refused.status)
	require.Contains(t, refused.err, `"k"`)
	m.must(m.write("keys/k/config", "policy", ""))
	require.Equal(t, 409, m.do("delete", "policies/p", dataOf("cas", 7)).status)
	require.Equal(t, 204, m.delete("policies/p").status)
	require.Equal(t, 204, m.delete("policies/p").status, "deleting what is gone is no error")
	require.Equal(t, 404, m.read("policies/p").status)
}

func TestAGovernedKeyEncryptsWithItsActiveVersionOnly(t *testing.T) {
	m := governed(t, "auto")
	m.must(m.write("keys/k/rotate", "reason", "because of a test"))
	refused := m.write("encrypt/k", "plaintext", "", "key_version", 1)
	require.Equal(t, 400, refused.status)
	require.Contains(t, refused.err, `policy "p"`)
	m.must(m.write("encrypt/k", "plaintext", "", "key_version", 2))
	m.must(m.write("keys/k/config", "policy", ""))
	m.must(m.write("encrypt/k", "plaintext", "", "key_version", 1))
}

func TestAGovernedKeyIsNotDeletedAtOnce(t *testing.T) {
	m := governed(t, "auto")
	m.must(m.write("keys/k/config", "deletion_allowed", true))
	refused := m.delete("keys/k")
	require.Equal(t, 400, refused.status)
	require.Contains(t, refused.err, `policy "p"`)
}

func TestARollbackWindowOfZeroAllowsNoRollback(t *testing.T) {
	m, _ := underPolicy(t, "rollback_window", 0)
	m.ops("rotate")
	before := m.states()
	m.refused(m.op("rollback"), "rollback_window is 0")
	m.clock.add(100 * 24 * time.Hour)
	m.refused(m.op("rollback"), "rollback_window is 0")
	require.Equal(t, before, m.states())
	m.must(m.write("keys/k/config", "policy", ""))
	m.ops("rollback") // without a policy there is no limit
}

func TestARollbackWindowOfZeroIsForOperatorsAndNotForChecks(t *testing.T) {
	m, end := checkless(t, postFaults[0])
	defer end()
	m.must(m.write("policies/p", "rollback_window", 0))
	m.refused(m.op("rotate"), "post-check round_trip failed", "version 2 was rolled back, version 1 is active")
}

func TestWritingAKeyAgainAppliesOnlyWhatTransitDoesNotHave(t *testing.T) {
	m := governed(t, "auto")
	m.must(m.write("policies/q", "owner", "o"))
	again := m.must(m.write("keys/k", "type", "aes128-gcm96", "exportable", true, "policy", "q", "owner", "me"))
	require.Equal(t, "aes256-gcm96", again.data["type"])
	require.Equal(t, false, again.data["exportable"])
	require.Equal(t, "q", again.data["policy"])
	require.Equal(t, "me", again.data["owner"])
	require.Equal(t, 2, again.data["revision"])
	require.NotEmpty(t, again.warnings)
	m.storage.Reset()
	require.Equal(t, again.data, m.must(m.write("keys/k", "policy", "q")).data)
	require.Zero(t, m.storage.Reset().Writes(), "the same again changes nothing")
}
