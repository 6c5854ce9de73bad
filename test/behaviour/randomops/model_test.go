// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package randomops_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// modelKey is a key as a reader of docs/states.md would note it down: one word for each version. It shares
// nothing with internal/lifecycle.
type modelKey struct {
	governed, hold, deletable bool
	state, stateBefore        string
	until                     time.Time      // of a retired key
	own                       map[int]string // state of a version, whatever the floor and the key
	before                    map[int]string // of retired versions
	destroy                   map[int]time.Time
	locked                    map[int]bool // of compromised versions: could not decrypt before, and was not recovered since
	released                  map[int]bool // of suspended versions: were staged, and gave way in an emergency
	primary, staged, count    int
	minDec, minEnc, minAvail  int
	line                      []int             // which versions were active before, as far back as a key remembers
	led                       map[int]time.Time // when a version became active first
}

func newModelKey(governed bool, now time.Time) modelKey {
	return modelKey{
		governed: governed, state: "enabled", own: map[int]string{1: "active"}, before: map[int]string{}, destroy: map[int]time.Time{},
		locked: map[int]bool{}, released: map[int]bool{}, primary: 1, minDec: 1, count: 1, led: map[int]time.Time{1: now},
	}
}

func (k modelKey) clone() modelKey {
	k.own, k.before, k.destroy, k.locked = maps.Clone(k.own), maps.Clone(k.before), maps.Clone(k.destroy), maps.Clone(k.locked)
	k.released, k.led, k.line = maps.Clone(k.released), maps.Clone(k.led), slices.Clone(k.line)
	return k
}

// is is the state of a version by itself.
func (k *modelKey) is(v int) string {
	if k.own[v] == "deactivated" && v < k.minDec {
		return "archived"
	}
	return k.own[v]
}

// shows is the state of a version as a client sees it.
func (k *modelKey) shows(v int) string {
	own := k.is(v)
	usable := own == "pre_active" || own == "active" || own == "deactivated"
	switch {
	case own == "destroyed" || k.state == "destroyed":
		return "destroyed"
	case k.state == "retired":
		return "retired"
	case k.state == "archived" && own != "compromised" && own != "retired":
		return "archived"
	case k.state == "suspended" && usable:
		return "suspended"
	default:
		return own
	}
}

func (k *modelKey) protects(v int) bool {
	if v == 0 {
		return k.primary > 0 && k.shows(k.primary) == "active"
	}
	return v >= k.minEnc && (k.shows(v) == "active" || k.shows(v) == "deactivated" && !k.governed)
}

func (k *modelKey) processes(v int) bool {
	state := k.shows(v)
	reads := state == "pre_active" || state == "active" || state == "deactivated"
	return v >= k.minDec && (reads || state == "compromised" && !k.locked[v] && k.state == "enabled")
}

func (k *modelKey) rewraps(v int) bool { return k.processes(v) && k.shows(v) != "pre_active" }

func (k *modelKey) delay() time.Duration {
	return map[bool]time.Duration{true: 24 * time.Hour, false: 30 * 24 * time.Hour}[k.governed]
}

// stagedBut is the staged version, unless it is v.
func (k *modelKey) stagedBut(v int) int { return map[bool]int{false: k.staged}[k.staged == v] }

func (k *modelKey) lead(v int, now time.Time) {
	if k.primary > 0 {
		k.line = append(k.line[max(0, len(k.line)-7):], k.primary)
	}
	k.led[v] = now
	k.swap(v)
}

// swap makes v the active version.
func (k *modelKey) swap(v int) {
	if k.own[k.primary] == "active" {
		k.own[k.primary] = "deactivated"
	}
	k.own[v], k.primary, k.staged = "active", v, k.stagedBut(v)
}

func (k *modelKey) rotate(stage bool, now time.Time) bool {
	if k.state != "enabled" || k.staged != 0 {
		return false
	}
	k.count++
	if stage {
		k.own[k.count], k.staged = "pre_active", k.count
	} else {
		k.lead(k.count, now)
	}
	return true
}

// version does an operation on a version and tells whether it is allowed.
func (k *modelKey) version(op string, v int, now time.Time) bool {
	was := k.is(v)
	if was == "" || k.state == "destroyed" || op != "compromise" && k.state == "retired" {
		return false
	}
	if restores := op == "restore" && was == "retired"; k.state == "archived" && op != "compromise" && !restores {
		return false
	}
	switch {
	case op == "promote" && was == "pre_active" && v >= k.minDec:
		k.lead(v, now)
	case op == "suspend" && (was == "pre_active" || was == "active" || was == "deactivated"):
		k.own[v] = "suspended"
	case op == "resume" && was == "suspended":
		if k.released[v] {
			return k.stagedAgain(v)
		}
		k.own[v] = cmp.Or(map[int]string{k.staged: "pre_active", k.primary: "active"}[v], "deactivated")
	case op == "archive" && k.own[v] == "deactivated":
		k.own[v] = "archived"
	case op == "recover" && was == "archived" && v >= k.minDec:
		k.own[v] = "deactivated"
	case op == "recover" && was == "compromised" && k.locked[v] && v >= k.minDec:
		k.locked[v] = false
	case op == "retire" && !k.hold && (was == "pre_active" || k.own[v] == "archived" || was == "compromised"):
		k.own[v], k.before[v], k.destroy[v], k.staged = "retired", was, now.Add(k.delay()), k.stagedBut(v)
	case op == "restore" && was == "retired" && (k.hold || now.Before(k.destroy[v])):
		return k.restore(v)
	case op == "compromise" && was != "destroyed" && was != "compromised" && (was != "retired" || k.before[v] != "compromised"):
		k.compromise(v, was, now)
	default:
		return false
	}
	return true
}

func (k *modelKey) restore(v int) bool {
	switch k.before[v] {
	case "pre_active":
		return k.stagedAgain(v)
	case "compromised":
	default:
		k.before[v] = "archived"
	}
	k.own[v] = k.before[v]
	return true
}

func (k *modelKey) stagedAgain(v int) bool {
	if k.staged != 0 || v < k.minDec || v < k.minEnc {
		return false
	}
	k.own[v], k.staged = "pre_active", v
	delete(k.released, v)
	return true
}

func (k *modelKey) compromise(v int, was string, now time.Time) {
	k.own[v], k.locked[v] = "compromised", was != "pre_active" && was != "active" && was != "deactivated"
	k.staged = k.stagedBut(v)
	if v == k.primary {
		k.succeed(now)
	}
}

// succeed gives an enabled key whose primary is compromised another one, at once or by the next tick (T14).
func (k *modelKey) succeed(now time.Time) {
	was := k.is(k.primary) // of a retired one by itself nobody hears, but for the primary, which only a report retires
	if k.state != "enabled" || was != "compromised" && was != "retired" && was != "destroyed" {
		return
	}
	if k.is(k.staged) == "pre_active" && k.staged >= k.minDec {
		k.lead(k.staged, now)
		return
	}
	if k.staged != 0 {
		k.released[k.staged], k.staged = true, 0
	}
	k.rotate(false, now)
}

func (k *modelKey) rollback(now time.Time) bool {
	if k.state != "enabled" || k.is(k.primary) != "active" || k.governed && now.After(k.led[k.primary].Add(24*time.Hour)) {
		return false
	}
	oldest := k.primary
	for i := len(k.line) - 1; i >= 0; i-- {
		if oldest = min(oldest, k.line[i]); k.is(k.line[i]) == "deactivated" && k.line[i] >= k.minEnc {
			k.swap(k.line[i])
			k.line = k.line[:i]
			return true
		}
	}
	for v := oldest - 1; v > 0; v-- {
		if k.is(v) == "deactivated" && v >= k.minEnc {
			k.swap(v)
			k.line = nil
			return true
		}
	}
	return false
}

// whole does an operation on the key.
func (k *modelKey) whole(op string, now time.Time) bool {
	to := map[string]string{
		"suspend enabled": "suspended", "resume suspended": "enabled", "archive enabled": "archived", "archive suspended": "archived",
		"recover archived": "enabled", "retire archived": "retired", "restore retired": "archived",
	}[op+" "+k.state]
	if to == "" || op == "retire" && k.hold || op == "restore" && !k.hold && !now.Before(k.until) {
		return false
	}
	if op == "archive" {
		k.stateBefore = k.state
	}
	if op == "recover" {
		to = k.stateBefore
	}
	k.state, k.until = to, now.Add(k.delay())
	return true
}

func (k *modelKey) floors(dec, enc int) bool {
	if dec == k.minDec && enc == k.minEnc {
		return true
	}
	if dec < 1 || dec > k.count || enc > k.count || dec > k.primary || k.staged != 0 && dec > k.staged || enc != 0 && enc < dec || k.minAvail > enc || k.minAvail > dec {
		return false
	}
	if enc != k.minEnc && (enc > k.primary && k.primary > 0 || k.staged != 0 && enc > k.staged) {
		return false
	}
	k.minDec, k.minEnc = dec, enc
	return true
}

func (k *modelKey) trim(floor int) bool {
	if k.governed || k.hold || floor < 1 || floor < k.minAvail || k.minEnc == 0 || floor > k.minDec || floor > k.minEnc {
		return false
	}
	for k.minAvail = floor; floor > 1; floor-- {
		k.own[floor-1], k.staged = "destroyed", k.stagedBut(floor-1)
	}
	return true
}

// tick is what the clock does: it destroys, and replaces what is compromised.
func (k *modelKey) tick(now time.Time) {
	if k.state == "retired" && !k.hold && !now.Before(k.until) {
		k.state = "destroyed"
	}
	for v := range k.own {
		if !k.hold && k.state != "retired" && k.is(v) == "retired" && !now.Before(k.destroy[v]) {
			k.own[v] = "destroyed"
		}
	}
	k.succeed(now)
}

func (k *modelKey) String() string {
	var states []string
	for v := 1; v <= k.count; v++ {
		states = append(states, k.shows(v))
	}
	return fmt.Sprint(states, k.state, k.hold, k.deletable, k.staged, k.minDec, k.minEnc, k.minAvail)
}
