// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mounttest

import (
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"
)

// mostPersons is more than any rule asks for.
const mostPersons = 11

// EnrolApprovers makes Vault know people in each of these groups, and enrols them as approvers: more than any rule asks for.
func EnrolApprovers(m *Mount, groups ...string) {
	m.T.Helper()
	defer func(was func(*logical.Request)) { m.Caller = was }(m.Caller)
	hash := m.Must(m.Read("approvers/duties")).Data["duties_hash"]
	for i := range mostPersons {
		id := fmt.Sprintf("approver-%d", i)
		m.System.Person(id, id, groups...)
		m.Caller = func(req *logical.Request) { req.EntityID = id }
		m.Must(m.Write("approvers/acknowledge", "duties_hash", hash))
	}
}
