// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package datakeys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

// patience is how long a use waits for Vault that could do without.
const patience = time.Second

// Use is one use of a data key: of an EDK's, or of the encrypting one where that is empty.
type Use struct {
	EDK     string
	DataKey *DataKey
	Source  Source
	Err     error
}

// flight is a request, or a part of a batch, that many may wait for.
type flight struct {
	done chan struct{}
	d    *DataKey
	err  error
	held bool // nothing was asked: there was a fresh proof
}

func landed(d *DataKey, err error) *flight {
	f := &flight{done: make(chan struct{}), d: d, err: err, held: true}
	close(f.done)
	return f
}

func (f *flight) land(d *DataKey, err error) {
	f.d, f.err = d, err
	close(f.done)
}

// wait returns an error if the context ends before the flight.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	default:
	}
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// line is one of the two ways to a data key.
type line interface {
	// outage tells whether Vault may be asked.
	outage() *outage
	// spare returns the data key that may be used while Vault does not answer, and by what, or nil.
	spare(edk string, now Moment) (*DataKey, Source)
	// ask joins the requests for EDKs that are under way, and begins those that are not. What has a fresh proof is not asked for,
	// unless anyway is set.
	ask(ctx context.Context, edks []string, anyway bool) []*flight
}

// await brings uses to an end: by a request that was answered, a proof that is stale, a refusal, or the end of the time.
func (k *Key) await(ctx context.Context, l line, uses []Use) {
	ctx, cancel := k.set.timed(ctx)
	defer cancel()
	w := wait{key: k, line: l, held: Local}
	for i := range uses {
		w.pending = append(w.pending, &uses[i])
	}
	for len(w.pending) > 0 {
		pause, last := l.outage().pause()
		if pause <= 0 {
			w.ask(ctx)
			continue
		}
		w.spare()
		if len(w.pending) == 0 {
			return
		}
		if err := k.set.sleep(ctx, pause); err != nil {
			w.give(unavailable(last, err))
			return
		}
		w.held = Asked
	}
}

// wait is what is left of a call.
type wait struct {
	key     *Key
	line    line
	pending []*Use
	held    Source // of a proof that is found fresh: the use may have waited for it
}

// ask asks once for what is pending.
func (w *wait) ask(ctx context.Context) {
	edks := make([]string, len(w.pending))
	spared := 0
	now := w.key.set.o.Now()
	for i, u := range w.pending {
		edks[i] = u.EDK
		if d, _ := w.line.spare(u.EDK, now); d != nil {
			spared++
		}
	}
	flights := w.line.ask(ctx, edks, false)
	waits, cancel := ctx, context.CancelFunc(func() {})
	if spared == len(edks) {
		waits, cancel = context.WithTimeout(ctx, patience)
	}
	defer cancel()
	before := w.pending
	w.pending = nil
	for i, u := range before {
		late := flights[i].wait(waits) != nil
		switch {
		case !late:
			w.settle(u, flights[i])
		case w.useSpare(u):
		case ctx.Err() != nil:
			u.Err = unavailable(nil, ctx.Err())
		default:
			w.pending = append(w.pending, u)
		}
	}
}

// settle ends a use by a flight that landed, or leaves it pending.
func (w *wait) settle(u *Use, f *flight) {
	switch {
	case f.err == nil:
		u.DataKey, u.Source = f.d, Asked
		if f.held {
			u.Source = w.held
		}
	case errors.Is(f.err, refusal.ErrUnavailable):
		if !w.useSpare(u) {
			w.pending = append(w.pending, u)
		}
	default:
		u.Err = f.err
	}
}

// spare ends those uses that can do without Vault.
func (w *wait) spare() {
	before := w.pending
	w.pending = nil
	for _, u := range before {
		if !w.useSpare(u) {
			w.pending = append(w.pending, u)
		}
	}
}

func (w *wait) useSpare(u *Use) bool {
	now := w.key.set.o.Now()
	d, source := w.line.spare(u.EDK, now)
	if d == nil {
		return false
	}
	if p := d.process.Load(); p != nil && u.EDK != "" {
		d.touch(now, p)
	}
	u.DataKey, u.Source = d, source
	return true
}

// give ends all that is pending.
func (w *wait) give(err error) {
	for _, u := range w.pending {
		u.Err = err
	}
	w.pending = nil
}

// unavailable is the error of a use whose time is over: the last error of a request if there is one, and why it waits no longer.
func unavailable(last, end error) error {
	if errors.Is(end, refusal.ErrClosed) {
		return end
	}
	if last == nil {
		return fmt.Errorf("%w: no answer in time: %w", refusal.ErrUnavailable, end)
	}
	return fmt.Errorf("%w (%w)", last, end)
}

// sleep waits for the next attempt. It returns an error at once where the context ends before that.
func (s *Set) sleep(ctx context.Context, pause time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < pause {
		if err := ctx.Err(); err != nil {
			return err
		}
		return context.DeadlineExceeded
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.life.Done():
		return refusal.ErrClosed
	}
}

// timed gives a call an end if it has none.
func (s *Set) timed(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.o.Timeout)
}
