// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// This file plays a mount at random and keeps books of its own of who agreed to what, by the text of the manual. It shares no code
// with what decides: an act that takes effect must have had the persons that the books find, and one that has them must not be
// refused.

// someone is a person as Vault knows it at the moment, and what the mount was told.
type someone struct {
	groups   []string
	disabled bool
	gone     bool
	alias    bool // at the auth mount that config/approvals may name

	enrolled     time.Time // zero: not
	founder      bool
	acknowledged time.Time
}

// ask is what somebody asks for: the whole of it is its name.
type ask struct {
	who, path, extra, reason string
}

// paper is a request in the books.
type paper struct {
	id        string
	created   time.Time
	approved  time.Time // the vote that made it enough; zero: none has
	votes     []string  // who agrees, each once
	ended     time.Time // denied or withdrawn
	reads     string    // what it was about, and under which rules
	clock     int       // acknowledgements of the clock before
	acted     bool
	used      int
	rule      rule
	creator   string
	excluding bool // whoever made the version does not count
}

type rule struct {
	need   int
	groups []string
}

func (r rule) String() string { return fmt.Sprint(r.need, " of ", strings.Join(r.groups, ", ")) }

// game is a mount that is played at random.
type game struct {
	*office
	chance *rand.Rand

	people map[string]*someone
	papers map[ask]*paper

	rules     map[string]rule // of policy pci, by gate
	excluding bool
	policyRev int
	keyRev    func() int
	high      time.Time // the latest time that the clock guard has seen
	clock     int
	wait      time.Duration
	every     time.Duration
	mount     bool // config/approvals names an auth mount

	acts, refusals int
}

const (
	votesFor, doFor = 3 * time.Hour, 2 * time.Hour
	theMount        = "userpass-1"
)

var cast = []string{"alice", "bob", "carol", "dave", "erin", "frank"}

func play(t *testing.T, seed uint64) *game {
	t.Helper()
	m := mounttest.New(t)
	g := &game{office: &office{m, t}, chance: rand.New(rand.NewPCG(seed, 2)), people: map[string]*someone{}, papers: map[ask]*paper{}}
	g.wait, g.every = 24*time.Hour, 365*24*time.Hour
	for _, who := range cast {
		g.people[who] = &someone{groups: []string{"a"}, alias: true}
		if g.chance.IntN(3) == 0 {
			g.people[who].groups = []string{"a", "b"}
		}
		g.know(who)
	}
	for _, who := range cast[:4+g.chance.IntN(2)] {
		g.enrol(who)
	}
	g.write(map[string]rule{"rotate": {1 + g.chance.IntN(2), []string{"a"}}})
	g.Must(g.as("founder").Write("keys/orders", "policy", "pci", "reason", why))
	g.Must(g.as("bob").Write("keys/orders/rotate", "stage", true, "reason", why)) // which needs no consent yet
	require.NoError(t, g.Tick())
	g.seen()
	return g
}

func (g *game) know(who string) {
	p := g.people[who]
	if p.gone {
		g.System.Gone(id(who))
		return
	}
	e := &logical.Entity{ID: id(who), Name: who, Disabled: p.disabled}
	if p.alias {
		e.Aliases = []*logical.Alias{{MountAccessor: theMount, Name: who}}
	}
	g.System.Entity(e, p.groups...)
}
