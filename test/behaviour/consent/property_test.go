// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"fmt"
	"maps"
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

// This file plays a mount at random and keeps books of its own of who agreed to what, as the manual has it. They share no code with
// what decides: an act that takes effect must have had the persons that the books find, and one that has them must not be refused.

// someone is a person as Vault knows it at the moment, and what the mount was told of it.
type someone struct {
	groups            []string
	disabled, gone    bool
	noAlias           bool
	enrolled, renewed time.Time // zero: it has not enrolled
	founder           bool
}

// demand is a rule in the books.
type demand struct {
	need   int
	groups []string
}

func (d demand) String() string { return fmt.Sprint(d.need, " of ", strings.Join(d.groups, ", ")) }

// paper is a request in the books, in its newest round.
type paper struct {
	id, asker, key    string // key: what was asked for and the state of things that it is about
	created, approved time.Time
	ended             time.Time
	denied            string // who did
	votes             []string
	rule              demand
	notMaker          bool
	clock             int
	used              bool
	uses              int // in all rounds
}

// game is a mount that is played at random.
type game struct {
	*office
	chance *rand.Rand
	people map[string]*someone
	papers map[string]*paper

	rules     map[string]demand // of the policy, by operation
	notMaker  bool              // who made the key is not counted
	wait      time.Duration
	named     bool // config/approvals names an auth mount
	clock     int  // how often somebody said that the clock is right
	done, all int
}

const (
	voteFor, doFor = 3 * time.Hour, 2 * time.Hour
	everyYear      = 365 * 24 * time.Hour
	maker          = "bob"
)

var cast = []string{"alice", "bob", "carol", "dave", "erin", "frank"}

func newGame(t *testing.T, seed uint64) *game {
	t.Helper()
	m := mounttest.New(t)
	g := &game{office: &office{m, t}, chance: rand.New(rand.NewPCG(seed, 2)), people: map[string]*someone{}, papers: map[string]*paper{}, wait: 24 * time.Hour}
	for i, who := range cast {
		g.people[who] = &someone{groups: [][]string{{"a"}, {"a", "b"}, {"b"}}[i%3]}
		g.tell(who)
	}
	for _, who := range cast[:5] {
		g.acknowledge(who, true)
	}
	g.rules = map[string]demand{"rotate": {1, []string{"a", "b"}}, "export": {2, []string{"a", "b"}}}
	g.Must(g.writePolicy())
	g.Must(g.as(maker).Write("keys/orders", "policy", "pci", "exportable", true, "reason", why))
	require.NoError(t, g.Tick())
	return g
}

// tell makes Vault know a person as the books do.
func (g *game) tell(who string) {
	p := g.people[who]
	e := &logical.Entity{ID: id(who), Name: who, Disabled: p.disabled}
	if !p.noAlias {
		e.Aliases = []*logical.Alias{{MountAccessor: "userpass-1", Name: who}}
	}
	g.System.Entity(e, p.groups...)
	if p.gone {
		g.System.Gone(id(who))
	}
}

func (g *game) acknowledge(who string, founder bool) {
	g.t.Helper()
	p := g.people[who]
	hash := g.Must(g.as(who).Read("approvers/duties")).Data["duties_hash"]
	got := g.Write("approvers/acknowledge", "duties_hash", hash)
	require.Equal(g.t, p.gone || p.disabled, got.Status >= 300, got.Err)
	if got.Status >= 300 {
		return
	}
	if p.renewed = g.Clock.Now(); p.enrolled.IsZero() {
		p.enrolled, p.founder = p.renewed, founder
	}
}

func (g *game) writePolicy() mounttest.Answer {
	rules := map[string]any{}
	for gate, rule := range g.rules {
		rules[gate] = rule.String()
	}
	exclude := "requester"
	if g.notMaker {
		exclude = "requester,creator"
	}
	return g.as("root").Write("policies/pci", "owner", "payments", "rotation_mode", "manual", "approvals", rules, "approval_exclude", exclude,
		"approval_ttl", voteFor.String(), "execution_ttl", doFor.String(), "exportable", true, "post_checks", "round_trip")
}

// thing is the state of what is asked about: the key, and the policy.
func (g *game) thing() string {
	return fmt.Sprint(g.Storage.Key("orders").Revision, g.as("auditor").Read("policies/pci").Data["revision"])
}

func (g *game) key(who, gate, reason string) string {
	return strings.Join([]string{who, gate, reason, g.thing()}, "|")
}

// counts says whether a person may consent to what is on a paper.
func (g *game) counts(who string, p *paper) bool {
	s, now := g.people[who], g.Clock.Now()
	switch {
	case who == p.asker, p.notMaker && who == maker, s.gone, s.disabled, s.enrolled.IsZero(), g.named && s.noAlias:
		return false
	case !s.founder && now.Before(s.enrolled.Add(g.wait)), s.enrolled.After(p.created), !s.founder && s.enrolled.Equal(p.created), !now.Before(s.renewed.Add(everyYear)):
		return false
	}
	return slices.ContainsFunc(s.groups, func(group string) bool { return slices.Contains(p.rule.groups, group) })
}

func (g *game) given(p *paper) (n int) {
	for _, who := range p.votes {
		if g.counts(who, p) {
			n++
		}
	}
	return n
}

// standing is what has become of a paper.
func (g *game) standing(p *paper) string {
	now := g.Clock.Now()
	late := !now.Before(p.created.Add(voteFor))
	if !p.approved.IsZero() {
		late = !now.Before(p.approved.Add(doFor))
	}
	switch {
	case p.used:
		return "executed"
	case !p.ended.IsZero() && p.denied != "":
		return "denied"
	case !p.ended.IsZero():
		return "withdrawn"
	case !strings.HasSuffix(p.key, "|"+g.thing()), p.clock != g.clock:
		return "void"
	case late:
		return "expired"
	case !p.approved.IsZero() && g.given(p) >= p.rule.need:
		return "approved"
	default:
		return "pending"
	}
}

func (g *game) anyone() string { return cast[g.chance.IntN(len(cast))] }

// any returns a paper in a state that is wanted, else mostly one that is open; nil: there is none.
func (g *game) any(wanted ...string) *paper {
	var open, all []*paper
	for _, key := range slices.Sorted(maps.Keys(g.papers)) {
		p := g.papers[key]
		state := g.standing(p)
		if all = append(all, p); state == "pending" || state == "approved" || slices.Contains(wanted, state) {
			open = append(open, p)
		}
	}
	if i := slices.IndexFunc(open, func(p *paper) bool { return slices.Contains(wanted, g.standing(p)) }); i >= 0 {
		return open[i]
	}
	if len(open) > 0 && g.chance.IntN(8) > 0 {
		all = open
	}
	if len(all) == 0 {
		return nil
	}
	return all[g.chance.IntN(len(all))]
}

// act sends a command that a rule asks for consent to.
func (g *game) act() {
	g.t.Helper()
	who, gate, reason := g.anyone(), []string{"rotate", "export"}[g.chance.IntN(2)], fmt.Sprint("because of ticket ", g.chance.IntN(2))
	if p := g.any("approved"); p != nil && g.chance.IntN(3) > 0 { // one that was asked for
		parts := strings.Split(p.key, "|")
		who, gate, reason = parts[0], parts[1], parts[2]
	}
	key := g.key(who, gate, reason)
	p, state := g.papers[key], "new"
	if p != nil {
		state = g.standing(p)
	}
	frozen := g.as("auditor").Frozen()
	send := func() mounttest.Answer { return g.as(who).Write("keys/orders/rotate", "reason", reason) }
	if gate == "export" {
		send = func() mounttest.Answer { return g.as(who).Read("export/encryption-key/orders", "reason", reason) }
	}
	got := send()
	cooling := p != nil && g.Clock.Now().Before(p.ended.Add(voteFor))
	g.all++
	switch {
	case state == "approved" && !frozen:
		require.Less(g.t, got.Status, 300, "it has the consent: %s", got.Err)
		p.used = true
		p.uses++
		g.done++
		require.Equal(g.t, p.uses, executions(g.office, p.id))
	case state == "approved", (state == "denied" || state == "withdrawn") && cooling:
		require.Equal(g.t, 400, got.Status, "%s: %s", state, got.Err)
	case state == "pending":
		require.Equal(g.t, 428, got.Status, "%s: %s", state, got.Err)
		require.Equal(g.t, p.id, idIn.FindString(got.Err))
	default:
		require.Equal(g.t, 428, got.Status, "%s: %s", state, got.Err)
		uses := 0
		if p != nil {
			uses = p.uses
		}
		g.papers[key] = &paper{
			id: idIn.FindString(got.Err), asker: who, key: key, created: g.Clock.Now(), rule: g.rules[gate], notMaker: g.notMaker, clock: g.clock, uses: uses,
		}
	}
}

func (g *game) vote() {
	g.t.Helper()
	p, who := g.any([]string{"pending", ""}[g.chance.IntN(2)]), g.anyone()
	if p == nil {
		return
	}
	state, again := g.standing(p), slices.Contains(p.votes, who)
	open := state == "pending" || state == "approved"
	expected := open && (again || g.counts(who, p)) || state == "executed" && again
	got := g.as(who).Write("approvals/"+p.id+"/approve", "comment", "checked")
	require.Equal(g.t, expected, got.Status < 300, "%s, %s: %s", who, state, got.Err)
	if !expected || !open {
		return
	}
	if !again {
		p.votes = append(p.votes, who)
	}
	if p.approved.IsZero() && g.given(p) >= p.rule.need {
		p.approved = g.Clock.Now()
	}
}

func (g *game) end() {
	g.t.Helper()
	p, who := g.any(), g.anyone()
	if p == nil || g.chance.IntN(3) > 0 {
		return
	}
	state, open := g.standing(p), g.standing(p) == "pending" || g.standing(p) == "approved"
	verb, expected := "deny", open && g.counts(who, p) || state == "denied" && p.denied == who
	if g.chance.IntN(2) == 0 {
		verb, expected = "withdraw", who == p.asker && (open || state == "withdrawn")
	}
	got := g.as(who).Write("approvals/"+p.id+"/"+verb, "reason", "I have thought about it")
	require.Equal(g.t, expected, got.Status < 300, "%s, %s: %s", who, state, got.Err)
	if !expected || !open {
		return
	}
	if p.ended = g.Clock.Now(); verb == "deny" {
		p.denied = who
		p.votes = slices.DeleteFunc(p.votes, func(voter string) bool { return voter == who })
	}
}

func (g *game) move() {
	g.t.Helper()
	switch n := g.chance.IntN(100); {
	case n < 34:
		g.act()
	case n < 68:
		g.vote()
	case n < 72:
		g.end()
	case n < 76:
		g.life()
	case n < 80:
		g.enrolment()
	case n < 82:
		g.rule()
	case n < 89:
		g.time()
	case n < 91:
		g.Must(g.as("root").Write("keys/orders/config", "owner", fmt.Sprint("owner ", g.chance.Int())))
	case n < 93:
		g.Restart()
	default: // what is shown is what the books say
		if p := g.any(); p != nil {
			shown := g.Must(g.as("auditor").Read("approvals/" + p.id)).Data
			require.Equal(g.t, g.standing(p), shown["state"])
			require.Equal(g.t, g.given(p), shown["given"])
		}
	}
}

func TestWhatIsDoneHasTheConsentOfThoseWhoCountAndWhatHasItIsDone(t *testing.T) {
	games, moves := racetest.Size(t, 10), 250
	done, all := make([]int, games), make([]int, games)
	t.Run("games", func(t *testing.T) {
		for seed := range games {
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				t.Parallel()
				g := newGame(t, uint64(seed))
				for range moves {
					g.move()
				}
				for _, p := range g.papers {
					require.Equal(t, p.uses, executions(g.office, p.id))
				}
				g.requireWhole()
				done[seed], all[seed] = g.done, g.all
			})
		}
	})
	sum := func(of []int) (n int) {
		for _, each := range of {
			n += each
		}
		return n
	}
	require.Greater(t, sum(done)*40, sum(all), "%d of %d commands were carried out: the games are about too little", sum(done), sum(all))
}
