// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// integrity remembers how far the scrub of stored material and of chains of custody has come, and what it found. A round is over
// all keys and chains. It is in memory alone: after a failover a round begins anew, and elsewhere.
type integrity struct {
	left    []subject
	version int       // of the first subject, the last one looked at
	again   time.Time // when the next round may begin
	mount   time.Time // when the chain of the mount is looked at next

	round      int // the number of the one that goes on
	passedOver int // by it
	found      map[place]finding
}

// subject is what has a chain of custody: a key or, with no versions, a policy.
type subject struct {
	name  string
	isKey bool
}

// place is a version of a key.
type place struct {
	key     string
	version int
}

// finding is a damaged version, and the last round that found it so.
type finding struct {
	observe.Failure
	round int
}

// SetScrub says how many versions, and how many chains, a tick looks at; 0: none.
func (s *Scheduler) SetScrub(most int) { s.scrubMost.Store(int64(most)) }

// scrubIntegrity opens a few stored versions and holds them against their fingerprints, and the ends of a few chains of custody
// against their records: what nobody uses is otherwise found damaged on the day it is needed. Nothing is written.
func (t *tick) scrubIntegrity(ctx context.Context) error {
	most := int(t.scrubMost.Load())
	if most == 0 {
		return nil
	}
	i := &t.integrity
	if len(i.left) == 0 && due(i.again, t.started) {
		if err := t.beginRound(ctx, i); err != nil {
			return err
		}
	}
	if due(i.mount, t.started) {
		i.mount = t.started.Add(scrubEvery)
		t.inspect(ctx, t.mountChain)
	}
	deadline := t.Now().Add(tickScrubTime)
	for chains, versions := 0, 0; len(i.left) > 0 && chains < most && versions < most && !t.Now().After(deadline) && ctx.Err() == nil; {
		if i.version == 0 {
			chains++
			t.inspect(ctx, i.left[0].name)
		}
		looked, done, away := t.scrubKey(ctx, i.left[0], most-versions)
		versions += looked
		if done {
			i.left, i.version = i.left[1:], 0
			t.endRound(i)
		}
		if away { // another call would wait for it, too
			return nil
		}
	}
	return nil
}

// due reports whether the time has come. One that is further ahead than a round was set by a clock that was ahead.
func due(at, now time.Time) bool { return !now.Before(at) || at.Sub(now) > scrubEvery }

// beginRound begins a round. A process begins with another key than the one before it, or what comes last would never be looked at
// where no process lives for a round.
func (t *tick) beginRound(ctx context.Context, i *integrity) error {
	names, err := t.store.Keys.KeyNames(ctx)
	if err != nil {
		return err
	}
	others, err := t.store.Chains.OtherNames(ctx)
	if err != nil {
		return err
	}
	all := make([]subject, 0, len(names)+len(others))
	for _, name := range names {
		all = append(all, subject{name, true})
	}
	t.mountChain = others[len(others)-1]
	for _, name := range others[:len(others)-1] {
		all = append(all, subject{name, false})
	}
	if i.round == 0 && len(all) > 0 { // the first of the process
		first := int(t.started.Unix()/60) % len(all)
		all = slices.Concat(all[first:], all[:first])
	}
	i.left, i.version, i.again, i.passedOver = all, 0, t.started.Add(scrubEvery), 0
	i.round++
	t.endRound(i)
	return nil
}

// endRound notes the end of a round. A failure that it did not find again is of a version that is no more.
func (t *tick) endRound(i *integrity) {
	if len(i.left) > 0 {
		return
	}
	maps.DeleteFunc(i.found, func(_ place, f finding) bool { return f.round != i.round && i.passedOver == 0 })
	t.showFound(i, observe.Scrub{Round: t.Now(), PassedOver: i.passedOver})
}

func (t *tick) showFound(i *integrity, s observe.Scrub) {
	failures := make([]observe.Failure, 0, len(i.found))
	for _, f := range i.found {
		failures = append(failures, f.Failure)
	}
	t.Observe.Board.Scrub.Set(s.WithFailures(failures))
}

// inspect holds the end of one chain against its record. Who keeps the chains tells the board.
func (t *tick) inspect(ctx context.Context, chain string) {
	var problem string
	err := t.alone(ctx, chain, func(ctx context.Context) (err error) {
		problem, err = t.store.Chains.InspectJournal(ctx, chain)
		return err
	})
	switch {
	case err != nil:
		t.integrity.passedOver++
		t.Log.Warn("the end of a chain of custody could not be looked at", "chain", chain, "error", err)
	case problem != "":
		t.Log.Error("a chain of custody is broken", "chain", chain, "problem", problem)
	}
}

// scrubKey looks at the next versions of a key, at most so many; done: there are no more. Away means that the wrapper is, or that
// storage does not answer: the version was passed over.
func (t *tick) scrubKey(ctx context.Context, of subject, most int) (looked int, done, away bool) {
	if !of.isKey {
		return 0, true, false
	}
	err := t.alone(ctx, of.name, func(ctx context.Context) error {
		k, err := t.store.Keys.Key(ctx, of.name)
		if errors.Is(err, refusal.ErrNotFound) {
			done = true
			return nil
		}
		if err != nil {
			return err
		}
		looked, done, away = t.scrubVersions(ctx, k, most)
		return nil
	})
	if err != nil { // a damaged record is of the chain, whose end names it
		t.integrity.passedOver++
		t.Log.Error("a key could not be scrubbed", "key", of.name, "error", err)
		return looked, true, false
	}
	return looked, done, away
}

func (t *tick) scrubVersions(ctx context.Context, k lifecycle.Key, most int) (looked int, done, away bool) {
	i := &t.integrity
	for n := i.version + 1; n <= k.Latest; n++ {
		if lifecycle.LocationOf(k, n) == lifecycle.Erased {
			i.version = n
			continue
		}
		if looked == most {
			return looked, false, false
		}
		looked++
		found := t.acts.Examine(ctx, &k, n)
		i.version = n
		if t.noteExamined(place{k.Name, n}, found); found.Condition == dataplane.Unavailable {
			return looked, n == k.Latest, true
		}
	}
	return looked, true, false
}

// noteExamined keeps what was found of a version until a later round finds otherwise.
func (t *tick) noteExamined(at place, found dataplane.Examined) {
	i := &t.integrity
	was, known := i.found[at]
	switch {
	case found.Condition == dataplane.Unavailable:
		i.passedOver++
		return
	case !found.Condition.Failed():
		if !known {
			return
		}
		delete(i.found, at)
	default:
		t.Observe.IntegrityFailures.Add(1)
		t.Log.Error("a stored version is damaged", "key", at.key, "version", at.version, "condition", string(found.Condition), "problem", found.Why)
		since := t.Now()
		if known {
			since = was.Since
		}
		if i.found == nil {
			i.found = map[place]finding{}
		}
		i.found[at] = finding{observe.Failure{Key: at.key, Version: at.version, Why: string(found.Condition) + ": " + found.Why, Since: since}, i.round}
	}
	t.showFound(i, t.Observe.Board.Scrub.Get())
}
