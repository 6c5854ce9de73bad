// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Drilling asks what the report of a compromise would lead to.
type Drilling struct {
	Version  int       // 0: the active one
	Occurred time.Time // zero: unknown
	Record   bool      // custody keeps that there was a drill, and what came of it
	Reason   string
}

// Drilled is the answer. But for the record of it nothing is written.
type Drilled struct {
	lifecycle.Drill
	At        time.Time
	Radius    []Exposed
	Unlisted  int // older versions that are not in Radius
	Obstacles []Obstacle
	Last      time.Time // when a drill was last kept, this one included; zero: never
	Next      time.Time // when the next one is due by the policy; zero: none is
}

// Exposed is a version that whoever could read the material of the reported one could read, too.
type Exposed struct {
	Version     int
	State       lifecycle.State
	From, Until time.Time // it protected data in this time; no end: it was never superseded
	Since       bool      // some of that time is after the compromise occurred, or may be
	Processes   bool      // after the report
	Rewraps     bool      // after the report
	Used        policy.Usage
	Denied      lifecycle.Denials
}

// Obstacle is what would hold the real thing up.
type Obstacle struct{ Act, Why string }

// mostExposed is how many versions a drill lists.
const mostExposed = 64

// Drill rehearses the report of a version of a key as compromised.
func (s Versions) Drill(ctx context.Context, name string, in Drilling) (Drilled, error) {
	d, err := s.newDrill(ctx, name, in)
	if err != nil {
		return Drilled{}, err
	}
	for _, look := range drillChecks {
		if err := look(d, ctx); err != nil {
			return Drilled{}, err
		}
	}
	if err := d.expose(ctx); err != nil {
		return Drilled{}, err
	}
	if in.Record {
		err = d.keep(ctx, in.Reason)
	}
	if d.policy != nil {
		d.Next = lifecycle.NextDrill(lifecycle.WithDrill(d.key, d.Last), d.policy.DrillEvery.Duration)
	}
	return d.Drilled, err
}

// drill is one on its way.
type drill struct {
	*Session
	Drilled
	key    lifecycle.Key // as it is
	policy *policy.Policy
	fault  error // why the policy that the key names says nothing
	order  lifecycle.Order
	denied map[int]lifecycle.Denials
}

// newDrill rehearses the report.
func (s Versions) newDrill(ctx context.Context, name string, in Drilling) (*drill, error) {
	k, err := s.data.Key(ctx, name)
	if err != nil {
		return nil, err
	}
	v := cmp.Or(in.Version, k.Primary)
	if v == 0 {
		return nil, refusal.Refusedf("version: key %q has no active version: name one", name)
	}
	d := &drill{Session: s.Session, key: *k, Drilled: Drilled{Last: k.LastDrill}}
	if d.policy, d.fault = s.data.Ruling(ctx, k); d.fault != nil && !dataplane.SaysNothing(d.fault) {
		return nil, d.fault
	}
	clock, err := s.store.Settings.Clock(ctx)
	if err != nil {
		return nil, err
	}
	d.order = lifecycle.Order{Rules: k.RulesFor(d.policy), Code: reasonCodes[0], Occurred: in.Occurred}
	d.order.At, d.order.Behind = clock.Date(s.Now())
	d.At = d.order.At
	if in.Occurred.After(d.At) {
		return nil, refusal.InvalidField("occurred_at", in.Occurred.Format(time.RFC3339), "must not be in the future")
	}
	if d.denied, err = s.data.DeniedUses(ctx, *k, 0); err != nil {
		return nil, err
	}
	d.order.LastDenied = d.denied[v].Last
	d.Drill, err = lifecycle.Rehearse(*k, d.policy, v, d.order)
	return d, err
}

// drillChecks look for what would hold up the real thing, and add it to the obstacles. An error is of storage.
var drillChecks = []func(d *drill, ctx context.Context) error{
	(*drill).checkPolicy, (*drill).checkSteps, (*drill).checkWrapper, (*drill).checkReasons, (*drill).checkPeople,
}

func (d *drill) hinders(act, why string) { d.Obstacles = append(d.Obstacles, Obstacle{act, why}) }

// checkPolicy finds that nobody knows the rules.
func (d *drill) checkPolicy(context.Context) error {
	if d.fault != nil {
		d.hinders(string(lifecycle.ReportCompromise), d.fault.Error()+": the key has strict rules")
	}
	return nil
}

// checkSteps finds the steps that would be refused.
func (d *drill) checkSteps(context.Context) error {
	for _, step := range d.Steps {
		if step.Refused {
			d.hinders(step.Act, step.Why)
		}
	}
	return nil
}

// checkWrapper asks what is to wrap the material of a new version, or to make it.
func (d *drill) checkWrapper(ctx context.Context) error {
	if d.Successor <= d.key.Latest {
		return nil // it is there
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	err := requireHardware(ctx, d.data.Wrappers, d.policy)
	if err == nil {
		err = d.requireToken(ctx, &d.Key, d.Successor)
	}
	if err == nil {
		err = d.Acts().newCheckRun(d.Key, d.policy, d.Successor, d.At).wrapperWorks(ctx)
	}
	if err != nil {
		d.hinders(string(acts.Rotate), err.Error())
	}
	return nil
}

// checkReasons finds what has to be said with what is done by hand.
func (d *drill) checkReasons(context.Context) error {
	for _, act := range []acts.Name{acts.Compromise, acts.Retire} {
		if err := d.policy.CheckReason(act, ""); err != nil {
			d.hinders(string(act), fmt.Sprintf("policy %q demands a reason: have the number of the incident ready", d.policy.Name))
		}
	}
	return nil
}

// checkPeople finds that too few people can consent to the retirement, which is done by hand. A policy that asks nobody costs nothing.
func (d *drill) checkPeople(ctx context.Context) error {
	gate := acts.Gate(lifecycle.Retire)
	rule, asks := d.policy.Approval(gate)
	if !asks || rule.NotCreator {
		return nil
	}
	roster, err := d.Approvers().Roster(ctx)
	if err != nil {
		return err
	}
	if why := roster.Shrunk(rule); why != "" {
		d.hinders(string(gate), fmt.Sprintf("policy %q asks for %s: %s", d.policy.Name, rule, why))
	}
	return nil
}

// expose lists the versions that are readable where the reported one is, the newest first, and the reported one in any case.
func (d *drill) expose(ctx context.Context) error {
	dates, err := d.store.Versions.Dates(ctx, d.key, 1)
	if err != nil {
		return err
	}
	for n := d.key.Latest; n >= 1; n-- {
		switch {
		case d.key.IsDestroyed(n) && n != d.Version:
		case len(d.Radius) >= mostExposed && n != d.Version:
			d.Unlisted++
		default:
			used, err := d.data.Used(ctx, d.key.Name, n)
			if err != nil {
				return err
			}
			d.Radius = append(d.Radius, d.exposed(n, dates, used.Usage))
		}
	}
	return nil
}

func (d *drill) exposed(n int, dates map[int]time.Time, used policy.Usage) Exposed {
	may, until := d.Key.Permissions(d.order.Rules), dates[n+1]
	return Exposed{
		Version: n, State: d.key.State(n), From: dates[n], Until: until,
		Since:     lifecycle.WasActive(&d.key, n) && (until.IsZero() || until.After(d.order.Occurred)),
		Processes: may.ToProcess(n) == nil, Rewraps: may.ToRewrap(n) == nil, Used: used, Denied: d.denied[n],
	}
}

// keep has custody keep the drill. A key that was changed meanwhile is another than the one that was rehearsed with.
func (d *drill) keep(ctx context.Context, reason string) error {
	k, err := d.Acts().Update(ctx, d.key.Name, func(k lifecycle.Key, at time.Time) (lifecycle.Commit, error) {
		if k.ID != d.key.ID {
			return lifecycle.Commit{}, refusal.NoKey(k.Name)
		}
		if err := refusal.CheckRevision(&d.key.Revision, k.Revision); err != nil {
			return lifecycle.Commit{}, err
		}
		return lifecycle.Commit{Key: lifecycle.WithDrill(k, at), Event: d.event(reason).Under(d.policy)}, nil
	})
	if err != nil && !errors.Is(err, refusal.ErrRepeated) { // then it is kept already
		return err
	}
	d.Last = k.LastDrill
	d.Log.Info("drilled a compromise", "key", k.Name, "version", d.Version, "obstacles", len(d.Obstacles), "reason", reason)
	return nil
}

// event is what custody keeps: of which version, and what came of it. It names no version as an act on one does, for nothing
// became of it.
func (d *drill) event(reason string) lifecycle.Event {
	e := lifecycle.Event{Act: string(acts.Drill), Reason: reason}.With("version", strconv.Itoa(d.Version))
	if d.Successor != 0 {
		e = e.With("successor_version", strconv.Itoa(d.Successor))
	}
	if !d.order.Occurred.IsZero() {
		e = e.With("occurred_at", d.order.Occurred.UTC().Format(time.RFC3339))
	}
	for _, step := range d.Steps {
		if step.At.After(d.At) && !step.Refused {
			e = e.With(strings.ReplaceAll(step.Act, "-", "_"), step.At.UTC().Format(time.RFC3339))
		}
	}
	e = e.With("exposed_versions", strconv.Itoa(len(d.Radius)+d.Unlisted)).With("obstacles", strconv.Itoa(len(d.Obstacles)))
	for i, o := range d.Obstacles {
		e = e.With("obstacle_"+strconv.Itoa(i+1), o.Act+": "+o.Why)
	}
	return e
}
