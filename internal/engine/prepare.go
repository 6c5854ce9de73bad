// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// This file keeps the lock of a key free while a wrapper works, which with a hardware security module takes milliseconds, or
// does not end. An act is decided under the lock. Where it lacks something that only a wrapper can give, it says so with a
// [preparation] as its error: nothing is written, the lock is let go, what is lacking is made, and the act is decided anew.

// PreparedAct is an [Act] that may need a wrapper. It may be decided more than once; what it asks of p is there when it is
// decided again, if it asks for the same.
type PreparedAct = func(p *Prepared, k lifecycle.Key, at time.Time) (lifecycle.Commit, error)

// Prepared is what was made for an act while it did not hold the key's lock. None of it is secret: material is sealed.
type Prepared struct {
	Acts
	preparation
	version made
	rotates attempt
	ran     map[checkID]error // checks, and what they found
	stored  map[int]bool      // whether a version is stored under a number, as read under the lock
}

// UpdatePrepared is [Acts.Update] for an act that may need a wrapper.
func (a Acts) UpdatePrepared(ctx context.Context, name string, act PreparedAct) (lifecycle.Key, error) {
	p := &Prepared{Acts: a.withClockOnce(), ran: map[checkID]error{}, stored: map[int]bool{}}
	p.forget = func() { clear(p.stored) }
	k, err := a.Update(ctx, name, func(k lifecycle.Key, at time.Time) (lifecycle.Commit, error) {
		p.rotates = attempt{}
		return act(p, k, at)
	})
	p.rotates.counted(a.Observe, k, err)
	return k, err
}

// preparation is what an act lacks. As an error it has the store call Prepare and decide the act anew; see
// [KeyStore].UpdateKey.
type preparation struct {
	lacking []func(ctx context.Context) error
	rounds  int
	forget  func() // what was read under the lock
}

// mostRounds is how often an act is decided that others overtake.
const mostRounds = 8

// lacks adds to what the act lacks, and returns the error to end it with for now. What is added is made in its turn, unless
// one before it ends with an error.
func (p *preparation) lacks(do func(ctx context.Context) error) error {
	if p.rounds >= mostRounds {
		return errOvertaken
	}
	p.lacking = append(p.lacking, do)
	return p
}

// Error is error's. Nobody but a store should see it.
func (p *preparation) Error() string { return "the act is not prepared yet" }

// Prepare makes what the act lacks. What fails is for the act to judge when it is decided again. The error is that the
// request has ended meanwhile.
func (p *preparation) Prepare(ctx context.Context) (err error) {
	lacking := p.lacking
	p.lacking = nil
	p.rounds++
	for _, do := range lacking {
		if err = do(ctx); err != nil {
			break
		}
	}
	if ctx.Err() != nil {
		return cmp.Or(err, ctx.Err())
	}
	return nil
}

// Overtaken drops what was read under the lock, because another writer had it.
func (p *preparation) Overtaken() { p.forget() }

// isUnprepared reports that an act has to be prepared and decided anew.
func isUnprepared(err error) bool { return errors.As(err, new(*preparation)) }

// overtakenError reports an act that others overtook as often as it is tried. It may be tried again, as with a wrapper that is
// away.
type overtakenError struct{}

var errOvertaken error = overtakenError{}

func (overtakenError) Error() string {
	return "the key was changed by others again and again while this change was prepared; nothing was written, try again"
}

func (overtakenError) Is(target error) bool { return target == envelope.ErrUnavailable }

// withClockOnce returns the same acts for one act: what the clock guard remembers is read once, however often it is decided.
func (a Acts) withClockOnce() Acts {
	s := *a.Session
	s.store.Settings = &settingsOnce{SettingsStore: s.store.Settings}
	a.Session = &s
	return a
}

// settingsOnce is for one act, that is decided by one request.
type settingsOnce struct {
	SettingsStore
	clock *lifecycle.Clock
}

// Clock is SettingsStore's.
func (s *settingsOnce) Clock(ctx context.Context) (lifecycle.Clock, error) {
	if s.clock != nil {
		return *s.clock, nil
	}
	c, err := s.SettingsStore.Clock(ctx)
	if err == nil {
		s.clock = &c
	}
	return c, err
}
