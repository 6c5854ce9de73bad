// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package uses

import (
	"maps"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Observed is what a version was used for. What is stored says of a last use that it was not later than that.
type Observed struct {
	Ops map[lifecycle.AllowedUse]Observation `json:"ops"`
	By  []User                               `json:"by"` // the newest first
}

// Observation is how often, and when, a version was used for an operation.
type Observation struct {
	Count int64     `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// User is an entity that used a version.
type User struct {
	Entity string               `json:"entity"`
	Op     lifecycle.AllowedUse `json:"op"` // the last one
	Time   time.Time            `json:"time"`
}

// users is how many entities are kept of a version. The newest win.
const users = 16

// Plus returns both together.
func (o Observed) Plus(more Observed) Observed {
	sum := Observed{Ops: make(map[lifecycle.AllowedUse]Observation, len(o.Ops)+len(more.Ops))}
	for op, observation := range o.Ops {
		sum.Ops[op] = observation
	}
	for op, observation := range more.Ops {
		sum.Ops[op] = sum.Ops[op].plus(observation)
	}
	sum.By = slices.Concat(more.By, o.By)
	slices.SortStableFunc(sum.By, func(a, b User) int { return b.Time.Compare(a.Time) })
	seen := map[string]bool{}
	sum.By = slices.DeleteFunc(sum.By, func(u User) bool {
		again := seen[u.Entity]
		seen[u.Entity] = true
		return again
	})
	sum.By = sum.By[:min(len(sum.By), users)]
	return sum
}

func (o Observation) plus(more Observation) Observation {
	if o.First.IsZero() || !more.First.IsZero() && more.First.Before(o.First) {
		o.First = more.First
	}
	if more.Last.After(o.Last) {
		o.Last = more.Last
	}
	o.Count += more.Count
	return o
}

// What is stored of a last use holds for a while, so that a version in steady use is not written each minute.
const (
	horizon = time.Hour        // ahead of the clock when it is written
	renewal = 10 * time.Minute // it is written again when less than this is left of it
)

// observedUse is what was counted of a version for one operation.
type observedUse struct {
	unstored    int64
	storing     int64 // taken to be stored, and not known to be
	first, last int64 // of what this process has counted, in seconds since 1970
	horizon     int64 // what this process has stored as the last
}

// version is what was counted of a version of a key.
type version struct {
	number int
	ops    map[lifecycle.AllowedUse]*observedUse
	by     []recent
}

type recent struct {
	by *pair
	op lifecycle.AllowedUse
	at int64
}

// add counts a use. It allocates with the first one of its kind only.
func (v *version) add(by *pair, u lifecycle.CountedUse, at int64) {
	op := v.ops[u.Of]
	if op == nil {
		op = &observedUse{first: at}
		v.ops[u.Of] = op
	}
	op.unstored += int64(u.Count)
	op.last = max(op.last, at)
	v.used(recent{by, u.Of, at})
}

// used notes who used the version. Where there are as many as are kept, the oldest gives way.
func (v *version) used(now recent) {
	oldest := 0
	for i := range v.by {
		if v.by[i].by == now.by {
			v.by[i] = now
			return
		}
		if v.by[i].at < v.by[oldest].at {
			oldest = i
		}
	}
	if len(v.by) < users {
		v.by = append(v.by, now)
		return
	}
	v.by[oldest] = now
}

// due reports whether what is stored of a use would be wrong soon.
func (v *version) due(now int64) bool {
	for _, op := range v.ops {
		if op.unstored > 0 && op.horizon-now < int64(renewal/time.Second) {
			return true
		}
	}
	return false
}

// take returns what is to be stored, at this time.
func (v *version) take(now int64) Observed {
	o := Observed{Ops: map[lifecycle.AllowedUse]Observation{}}
	for name, op := range v.ops {
		if op.unstored > 0 {
			o.Ops[name] = Observation{op.unstored, ofUnix(op.first), ofUnix(now).Add(horizon)}
			op.unstored, op.storing = 0, op.unstored
		}
	}
	o.By = v.users()
	return o
}

// took ends what take began: it is stored, or counts as not stored again.
func (v *version) took(o Observed, stored bool) {
	for name, observation := range o.Ops {
		op := v.ops[name]
		if stored {
			op.horizon = max(op.horizon, observation.Last.Unix())
		} else {
			op.unstored += op.storing
		}
		op.storing = 0
	}
}

func (v *version) users() []User {
	list := make([]User, len(v.by))
	for i, u := range v.by {
		list[i] = User{u.by.entity, u.op, ofUnix(u.at)}
	}
	return list
}

// shown returns what is known of a version of which this is stored: what was counted here is known to the second.
func (v *version) shown(stored Observed, now int64) Observed {
	known := Observed{Ops: map[lifecycle.AllowedUse]Observation{}, By: v.users()}
	stored.Ops = maps.Clone(stored.Ops)
	for name, op := range v.ops {
		if was, found := stored.Ops[name]; found && was.Last.Unix() == op.horizon { // this process wrote it
			was.Last = ofUnix(op.last)
			stored.Ops[name] = was
		}
		known.Ops[name] = Observation{op.storing + op.unstored, ofUnix(op.first), ofUnix(op.last)}
	}
	return stored.Plus(known).until(now)
}

// until returns it without a last use that is still to come.
func (o Observed) until(now int64) Observed {
	o.Ops = maps.Clone(o.Ops)
	for name, op := range o.Ops {
		if op.Last.Unix() > now {
			op.Last = ofUnix(now)
			o.Ops[name] = op
		}
	}
	return o
}

func ofUnix(at int64) time.Time { return time.Unix(at, 0).UTC() }
