// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package check

import (
	"fmt"
	"slices"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
)

// shown holds each key as it is shown against what custody leads to.
func (j *judge) shown() {
	for _, l := range j.lives {
		key, looked := j.final.Keys[l.key]
		if !looked {
			continue
		}
		moments := l.possible(j.final.At, ever)
		var why []string
		if !anyOf(moments, func(m moment) bool {
			why = m.differs(key)
			return len(why) == 0
		}) {
			for _, text := range why { // of the last moment
				j.find(WrongState, l.key, 0, 0, "%s", text)
			}
		}
		j.shape(l, key, moments)
	}
	for name, key := range j.final.Keys {
		if !key.Absent && !slices.ContainsFunc(j.lives, func(l *life) bool { return l.key == name }) {
			j.find(Custody, name, 0, 0, "the key is there, and custody has nothing of it")
		}
	}
}

// shape is what holds in whatever order things were done.
func (j *judge) shape(l *life, key history.Key, moments []moment) {
	var inUse []int
	for n, v := range key.Versions {
		if v.State == active {
			inUse = append(inUse, n)
		}
	}
	if len(inUse) > 1 {
		slices.Sort(inUse)
		j.find(TwoActive, l.key, 0, 0, "versions %v are active", inUse)
	}
	if len(moments) == 0 || key.Absent {
		return
	}
	for n, v := range moments[0].versions { // what was made before the last look
		if _, there := key.Versions[n]; !there && v.state != destroyed && moments[len(moments)-1].versions[n].state != destroyed {
			j.find(Vanished, l.key, n, 0, "it was made, and is not listed")
		}
	}
}

// differs says what of a key is not as it is at the moment.
func (m moment) differs(key history.Key) (why []string) {
	if key.Absent || !m.exists() {
		if key.Absent != !m.exists() {
			why = append(why, fmt.Sprintf("there is such a key: shown %t, by custody %t", !key.Absent, m.exists()))
		}
		return why
	}
	compare := func(what string, shown, recorded any) {
		if shown != recorded {
			why = append(why, fmt.Sprintf("%s: shown %v, by custody %v", what, shown, recorded))
		}
	}
	compare("state of the key", key.State, m.state)
	compare("latest version", key.Latest, m.latest)
	compare("min_decryption_version", key.Floor, m.floor)
	compare("legal hold", key.Hold, m.hold)
	compare("min_available_version", key.Available, m.available)
	for n, v := range key.Versions {
		if state := m.shown(n); v.State != state && (m.state == enabled || v.State != m.state) {
			compare(fmt.Sprintf("state of version %d", n), v.State, state)
		}
		if m.versions[n].state == compromised {
			compare(fmt.Sprintf("version %d is locked", n), v.Locked, m.versions[n].locked)
		}
	}
	return why
}
