// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package timeline

import (
	"slices"
	"time"
)

// Act is what was done, or will be. No versions: it was done to the whole key.
type Act struct {
	At         time.Time
	Name       string
	Versions   []int
	To         string // the state that they got; empty: none
	Superseded int    // the version that was active until then; 0: none was
	Successor  int    // the version that is active from then; 0: no other
	Title      string // for whoever points at its mark

	Irreversible bool // nothing brings back what it took, or will take
}

// Version is how a version stands now.
type Version struct {
	Number  int
	State   string
	Created time.Time
}

const enabled = "enabled"

// change is a state that begins.
type change struct {
	at    time.Time
	state string
}

// life follows the states of versions from act to act.
type life struct {
	key   string         // state of the whole key
	own   map[int]string // states of versions by themselves
	lanes map[int][]change
}

func newLife() *life { return &life{key: enabled, own: map[int]string{}, lanes: map[int][]change{}} }

// masked are the states of the whole key, each with the states of versions that it leaves as they are.
var masked = map[string][]string{
	"suspended": {"compromised", "archived", "retired", "destroyed"},
	"archived":  {"compromised", "retired", "destroyed"},
	"retired":   {"destroyed"},
	"destroyed": {"destroyed"},
}

// shown is the state of a version when that of the key counts in.
func (l *life) shown(v int) string {
	own := l.own[v]
	if stay, is := masked[l.key]; is && !slices.Contains(stay, own) {
		return l.key
	}
	return own
}

// apply lets an act happen.
func (l *life) apply(a Act) {
	if a.Superseded != 0 && !a.replaces() {
		l.own[a.Superseded] = "deactivated"
	}
	for _, v := range a.Versions {
		if a.To != "" {
			l.own[v] = a.To
		}
	}
	if a.Successor != 0 {
		l.own[a.Successor] = "active"
	}
	if _, is := masked[a.To]; len(a.Versions) == 0 && (is || a.To == enabled) {
		l.key = a.To
	}
	for v := range l.own {
		l.mark(v, a.At)
	}
}

// replaces reports whether what is superseded gets another state by the act itself.
func (a Act) replaces() bool { return slices.Contains(a.Versions, a.Superseded) }

func (l *life) mark(v int, at time.Time) {
	lane := l.lanes[v]
	if state := l.shown(v); len(lane) == 0 || lane[len(lane)-1].state != state {
		l.lanes[v] = append(lane, change{at, state})
	}
}

// agree makes the versions be in the states that they are in, where the acts that are known do not lead there.
func (l *life) agree(versions []Version, last time.Time) {
	for _, v := range versions {
		lane := l.lanes[v.Number]
		switch {
		case len(lane) == 0:
			l.lanes[v.Number] = []change{{v.Created, v.State}}
		case lane[len(lane)-1].state != v.State:
			l.lanes[v.Number] = append(lane, change{last, v.State})
		}
		if l.key == enabled {
			l.own[v.Number] = v.State
		} else if _, known := l.own[v.Number]; !known {
			l.own[v.Number] = v.State
		}
	}
}

// leadsTo are the states that acts of the clock lead to.
var leadsTo = map[string]string{
	"rotate": "active", "promote": "active", "stage": "pre_active", "lapse": "deactivated", "archive": "archived", "retire": "retired",
	"destroy": "destroyed",
}

// will is an act of the clock as it would be recorded.
func (l *life) will(a Act) Act {
	a.To = leadsTo[a.Name]
	if a.To == "active" {
		for v, state := range l.own {
			if state == "active" && !slices.Contains(a.Versions, v) {
				a.Superseded = v
			}
		}
	}
	return a
}
