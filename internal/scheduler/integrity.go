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
	subjects []subject
	version  int       // of the first subject, the last one looked at
	again    time.Time // when the next round may begin
	mount    time.Time // when the chain of the mount is looked at next

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
	return (&scrubber{t, &t.integrity, most}).run(ctx)
}

// scrubber is a scrub during one tick.
type scrubber struct {
	*tick
	*integrity
	most int // versions, and chains
}

func (s *scrubber) run(ctx context.Context) error {
	if len(s.subjects) == 0 && due(s.again, s.started) {
		if err := s.beginRound(ctx); err != nil {
			return err
		}
	}
	if due(s.mount, s.started) {
		s.mount = s.started.Add(scrubEvery)
		s.inspect(ctx, s.mountChain)
	}
	s.lookAtSubjects(ctx)
	return nil
}

// lookAtSubjects looks at the next ones, as far as one tick may.
func (s *scrubber) lookAtSubjects(ctx context.Context) {
	deadline := s.Now().Add(tickScrubTime)
	for chains, versions := 0, 0; len(s.subjects) > 0 && chains < s.most && versions < s.most && !s.Now().After(deadline) && ctx.Err() == nil; {
		if s.version == 0 {
			chains++
			s.inspect(ctx, s.subjects[0].name)
		}
		looked, done, away := s.scrubKey(ctx, s.subjects[0], s.most-versions)
		versions += looked
		if done {
			s.subjects, s.version = s.subjects[1:], 0
			s.endRound()
		}
		if away { // another call would wait for it, too
			return
		}
	}
}

// due reports whether the time has come. One that is further ahead than a round was set by a clock that was ahead.
func due(at, now time.Time) bool { return !now.Before(at) || at.Sub(now) > scrubEvery }

// beginRound begins a round. A process begins with another key than the one before it, or what comes last would never be looked at
// where no process lives for a round.
func (s *scrubber) beginRound(ctx context.Context) error {
	names, err := s.store.Keys.KeyNames(ctx)
	if err != nil {
		return err
	}
	others, err := s.store.Chains.OtherNames(ctx)
	if err != nil {
		return err
	}
	all := make([]subject, 0, len(names)+len(others))
	for _, name := range names {
		all = append(all, subject{name, true})
	}
	s.mountChain = others[len(others)-1]
	for _, name := range others[:len(others)-1] {
		all = append(all, subject{name, false})
	}
	if s.round == 0 && len(all) > 0 { // the first of the process
		first := int(s.started.Unix()/60) % len(all)
		all = slices.Concat(all[first:], all[:first])
	}
	s.subjects, s.version, s.again, s.passedOver = all, 0, s.started.Add(scrubEvery), 0
	s.round++
	s.endRound()
	return nil
}

// endRound notes the end of a round. A failure that it did not find again is of a version that is no more.
func (s *scrubber) endRound() {
	if len(s.subjects) > 0 {
		return
	}
	maps.DeleteFunc(s.found, func(_ place, f finding) bool { return f.round != s.round && s.passedOver == 0 })
	s.showFound(observe.Scrub{Round: s.Now(), PassedOver: s.passedOver})
}

func (s *scrubber) showFound(part observe.Scrub) {
	failures := make([]observe.Failure, 0, len(s.found))
	for _, f := range s.found {
		failures = append(failures, f.Failure)
	}
	s.Observe.Board.Scrub.Set(part.WithFailures(failures))
}

// inspect holds the end of one chain against its record. Who keeps the chains tells the board.
func (s *scrubber) inspect(ctx context.Context, chain string) {
	var problem string
	err := s.alone(ctx, chain, func(ctx context.Context) (err error) {
		problem, err = s.store.Chains.InspectJournal(ctx, chain)
		return err
	})
	switch {
	case err != nil:
		s.passedOver++
		s.Log.Warn("the end of a chain of custody could not be looked at", "chain", chain, "error", err)
	case problem != "":
		s.Log.Error("a chain of custody is broken", "chain", chain, "problem", problem)
	}
}

// scrubKey looks at the next versions of a key, at most so many; done: there are no more. Away means that the wrapper is, or that
// storage does not answer: the version was passed over.
func (s *scrubber) scrubKey(ctx context.Context, of subject, most int) (looked int, done, away bool) {
	if !of.isKey {
		return 0, true, false
	}
	err := s.alone(ctx, of.name, func(ctx context.Context) error {
		k, err := s.store.Keys.Key(ctx, of.name)
		if errors.Is(err, refusal.ErrNotFound) {
			done = true
			return nil
		}
		if err != nil {
			return err
		}
		looked, done, away = s.scrubVersions(ctx, k, most)
		return nil
	})
	if err != nil { // a damaged record is of the chain, whose end names it
		s.passedOver++
		s.Log.Error("a key could not be scrubbed", "key", of.name, "error", err)
		return looked, true, false
	}
	return looked, done, away
}

func (s *scrubber) scrubVersions(ctx context.Context, k lifecycle.Key, most int) (looked int, done, away bool) {
	for n := s.version + 1; n <= k.Latest; n++ {
		if lifecycle.LocationOf(k, n) == lifecycle.Erased {
			s.version = n
			continue
		}
		if looked == most {
			return looked, false, false
		}
		looked++
		found := s.acts.Examine(ctx, &k, n)
		s.version = n
		if s.noteExamined(place{k.Name, n}, found); found.Condition == dataplane.Unavailable {
			return looked, n == k.Latest, true
		}
	}
	return looked, true, false
}

// noteExamined keeps what was found of a version until a later round finds otherwise.
func (s *scrubber) noteExamined(at place, found dataplane.Examined) {
	was, known := s.found[at]
	switch {
	case found.Condition == dataplane.Unavailable:
		s.passedOver++
		return
	case !found.Condition.Failed():
		if !known {
			return
		}
		delete(s.found, at)
	default:
		s.Observe.IntegrityFailures.Add(1)
		s.Log.Error("a stored version is damaged", "key", at.key, "version", at.version, "condition", string(found.Condition), "problem", found.Why)
		since := s.Now()
		if known {
			since = was.Since
		}
		if s.found == nil {
			s.found = map[place]finding{}
		}
		s.found[at] = finding{observe.Failure{Key: at.key, Version: at.version, Why: string(found.Condition) + ": " + found.Why, Since: since}, s.round}
	}
	s.showFound(s.Observe.Board.Scrub.Get())
}
