// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package inventory_test

import (
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// tick is what a tick a minute later takes of storage, and of Vault.
func tick(m *mounttest.Mount) (storagetest.Counts, int) {
	m.T.Helper()
	m.Clock.Add(time.Minute)
	m.Storage.Reset()
	m.System.Reset()
	require.NoError(m.T, m.Tick())
	return m.Storage.Reset(), m.System.Reset()
}

func TestATickReadsRequestsWhileTheyAreOpenAndRulesWhenTheyChange(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("keys/k", "policy", "p"))
	require.NoError(t, m.Tick())
	idle, asked := tick(m)
	again, _ := tick(m)
	require.Equal(t, idle, again)

	mounttest.EnrolApprovers(m, "key-approvers")
	m.Clock.Add(48 * time.Hour)
	m.Must(m.Write("policies/p", "approvals", map[string]any{"rotate": "1 of key-approvers"}, "reason", mounttest.Reason))
	require.NoError(t, m.Tick())
	require.NoError(t, m.Tick())
	ruled, _ := tick(m)
	require.Equal(t, idle.Gets+3, ruled.Gets, "the enrolments, twice, and the settings")
	require.Equal(t, idle.Lists, ruled.Lists)
	m.Clock.Add(10 * time.Minute)
	_, askedMore := tick(m)
	require.Equal(t, 22, askedMore-asked, "two questions about each of eleven")

	m.System.Person("alice", "alice")
	m.Caller = func(r *logical.Request) { r.EntityID = "alice" }
	require.Equal(t, 428, m.Write("keys/k/rotate", "reason", mounttest.Reason).Status)
	m.Caller = nil
	m.Must(m.Read("keys/k"))
	pending, _ := tick(m)
	require.Equal(t, ruled.Gets+2, pending.Gets, "the request, and the clock")
	m.Clock.Add(80 * time.Hour)
	require.NoError(t, m.Tick())
	over, _ := tick(m)
	require.Equal(t, ruled.Gets+1, over.Gets, "the clock: what has expired is not read again")
}

func TestANodeThatMustNotWriteLooksAtNothingForTheBoard(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	m.System.ReplicationStateVal = consts.ReplicationPerformanceStandby
	counts, _ := tick(m)
	require.Zero(t, counts.Lists)
}
