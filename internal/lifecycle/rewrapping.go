// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import "time"

// Rewrapping is how far the stored material of a purpose has been wrapped anew, because another key encryption key became the
// active one. Passes go over all of it, in order of names, until one finds nothing to do: what is new, moved or could not be
// wrapped while a pass went over it is for the next one.
type Rewrapping struct {
	Purpose string
	KEK     [16]byte // that all of it is to be wrapped with
	Run     int      // counts the changes of KEK
	Started time.Time

	Pass      int       // counted from 1
	PassBegan time.Time // zero: the pass has ended, and the next one not begun
	After     string    // the pass has done all before this key,
	Version   int       // and of this key the versions up to this one
	Found     int       // versions that the pass found wrapped with another key
	Done      int       // versions wrapped anew, in all passes

	Failed   int             // versions that the pass could not wrap
	Failures []RewrapFailure // the first of them
	Resume   time.Time       // between two passes: when the next one may begin
}

// RewrapFailure is a version that could not be wrapped anew; 0: the versions of the key could not be listed, or the key not
// be read.
type RewrapFailure struct {
	Key     string
	Version int
	Why     string
}

const (
	// mostRewrapFailures bounds the failures that are named.
	mostRewrapFailures = 100

	// rewrapSettle is how long after the change of the active key a pass has to begin to be the last one. It is more than
	// what a writer may take that was given the wrapper before the change, and writes what that wrapped after it.
	rewrapSettle = 5 * time.Minute

	// rewrapRetry is how long versions that could not be wrapped in two passes are left alone.
	rewrapRetry = time.Hour
)

// BeginRewrap returns the progress of a purpose whose active key is kek from now on. last is that of the change before, or
// zero.
func BeginRewrap(last Rewrapping, purpose string, kek [16]byte, now time.Time) Rewrapping {
	return Rewrapping{Purpose: purpose, KEK: kek, Run: last.Run + 1, Started: now, Pass: 1, PassBegan: now}
}

// Waits reports whether nothing is to be done yet: the next pass is to begin later, or active, which wraps at the moment, is
// not the key that the progress is about, and may become it any moment. Whoever makes a key the active one writes the
// progress before. What lies farther ahead than a pass ever waits was set by a clock that was ahead.
func (r Rewrapping) Waits(active [16]byte, now time.Time) bool {
	wait := r.Resume.Sub(now)
	if r.KEK != active {
		wait = r.Started.Add(rewrapSettle).Sub(now)
	}
	return wait > 0 && wait <= rewrapRetry
}

// At returns the progress of a pass that has come to a version and done it.
func (r Rewrapping) At(name string, version int) Rewrapping {
	r.After, r.Version = name, version
	return r
}

// WithFound returns the progress with one version found that names another key; done: it was wrapped anew.
func (r Rewrapping) WithFound(done bool) Rewrapping {
	r.Found++
	if done {
		r.Done++
	}
	return r
}

// WithFailure returns the progress with a version that could not be wrapped.
func (r Rewrapping) WithFailure(f RewrapFailure) Rewrapping {
	r.Failed++
	if len(r.Failures) < mostRewrapFailures {
		r.Failures = append(r.Failures[:len(r.Failures):len(r.Failures)], f)
	}
	return r
}

// EndOfPass returns what follows a pass that has come to the end: the wait for the next pass, or that all is done.
func (r Rewrapping) EndOfPass(now time.Time) (next Rewrapping, done bool) {
	settled := r.Started.Add(rewrapSettle)
	switch {
	case r.Failed > 0 && r.Pass > 1: // what failed in the first one may have been in passing
		r.Resume = now.Add(rewrapRetry)
	case r.PassBegan.Before(settled):
		r.Resume = settled
	case r.Found == 0 && r.Failed == 0:
		return r, true
	default:
		r.Resume = now
	}
	r.PassBegan = time.Time{}
	return r.At("", 0), false
}

// BetweenPasses reports whether a pass has ended and the next one has not begun.
func (r Rewrapping) BetweenPasses() bool { return r.PassBegan.IsZero() }

// BeginPass returns the progress at the beginning of the next pass.
func (r Rewrapping) BeginPass(now time.Time) Rewrapping {
	r.Pass++
	r.PassBegan, r.Resume, r.Found, r.Failed, r.Failures = now, time.Time{}, 0, 0, nil
	if r.Started.After(now) { // by a clock that was ahead
		r.Started = now
	}
	return r.At("", 0)
}
