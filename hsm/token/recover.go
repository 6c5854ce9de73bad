// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/hsm"
)

// rung is how far a recovery goes.
type rung int

const (
	ground       rung = iota
	reconnect         // new sessions, a new login, a new epoch
	reinitialize      // C_Finalize and C_Initialize before that
)

// find finds the token of t, if that was not done yet.
func (t *Token) find(ctx context.Context) (*device, error) {
	if d := t.device(); d != nil {
		return d, nil
	}
	k := newTask(t.registry.clock, t.config.CallTimeout, t.module.hang)
	err := t.search.fly(ctx, t.config.AcquireTimeout, func() (bool, error) {
		if t.isClosed() {
			return true, errClosed
		}
		return t.device() != nil, nil
	}, k, func() error { return t.registry.find(k, t) })
	if err != nil {
		return nil, err
	}
	if d := t.device(); d != nil {
		return d, nil
	}
	return nil, errClosed
}

func (t *Token) device() *device {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.attached
}

// ready sees that the device is connected, and connects it if it is not.
func (d *device) ready(ctx context.Context, t *Token) error {
	settled, err := d.isReady(t)
	if settled {
		return err
	}
	return d.recover(ctx, t, 0, reconnect)
}

func (d *device) isReady(t *Token) (settled bool, err error) {
	if err := d.credential.refusal(t); err != nil {
		return true, err
	}
	_, round := d.module.state()
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return true, errClosed
	case d.pool.isStuck():
		return true, errHung
	}
	return d.connected && d.round == round, nil
}

// recover gets the token back, unless that was done since the epoch seen. It climbs from the rung from, and higher where the
// last recovery helped nobody.
func (d *device) recover(ctx context.Context, t *Token, seen uint64, from rung) error {
	k := newTask(d.clock, d.config.CallTimeout, d.exit.hangRecovering)
	return d.recovery.fly(ctx, t.config.AcquireTimeout, func() (bool, error) {
		settled, err := d.isReady(t)
		return settled && (err != nil || !d.isCurrent(seen)), err
	}, k, func() error { return d.climb(k, t, from) })
}

// climb is a recovery. The level of the one before is kept: where the token was not seen to work since, the next one begins
// higher.
func (d *device) climb(k *task, t *Token, from rung) error {
	d.mu.Lock()
	if d.rung > ground {
		from = min(max(from, d.rung+1), reinitialize)
	}
	d.mu.Unlock()
	err := d.climbFrom(k, t, from)
	d.note(func() {
		if d.failing = err != nil; d.failing {
			d.lastErr = text(err)
		}
	})
	return err
}

func (d *device) climbFrom(k *task, t *Token, from rung) error {
	if from == reconnect {
		d.note(func() {
			if d.counters.Connections > 0 { // the first is no recovery
				d.rung = reconnect
			}
		})
		err := d.connect(k, d.verifier(t, false))
		if err == nil || errors.Is(err, hsm.ErrPINRejected) || k.isLeft() {
			return err
		}
	}
	d.mu.Lock()
	tried := d.tried
	d.mu.Unlock()
	did, err := d.module.reinitialize(k, tried) // or another user of the library has, since
	if did {
		d.note(func() { d.tried++ })
	}
	alive := errors.Is(err, errHung) || errors.Is(err, errWaiting) // it may not be done while a call hangs
	if err != nil && (!alive || from != reinitialize) {
		return err
	}
	d.note(func() {
		d.rung = from
		if did {
			d.rung = reinitialize
			d.counters.Reinits++
		}
	})
	return d.connect(k, d.verifier(t, true))
}

// isExhausted reports that the highest rung has led to this epoch, in which the token was not seen to work.
func (d *device) isExhausted(epoch uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.connected && d.epoch == epoch && d.rung == reinitialize
}

// giveUp makes a recovery that helped nobody one that failed.
func (d *device) giveUp(err error) {
	d.recovery.fail(err)
	d.note(func() { d.connected, d.failing = false, true })
}

// verifier returns what looks at a new connection: the probe of t. Where the library works and the probe is not content with the
// keys, another user's tells whether the token is without all its objects, as one is whose library has lost sight of it. At the
// last, after C_Initialize, it is the keys.
func (d *device) verifier(t *Token, last bool) func(*guarded, uint64) error {
	return func(g *guarded, epoch uint64) error {
		probe := t.probing()
		if probe == nil {
			return nil
		}
		err := probe(g, epoch)
		switch {
		case err == nil:
			t.found()
			d.note(d.works)
			return nil
		case !errors.Is(err, hsm.ErrKEKMissing) && classify(err, g.decrypting) != classOwn:
			return err
		case last || t.isMissed() || d.registry.othersWork(d, t, g, epoch):
			t.miss(err)
			return nil
		}
		return err
	}
}

// othersWork reports that the probe of another user of the device passes.
func (r *Registry) othersWork(d *device, t *Token, g *guarded, epoch uint64) bool {
	for _, other := range r.users(d) {
		if probe := other.probing(); other != t && probe != nil && !g.failed && probe(g, epoch) == nil {
			other.found()
			d.note(d.works)
			return true
		}
	}
	return false
}

// suspect keeps an error that is the token's until it is seen to work.
func (d *device) suspect(err error) {
	d.note(func() { d.troubled, d.lastErr = true, text(err) })
}

// works forgets what was suspected of the token. The caller notes.
func (d *device) works() { d.rung, d.troubled = ground, false }

// miss keeps that the key of t is missing, though the token works, and puts the next recovery for its sake off.
func (t *Token) miss(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.registry.clock.Now()
	if t.missing.since.IsZero() {
		t.missing.since = now
	}
	t.missing.next = now.Add(backoff(t.missing.failures, maxMissing, t.registry.chance))
	t.missing.failures++
	t.missing.last = err
}

func (t *Token) found() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.missing = missing{}
}

// isMissed reports that the key of t was missed so lately that it is not looked for again.
func (t *Token) isMissed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.registry.clock.Now().Before(t.missing.next)
}
