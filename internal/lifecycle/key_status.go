// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// KeyState is the state of a whole key.
type KeyState int

// The states of a key. An enabled key leaves its versions their own states.
const (
	Enabled KeyState = iota
	KeySuspended
	KeyArchived
	KeyRetired
	KeyDestroyed
)

var keyStateNames = map[KeyState]string{
	Enabled: "enabled", KeySuspended: "suspended", KeyArchived: "archived", KeyRetired: "retired", KeyDestroyed: "destroyed",
}

func (s KeyState) String() string { return keyStateNames[s] }

// ParseKeyState returns the state of that name; ok is false for none.
func ParseKeyState(name string) (state KeyState, ok bool) {
	for state, known := range keyStateNames {
		if known == name {
			return state, true
		}
	}
	return Enabled, false
}

// KeyStatus is the state of a whole key, in force over those of its versions: one write stops ten thousand versions.
type KeyStatus struct {
	State KeyState
	At    time.Time

	DestroyAt       time.Time // KeyRetired: when the key is destroyed
	RetireNotBefore time.Time // KeyArchived: its quiet period, as far as it is known

	Before KeyState // KeyArchived and KeyRetired: what recover leads back to
}

// IsDestroyed reports a key that was destroyed as a whole: its material goes, or is gone.
func (m KeyStatus) IsDestroyed() bool { return m.State == KeyDestroyed }

// denies reports whether no version of the key processes, whatever its own state.
func (m KeyStatus) denies(use Use, t policy.EffectiveRules) bool {
	switch m.State {
	case KeySuspended:
		return use == Rewrap || !t.SuspendedProcessing
	case KeyArchived, KeyRetired, KeyDestroyed:
		return true
	default:
		return false
	}
}

// admits reports whether an operation is possible on a version of the state while the key as a whole is in its own. What
// was retired before its key was archived is destroyed all the same, or restored.
func (m KeyStatus) admits(op Op, own State) bool {
	switch m.State {
	case KeyDestroyed:
		return false
	case KeyRetired:
		return op == ReportCompromise
	case KeyArchived:
		return op == ReportCompromise || own == Retired && (op == Restore || op == Destroy)
	default:
		return true
	}
}

// maskedStates is the state of a version of a suspended or archived key, where it is not its own.
var maskedStates = map[KeyState]map[State]State{
	KeySuspended: {PreActive: Suspended, Active: Suspended, Deactivated: Suspended},
	KeyArchived:  {PreActive: Archived, Active: Archived, Deactivated: Archived, Suspended: Archived},
}

// combinedWith returns the state that a version of its own state has under the override.
func (m KeyStatus) combinedWith(own State) State {
	switch {
	case own == NoState || own == Destroyed:
		return own
	case m.State == KeyDestroyed:
		return Destroyed
	case m.State == KeyRetired:
		return Retired
	}
	if state, ok := maskedStates[m.State][own]; ok {
		return state
	}
	return own
}

// Until is the date that the state has: a state has one at most. It is what records keep.
func (m KeyStatus) Until() time.Time { return *m.until() }

// WithUntil returns the status with the date that its state has.
func (m KeyStatus) WithUntil(at time.Time) KeyStatus {
	*m.until() = at
	return m
}

func (m *KeyStatus) until() *time.Time {
	if m.State == KeyRetired || m.State == KeyDestroyed {
		return &m.DestroyAt
	}
	return &m.RetireNotBefore
}

// Suspended reports whether the key as a whole is suspended.
func (m KeyStatus) Suspended() bool { return m.State == KeySuspended }
