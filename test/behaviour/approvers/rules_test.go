// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package approvers_test

import (
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestARuleOfAPolicyThatTooFewCanSatisfyIsRefused(t *testing.T) {
	t.Parallel()
	m := mount(t)
	enrol(m, "bob", "carol")
	before := m.Storage.All()
	const why = `approvals: "retire=2 of key-approvers": 2 can approve (bob, carol); one more is needed, so that one can be away`
	m.Refused(m.Write("policies/p", "owner", "o", "approvals", "retire=2 of key-approvers"), why)
	m.Refused(m.Write("policies/p/plan", "owner", "o", "approvals", "retire=2 of key-approvers"), why)
	require.Equal(t, before, m.Storage.All())

	m.Must(m.Write("policies/p", "owner", "o", "approvals", "promote=not creator"))
	enrol(m, "dave")
	require.Equal(t, true, approver(m, "dave")["founder"], "not creator asks for nobody's consent")
	m.Must(m.Write("policies/p", "approvals", "retire=2 of key-approvers"))
	m.System.Gone("dave-id")
	m.Must(m.Write("policies/p", "description", "another"))
	m.Refused(m.Write("policies/p", "approvals", "retire=3 of key-approvers"), "2 can approve (bob, carol); 2 more are needed")
}

func TestARuleOfAPolicyEndsTheTimeOfFounders(t *testing.T) {
	t.Parallel()
	m := mount(t)
	enrol(m, "bob", "carol")
	m.Must(m.Write("policies/p", "owner", "o", "approvals", "retire=1 of key-approvers"))
	enrol(m, "dave")
	require.Equal(t, []any{true, false}, []any{approver(m, "bob")["founder"], approver(m, "dave")["founder"]})
	require.Equal(t, []map[string]any{{
		"policy": "p", "operation": "retire", "rule": "1 of key-approvers", "counts": false, "why": "has enrolled less than approver_wait ago",
	}}, approver(m, "dave")["rules"])
	m.SetStored("policies/p", "approvals", map[string]any{"retire": "none at all"})
	m.System.Person("erin-id", "erin", "key-approvers")
	enrol(m, "erin")
	require.Equal(t, false, approver(m, "erin")["founder"], "what a policy asks for that cannot be read, nobody knows")
	require.Contains(t, m.Must(m.List("approvers")).Warnings[0], "rules are left out")
}

func TestDriftNamesAPoolThatHasShrunk(t *testing.T) {
	t.Parallel()
	m := mount(t)
	enrol(m, "bob", "carol", "dave")
	m.Must(m.Write("policies/free", "owner", "o"))
	m.Must(m.Write("policies/p", "owner", "o", "approvals", "retire=2 of key-approvers"))
	require.Empty(t, m.Must(m.Read("policies/p/drift")).Data["findings"])
	m.System.Entity(&logical.Entity{ID: "dave-id", Name: "dave", Disabled: true}, "key-approvers")
	require.Equal(t, []map[string]any{{
		"field": "approvals.retire", "value": "2 of key-approvers", "rule": "2 can approve (bob, carol); a member who asks leaves 1",
	}}, m.Must(m.Read("policies/p/drift")).Data["findings"])
	const warning = "2 of key-approvers: 2 can approve (bob, carol); a member who asks leaves 1"
	require.Contains(t, m.Must(m.List("policies/p/drift")).Warnings, "approvals.retire: "+warning)
	require.Equal(t, []string{"policy p, retire: " + warning}, m.Must(m.List("approvers")).Warnings)
	m.System.Reset()
	require.Empty(t, m.Must(m.Read("policies/free/drift")).Data["findings"])
	require.Zero(t, m.System.Reset(), "a policy without rules asks nobody")
}
