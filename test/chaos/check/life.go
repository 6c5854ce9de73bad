// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package check

import (
	"maps"
	"slices"
	"time"
)

// life is what custody tells of a name: its acts in order, what it was like before the first and after each, and when each can have
// happened.
type life struct {
	key     string
	acts    []act
	moments []moment // moments[i+1] is after acts[i]
	from    []time.Duration
	to      []time.Duration
}

// moment is a key between two acts. The zero moment: there is none.
type moment struct {
	id        string // of the key; another one has another
	state     string
	before    string // the state that a recover leads to
	primary   int    // the active version, also while it is suspended or compromised
	latest    int
	floor     int
	available int
	hold      bool
	versions  map[int]version
}

// version is one of a moment.
type version struct {
	state    string
	before   string // the state that a resume or a restore leads to
	locked   bool
	reported bool
	print    string // fingerprint, as far as custody has it
}

func (m moment) exists() bool { return m.state != "" }

func (m moment) clone() moment {
	m.versions = maps.Clone(m.versions)
	return m
}

// shown is the state of a version of an enabled key: what only the floor has archived is archived, too.
func (m moment) shown(number int) string {
	v := m.versions[number]
	if number < m.floor && (v.state == deactivated || v.state == active) {
		return archived
	}
	return v.state
}

// windows narrows what is known of the time of each act by those before and behind it. Where nothing is left the records are in
// another order than the answers.
func (l *life) windows(j *judge) {
	n := len(l.acts)
	l.from, l.to = make([]time.Duration, n), make([]time.Duration, n)
	for i, a := range l.acts {
		l.from[i], l.to[i] = j.window(a)
	}
	for i := 1; i < n; i++ {
		l.from[i] = max(l.from[i], l.from[i-1])
	}
	for i := n - 2; i >= 0; i-- {
		l.to[i] = min(l.to[i], l.to[i+1])
	}
	for i, a := range l.acts {
		if l.from[i] > l.to[i] {
			j.find(OutOfOrder, l.key, a.version(), 0, "record %d (%s, %q) cannot have been done in its place: after %s, as an earlier one was asked for no sooner, and before %s, as a later one was answered by then",
				a.Seq, a.Act, a.Reason, l.from[i], l.to[i])
			l.to[i] = ever // told once
		}
	}
}

// possible are the moments that a key can have been in between two times.
func (l *life) possible(from, to time.Duration) (all []moment) {
	for i, m := range l.moments {
		began, ended := time.Duration(0), ever
		if i > 0 {
			began = l.from[i-1]
		}
		if i < len(l.acts) {
			ended = l.to[i]
		}
		if began <= to && ended >= from {
			all = append(all, m)
		}
	}
	return all
}

// any tells whether one of the moments fits.
func anyOf(all []moment, fits func(m moment) bool) bool { return slices.ContainsFunc(all, fits) }
