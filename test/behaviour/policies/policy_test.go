// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package policies_test is about policies: their fields and documents, revisions, plans and drift, the default policy,
// and policies that cannot be read.
package policies_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func TestWritingAPolicyAgainMakesNoRevision(t *testing.T) {
	m := mounttest.New(t)
	written := mounttest.Data("owner", "o", "rotation_period", "90d", "rotation_jitter", "1h")
	first := m.Must(m.Do("update", "policies/p", written)).Data
	m.Restart()
	m.Storage.Reset()
	require.Equal(t, first, m.Must(m.Do("update", "policies/p", written)).Data)
	require.Zero(t, m.Storage.Reset().Writes())
	require.Equal(t, first, m.Must(m.Read("policies/p")).Data)
}

func TestRevisionsOfAPolicyCanBeRead(t *testing.T) {
	m := mounttest.New(t)
	one := m.Must(m.Write("policies/p", "owner", "o", "rotation_period", 3600)).Data
	two := m.Must(m.Write("policies/p", "rotation_period", "2h")).Data
	require.Equal(t, 3600, one["rotation_period"], "a number stays a number")
	require.Equal(t, "o", two["owner"], "what is not given stays")
	require.NotEqual(t, one["hash"], two["hash"])
	require.Equal(t, one, m.Must(m.Read("policies/p/revisions/1")).Data)
	require.Equal(t, two, m.Must(m.Read("policies/p/revisions/2")).Data)
	require.Equal(t, two, m.Must(m.Read("policies/p")).Data)
	for _, path := range []string{"policies/p/revisions/0", "policies/p/revisions/3", "policies/none/revisions/1"} {
		require.Equal(t, 404, m.Read(path).Status, path)
	}
}

func TestRevisionsOfAPolicyAreListedByNumber(t *testing.T) {
	m := mounttest.New(t)
	for n := range 12 {
		m.Must(m.Write("policies/p", "owner", "o", "min_versions_kept", n))
	}
	all := m.Must(m.List("policies/p/revisions")).Data["keys"]
	require.Equal(t, []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"}, all)
	require.Equal(t, []string{"9", "10", "11"}, m.Must(m.List("policies/p/revisions/", "after", "8", "limit", 3)).Data["keys"])
	require.Equal(t, 404, m.List("policies/p/revisions", "after", 12).Status)
	require.Equal(t, 404, m.List("policies/none/revisions").Status)
	for _, field := range []string{"after", "limit"} {
		refused := m.List("policies/p/revisions", field, -1)
		require.Equal(t, 400, refused.Status)
		require.Contains(t, refused.Err, field+": -1")
	}
}

func TestRevisionsOfADeletedPolicyAreNotThoseOfTheNextOneOfItsName(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("policies/p", "owner", "someone else"))
	m.Must(m.Delete("policies/p"))
	require.Equal(t, 404, m.Read("policies/p/revisions/2").Status)
	m.Must(m.Write("policies/p", "owner", "o"))
	require.Equal(t, []string{"1"}, m.Must(m.List("policies/p/revisions")).Data["keys"])
	require.Equal(t, 404, m.Read("policies/p/revisions/2").Status)
}

func TestAPolicyIsNotDeletedWhileAKeyIsBound(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	refused := m.Delete("policies/p")
	require.Equal(t, 400, refused.Status)
	require.Contains(t, refused.Err, `"k"`)
	m.Must(m.Write("keys/k/config", "policy", ""))
	require.Equal(t, 409, m.Do("delete", "policies/p", mounttest.Data("cas", 7)).Status)
	require.Equal(t, 204, m.Delete("policies/p").Status)
	require.Equal(t, 204, m.Delete("policies/p").Status, "deleting what is gone is no error")
	require.Equal(t, 404, m.Read("policies/p").Status)
}

func TestAGovernedKeyEncryptsWithItsActiveVersionOnly(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	m.Must(m.Write("keys/k/rotate", "reason", "because of a test"))
	refused := m.Write("encrypt/k", "plaintext", "", "key_version", 1)
	require.Equal(t, 400, refused.Status)
	require.Contains(t, refused.Err, `policy "p"`)
	m.Must(m.Write("encrypt/k", "plaintext", "", "key_version", 2))
	m.Must(m.Write("keys/k/config", "policy", ""))
	m.Must(m.Write("encrypt/k", "plaintext", "", "key_version", 1))
}

func TestAGovernedKeyIsNotDeletedAtOnce(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	m.Must(m.Write("keys/k/config", "deletion_allowed", true))
	refused := m.Delete("keys/k")
	require.Equal(t, 400, refused.Status)
	require.Contains(t, refused.Err, `policy "p"`)
}

func TestARollbackWindowOfZeroAllowsNoRollback(t *testing.T) {
	m, _ := mounttest.UnderPolicy(t, "rollback_window", 0)
	m.K.Ops("rotate")
	before := m.K.States()
	m.Refused(m.K.Op("rollback"), "rollback_window is 0")
	m.Clock.Add(100 * 24 * time.Hour)
	m.Refused(m.K.Op("rollback"), "rollback_window is 0")
	require.Equal(t, before, m.K.States())
	m.Must(m.Write("keys/k/config", "policy", ""))
	m.K.Ops("rollback") // without a policy there is no limit
}

func TestARollbackWindowOfZeroIsForOperatorsAndNotForChecks(t *testing.T) {
	m, end := mounttest.Checkless(t, mounttest.PostFaults()[0])
	defer end()
	m.Must(m.Write("policies/p", "rollback_window", 0))
	m.Refused(m.K.Op("rotate"), "post-check round_trip failed", "version 2 was rolled back, version 1 is active")
}

func TestWritingAKeyAgainAppliesOnlyWhatTransitDoesNotHave(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	m.Must(m.Write("policies/q", "owner", "o"))
	again := m.Must(m.Write("keys/k", "type", "aes128-gcm96", "exportable", true, "policy", "q", "owner", "me"))
	require.Equal(t, "aes256-gcm96", again.Data["type"])
	require.Equal(t, false, again.Data["exportable"])
	require.Equal(t, "q", again.Data["policy"])
	require.Equal(t, "me", again.Data["owner"])
	require.Equal(t, 2, again.Data["revision"])
	require.NotEmpty(t, again.Warnings)
	m.Storage.Reset()
	require.Equal(t, again.Data, m.Must(m.Write("keys/k", "policy", "q")).Data)
	require.Zero(t, m.Storage.Reset().Writes(), "the same again changes nothing")
}
