// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// Drill is what the report of a compromise would lead to, if it were made now and everybody did their part at once.
type Drill struct {
	Key       Key // after the report: with its successor, where there is one
	Version   int
	Successor int // the version that takes over; 0: none does
	Steps     []DrillStep
}

// DrillStep is one thing that would follow, or would have to.
type DrillStep struct {
	At      time.Time
	Act     string // the name of an operation, rewrap, or [QuietPeriodEnds]
	Version int
	Refused bool // it would not happen, or not before somebody did something else
	Why     string
}

// QuietPeriodEnds is what a step of a drill is called that is no act.
const QuietPeriodEnds = "quiet-period-ends"

// rewrapping is what a step of a drill is called that is for the key's users.
const rewrapping = "rewrap"

// Rehearse returns what the report of a version would lead to. It does to a copy of the key what the report and the operations
// after it do. The error is that of a report which would be refused.
func Rehearse(k Key, p *policy.Policy, v int, o Order) (Drill, error) {
	next, did, err := k.Apply(ReportCompromise, v, o)
	if err != nil {
		return Drill{}, err
	}
	d := rehearsal{Drill{Key: next, Version: v}, p, o}
	d.add(o.At, string(ReportCompromise), v, "it was "+did.From+", and protects no more")
	d.succeed(v == k.Primary)
	d.rewrap()
	d.retire()
	return d.Drill, nil
}

// NextDrill returns when the next drill of the key is due, of which there is to be one in every such time; zero: none is.
func NextDrill(k Key, every time.Duration) time.Time {
	if every <= 0 {
		return time.Time{}
	}
	return laterOf(k.LastDrill, k.Created).Add(every)
}

// WithDrill returns the key after a drill that is kept. It is no change of the key, so the revision stays.
func WithDrill(k Key, at time.Time) Key {
	k.LastDrill = at
	return k
}

// rehearsal is a drill on its way.
type rehearsal struct {
	Drill
	policy *policy.Policy
	order  Order
}

func (d *rehearsal) add(at time.Time, act string, v int, why string) {
	d.Steps = append(d.Steps, DrillStep{At: at, Act: act, Version: v, Why: why})
}

func (d *rehearsal) refuse(at time.Time, act string, v int, why string) {
	d.Steps = append(d.Steps, DrillStep{At: at, Act: act, Version: v, Refused: true, Why: why})
}

// succeed lets another version take over from the active one: the staged version, or a new one.
func (d *rehearsal) succeed(wasActive bool) {
	k, at := d.Key, d.order.At
	switch {
	case !wasActive:
		return
	case !k.NeedsSuccessor():
		d.refuse(at, "rotate", 0, fmt.Sprintf("the key is %s: nothing takes over until it is enabled again", k.Status.State))
		return
	}
	if staged := k.Successor(); staged != 0 {
		if next, _, err := k.Apply(Promote, staged, Order{At: at, Rules: d.order.Rules}); err == nil {
			d.replace(next, string(Promote), "the staged version takes over in the same commit")
			return
		}
	}
	next, err := d.grown()
	if err != nil {
		d.refuse(at, "rotate", 0, err.Error())
		return
	}
	why := "a new version takes over in the same commit"
	if change := ChangeOfType(k, next); change != "" {
		why += "; type " + change
	}
	d.replace(next, "rotate", why)
}

// grown returns the key with a new version in the place of the reported one, if its policy admits it.
func (d *rehearsal) grown() (Key, error) {
	next, err := WithNext(d.Key, NextType{}, d.policy)
	if err != nil {
		return Key{}, err
	}
	if d.policy != nil { // no policy admits every type
		if err := d.policy.AdmitsVersion(next.Type, d.order.At); err != nil {
			return Key{}, err
		}
	}
	return next.Rotate(ByIncident, "", time.Time{}, d.order.At)
}

func (d *rehearsal) replace(next Key, act, why string) {
	d.Key, d.Successor = next, next.Primary
	d.add(d.order.At, act, next.Primary, why)
}

// rewrap says whether what the version encrypted can be encrypted anew.
func (d *rehearsal) rewrap() {
	k, at := d.Key, d.order.At
	if !TypesOf(&k).Of(d.Version).SupportsEncryption() {
		return
	}
	may := k.Permissions(d.order.Rules)
	err := CheckUse(&k, UseRewrap)
	if err == nil {
		err = may.ToRewrap(d.Version)
	}
	if err == nil {
		_, err = may.ToProtect(0)
	}
	switch {
	case err != nil:
		d.refuse(at, rewrapping, d.Version, err.Error())
	case may.ToProcess(d.Version) != nil:
		d.add(at, rewrapping, d.Version, "it is rewrapped from, and decrypts no more")
	default:
		d.add(at, rewrapping, d.Version, "it is rewrapped from, and decrypts, until it is retired")
	}
}

// retire lets the version be retired as soon as it can be, and destroyed when its time has come.
func (d *rehearsal) retire() {
	o, v := d.order, d.Version
	quiet := laterOf(d.Key.QuietUntil(v, o.Rules, o.LastDenied), d.Key.Overrides[v].RetireNotBefore)
	d.add(quiet, QuietPeriodEnds, v, "quiet_period has passed since the report, if no use is denied until then")
	o.At = quiet
	retired, _, err := d.Key.Apply(Retire, v, o)
	if err != nil {
		d.refuse(quiet, string(Retire), v, err.Error())
		return
	}
	d.add(quiet, string(Retire), v, "an operator does it, once nothing needs the version any more; nothing decrypts with it from then on")
	for _, entry := range PendingTransitions(retired, d.policy, quiet) {
		if entry.Op == Destroy && entry.Version == v {
			d.add(entry.At, string(Destroy), v, why[Destroy])
		}
	}
}
