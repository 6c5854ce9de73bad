// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package crash_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// withPeople makes Vault know three approvers, of whom bob asks.
func withPeople(m *mounttest.Mount) {
	for _, name := range []string{"bob", "carol", "dave"} {
		m.System.Person(name+"-id", name, "key-approvers")
	}
	m.Caller = func(req *logical.Request) { req.EntityID, req.DisplayName = "bob-id", "bob" }
}

func acknowledge(m *mounttest.Mount) mounttest.Answer {
	return m.Write("approvers/acknowledge", "duties_hash", m.Must(m.Read("approvers/duties")).Data["duties_hash"])
}

// approverActs are acts on who may consent, every one of which is made to fail once.
var approverActs = []act{
	{
		name: "enrol", prepare: withPeople, run: acknowledge,
		after: func(t *testing.T, m *mounttest.Mount) {
			require.Equal(t, []string{"bob-id"}, m.Must(m.List("approvers")).Data["keys"])
			require.Equal(t, true, m.Must(m.Read("approvers/bob-id")).Data["founder"])
		},
	},
	{
		name: "end an enrolment",
		prepare: func(m *mounttest.Mount) {
			withPeople(m)
			m.Must(acknowledge(m))
		},
		run: func(m *mounttest.Mount) mounttest.Answer {
			return m.Delete("approvers/bob-id", "reason", "has left the team")
		},
		after: func(t *testing.T, m *mounttest.Mount) { require.Equal(t, 404, m.List("approvers").Status) },
	},
	{
		name:    "configure approvals",
		prepare: withPeople,
		run: func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("config/approvals", "duties", "Look before you approve.", "approver_wait", "1h")
		},
		after: func(t *testing.T, m *mounttest.Mount) {
			got := m.Must(m.Read("config/approvals")).Data
			require.Equal(t, []any{"Look before you approve.", 3600, 1}, []any{got["duties"], got["approver_wait"], got["revision"]})
		},
	},
}

func TestEveryActOnApproversSurvivesTheFailureOfEachOfItsWrites(t *testing.T) {
	for i, a := range approverActs {
		for f, fate := range storagetest.Fates() {
			if racetest.Spared(t, i+f) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", a.name, fate), func(t *testing.T) {
				t.Parallel()
				crashLoop(t, a, fate)
			})
		}
	}
}
