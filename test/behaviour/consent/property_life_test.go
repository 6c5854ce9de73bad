// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"time"

	"github.com/stretchr/testify/require"
)

// life changes what Vault knows of a person.
func (g *game) life() {
	who := g.anyone()
	p := g.people[who]
	switch g.chance.IntN(6) {
	case 0:
		p.disabled = !p.disabled
	case 1:
		p.gone = !p.gone
	case 2:
		p.noAlias = !p.noAlias
	default:
		p.groups = [][]string{nil, {"a"}, {"b"}, {"a", "b"}}[g.chance.IntN(4)]
	}
	g.tell(who)
}

func (g *game) enrolment() {
	g.t.Helper()
	who := g.anyone()
	if g.chance.IntN(3) > 0 {
		g.acknowledge(who, false)
		return
	}
	g.Must(g.as(who).Delete("approvers/"+id(who), "reason", why))
	p := g.people[who]
	p.enrolled, p.founder = time.Time{}, false
}

// rule changes a rule, or settings of the mount, if enough people are left for it.
func (g *game) rule() {
	g.t.Helper()
	if g.chance.IntN(2) == 0 {
		wait, mount := []time.Duration{0, time.Hour, 24 * time.Hour}[g.chance.IntN(3)], map[bool]string{true: "userpass-1"}[g.chance.IntN(2) == 0]
		if g.as("root").Write("config/approvals", "approver_wait", wait.String(), "auth_mount", mount).Status < 300 {
			g.wait, g.named = wait, mount != ""
		}
		return
	}
	gate, rules, notMaker := []string{"rotate", "export"}[g.chance.IntN(2)], g.rules, g.notMaker
	next := demand{1 + g.chance.IntN(2), [][]string{{"a"}, {"b"}, {"a", "b"}}[g.chance.IntN(3)]}
	g.rules, g.notMaker = map[string]demand{"rotate": rules["rotate"], "export": rules["export"]}, g.chance.IntN(2) == 0
	g.rules[gate] = next
	if g.writePolicy().Status >= 300 {
		g.rules, g.notMaker = rules, notMaker
	}
}

func (g *game) time() {
	g.t.Helper()
	g.Clock.Add([]time.Duration{time.Second, time.Minute, 20 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 30 * time.Hour}[g.chance.IntN(7)])
	if g.chance.IntN(3) > 0 {
		require.NoError(g.t, g.Tick())
	}
	if g.as("auditor").Frozen() && g.chance.IntN(2) == 0 || g.chance.IntN(15) == 0 {
		g.Must(g.Write("config/clock", "acknowledge", true))
		g.clock++
	}
}
