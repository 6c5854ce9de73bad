// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package consent_test holds what the engine does where rules ask for the consent of others.
package consent_test

import (
	"regexp"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

const (
	approvers = "key-approvers"
	why       = "CHG-4711: table dropped, nothing left to rewrap"
)

// idIn finds the id of a request in a refusal.
var idIn = regexp.MustCompile(`ap-[a-z2-7]{26}`)

// office is a mount with people: alice asks, bob, carol and dave approve.
type office struct {
	*mounttest.Mount
	t testing.TB
}

func open(t testing.TB) *office {
	t.Helper()
	return openOn(mounttest.New(t))
}

func openOn(m *mounttest.Mount) *office {
	m.T.Helper()
	o := &office{m, m.T}
	for _, name := range []string{"bob", "carol", "dave"} {
		m.System.Person(id(name), name, approvers)
	}
	m.System.Person(id("alice"), "alice")
	o.as("root")
	o.enrol("bob", "carol", "dave")
	return o
}

func id(name string) string { return name + "-0000" }

// as makes somebody ask for what follows; root has no entity.
func (o *office) as(name string) *office {
	o.Caller = func(req *logical.Request) {
		req.DisplayName = name
		if name != "root" {
			req.DisplayName, req.EntityID = "userpass-"+name, id(name)
		}
	}
	return o
}

func (o *office) enrol(names ...string) {
	o.t.Helper()
	for _, name := range names {
		hash := o.Must(o.as(name).Read("approvers/duties")).Data["duties_hash"]
		o.Must(o.as(name).Write("approvers/acknowledge", "duties_hash", hash))
	}
	o.as("root")
}

// govern makes a key, orders, under a policy with these rules.
func (o *office) govern(rules map[string]any, more ...any) {
	o.t.Helper()
	o.Must(o.as("root").Write("policies/pci", append([]any{"owner", "payments", "approvals", rules, "rollback_window", "0", "staging_time", "0", "min_versions_kept", 1, "quiet_period", "0"}, more...)...))
	o.Must(o.as("founder").Write("keys/orders", "policy", "pci", "reason", "a key for the tests"))
}

// asked makes a request, and returns its id.
func (o *office) asked(who, path string, kv ...any) string {
	o.t.Helper()
	refused := o.as(who).Write(path, kv...)
	require.Equal(o.t, 428, refused.Status, refused.Err)
	found := idIn.FindString(refused.Err)
	require.NotEmpty(o.t, found, refused.Err)
	return found
}

func (o *office) approve(request string, names ...string) {
	o.t.Helper()
	for _, name := range names {
		o.Must(o.as(name).Write("approvals/"+request+"/approve", "comment", "checked"))
	}
}

func (o *office) state(request string) any {
	o.t.Helper()
	return o.Must(o.as("auditor").Read("approvals/" + request)).Data["state"]
}

// requests returns the ids of all requests.
func (o *office) requests() []string {
	o.t.Helper()
	return o.Must(o.as("auditor").List("approvals")).Data["keys"].([]string)
}
