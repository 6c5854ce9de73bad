// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// How long one [Token.Run] keeps trying. A token that is gone for longer is an error to its caller.
const (
	maxRecoveries = 5
	patience      = 250 * time.Millisecond // for pauses, all together
)

// pauses are those before each further try after an error of the device, before the token is recovered from it: a token that
// has too much to do answers with one (AWS CloudHSM).
var pauses = []time.Duration{0, 50 * time.Millisecond, 100 * time.Millisecond}

// job is work for a token: in a session, or with the library.
type job struct {
	session Func
	once    bool // it must not be done again once it may have changed the token

	library func(k *task, l cryptoki.Library, slot uint) (any, error)
	result  func(any) // gets what library returned
}

// outcome is how an attempt ended.
type outcome struct {
	err        error
	epoch      uint64
	result     any
	decrypting bool // the call that failed last was C_Decrypt
	changed    bool // an object was made or destroyed, or may have been
	used       bool // a key was used
	crowded    bool // no session was opened because there are too many, and others of ours are out
	ran        bool // the function has returned
	outdated   bool // nothing was done: the connection is over
}

// try is a [Token.Run].
type try struct {
	token      *Token
	job        job
	again      int // tries without recovery
	recoveries int
	doubted    bool // the probe has passed after an ambiguous error
	refound    bool // a recovery for a handle has been
	verified   bool // the probe has passed after a recovery
	paused     time.Duration
}

func (t *Token) run(ctx context.Context, j job) error {
	t.beginChecks()
	r := &try{token: t, job: j}
	for {
		again, err := r.step(ctx)
		if again {
			continue
		}
		if err = outward(ctx, err); errors.Is(err, hsm.ErrUnavailable) {
			t.checkSoon()
		}
		return err
	}
}

// outward makes what this package says unavailable that. An error of the function's own passes.
func outward(ctx context.Context, err error) error {
	var passed ownError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &passed):
		return passed.error
	case ctx.Err() != nil && errors.Is(err, ctx.Err()), isFinal(err):
		return err
	}
	return unavailable(err)
}

// isFinal reports an error that no later call makes better, before somebody changes something.
func isFinal(err error) bool {
	return errors.Is(err, hsm.ErrPINRejected) || errors.Is(err, hsm.ErrMisconfigured) || errors.Is(err, hsm.ErrNotBuilt)
}

// ownError is an error that is the function's.
type ownError struct{ error }

// step makes one attempt, and decides what comes of it.
func (r *try) step(ctx context.Context) (again bool, err error) {
	d, err := r.token.find(ctx)
	if err == nil {
		err = d.ready(ctx, r.token)
	}
	if err != nil {
		return r.wait(ctx, err)
	}
	o := d.attempt(ctx, r.job)
	switch {
	case o.outdated:
		return r.count(o.err)
	case o.err == nil:
		if o.used {
			d.note(d.works)
		}
		if r.job.result != nil {
			r.job.result(o.result)
		}
		return false, nil
	}
	return r.judge(ctx, d, o)
}

// judge decides by the error of an attempt.
func (r *try) judge(ctx context.Context, d *device, o outcome) (again bool, err error) {
	kind := r.classify(o)
	if kind == classOwn {
		return r.passOn(d, o)
	}
	if kind != classAmbiguous {
		d.suspect(o.err)
	}
	if r.job.once && o.changed {
		return false, o.err
	}
	switch kind {
	case classAmbiguous:
		return r.ask(ctx, d, o)
	case classCrowded:
		if o.crowded {
			return true, nil // the pool has shrunk, and waits
		}
		return r.retry(ctx, d, o)
	case classSession, classDevice:
		return r.retry(ctx, d, o)
	case classUnloaded:
		return r.recover(ctx, d, o, reinitialize)
	}
	r.refound = r.refound || kind == classHandle
	return r.recover(ctx, d, o, reconnect)
}

// classify goes by what was tried before, too.
func (r *try) classify(o outcome) class {
	kind := classify(o.err, o.decrypting)
	if kind == classHandle && r.refound {
		return classAmbiguous // the handle is one of this epoch
	}
	return kind
}

// passOn returns an error of the function's own, unless the token was recovered meanwhile: without a login, private objects do
// not seem to exist.
func (r *try) passOn(d *device, o outcome) (again bool, err error) {
	done := r.job.once && o.changed
	if o.ran && !done && !d.isCurrent(o.epoch) {
		return r.count(o.err)
	}
	return false, own(o.err)
}

// own passes an error of the function's, unless it is one of this package.
func own(err error) error {
	for _, ours := range []error{errDeadline, errHung, errBusy, errWaiting, errClosed, errLeft} {
		if errors.Is(err, ours) {
			return err
		}
	}
	return ownError{err}
}

// retry tries another session, after a pause that grows, and recovers the token after that.
func (r *try) retry(ctx context.Context, d *device, o outcome) (again bool, err error) {
	switch {
	case r.verified: // the token works, and this still does not
		return false, o.err
	case r.again >= len(pauses):
		return r.recover(ctx, d, o, reconnect)
	}
	pause := pauses[r.again]
	r.again++
	return r.pause(ctx, pause)
}

// ask has the probe decide whether an error is one of the token. Without a probe one more session is tried.
func (r *try) ask(ctx context.Context, d *device, o outcome) (again bool, err error) {
	missing := errors.Is(o.err, hsm.ErrKEKMissing)
	probe := r.token.probing()
	switch {
	case missing && (probe == nil || r.token.isMissed()):
		return r.passOn(d, o)
	case probe == nil && r.again > 0:
		return r.passOn(d, o)
	case probe == nil:
		r.again++
		return true, nil
	}
	return r.heed(ctx, d, o, d.attempt(ctx, job{session: probe}))
}

// heed decides by what the probe said.
func (r *try) heed(ctx context.Context, d *device, o, probe outcome) (again bool, err error) {
	switch {
	case probe.outdated || probe.crowded:
		return r.count(o.err)
	case probe.err == nil:
		if d.isCurrent(o.epoch) {
			r.token.found()
			d.note(d.works)
		}
		if r.doubted || errors.Is(o.err, hsm.ErrKEKMissing) {
			return r.passOn(d, o)
		}
		r.doubted = true // it may have been the device, for a moment: what says that data is damaged is said twice
		return true, nil
	case classify(probe.err, false) == classOwn:
		return false, probe.err
	}
	d.suspect(probe.err)
	return r.recover(ctx, d, o, reconnect)
}

// recover gets the token back and tries again.
func (r *try) recover(ctx context.Context, d *device, o outcome, from rung) (again bool, err error) {
	if again, err := r.count(o.err); !again {
		return false, err
	}
	if d.isExhausted(o.epoch) { // the highest rung has not helped
		d.giveUp(o.err)
	}
	err = d.recover(ctx, r.token, o.epoch, from)
	if err != nil {
		return r.wait(ctx, err)
	}
	r.verified = r.token.probing() != nil
	return true, nil
}

// count counts recoveries, so that there is an end to them.
func (r *try) count(cause error) (again bool, err error) {
	if r.recoveries++; r.recoveries <= maxRecoveries {
		return true, nil
	}
	if cause == nil {
		return false, errWaiting
	}
	return false, fmt.Errorf("%w: %w", errRecovered, cause)
}

// wait waits for the next recovery, if it comes soon.
func (r *try) wait(ctx context.Context, err error) (again bool, _ error) {
	t := r.token
	if errors.Is(err, errReplaced) {
		t.registry.detach(t) // and look for the one that is selected again
		return r.count(err)
	}
	var w waitError
	if !errors.As(err, &w) || isFinal(err) {
		return false, err
	}
	pause := w.until.Sub(t.registry.clock.Now())
	if r.paused+pause > patience {
		return false, err
	}
	r.paused += max(0, pause)
	return r.pause(ctx, pause)
}

func (r *try) pause(ctx context.Context, d time.Duration) (again bool, _ error) {
	if d > 0 {
		done, stop := after(r.token.registry.clock, d)
		defer stop()
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil, ctx.Err()
}
