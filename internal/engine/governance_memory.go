// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// What one tick looks at for the board, of each kind.
const (
	tickWatched  = 32 // requests for consent, and as many reviews
	tickPeople   = 50 // entities that Vault is asked about: two questions each
	tickDrills   = 32 // keys of policies with drill_every
	tickBindings = 4  // of these policies, those whose keys are listed
)

// What is remembered holds for so long.
const (
	peopleHold = 10 * time.Minute
	drillsHold = 10 * time.Minute
)

// governanceMemory is what a mount remembers of what waits for people, from one tick to the next: a tick reads what is open, and of
// all else only what has changed.
type governanceMemory struct {
	running  sync.Mutex  // held by a tick
	upToDate atomic.Bool // rules and drilled are those in force; false: a tick reads them

	rules    []PlacedRule
	drilled  []*policy.Policy // with drill_every, in alphabetical order
	requests watched[request]
	reviews  watched[review]
	people   people
	drills   drillRound

	mu    sync.Mutex
	asked []string // requests that began anew since the last tick
}

// request is what a tick remembers of a request for consent.
type request struct {
	state   consent.State
	created time.Time
	over    bool // nothing becomes of it any more, unless it is asked for anew
}

// review is what a tick remembers of a review.
type review struct {
	state consent.State
	due   time.Time
}

// PolicyChanged forgets what is remembered of a policy.
func (e *Engine) PolicyChanged(name string) {
	e.Plane.ForgetPolicy(name)
	e.governance.upToDate.Store(false)
}

// askedAnew notes that a request may be another one than it was.
func (m *governanceMemory) askedAnew(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, id)
}

// forgetAsked forgets what the requests were that began anew.
func (m *governanceMemory) forgetAsked() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range m.asked {
		delete(m.requests.seen, id)
	}
	m.asked = nil
}

// watched are entries of storage of which each tick reads some.
type watched[V any] struct {
	seen map[string]V
	last string // the one that was read last
}

// look reads some of the entries of which these are the ids, in alphabetical order: those that it has not seen, and in turn those
// that are not over. One that cannot be read stays what it was.
func (w *watched[V]) look(ids []string, over func(V) bool, read func(id string) (V, error)) (err error) {
	maps.DeleteFunc(w.seen, func(id string, _ V) bool { _, listed := slices.BinarySearch(ids, id); return !listed })
	if w.seen == nil {
		w.seen = map[string]V{}
	}
	var unseen, open []string
	behind := namesAfter(ids, w.last)
	for _, id := range slices.Concat(behind, ids[:len(ids)-len(behind)]) {
		if v, seen := w.seen[id]; !seen {
			unseen = append(unseen, id)
		} else if !over(v) {
			open = append(open, id)
		}
	}
	turn := slices.Concat(unseen, open)
	for _, id := range turn[:min(len(turn), tickWatched)] {
		v, readErr := read(id)
		w.last = id
		switch {
		case readErr == nil:
			w.seen[id] = v
		case errors.Is(readErr, refusal.ErrNotFound):
			delete(w.seen, id)
		case errors.Is(readErr, errLater):
		default:
			err = errors.Join(err, readErr)
		}
	}
	return err
}

// people is a Directory that remembers, and asks another one for a few people a tick.
type people struct {
	ask   Directory
	now   time.Time
	left  int // so many may be asked about in this tick
	known map[string]knownPerson
}

type knownPerson struct {
	consent.Person
	at time.Time
}

// errLater ends what needs somebody who is asked about by a later tick.
var errLater = errors.New("a later tick asks Vault about more approvers")

// begin begins a tick. Who was not needed for a day is forgotten.
func (p *people) begin(ask Directory, now time.Time) {
	p.ask, p.now, p.left = ask, now, tickPeople
	if p.known == nil {
		p.known = map[string]knownPerson{}
	}
	maps.DeleteFunc(p.known, func(_ string, who knownPerson) bool { return now.Sub(who.at) > 24*time.Hour })
}

// refresh asks about those of the people who were asked about longest ago.
func (p *people) refresh(ctx context.Context, entities []string) (err error) {
	longestAgo := slices.Clone(entities)
	slices.SortStableFunc(longestAgo, func(a, b string) int { return p.known[a].at.Compare(p.known[b].at) })
	for _, entity := range longestAgo {
		if p.left == 0 {
			break
		}
		_, askErr := p.Person(ctx, entity)
		err = errors.Join(err, askErr)
	}
	return err
}

// Person is Directory's. The error is errLater where nothing is known of the person, and this tick asks no more.
func (p *people) Person(ctx context.Context, entity string) (consent.Person, error) {
	who, known := p.known[entity]
	age := p.now.Sub(who.at)
	switch {
	case known && age >= 0 && age < peopleHold:
		return who.Person, nil
	case p.left == 0 && known:
		return who.Person, nil
	case p.left == 0:
		return consent.Person{}, errLater
	}
	p.left--
	person, err := p.ask.Person(ctx, entity)
	if err != nil {
		return consent.Person{}, err
	}
	p.known[entity] = knownPerson{person, p.now}
	return person, nil
}

// drillRound counts the keys of which a drill is overdue, some a tick.
type drillRound struct {
	policies []*policy.Policy // of which the keys are not listed yet
	of       *policy.Policy
	keys     []string // of it, that are not looked at yet
	found    int      // in this round
	overdue  int      // in the last whole one
	whole    bool     // there was one
	again    time.Time
}

// count returns how many are overdue, as far as that is known.
func (r *drillRound) count() int {
	if r.whole {
		return r.overdue
	}
	return r.found
}

// next returns the next policy and key to look at; ok is false where this tick has listed enough, or the round has come to its end.
func (r *drillRound) next(lists *int, list func(policyName string) ([]string, error)) (p *policy.Policy, key string, ok bool, err error) {
	for len(r.keys) == 0 {
		if len(r.policies) == 0 || *lists == 0 {
			return nil, "", false, nil
		}
		*lists--
		r.of, r.policies = r.policies[0], r.policies[1:]
		if r.keys, err = list(r.of.Name); err != nil {
			return nil, "", false, err
		}
	}
	key, r.keys = r.keys[0], r.keys[1:]
	return r.of, key, true, nil
}

// ended reports whether the round has come to its end.
func (r *drillRound) ended() bool { return len(r.policies) == 0 && len(r.keys) == 0 }
