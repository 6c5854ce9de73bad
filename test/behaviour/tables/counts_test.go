// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package tables_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// many stores n keys like k, so fast that a test can have hundreds.
func many(m *mounttest.Mount, n int) {
	m.T.Helper()
	record := m.Storage.All()["keys/k"]
	for i := range n {
		m.Storage.Plant(fmt.Sprintf("keys/k-%04d", i), record)
	}
}

func TestATableOfKeysReadsWhatItShowsAndOnlyThat(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	many(m, 1500)
	m.Restart()
	cost := func(kv ...any) (mounttest.Answer, storagetest.Counts) {
		m.Storage.Reset()
		answer := m.Must(m.List("keys", kv...))
		return answer, m.Storage.Reset()
	}
	answer, counts := cost()
	require.Equal(t, storagetest.Counts{Lists: 1, Gets: 101}, counts, "the names; a record for each of 100 rows, and the policy once")
	require.Len(t, answer.Data["keys"], 1501)
	require.Len(t, answer.Data["key_info"], 100)
	require.Equal(t, "k-0098", answer.Data["next"])
	require.Equal(t, []string{"key_info describes the first 100 of 1501 names; to go on: a limit, and after=k-0098"}, answer.Warnings)

	answer, counts = cost("limit", 10, "after", "k-0098")
	require.Equal(t, storagetest.Counts{Lists: 1, Gets: 10}, counts)
	require.Len(t, answer.Data["key_info"], 10)
	require.Equal(t, "k-0108", answer.Data["next"])
	require.Empty(t, answer.Warnings, "who asks for pages is not warned of those that follow")

	answer, counts = cost("limit", 1400)
	require.Equal(t, storagetest.Counts{Lists: 1, Gets: 1000}, counts)
	require.Len(t, answer.Data["keys"], 1400)
	require.Len(t, answer.Warnings, 1)

	for i := range 50 {
		m.Must(m.Read(fmt.Sprintf("keys/k-%04d", i)))
	}
	answer, counts = cost("limit", 50, "after", "k")
	require.Equal(t, storagetest.Counts{Lists: 1}, counts, "keys in use are in memory")
	require.Len(t, answer.Data["key_info"], 50)
	answer, _ = cost("after", "k-1498")
	require.NotContains(t, answer.Data, "next")
}

func TestATableDoesNotDriveKeysInUseOutOfMemory(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	many(m, 100)
	m.Restart()
	m.Must(m.List("keys"))
	m.Storage.Reset()
	m.Must(m.List("keys"))
	require.Equal(t, 100, m.Storage.Reset().Gets, "what only a table showed is not kept")
}

func TestATableOfVersionsReadsTheirDeniedUsesOnce(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	sealed := m.Encrypt("k", "x")
	m.K.RotateTo(300)
	m.K.Ops("versions/1/suspend")
	require.Equal(t, 400, m.Write("decrypt/k", "ciphertext", sealed).Status)
	require.NoError(t, m.Tick())
	m.Must(m.Read("keys/k"))
	cost := func(kv ...any) storagetest.Counts {
		m.Storage.Reset()
		m.Must(m.List("keys/k/versions", kv...))
		return m.Storage.Reset()
	}
	require.Equal(t, storagetest.Counts{Gets: 1}, cost("limit", 100), "denied uses; the dates and the key are in memory")
	require.Equal(t, storagetest.Counts{Lists: 1, Gets: 1}, cost(), "which pages there are, one page; that an earlier release wrote nothing is known")
	m.Restart()
	require.Equal(t, storagetest.Counts{Gets: 3}, cost("limit", 100), "the key, a page of dates, a page of denied uses")
	require.Equal(t, storagetest.Counts{Gets: 3}, cost("after", 260), "the key, which has the newest dates; the page that is not written yet, and what an earlier release wrote")
}

func TestATableOfPoliciesListsTheKeysOfWhatItShows(t *testing.T) {
	m := mounttest.New(t)
	for i := range 120 {
		m.Must(m.Write(fmt.Sprintf("policies/p-%03d", i), "owner", "o"))
	}
	m.Restart()
	m.Storage.Reset()
	require.Len(t, m.Must(m.List("policies")).Data["key_info"], 100)
	require.Equal(t, storagetest.Counts{Lists: 101, Gets: 100}, m.Storage.Reset())
	m.Must(m.List("policies", "limit", 100))
	require.Equal(t, storagetest.Counts{Lists: 101}, m.Storage.Reset(), "policies stay in memory")
}
