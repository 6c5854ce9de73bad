// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule

import (
	"math/rand/v2"
	"slices"
	"time"
)

// row says what may be drawn for a kind. Spans are from, to, in milliseconds, and drawn in tens.
type row struct {
	kind  Kind
	nodes []Role
	span  [2]int // For
	times [2]int
	by    [2]int
}

// table has each kind once.
var table = []row{
	{kind: KillNode, nodes: []Role{Leader, Leader, Follower}, span: [2]int{500, 3000}},
	{kind: KillAll, nodes: []Role{All}, span: [2]int{200, 1500}},
	{kind: Stop, nodes: []Role{Leader, Leader, Follower}, span: [2]int{1000, 7000}},
	{kind: StepDown, nodes: []Role{Leader}, span: [2]int{300, 1500}, times: [2]int{2, 5}},
	{kind: Cut, nodes: []Role{Leader, Leader, Follower}, span: [2]int{1500, 7000}},
	{kind: Silence, nodes: []Role{Leader, Leader, Follower}, span: [2]int{1500, 7000}},
	{kind: DiskFull, nodes: []Role{Leader, Leader, Follower}, span: [2]int{1500, 5000}},
	{kind: DiskSlow, nodes: []Role{Leader, Follower}, span: [2]int{2000, 5000}, by: [2]int{50, 250}},
	{kind: DiskFails, nodes: []Role{Leader, Leader, Follower}, span: [2]int{500, 3000}},
	{kind: ClockAhead, nodes: []Role{All}, span: [2]int{1000, 4000}, by: [2]int{20_000, 900_000}},
	{kind: ClockBehind, nodes: []Role{All}, span: [2]int{1000, 4000}, by: [2]int{20_000, 900_000}},
	{kind: KillPlugin, nodes: []Role{Leader}, span: [2]int{700, 1300}, times: [2]int{1, 5}},
	{kind: ReloadPlugin, nodes: []Role{Leader}, span: [2]int{500, 1500}, times: [2]int{1, 3}},
	{kind: Seal, nodes: []Role{Leader}, span: [2]int{500, 3000}},
	{kind: Restore, nodes: []Role{Leader}, span: [2]int{1500, 5000}},
	{kind: Tick, nodes: []Role{Leader}, span: [2]int{500, 1500}, times: [2]int{1, 2}},
	{kind: Age, nodes: []Role{Leader}, span: [2]int{400, 900}, times: [2]int{1, 4}, by: [2]int{36_000_000, 39_600_000}},
	{kind: Sweep, nodes: []Role{Leader}, span: [2]int{500, 1500}, times: [2]int{1, 3}},
}

// brief are kinds during which the next fault may be thrown as well.
var brief = []Kind{Stop, Cut, Silence, DiskSlow, ClockAhead, ClockBehind, KillPlugin, StepDown, Age, Sweep, Tick}

// amids are what a fault may be thrown amid: acts as custody names them, of which approve is a vote, and what the clock does.
var amids = []string{"rotate", "rotate", "archive", "compromise", "retire", "approve", "recover", "delete", AmidTick, AmidDestruction, AmidSweep}

const (
	stream = 0x6b65796c696665 // makes this stream of chance another one than that of the clients, who have the same seed
	warmUp = 1500             // milliseconds that clients have before the first fault
	most   = 3                // faults a plan
)

// Draw draws the plan of a seed. The kinds take turns to be the first fault, so that as many seeds as there are kinds have each.
func Draw(seed uint64) Plan {
	d := drawer{rand.New(rand.NewPCG(seed, stream))}
	plan := Plan{Seed: seed}
	at := d.span([2]int{warmUp, warmUp + 1000})
	for n := range 1 + d.IntN(most) {
		r := table[(seed+uint64(n)*uint64(1+d.IntN(len(table)-1)))%uint64(len(table))]
		f := d.fault(r)
		f.At = at
		plan.Faults = append(plan.Faults, f)
		over := at + f.For*time.Duration(f.Times)
		plan.Length = max(plan.Length, over)
		at = over
		if slices.Contains(brief, f.Kind) && d.IntN(2) == 0 {
			at = f.At + f.For/2
		}
		at += d.span([2]int{300, 1500})
	}
	plan.Length += time.Second
	return plan
}

// drawer is the chance of one seed.
type drawer struct{ *rand.Rand }

func (d drawer) fault(r row) Fault {
	f := Fault{Kind: r.kind, Node: r.nodes[d.IntN(len(r.nodes))], Times: 1}
	f.For = d.span(r.span)
	if r.times[1] > 0 {
		f.Times = r.times[0] + d.IntN(r.times[1]-r.times[0]+1)
	}
	if r.by[1] > 0 {
		f.By = d.span(r.by)
	}
	if d.IntN(5) > 1 {
		f.Amid, f.Late = amids[d.IntN(len(amids))], time.Duration(d.IntN(60))*time.Millisecond
	}
	return f
}

func (d drawer) span(between [2]int) time.Duration {
	return time.Duration(between[0]+10*d.IntN((between[1]-between[0])/10+1)) * time.Millisecond
}

// Kinds are all that may be drawn.
func Kinds() []Kind {
	kinds := make([]Kind, len(table))
	for i, r := range table {
		kinds[i] = r.kind
	}
	return kinds
}
