// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// rewrap goes on with wrapping stored material with the active key encryption keys. It comes last in a tick, and has time of
// its own: what is due waits for it no more than it waits for what is due.
func (t *tick) rewrap(ctx context.Context) error {
	purposes, err := t.store.Rewraps.PendingRewraps(ctx)
	began, looked := t.Now(), 0
	for _, purpose := range purposes {
		r := rewrapper{tick: t, began: began, looked: looked, purpose: purpose}
		stopped := t.acts.Guard("rewrap "+purpose, func() error { return r.work(ctx) })
		switch {
		case errors.Is(stopped, errBegunAnew):
			stopped = nil
		case r.away:
			t.Log.Warn("wrapper is away; a later tick goes on with wrapping material anew", "purpose", purpose, "error", stopped)
		default:
			err = errors.Join(err, stopped)
		}
		t.rewraps.set(purpose, stopped)
		looked = r.looked
	}
	return err
}

// rewrapper goes on with one purpose.
type rewrapper struct {
	*tick
	wrapping engine.Rewrapper
	progress lifecycle.Rewrapping
	purpose  string
	began    time.Time
	looked   int  // keys and versions, of all purposes
	unsaved  int  // versions wrapped since the progress was stored
	away     bool // the wrapper is; nothing can be done about the purpose in this tick
}

// work looks at as many keys as the tick may. The error says why it stopped before that.
func (r *rewrapper) work(ctx context.Context) error {
	ready, err := r.open(ctx)
	if err != nil || !ready {
		return err
	}
	names, err := r.wrapping.Names(ctx)
	if err != nil {
		return err
	}
	at, _ := slices.BinarySearch(names, r.progress.After)
	for _, name := range names[at:] {
		if err = r.key(ctx, name); err != nil || r.full(ctx) {
			return errors.Join(err, r.save(ctx))
		}
	}
	if err := r.signingKeys(ctx); err != nil {
		return errors.Join(err, r.save(ctx))
	}
	return r.end(ctx)
}

// open reads the progress and the wrapper, and brings them together. Ready is false where nothing is to be done yet.
func (r *rewrapper) open(ctx context.Context) (ready bool, err error) {
	if r.wrapping, err = r.acts.Wrapping().Rewrapper(ctx, r.purpose); err != nil {
		r.away = errors.Is(err, envelope.ErrUnavailable)
		return false, err
	}
	p, found, err := r.store.Rewraps.Rewrap(ctx, r.purpose)
	if err != nil || !found || p.Waits(r.wrapping.Active(), r.began) {
		return false, err
	}
	if p.KEK != r.wrapping.Active() { // what was noted did not happen, or more than was noted
		if err := r.store.Rewraps.BeginRewrap(ctx, r.purpose, r.wrapping.Active()); err != nil {
			return false, err
		}
		if p, found, err = r.store.Rewraps.Rewrap(ctx, r.purpose); err != nil || !found || p.KEK != r.wrapping.Active() {
			return false, err
		}
	}
	if p.BetweenPasses() {
		p = p.BeginPass(r.began)
	}
	r.progress = p
	return true, nil
}

// full reports whether the tick has done what one tick may.
func (r *rewrapper) full(ctx context.Context) bool {
	return r.Rewrapped >= tickRewraps || r.looked >= tickRewrapReads || ctx.Err() != nil || r.Now().Sub(r.began) > tickRewrapTime
}

// key wraps the versions of a key, as many as the tick may. The error is that of a wrapper which would fail for others, too;
// what cannot be wrapped is noted.
func (r *rewrapper) key(ctx context.Context, name string) error {
	r.looked++
	var k lifecycle.Key
	var versions []int
	err := r.alone(ctx, name, func(ctx context.Context) (err error) {
		if k, err = r.store.Keys.Key(ctx, name); err == nil {
			versions, err = r.wrapping.Versions(ctx, name)
		}
		return err
	})
	if errors.Is(err, refusal.ErrNotFound) { // it is being deleted, or never came to be
		err, versions = nil, nil
	}
	if err != nil {
		r.failed(name, 0, err)
	}
	if name != r.progress.After {
		r.progress = r.progress.At(name, 0)
	}
	for _, n := range versions {
		if n <= r.progress.Version {
			continue
		}
		if r.full(ctx) {
			return nil
		}
		if err := r.version(ctx, &k, n); err != nil {
			return err
		}
	}
	return nil
}

// version wraps one.
func (r *rewrapper) version(ctx context.Context, k *lifecycle.Key, n int) error {
	r.looked++
	var did engine.Rewrapped
	err := r.alone(ctx, k.Name, func(ctx context.Context) (err error) {
		did, err = r.wrapping.Rewrap(ctx, k, n)
		return err
	})
	switch {
	case errors.Is(err, envelope.ErrUnavailable), errors.Is(err, envelope.ErrWrap):
		r.away = true
		return err
	case ctx.Err() != nil: // not about this version
		return err
	case err != nil:
		r.failed(k.Name, n, err)
	case did != engine.RewrapNeedless:
		r.progress = r.progress.WithFound(did == engine.RewrapDone)
	}
	if r.progress = r.progress.At(k.Name, n); did != engine.RewrapDone {
		return nil
	}
	r.Rewrapped++
	if r.unsaved++; r.unsaved < rewrapBatch {
		return nil
	}
	return r.save(ctx)
}

// signingKeys wraps the keys that sign checkpoints, behind the last key of a pass. Their failures have the name of their entry.
func (r *rewrapper) signingKeys(ctx context.Context) error {
	const name = "config/custody"
	var found, done int
	err := r.alone(ctx, name, func(ctx context.Context) (err error) {
		found, done, err = r.wrapping.SigningKeys(ctx)
		return err
	})
	switch {
	case errors.Is(err, envelope.ErrUnavailable), errors.Is(err, envelope.ErrWrap):
		r.away = true
		return err
	case ctx.Err() != nil:
		return err
	case err != nil:
		r.failed(name, 0, err)
	}
	for n := range found {
		r.progress = r.progress.WithFound(n < done)
	}
	r.Rewrapped += done
	return nil
}

// failed notes a version that could not be wrapped, and names the first ones of a tick to the operators.
func (r *rewrapper) failed(name string, n int, err error) {
	r.progress = r.progress.WithFailure(lifecycle.RewrapFailure{Key: name, Version: n, Why: engine.Shorten(err.Error())})
	const named = 10
	if r.progress.Failed <= named {
		r.Log.Error("material could not be wrapped anew; it is tried again later", "purpose", r.purpose, "key", name, "version", n, "error", err)
	}
}

// save stores the progress. The error is errBegunAnew where there is another.
func (r *rewrapper) save(ctx context.Context) error {
	r.unsaved = 0
	return staleError(r.store.Rewraps.SaveRewrap(ctx, r.progress))
}

// end ends a pass, and all of it where the pass found nothing to do.
func (r *rewrapper) end(ctx context.Context) error {
	next, done := r.progress.EndOfPass(r.Now())
	if r.progress = next; !done {
		return r.save(ctx)
	}
	err := staleError(r.store.Rewraps.FinishRewrap(ctx, next))
	if err == nil {
		r.Log.Info("all material of a purpose is wrapped with the active key encryption key", "purpose", r.purpose,
			"kek", hex.EncodeToString(next.KEK[:]), "versions", next.Done, "passes", next.Pass)
	}
	return err
}

// errBegunAnew ends what a tick does for a purpose of which the active key encryption key was changed meanwhile.
var errBegunAnew = errors.New("the active key encryption key was changed meanwhile")

func staleError(stale bool, err error) error {
	if err == nil && stale {
		return errBegunAnew
	}
	return err
}

// rewrapStops remembers why the last tick stopped, by purpose.
type rewrapStops struct {
	mu  sync.Mutex
	why map[string]string
}

func (s *rewrapStops) set(purpose string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == nil {
		s.why = map[string]string{}
	}
	delete(s.why, purpose)
	if err != nil {
		s.why[purpose] = engine.Shorten(err.Error())
	}
}

func (s *rewrapStops) get(purpose string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why[purpose]
}

// RewrapStatus is how far the material of a purpose has been wrapped with the active key encryption key.
type RewrapStatus struct {
	lifecycle.Rewrapping
	Remaining int    // keys that the pass has not come to; between two passes all that the next one will look at
	Stopped   string // why the last tick stopped before it was done; empty: it did not
}

// RewrapStatus returns it of each purpose that has not come to the end: none, and all stored material is wrapped with the
// active key encryption keys. It costs a listing, and for each purpose another one and a read.
func (s *Session) RewrapStatus(ctx context.Context) ([]RewrapStatus, error) {
	purposes, err := s.store.Rewraps.PendingRewraps(ctx)
	if err != nil {
		return nil, err
	}
	var list []RewrapStatus
	for _, purpose := range purposes {
		p, found, err := s.store.Rewraps.Rewrap(ctx, purpose)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		names, err := s.acts.Wrapping().SealedKeys(ctx, purpose)
		if err != nil {
			return nil, err
		}
		list = append(list, RewrapStatus{p, len(namesAfter(names, p.After)), s.rewraps.get(purpose)})
	}
	return list, nil
}
