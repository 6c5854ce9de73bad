// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestARetirementTakesThreePeople(t *testing.T) {
	o := open(t)
	o.govern(map[string]any{"archive": "1 of " + approvers, "retire": "2 of " + approvers})
	o.Must(o.as("alice").Write("keys/orders/rotate", "reason", "a new version for the test"))
	archive := o.asked("alice", "keys/orders/versions/1/archive", "reason", why)
	o.approve(archive, "bob")
	o.Must(o.as("alice").Write("keys/orders/versions/1/archive", "reason", why))

	refused := o.as("alice").Write("keys/orders/versions/1/retire", "reason", why)
	require.Equal(t, 428, refused.Status)
	require.Contains(t, refused.Err, `approval needed: retire of version 1 of key "orders" needs 2 of key-approvers (policy "pci", revision 1), 0 so far. Request ap-`)
	request := idIn.FindString(refused.Err)
	require.Equal(t, "pending", o.state(request))

	o.approve(request, "bob")
	require.Equal(t, "pending", o.state(request))
	o.Refused(o.as("alice").Write("approvals/"+request+"/approve"), "alice (alice-0000) asked for it, and is not counted")
	require.Equal(t, 428, o.as("alice").Write("keys/orders/versions/1/retire", "reason", why).Status)
	o.approve(request, "carol")
	require.Equal(t, "approved", o.state(request))
	require.NotEqual(t, request, o.asked("dave", "keys/orders/versions/1/retire", "reason", why), "what is approved for one is not for another")
	require.Equal(t, "archived", o.StatesOf("orders")[0])

	o.Must(o.as("alice").Write("keys/orders/versions/1/retire", "reason", why))
	require.Equal(t, "retired", o.StatesOf("orders")[0])
	require.Equal(t, "executed", o.state(request))
}

func TestADrillSaysWhereTooFewPeopleAreThereToConsent(t *testing.T) {
	o := retiring(t, "2 of "+approvers)
	obstacles := func() string { return fmt.Sprint(o.Must(o.as("root").Write("keys/orders/drill")).Data["obstacles"]) }
	require.NotContains(t, obstacles(), "2 of key-approvers")
	for _, name := range []string{"bob", "carol"} {
		o.System.Entity(&logical.Entity{ID: id(name), Name: name, Disabled: true}, approvers)
	}
	require.Contains(t, obstacles(), `policy "pci" asks for 2 of key-approvers: 1 can approve (dave): 2 are needed`)
	require.Contains(t, obstacles(), "act:retire")
}
