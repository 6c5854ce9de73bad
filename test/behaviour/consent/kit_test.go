// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package consent_test holds what the engine does where rules ask for the consent of others.
package consent_test

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

const (
	approvers = "key-approvers"
	why       = "CHG-4711: table dropped, nothing left to rewrap"
)

// office is a mount with people: alice asks, bob, carol and dave approve.
type office struct {
	*mounttest.Mount
	t testing.TB
}

func open(t testing.TB) *office {
	m := mounttest.New(t)
	o := &office{m, t}
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
			req.EntityID = id(name)
		}
	}
	return o
}

func (o *office) enrol(names ...string) {
	o.t.Helper()
	for _, name := range names {
		hash := o.as(name).Read("approvers/duties").Must(200).Data["hash"]
		o.as(name).Write("approvers/acknowledge", "duties_hash", hash).Must(200)
	}
	o.as("root")
}

// govern makes a key, orders, under a policy with these rules.
func (o *office) govern(rules map[string]any, more ...any) {
	o.t.Helper()
	o.as("root").Write("policies/pci", append([]any{"owner", "payments", "approvals", rules, "rollback_window", "0", "staging_time", "0"}, more...)...).Must(200)
	o.as("founder").Write("keys/orders", "policy", "pci", "reason", "a key for the tests").Must(200)
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
		o.as(name).Write("approvals/"+request+"/approve", "comment", "checked").Must(200)
	}
}

func (o *office) state(request string) any {
	o.t.Helper()
	return o.as("auditor").Read("approvals/" + request).Must(200).Data["state"]
}

func (o *office) advance(by time.Duration) {
	o.t.Helper()
	for by > 0 {
		step := min(by, 10*time.Minute)
		o.Clock.Advance(step)
		o.tick()
		by -= step
	}
}

func (o *office) tick() {
	o.t.Helper()
	_, err := o.HandleRequest(context.Background(), &logical.Request{Operation: logical.RollbackOperation, Storage: o.Storage})
	require.NoError(o.t, err)
}
