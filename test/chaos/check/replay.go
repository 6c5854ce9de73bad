// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package check

import (
	"fmt"
	"slices"
	"strconv"
)

// replay goes through the acts of each key, and finds those that the states before them do not allow.
func (j *judge) replay() {
	for _, l := range j.lives {
		m := moment{}
		l.moments = []moment{m}
		for _, a := range l.acts {
			m = j.apply(m.clone(), a)
			l.moments = append(l.moments, m)
		}
		l.windows(j)
	}
}

// apply is one act. An act that is not allowed is a finding, and done all the same, so that it is told once.
func (j *judge) apply(m moment, a act) moment {
	forbidden := func(format string, values ...any) {
		j.find(Forbidden, a.Key, a.version(), 0, "record %d, %s: %s", a.Seq, a.Act, fmt.Sprintf(format, values...))
	}
	switch a.Act {
	case "create":
		if m.exists() {
			forbidden("the key is there already")
		}
		m = moment{id: a.KeyID, state: enabled, floor: 1, versions: map[int]version{}}
	case "delete":
		return moment{}
	case "approve", "approval-request", "drill":
		return m
	}
	if !m.exists() {
		forbidden("there is no such key")
		m.versions, m.state = map[int]version{}, enabled
	}
	if a.KeyID != m.id {
		forbidden("it is of the key with the id %s, not %s", a.KeyID, m.id)
		m.id = a.KeyID
	}
	switch {
	case len(a.Versions) > 0:
		for _, number := range a.Versions {
			m = m.move(a, number, forbidden)
		}
	case a.Act == "configure", a.Act == "hold", a.Act == "trim":
		m = m.set(a, forbidden)
	case a.From != "":
		m = m.moveKey(a, forbidden)
	}
	return m
}

// move is an act on a version.
func (m moment) move(a act, number int, forbidden func(string, ...any)) moment {
	v, ok := m.versions[number]
	from := m.shown(number)
	if !ok {
		from = none
		m = m.numbered(a, number, forbidden)
	}
	if from != a.From && v.state != a.From {
		forbidden("version %d was %s, not %s", number, from, a.From)
	}
	if !slices.Contains(versionSteps[step{a.Act, a.From}], a.To) {
		forbidden("version %d cannot go from %s to %s", number, a.From, a.To)
	}
	if slices.Contains([]string{"rotate", "promote", "rollback"}, a.Act) && m.state != enabled {
		forbidden("the key is %s", m.state)
	}
	switch a.Act {
	case "suspend", "retire":
		v.before = v.state
	case "compromise":
		v.locked = slices.Contains([]string{suspended, archived, retired}, v.state)
		v.reported = true
	case "recover":
		v.locked = false
	}
	v.state = a.To
	if print := a.Details["fingerprint"]; print != "" {
		v.print = print
	}
	m.versions[number] = v
	switch {
	case a.To == active && a.Act != "resume":
		m = m.promoted(number)
	case a.Act == "lapse":
		m.primary = 0
	case a.Details["successor"] != "":
		m = m.succeeded(a, forbidden)
	}
	return m
}

// promoted makes a version the active one; the one before is superseded, also where it is suspended meanwhile.
func (m moment) promoted(number int) moment {
	if old, ok := m.versions[m.primary]; ok && m.primary != number {
		switch {
		case old.state == active:
			old.state = deactivated
		case old.before == active:
			old.before = deactivated
		}
		m.versions[m.primary] = old
	}
	m.primary = number
	return m
}

// succeeded is the version that follows a compromised one in the same act: the staged one, or a new one.
func (m moment) succeeded(a act, forbidden func(string, ...any)) moment {
	number, err := strconv.Atoi(a.Details["successor"])
	if err != nil {
		forbidden("successor %q is no number", a.Details["successor"])
		return m
	}
	v, ok := m.versions[number]
	if !ok {
		m = m.numbered(a, number, forbidden)
		v.print = a.Details["successor_fingerprint"]
	}
	v.state = active
	m.versions[number] = v
	return m.promoted(number)
}

// numbered gives a number: the next one, or the one behind those that the act says it gave up. What acts that were cut short have
// stored under these is retired.
func (m moment) numbered(a act, number int, forbidden func(string, ...any)) moment {
	next := m.latest + 1
	if text := a.Details["abandoned_versions"]; text != "" {
		var from, to int
		if _, err := fmt.Sscanf(text, "%d to %d", &from, &to); err != nil || from != next {
			forbidden("gives up the numbers %q, behind %d", text, m.latest)
		}
		for next = from; next <= to && next-from < mostAbandoned; next++ {
			m.versions[next] = version{state: retired, before: preActive}
		}
	}
	if number != next {
		forbidden("gives the number %d, behind %d", number, m.latest)
	}
	m.latest = max(m.latest, number)
	return m
}

// mostAbandoned is how many numbers a rotation gives up at most.
const mostAbandoned = 64

// set is a change of a setting. What it was before has to be what it is known to be.
func (m moment) set(a act, forbidden func(string, ...any)) moment {
	number := func(name string, now int) int {
		var from, to int
		if _, err := fmt.Sscanf(a.Details[name], "%d -> %d", &from, &to); err != nil {
			return now // not changed
		}
		if from != now {
			forbidden("%s was %d, not %d", name, now, from)
		}
		return to
	}
	m.floor = number("min_decryption_version", m.floor)
	if to := number("min_available_version", m.available); to != m.available {
		m.available = to
		for n, v := range m.versions {
			if n < to {
				v.state = destroyed
				m.versions[n] = v
			}
		}
	}
	if text := a.Details["legal_hold"]; text != "" {
		if text != fmt.Sprintf("%t -> %t", m.hold, !m.hold) {
			forbidden("legal_hold is %t, and goes %s", m.hold, text)
		}
		m.hold = text == "false -> true"
	}
	return m
}

// moveKey is an act on a whole key.
func (m moment) moveKey(a act, forbidden func(string, ...any)) moment {
	if m.state != a.From {
		forbidden("the key was %s, not %s", m.state, a.From)
	}
	if !slices.Contains(keySteps[step{a.Act, a.From}], a.To) {
		forbidden("a key cannot go from %s to %s", a.From, a.To)
	}
	if a.Act == "recover" && m.before != "" && a.To != m.before {
		forbidden("the key was %s before, and becomes %s", m.before, a.To)
	}
	if a.Act == "archive" {
		m.before = m.state
	}
	m.state = a.To
	if a.To == destroyed {
		for n, v := range m.versions {
			v.state = destroyed
			m.versions[n] = v
		}
	}
	return m
}
