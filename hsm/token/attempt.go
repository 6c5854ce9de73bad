// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// attempt does a job once.
func (d *device) attempt(ctx context.Context, j job) outcome {
	if j.session == nil {
		return d.attemptWithLibrary(ctx, j)
	}
	if err := d.pool.acquire(ctx, d.config.AcquireTimeout); err != nil {
		return outcome{err: err}
	}
	if err := d.module.enter(ctx, d.config.AcquireTimeout); err != nil {
		d.pool.release()
		return outcome{err: err}
	}
	c, ok := d.connection()
	if !ok {
		d.module.leave()
		d.pool.release()
		return outcome{outdated: true}
	}
	k := newTask(d.clock, d.config.CallTimeout, func(n int) {
		d.pool.hang(n)
		d.hang(n)
	})
	o, err := launch(ctx, k, func() outcome {
		defer d.module.leave()
		return d.lend(k, c, j.session)
	})
	if err != nil {
		return outcome{err: err, epoch: c.epoch, changed: true}
	}
	isDone := j.once && o.changed
	if !isDone && d.isOutdated(c.epoch) {
		return outcome{outdated: true, epoch: c.epoch}
	}
	return o
}

// isOutdated reports that a login came since the epoch began, or may have: sessions that had lost theirs have it again, in which
// handles name other objects. Who closes the token logs in no more.
func (d *device) isOutdated(epoch uint64) bool {
	now, connected := d.connection()
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.closed && (!connected || now.epoch != epoch)
}

func (d *device) attemptWithLibrary(ctx context.Context, j job) outcome {
	if err := d.module.enter(ctx, d.config.AcquireTimeout); err != nil {
		return outcome{err: err}
	}
	c, ok := d.connection()
	if !ok {
		d.module.leave()
		return outcome{outdated: true}
	}
	k := newTask(d.clock, d.config.CallTimeout, d.hang)
	o, err := launch(ctx, k, func() outcome {
		defer d.module.leave()
		result, err := j.library(k, c.library, c.token.Slot)
		return outcome{err: err, epoch: c.epoch, result: result}
	})
	if err != nil {
		return outcome{err: err, epoch: c.epoch}
	}
	return o
}

// connection is what an attempt goes by. It stays as it is while its task is inside the module.
type connection struct {
	library cryptoki.Library
	token   cryptoki.Token
	epoch   uint64
}

func (d *device) connection() (c connection, ok bool) {
	library, round := d.module.state()
	d.mu.Lock()
	defer d.mu.Unlock()
	return connection{library, d.info, d.epoch}, d.connected && d.round == round && library != nil
}

// lend calls f with a session, and takes it back. A session in which anything failed is closed: an operation may be active in it
// still (section 5.6, CKR_OPERATION_ACTIVE).
func (d *device) lend(k *task, c connection, f Func) outcome {
	s := d.pool.pop(c.epoch)
	if s == nil {
		opened, err := d.open(k, c.library, c.token.Slot)
		switch {
		case errors.Is(err, cryptoki.ErrSessionCount):
			return outcome{err: err, epoch: c.epoch, crowded: d.pool.shrink()}
		case err != nil:
			d.pool.release()
			return outcome{err: err, epoch: c.epoch}
		}
		s = opened
	}
	defer d.pool.release()
	g := d.guard(k, s, c.token)
	o := outcome{err: f(g, c.epoch), epoch: c.epoch, decrypting: g.decrypting, changed: g.changed, used: g.used, ran: true}
	if o.err != nil || g.failed || k.isLeft() || !d.pool.push(s, c.epoch) {
		d.closeSessions(k, s)
	}
	return o
}
