// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package schedule draws what is done to a cluster: which faults, when, to whom and for how long. It is a function of the seed alone.
// It knows neither Vault nor how a fault is thrown.
package schedule

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is what a fault does. Each has a way back, which is taken when its time is over.
type Kind string

const (
	KillNode     Kind = "kill"          // SIGKILL to the node and its plugin; started again
	KillAll      Kind = "kill-all"      // SIGKILL to all nodes at once; started again
	Stop         Kind = "stop"          // SIGSTOP to the node and its plugin; SIGCONT
	StepDown     Kind = "step-down"     // the leader gives up leading, again and again
	Cut          Kind = "cut"           // the node's connections to and from the others end, and no new ones begin
	Silence      Kind = "silence"       // nothing passes between the node and the others, and no connection ends
	DiskFull     Kind = "disk-full"     // no room for the node's storage
	DiskSlow     Kind = "disk-slow"     // each fdatasync of the node is late
	DiskFails    Kind = "disk-fails"    // each fdatasync of the node fails with EIO; the node is then started again
	ClockAhead   Kind = "clock-ahead"   // the plugins' time leaps; it leaps back
	ClockBehind  Kind = "clock-behind"  // the plugins' time falls back; it leaps forward
	KillPlugin   Kind = "plugin-killed" // SIGKILL to the leader's plugin process; Vault starts it again
	ReloadPlugin Kind = "plugin-reload" // as an operator does after an upgrade
	Seal         Kind = "seal"          // the leader is sealed; unsealed
	Restore      Kind = "snapshot"      // a snapshot is taken, and restored when time is over
	Tick         Kind = "tick"          // Vault calls the plugin's periodic function
	Age          Kind = "age"           // the plugins' time goes on by hours, and ticks do what became due; there is no way back
	Sweep        Kind = "kek-sweep"     // the mount's key encryption keys are replaced, and ticks wrap all material anew
)

// What else than an act of clients a fault may be thrown amid.
const (
	AmidTick        = "tick"        // the plugin's periodic function, called for it: rotations, archivings
	AmidDestruction = "destruction" // the same, after so much time that what is retired is destroyed
	AmidSweep       = "sweep"       // the same, after the key encryption keys were replaced; else as a tick
)

// Role is the node that a fault is thrown at.
type Role string

const (
	Leader   Role = "leader"
	Follower Role = "follower" // a node that does not lead, the first in order of their start
	All      Role = "all"
)

// Fault is one of a plan. Durations are from when it is thrown.
type Fault struct {
	Kind  Kind
	Node  Role
	At    time.Duration // since the clients run; not earlier
	Amid  string        // an act: the fault waits until the next of these is sent, and is thrown Late after it; empty: for none
	Late  time.Duration
	For   time.Duration // until the way back; of what is done Times times, between two of them
	Times int           // how often; 1 for most
	By    time.Duration // how late an fdatasync is; how far the time leaps
}

// String is the fault as a report has it.
func (f Fault) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s at %s", f.Kind, f.Node, f.At)
	if f.Amid != "" {
		fmt.Fprintf(&text, ", %s into %s", f.Late, f.Amid)
	}
	if f.Times > 1 {
		fmt.Fprintf(&text, ", %d times", f.Times)
	}
	if f.For > 0 {
		fmt.Fprintf(&text, ", %s", f.For)
	}
	if f.By != 0 {
		fmt.Fprintf(&text, ", by %s", f.By)
	}
	return text.String()
}

// Plan is what is done under a seed.
type Plan struct {
	Seed   uint64
	Faults []Fault // in order of At
	Length time.Duration
}

// String is the plan as a report has it.
func (p Plan) String() string {
	parts := make([]string, len(p.Faults))
	for i, f := range p.Faults {
		parts[i] = f.String()
	}
	return strings.Join(parts, "; ")
}

// Token reports whether the mount needs a token: its key encryption keys are replaced.
func (p Plan) Token() bool {
	return slices.ContainsFunc(p.Faults, func(f Fault) bool { return f.Kind == Sweep || f.Amid == AmidSweep })
}

// Kinds are the kinds of the faults, in order.
func (p Plan) Kinds() []Kind {
	kinds := make([]Kind, len(p.Faults))
	for i, f := range p.Faults {
		kinds[i] = f.Kind
	}
	return kinds
}
